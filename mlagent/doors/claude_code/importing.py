"""A subagent file of anybody's becomes a draft contract and a report.

Guarantees: every section of the document has a line in the report, and every statement of a section
that a contract could speak of has one too; the draft validates, or the report names each field that
a person has to fill in; a draft never grants more than the base contract (`matching`). A document
that holds a whole contract, as `mlagent agents export` writes it, gives exactly that contract, and
what that export did not write around it is listed as advisory or refused (`own_export`).
Does not write files (`import_files` does), run code of the document, or follow its links.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import Any, NamedTuple

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.agent_files import (
    AgentImport,
    ImportedSection,
    ImportedStatement,
    Part,
)
from mlagent.contracts.base import Role
from mlagent.contracts.contract import Contract, clauses
from mlagent.contracts.errors import BadInput
from mlagent.contracts.policy import RoutingPolicy
from mlagent.documents import dump_yaml, read_record
from mlagent.orchestrator.planning import load_policies
from mlagent.orchestrator.routing import route
from mlagent.sandbox.sanitize import clean_line

from .bases import choose_base
from .document import Document, read_document, tool_names
from .drafting import MAX_CRITERIA, Draft, assemble, finish, keep, role_of, tier_of, version_of
from .enforced import denies
from .frontmatter import DOCUMENTED_KEYS
from .matching import Match, Matcher
from .own_export import TOOLS, Change, changes
from .sections import statements
from .sources import Source

UNDERSTOOD: frozenset[Part] = frozenset(
    {
        "responsibilities",
        "boundaries",
        "inputs",
        "outputs",
        "reads",
        "writes",
        "tools",
        "guardrails",
        "success",
        "handoffs",
        "planning",
    }
)
_USER_SAYS = re.compile(r"\buser:\s*(\"(?:[^\"\\\n]|\\.){3,300}\"|'[^'\n]{3,300}')", re.IGNORECASE)
_CONTRACT_BLOCK = re.compile(r"^(`{3,}|~{3,})ya?ml\n(schema: mlagent/contract/)", re.MULTILINE)
_CONTRACT_TAG = re.compile(r"^[^\S\n]*schema:\s*[\"']?mlagent/contract/", re.MULTILINE)
_PATH_OF = re.compile(r"\b(?:(read)|write)s?\b[^.;]{0,40}?\s~?/\w", re.IGNORECASE)
"""A permission to read, or to write, a path from the root or from home."""
MAX_EXAMPLES = 5
MAX_STATEMENTS = 2_000
"""Statements of a document that are matched; the report says how many were left."""
MAX_STATEMENT = 2_000
"""Characters of a statement that are matched."""


class Imported(NamedTuple):
    """The report, and the draft as the text of a YAML file."""

    report: AgentImport
    draft: str


class Importer:
    """Imports documents against the team's contracts.

    Args:
        content: where contracts and policies are found.
        agent: the agent whose contract is the base of every draft; None: found for each.
    """

    def __init__(self, content: Content, agent: Role | None = None) -> None:
        self.content = content
        self.agent = agent
        self.contracts = load_contracts(content)
        self.policy: RoutingPolicy = load_policies(content).routing

    def read(self, source: Source) -> Document:
        """The document behind `source`."""
        return read_document(source.data, source.name)

    def convert(self, source: Source) -> Imported:
        """Draft and report for one document. Every document gives one."""
        document = self.read(source)
        own, problem = _own_contract(document)
        if own is not None:
            return self._exact(document, source, own)
        base = choose_base(document, self.agent)
        contract = self.contracts[base.agent] if base.agent else None
        stand_in = contract or self.contracts["ml-engineer"]
        matcher = Matcher(stand_in, self.policy, self.contracts, self.content)
        draft = Draft(
            role=role_of(document), version=version_of(document), model_tier=tier_of(document)
        )
        rows = _frontmatter_rows(document, draft, contract)
        read = 0
        sections = _frontmatter_section(document)
        for section, part in zip(document.sections, document.parts, strict=True):
            said = statements(section)
            made = []
            if part in UNDERSTOOD:
                for statement in said[: MAX_STATEMENTS - read]:
                    match = matcher.match(part, statement.text[:MAX_STATEMENT], section.heading)
                    if contract is None:
                        match = _without_base(match)
                    if part == "success" and statement.kind == "text":
                        match = Match("advisory", None, "a paragraph; items become criteria")
                    if not keep(draft, match):
                        match = Match("advisory", None, f"beyond {MAX_CRITERIA} criteria")
                    made.append(_row(statement.line, part, statement.text, match))
            rows += made
            read += len(made)
            sections.append(
                ImportedSection(
                    line=section.line,
                    level=section.level,
                    heading=clean_line(section.heading) or "(before the first heading)",
                    part=part,
                    statements=len(said),
                    code_blocks=len(section.code),
                    became=_became(part, made, len(said), len(section.code)),
                )
            )
        draft.examples = self._examples(document, contract)
        data, touched = assemble(draft, contract)
        text, valid, missing = finish(data, document, source)
        why = base.why if not problem else f"{base.why}; its contract block is refused: {problem}"
        return Imported(
            AgentImport(
                schema_="mlagent/agent-import/v1",
                file=clean_line(source.name),
                sha256=hashlib.sha256(source.data).hexdigest(),
                verdict=document.verdict,
                read_as=document.read_as,
                agent=base.agent,
                agent_why=clean_line(why),
                valid=valid,
                missing=missing,
                defaults=tuple(key for key in data if key not in touched) if contract else (),
                sections=tuple(sections),
                statements=tuple(rows),
            ),
            text,
        )

    def _exact(self, document: Document, source: Source, contract: Contract) -> Imported:
        """The contract that the document holds, and what stands around it."""
        unlike = _unlike(contract, self.contracts[contract.name])
        found = changes(document, contract, self.content)[:MAX_STATEMENTS]
        matcher = Matcher(contract, self.policy, self.contracts, self.content)
        rows = [_changed(change, document, matcher) for change in found]
        counts = Counter(change.section for change in found)
        sections = _frontmatter_section(document)
        for number, section in enumerate(document.sections):
            holds = any(_CONTRACT_TAG.search(code.text) for code in section.code)
            became = "the draft, word for word" if holds else "the contract below says it"
            if many := counts[number]:
                became = f"{became}; " if holds else ""
                became += f"{many} that the export did not write so, listed below"
            sections.append(
                ImportedSection(
                    line=section.line,
                    level=section.level,
                    heading=clean_line(section.heading) or "(before the first heading)",
                    part="contract" if holds else document.parts[number],
                    statements=len(statements(section)),
                    code_blocks=len(section.code),
                    became=became,
                )
            )
        why = "the document holds its whole contract"
        why += f", which differs from the team's own in {len(unlike)} clauses" if unlike else ""
        why += f"; around it, {len(found)} are not what the export writes" if found else ""
        report = AgentImport(
            schema_="mlagent/agent-import/v1",
            file=clean_line(source.name),
            sha256=hashlib.sha256(source.data).hexdigest(),
            verdict=document.verdict,
            read_as=document.read_as,
            agent=contract.name,
            agent_why=why,
            valid=True,
            missing=(),
            defaults=(),
            sections=tuple(sections),
            statements=(*unlike, *rows),
        )
        return Imported(report, dump_yaml(contract))

    def _examples(self, document: Document, contract: Contract | None) -> list[tuple[str, str]]:
        """(topic, sentence) of what users say in the document's examples, as far as the router
        would give it to this agent."""
        if contract is None:
            return []
        found: list[tuple[str, str]] = []
        text = f"{document.text('description')}\n{document.body}".replace("\\n", "\n")
        for quoted in _USER_SAYS.findall(text)[:MAX_STATEMENTS]:
            said = clean_line(quoted[1:-1].replace('\\"', '"'))
            if not said:
                continue
            routing = route(said, self.policy, self.contracts)
            topic = next(
                (self._topic(r.why) for r in routing.agents if r.agent == contract.name), ""
            )
            ours = any(handles.topic == topic for handles in contract.routing.handles)
            if ours and not routing.refused and (topic, said) not in found:
                found.append((topic, said))
        return found[:MAX_EXAMPLES]

    def _topic(self, why: str) -> str:
        """The topic of a routing reason that a word of the sentence gave."""
        for topic, rule in self.policy.topics.items():
            if why.startswith(rule.why) and "read from" in why:
                return topic
        return ""


def _own_contract(document: Document) -> tuple[Contract | None, str]:
    """The contract that the document holds, and what is wrong with it when it is refused. The last
    one counts: `export` puts it at the end, below text that may hold anything."""
    body = document.body.replace("\r\n", "\n")
    openings = list(_CONTRACT_BLOCK.finditer(body))
    for opening in openings[-1:]:
        end = body.find(f"\n{opening[1]}\n", opening.end())
        text = body[opening.start(2) : end + 1 if end >= 0 else None]
        try:
            return read_record(Contract, text, document.name, format="yaml"), ""
        except BadInput as error:
            return None, error.message.splitlines()[0]
    return None, ""


def _unlike(contract: Contract, ours: Contract) -> list[ImportedStatement]:
    """Clauses of a whole contract that are not the team's own, for a person to look at."""
    here, there = ({c.path: c.value for c in clauses(one)} for one in (contract, ours))
    rows = []
    for path in sorted(here.keys() | there.keys()):
        if here.get(path) != there.get(path):
            said = f"{path}: {here.get(path, 'left out')}"
            why = f"the team's own contract says: {there.get(path, 'nothing')}"
            rows.append(_row(1, "contract", clean_line(said), Match("advisory", None, why)))
    return rows


