"""What a record refused, as sentences: file, line, field, what was given, what is allowed there.

Guarantees: every error that pydantic reports becomes words (at most MAX_LISTED at once), with a
close match where a name was mistyped. Does not read documents: `mlagent.documents` does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

DocumentPath = tuple[str | int, ...]
Lines = dict[DocumentPath, int]
MAX_LISTED = 5


class RefusedAt(ValueError):
    """A validator's refusal of one part of a record; `path` leads there from the validator's own
    place, so that the sentence names that part's line."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


def dotted(path: Sequence[str | int]) -> str:
    """`('agent_plans', 'ml-engineer', 'pros', 0)` -> `agent_plans.ml-engineer.pros[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def explain_refusal(
    problem: ValidationError, model: type[BaseModel], value: Any, source: str, lines: Lines
) -> str:
    said: dict[DocumentPath, list[str]] = {}
    for error in problem.errors(include_url=False):
        raised = error.get("ctx", {}).get("error")
        inner = raised.path if isinstance(raised, RefusedAt) else ()
        path, tail = _in_document(value, (*error["loc"], *inner))
        sentence = _sentence(error, model, value, path, tail)
        known = said.setdefault((*path, tail) if error["type"] == "missing" else path, [])
        if sentence not in known:
            known.append(sentence)
    texts = []
    for path, sentences in list(said.items())[:MAX_LISTED]:
        line = next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), None)
        where = f"{source}, line {line}" if line and lines else source
        field = f", {dotted(path)}" if path else ""
        texts.append(f"{where}{field}: {', or '.join(sentences)}.")
    if len(said) > MAX_LISTED:
        texts.append(f"({len(said) - MAX_LISTED} more of this kind.)")
    return "\n".join(texts)


def _in_document(value: Any, loc: Sequence[str | int]) -> tuple[DocumentPath, str]:
    """The part of pydantic's location that exists in the document, and the last name beyond it."""
    path: list[str | int] = []
    tail = ""
    for part in loc:
        known = range(len(value)) if isinstance(value, list) else value
        if not isinstance(value, dict | list) or part not in known:
            tail = str(part)
            continue
        value = value[part]  # type: ignore[index]
        path.append(part)
    return tuple(path), tail


def _sentence(error: Any, model: type[BaseModel], value: Any, path: DocumentPath, tail: str) -> str:
    kind = error["type"]
    given = error.get("input")
    if kind == "missing":
        return f"the key {tail!r} is missing"
    if kind == "extra_forbidden":
        name = str(path[-1])
        allowed = _keys_at(model, path[:-1])
        return f"the key {name!r} is not known{_meant(name, allowed)}; {_allowed(allowed, 'keys')}"
    if kind in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", str(error["ctx"]["expected"])) or [
            str(error["ctx"]["expected"])
        ]
        word = "the key" if tail == "[key]" else ""
        meant = _meant(given, allowed)
        return f"{word} {given!r} is not allowed{meant}; {_allowed(allowed)}".strip()
    if kind == "string_type" and isinstance(given, bool | int | float):
        shown = str(given).lower() if isinstance(given, bool) else str(given)
        return f"{shown} is not text here; write '{shown}' in quotes"
    if kind in ("value_error", "assertion_error"):
        return str(error["ctx"]["error"]).rstrip(".")
    message = str(error["msg"]).removeprefix("Input ").rstrip(".")
    message = re.sub(r"a valid (tuple|list)\b", "a list", message)
    message = re.sub(r"a valid dictionary( or instance of \w+)?", "a map", message)
    return f"{_show(given)} is refused: it {message[:1].lower()}{message[1:]}"


def _show(given: Any) -> str:
    if isinstance(given, dict | list):
        return shape(given)
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "..."


def shape(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else repr(value)[:60]


def _meant(given: Any, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(given), allowed, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _allowed(allowed: Sequence[str], what: str = "values") -> str:
    return f"allowed {what}: {', '.join(allowed)}" if allowed else f"no {what} are allowed here"


def keys_sentence(model: type[BaseModel]) -> str:
    return f"a map with these keys is needed: {', '.join(_field_names(model))}."


def _field_names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _keys_at(model: type[BaseModel], path: DocumentPath) -> list[str]:
    """The keys of the record at `path`, found by walking the annotations."""
    here: list[Any] = [model]
    for part in path:
        deeper: list[Any] = []
        for kind in here:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                for name, field in kind.model_fields.items():
                    if part in (name, field.alias):
                        deeper += _flat(field.annotation)
            elif get_origin(kind) is dict:
                deeper += _flat(get_args(kind)[1])
            elif get_origin(kind) in (tuple, list):
                deeper += _flat(get_args(kind)[0])
        here = deeper
    records = [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [name for record in records for name in _field_names(record)]


def _flat(annotation: Any) -> list[Any]:
    """The members of a union (Annotated taken off), or the annotation alone."""
    if isinstance(annotation, type) or get_origin(annotation) in (dict, tuple, list, Literal):
        return [annotation]
    return [kind for member in get_args(annotation) for kind in _flat(member)] or [annotation]
