"""The draft contract: what a document adds to its base, put together and validated.

Guarantees: the text that `finish` gives loads as that contract, or it names each field that a
person has to fill in. Fields keep the order of a contract; the base's own clauses stay. Does not
decide what a statement means: `matching` does.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from mlagent.contracts.agent_files import MissingField
from mlagent.contracts.contract import Boundary, Contract, SuccessCriterion
from mlagent.documents import dump_yaml
from mlagent.record_errors import dotted
from mlagent.sandbox.sanitize import clean_line

from .document import Document
from .matching import Match
from .sources import Source

TIERS = {"haiku": "fast", "sonnet": "balanced", "opus": "deep", "fable": "deep"}
_TIER_NAMES = ("none", "fast", "balanced", "deep")
_VERSION = re.compile(r"\bversion\W{1,6}(\d{1,4}\.\d{1,4}\.\d{1,4})\b", re.IGNORECASE)
MAX_CRITERIA = 100


@dataclass
class Draft:
    """What the document adds to its base."""

    role: str = ""
    version: str = ""
    model_tier: str = ""
    examples: list[tuple[str, str]] = field(default_factory=list)
    boundaries: list[Boundary] = field(default_factory=list)
    gates: list[Any] = field(default_factory=list)
    criteria: list[SuccessCriterion] = field(default_factory=list)


def keep(draft: Draft, match: Match) -> bool:
    """Put the match's new clauses into the draft. False: there was no place for them."""
    if isinstance(match.add, Boundary):
        if all(boundary.topic != match.add.topic for boundary in draft.boundaries):
            draft.boundaries.append(match.add)
    elif match.add is not None:
        cleaned = clean_line(match.add.criterion)
        criterion = match.add.model_copy(update={"criterion": cleaned})
        if criterion not in draft.criteria:
            if len(draft.criteria) >= MAX_CRITERIA:
                return False
            draft.criteria.append(criterion)
        if match.gate is not None and all(gate.name != match.gate.name for gate in draft.gates):
            draft.gates.append(match.gate)
    return True


def role_of(document: Document) -> str:
    """The words that say what the agent is for, from the surest place on."""
    for text in (
        document.first_words("role", r"^role\b"),
        document.first_words("role", r"identity|mission|purpose"),
        document.first_words("role", r"overview|about|who you are|persona"),
        document.first_words("role"),
        document.text("description").split("<example>")[0],
    ):
        if cleaned := clean_line(text, 600):
            return re.sub(r"^Role:\s*", "", cleaned)
    return ""


def version_of(document: Document) -> str:
    """The version that the document gives itself, or ''."""
    value = document.text("version")
    if re.fullmatch(r"\d+\.\d+\.\d+", value):
        return value
    found = _VERSION.search(document.body)
    return found[1] if found else ""


def tier_of(document: Document) -> str:
    """The model tier behind `model_tier` or `model`, or ''."""
    tier = document.text("model_tier").lower()
    if tier in _TIER_NAMES:
        return tier
    model = document.text("model").lower()
    return next((TIERS[word] for word in TIERS if word in model), "")


def assemble(draft: Draft, base: Contract | None) -> tuple[dict[str, Any], set[str]]:
    """The draft's fields in the order of a contract, and those that the document gave."""
    data: dict[str, Any] = base.model_dump(mode="json", by_alias=True) if base else {}
    touched: set[str] = {"schema", "name"} if base else set()
    for key in ("version", "role", "model_tier"):
        if getattr(draft, key):
            data[key] = getattr(draft, key)
            touched.add(key)
    for key, added in (
        ("boundaries", draft.boundaries),
        ("quality_gates", draft.gates),
        ("success_criteria", draft.criteria),
    ):
        if added:
            plain = [record.model_dump(mode="json", by_alias=True) for record in added]
            kept = [item for item in data.get(key, []) if item not in plain]
            names = {item.get("name") for item in kept}
            plain = [item for item in plain if "name" not in item or item["name"] not in names]
            first = key == "success_criteria"
            data[key] = plain + kept if first else kept + plain
            touched.add(key)
    for topic, sentence in draft.examples:
        for handles in data["routing"]["handles"]:
            if handles["topic"] == topic and sentence not in handles["examples"]:
                handles["examples"].append(sentence)
                touched.add("routing")
    return data, touched


def finish(
    data: dict[str, Any], document: Document, source: Source
) -> tuple[str, bool, tuple[MissingField, ...]]:
    digest = hashlib.sha256(source.data).hexdigest()
    name = clean_line(source.name, 200)
    head = f"# Draft from {name!r}, sha256 {digest[:16]}; a person reviews it.\n"
    try:
        contract = Contract.model_validate(data)
    except ValidationError as problem:
        missing = _missing(problem)
        data = {"schema": "mlagent/contract/v1", **data}
        head += "".join(f"# fill in {item.field}: {item.why}\n" for item in missing)
        body = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
        return head + body, False, missing
    return head + dump_yaml(contract), True, ()


def _missing(problem: ValidationError) -> tuple[MissingField, ...]:
    found: dict[str, str] = {}
    for error in problem.errors(include_url=False):
        path = dotted(error["loc"])
        if path == "schema":
            continue
        if path == "name":
            why = "one of data-explorer, statistical-analyst, ml-engineer"
        elif error["type"] == "missing":
            info = next(
                (f for n, f in Contract.model_fields.items() if (f.alias or n) == path), None
            )
            about = info.description if info and info.description else ""
            why = f"no section speaks of it{f' ({about})' if about else ''}"
        else:
            why = str(error["msg"])
        found.setdefault(path or "(the whole)", clean_line(why, 300))
    return tuple(MissingField(field=path, why=why) for path, why in found.items())