def _changed(change: Change, document: Document, matcher: Matcher) -> ImportedStatement:
    """The row of what the export did not write: never a clause, and never held."""
    part: Part = "role" if change.section is None else document.parts[change.section]
    if change.section is None and change.text.startswith(TOOLS):
        part = "tools"
    if not change.added:
        match = Match("advisory", None, "the export writes it, and this document leaves it out")
        return _row(change.line, part, f"left out: {change.text}", match)
    path = _PATH_OF.search(change.said)
    asked: Part = "responsibilities" if path is None else "reads" if path[1] else "writes"
    match = matcher.match(asked, change.said[:MAX_STATEMENT] or change.text)
    if change.section is None or match.outcome != "refused" or denies(change.said):
        match = Match("advisory", None, "the export did not write it, and no clause says it")
    return _row(change.line, part, change.text, match)


def _frontmatter_section(document: Document) -> list[ImportedSection]:
    if not document.keys:
        return []
    said = f"{len(document.keys)} keys, read as {document.read_as}"
    return [
        ImportedSection(
            line=1,
            level=0,
            heading="(frontmatter)",
            part="role",
            statements=len(document.keys),
            code_blocks=0,
            became=said,
        )
    ]


def _frontmatter_rows(
    document: Document, draft: Draft, contract: Contract | None
) -> list[ImportedStatement]:
    rows = []
    for key, value in document.keys.items():
        shown = _shown(value)
        if key in ("tools", "disallowedTools"):
            for tool in tool_names(value):
                why = "a tool of Claude Code; the clause `tools` names commands of the sandbox"
                rows.append(_row(1, "tools", f"{key}: {tool}", Match("advisory", None, why)))
            continue
        if key == "name":
            same = contract is not None and shown == contract.name
            why = "the agent's name" if same else "the draft bears the name of an agent of the team"
            match = Match("clause" if same else "advisory", "name", why)
        elif key == "description":
            match = Match("advisory", "role", "the role when no section says it; its examples may "
                          "go to routing.handles")  # fmt: skip
        elif key in ("model", "model_tier"):
            done = draft.model_tier != ""
            why = f"tier {draft.model_tier!r}" if done else "no tier; the base's stays"
            match = Match("clause" if done else "advisory", "model_tier", why)
        elif key in DOCUMENTED_KEYS:
            match = Match("advisory", None, "Claude Code reads it; a contract has no clause for it")
        else:
            match = Match("advisory", None, "no key that Claude Code documents, and no clause")
        rows.append(_row(1, "role", f"{key}: {shown}", match))
    return rows


