"""One door for YAML and JSON documents: text in, checked values or records out, and back to YAML.

Guarantees: a document never becomes code and never blows up (no tags, anchors, aliases, duplicate
keys, NaN, endless digits, deep nests, or more text and values than the limits). Every refusal is a
BadInput sentence with the file, the line and the field. Plain `yes`, `no`, `on`, `off`, `0123`,
`1_000` and dates stay text; only null, true, false and decimal numbers become something else.
`dump_yaml` writes what `load_yaml` reads back as the same value.

Does not: open files, guess encodings, or say whether a well-formed record makes sense.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlagent.contracts.errors import BadInput
from mlagent.record_errors import DocumentPath, Lines, dotted, explain_refusal, keys_sentence, shape

R = TypeVar("R", bound=BaseModel)

MAX_DEPTH = 30
MAX_YAML_CHARACTERS = 8_000_000
MAX_JSON_CHARACTERS = 256_000_000
MAX_NODES = 400_000
MAX_DIGITS = 19
"""Longer whole numbers are refused: they fit no 64-bit column, and `int()` is quadratic."""
WIDTH = 100

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII
)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_JSON_NEST = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{\]}]', re.DOTALL)
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def load_yaml(text: str, source: str) -> Any:
    """The one YAML document in `text`, as dicts (text keys), lists, scalars. Empty: None.

    Args:
        text: the document.
        source: the name that errors use, such as a file's path.

    Raises:
        BadInput: not YAML, or a construct that this module refuses; with the line.
    """
    return _yaml_with_lines(text, source)[0]


def load_json(text: str, source: str) -> Any:
    """The JSON value in `text`, strictly: no NaN or Infinity, no duplicate keys, within limits.

    Raises:
        BadInput: not JSON, or refused; with the line where one is known.
    """
    if len(text) > MAX_JSON_CHARACTERS:
        raise BadInput(f"{source} is too large: more than {MAX_JSON_CHARACTERS:,} characters.")
    depth = 0
    for match in _JSON_NEST.finditer(text):
        mark = match.group()
        depth += (mark in "[{") - (mark in "]}")
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, match.start()) + 1
            raise BadInput(f"{source}, line {line}: nested deeper than {MAX_DEPTH} levels.")

    def constant(word: str) -> Any:
        raise BadInput(f"{source}: {word} is not a JSON number.")

    def integer(digits: str) -> int:
        if len(digits) > MAX_DIGITS + 1:
            raise BadInput(
                f"{source}: the number {digits[:12]}... has more than {MAX_DIGITS} digits."
            )
        return int(digits)

    def real(digits: str) -> float:
        value = float(digits) if len(digits) <= 400 else math.inf
        if math.isinf(value):
            raise BadInput(f"{source}: the number {digits[:12]}... is too large.")
        return value

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            names = [key for key, _ in items]
            twice = next(key for key in names if names.count(key) > 1)
            raise BadInput(f"{source}: the key {twice!r} stands twice in one object.")
        return found

    try:
        value = json.loads(
            text,
            parse_constant=constant,
            parse_int=integer,
            parse_float=real,
            object_pairs_hook=pairs,
        )
    except json.JSONDecodeError as problem:
        raise BadInput(f"{source}, line {problem.lineno}: not valid JSON: {problem.msg}.") from None
    except RecursionError:
        raise BadInput(f"{source}: nested deeper than {MAX_DEPTH} levels.") from None
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BadInput(f"{source}: half of a surrogate pair is not text.") from None
    return value


def read_record(
    model: type[R], text: str, source: str, *, format: Literal["yaml", "json"] = "yaml"
) -> R:
    """The document in `text` as one record.

    Raises:
        BadInput: as load_yaml and load_json, or because the record refuses it; then with the line
            (YAML), the field's path, what was given, and what is allowed there.
    """
    lines: Lines = {}
    if format == "yaml":
        value, lines = _yaml_with_lines(text, source)
    else:
        value = load_json(text, source)
    return validate_record(model, value, source, lines=lines)


def validate_record(model: type[R], value: Any, source: str, *, lines: Lines | None = None) -> R:
    """`value` (as load_yaml or load_json give it) as one record; errors as read_record."""
    if not isinstance(value, dict):
        given = "nothing" if value is None else shape(value)
        raise BadInput(f"{source} holds {given}; {keys_sentence(model)}")
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        raise BadInput(explain_refusal(problem, model, value, source, lines or {})) from None


def dump_yaml(record: BaseModel) -> str:
    """The record as YAML to read and edit: block style, fields in the record's order, short lists
    and maps on one line, no anchors. Left out: None where the field may be left out, and below the
    second level whatever equals its default, so that what stands there is what matters."""
    node = _node(_spare(record, record.model_dump(mode="json", by_alias=True), 0), 0)
    text = yaml.serialize(node, Dumper=_Dumper, width=WIDTH, allow_unicode=True)
    return str(text)


# --- reading YAML ---


def _yaml_with_lines(text: str, source: str) -> tuple[Any, Lines]:
    if len(text) > MAX_YAML_CHARACTERS:
        raise BadInput(f"{source} is too large: more than {MAX_YAML_CHARACTERS:,} characters.")
    lines: Lines = {}
    try:
        return _Builder(text.removeprefix("\ufeff"), source, lines).document(), lines
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = getattr(problem, "problem", None) or getattr(problem, "reason", None)
        raise BadInput(
            f"{source}{where}: not valid YAML: {what or 'it cannot be read'}.",
            remedy="Check the indentation, and put text that holds ': ' or '#' into quotes.",
        ) from None
    except UnicodeEncodeError:
        raise BadInput(f"{source}: half of a surrogate pair is not text.") from None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


class _Builder:
    """Builds values from parse events: nothing is constructed by tag, every limit is kept."""

    def __init__(self, text: str, source: str, lines: Lines) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=_Parser)
        self.source = source
        self.lines = lines
        self.nodes = 0

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.refuse(event, "a second document starts here; only one is read")
                value = self.value(next(self.events), ())
        return value

    def refuse(self, event: Any, what: str, path: DocumentPath = ()) -> BadInput:
        field = f", {dotted(path)}" if path else ""
        return BadInput(f"{self.source}, line {_line(event)}{field}: {what}.")

    def value(self, event: Any, path: DocumentPath) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.refuse(event, f"more than {MAX_NODES:,} values in one document")
        if isinstance(event, yaml.AliasEvent):
            raise self.refuse(event, f"the alias *{event.anchor} is refused; write it out", path)
        if event.anchor is not None:
            raise self.refuse(event, f"the anchor &{event.anchor} is refused", path)
        if event.tag is not None:
            raise self.refuse(event, f"the tag {event.tag!r} is refused", path)
        if len(path) > MAX_DEPTH:
            raise self.refuse(event, f"nested deeper than {MAX_DEPTH} levels")
        self.lines[path] = _line(event)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self.value(inner, (*path, len(items))))
            return items
        return self.mapping(path)

    def mapping(self, path: DocumentPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self.refuse(key, "a key must be plain text", path)
            if key.anchor is not None or key.tag is not None:
                raise self.refuse(key, "anchors and tags are refused", path)
            name = str(key.value)
            if name in found:
                first = self.lines[(*path, name)]
                twice = f"the key {name!r} stands twice (first on line {first})"
                raise self.refuse(key, twice, path)
            found[name] = self.value(next(self.events), (*path, name))
            self.lines[(*path, name)] = _line(key)
        return found

    def scalar(self, event: Any, path: DocumentPath) -> Any:
        text = str(event.value)
        if not event.implicit[0]:  # quoted or block
            return text
        try:
            return plain(text)
        except OverflowError:
            raise self.refuse(event, f"the number {text[:20]!r} is too large", path) from None


def plain(text: str) -> Any:
    """What an unquoted scalar means. Raises OverflowError beyond 64 bits or a double."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        if len(text) > MAX_DIGITS + 1:
            raise OverflowError
        return int(text)
    if _FLOAT.match(text):
        value = float(text)
        if math.isinf(value):
            raise OverflowError
        return value
    return text