def _shown(value: Any) -> str:
    """A value of the frontmatter, on one line and short whatever it is."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'a map'} of {len(value)}"
    return value if isinstance(value, str) else str(value)


def _row(line: int, part: Part, text: str, match: Match) -> ImportedStatement:
    return ImportedStatement(
        line=line,
        part=part,
        text=clean_line(text, 300),
        outcome=match.outcome,
        clause=match.clause,
        why=clean_line(match.why),
    )


def _without_base(match: Match) -> Match:
    """No agent, no base: only what the document itself adds can stand in the draft."""
    if not match.needs_base:
        return match
    why = "the draft has no base contract yet; say which agent it is (`--as`)"
    return Match("advisory", None, why)


def _became(part: Part, rows: list[ImportedStatement], said: int, code: int) -> str:
    if rows:
        counts = Counter[str](row.outcome for row in rows)
        order = ("clause", "held", "refused", "advisory")
        told = ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
        return told if len(rows) == said else f"{told}, {said - len(rows)} not read: too many"
    if part in UNDERSTOOD and said:
        return f"{said} not read: too many"
    if not said and not code:
        return "a heading over other sections, or empty"
    if part == "role":
        return "the role, as text" if said else "code, kept as text and never run"
    kept = "code, kept as text and never run" if not said else "text for a prompt"
    return f"{kept}; a contract has no clause for {part}"