# --- writing YAML ---

KEPT_LEVELS = 2


def _spare(value: Any, plain_value: Any, depth: int) -> Any:
    """`plain_value`, the dumped form of `value`, without None and deep inside without defaults."""
    if isinstance(value, BaseModel):
        kept = {}
        for name, field in type(value).model_fields.items():
            key, inner = field.alias or name, getattr(value, name)
            default = field.get_default(call_default_factory=True, validated_data={})
            known = depth > KEPT_LEVELS and not field.is_required() and inner == default
            spoken = inner is not None or field.is_required()
            if spoken and not known and key in plain_value:
                kept[key] = _spare(inner, plain_value[key], depth + 1)
        return kept
    if isinstance(value, Mapping):
        pairs = zip(value.values(), plain_value.items(), strict=True)
        return {key: _spare(inner, shown, depth + 1) for inner, (key, shown) in pairs}
    if isinstance(value, list | tuple):
        pairs_of = zip(value, plain_value, strict=True)
        return [_spare(inner, shown, depth + 1) for inner, shown in pairs_of]
    return plain_value


_STR, _SEQ, _MAP = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


def _node(value: Any, depth: int) -> yaml.Node:
    if isinstance(value, Mapping):
        pairs = [(_text(str(key)), _node(inner, depth + 1)) for key, inner in value.items()]
        return yaml.MappingNode(_MAP, pairs, flow_style=not value or (depth > 1 and _short(value)))
    if isinstance(value, list):
        items = [_node(inner, depth + 1) for inner in value]
        return yaml.SequenceNode(_SEQ, items, flow_style=not value or _short(value))
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return yaml.ScalarNode("tag:yaml.org,2002:null", "null")
    if isinstance(value, bool):
        return yaml.ScalarNode("tag:yaml.org,2002:bool", str(value).lower())
    if isinstance(value, int):
        return yaml.ScalarNode("tag:yaml.org,2002:int", str(value))
    shown = repr(float(value))
    if "e" in shown and "." not in shown:  # 1e-05 is a number in YAML 1.2, not in 1.1
        shown = shown.replace("e", ".0e")
    return yaml.ScalarNode("tag:yaml.org,2002:float", shown)


def _text(value: str) -> yaml.ScalarNode:
    try:
        quoted = not isinstance(plain(value), str)
    except OverflowError:
        quoted = True
    quoted = quoted or value.startswith((":", "?"))  # plain in YAML, but it looks like a key
    style = "'" if quoted else "|" if "\n" in value.strip("\n") else None
    if (
        style is None
        and "'" in value
        and (": " in value or " #" in value or value[:1] in "'[{&*!|>%@`\"")
    ):
        # rather than doubling every quote; lines that begin with a blank are not folded back
        folds = len(value) > 80 and not value.startswith((" ", "\t"))
        style = ">" if folds else '"'
    return yaml.ScalarNode(_STR, value, style=style)


def _short(value: Any) -> bool:
    """Whether a list or map reads better on one line: short scalars only, lists of them at most."""
    inner = value.values() if isinstance(value, Mapping) else value
    for item in inner:
        if isinstance(item, Mapping):
            return False
        if isinstance(item, list):
            if not all(_brief(each) for each in item):
                return False
        elif not _brief(item):
            return False
    return len(json.dumps(value, ensure_ascii=False)) <= 92


def _brief(item: Any) -> bool:
    return not isinstance(item, list | Mapping) and (not isinstance(item, str) or len(item) <= 28)
