"""Frontmatter as Claude Code reads it: YAML 1.2 scalars, the last of two equal keys wins.

Guarantees: a value or a FrontmatterError with the line; no tag ever makes an object, and depth and
number of values are limited, with aliases counted as if they were written out: one that would pass
the limit, or that stands inside what it names, is an empty list or map. Deliberately laxer
than `mlagent.documents`, which refuses what this module has to read: files of strangers, judged by
somebody else's parser.
Does not know that parser's source: where the two were seen to differ, this one follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 40
MAX_VALUES = 20_000

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z", re.ASCII)
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z", re.ASCII)
_SPECIAL_FLOAT = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_UNPRINTABLE = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LEADING_COMMA = re.compile(r"(?m)^([A-Za-z0-9_.-]+:[ ]+),(.*)$")


class FrontmatterError(Exception):
    """The block is no YAML. `line` counts from 1 within the block."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


class Number(float):
    """A number that stood there; kept apart from text because `name: 12` is no name."""


def read_block(text: str) -> Any:
    """The value of one frontmatter block: dicts with text keys, lists, text, Number, bool, None.

    Raises:
        FrontmatterError: not YAML, an alias that nothing defines, or beyond the limits.
    """
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise FrontmatterError("a NUL character", line)
    readable = _UNPRINTABLE.sub("?", text).replace("\t", " ")
    readable = _LEADING_COMMA.sub(r"\1?,\2", readable)
    try:
        return _Reader(yaml.parse(readable, Loader=yaml.SafeLoader), text).document()
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        said = getattr(problem, "problem", None) or getattr(problem, "reason", None)
        line = mark.line + 1 if mark else 1
        raise FrontmatterError(str(said or "it cannot be read"), line) from None
    except RecursionError:
        raise FrontmatterError(f"nested deeper than {MAX_DEPTH} levels", 1) from None


_TAGGED: dict[str, type] = {"int": Number, "float": Number, "bool": bool, "null": type(None)}


class _Reader:
    def __init__(self, events: Iterator[Any], text: str) -> None:
        self.events = events
        self.lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.seen = 0

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _problem("a second document", event)
                value = self.value(next(self.events), 0)
        return value

    def value(self, event: Any, depth: int) -> Any:
        before = self.seen
        self.seen += 1
        if self.seen > MAX_VALUES or depth > MAX_DEPTH:
            raise _problem("more values or levels than a frontmatter may have", event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _problem(f"the alias *{event.anchor} is defined nowhere", event)
            known, size = self.anchors[event.anchor]
            if self.seen + size > MAX_VALUES and isinstance(known, list | dict):
                return type(known)()  # no bomb fits under the limit
            self.seen += size  # as if it were written out
            return known
        made: Any
        if isinstance(event, yaml.ScalarEvent):
            self.check_indent(event)
            made = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            if event.anchor is not None:
                self.anchors[event.anchor] = ([], 0)
            made = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                if event.flow_style and isinstance(inner, yaml.ScalarEvent) and _is_dash(inner):
                    raise _problem("a lone hyphen in a list", inner)
                made.append(self.value(inner, depth + 1))
            self.check_flow(event, inner, depth)
        else:
            if event.anchor is not None:
                self.anchors[event.anchor] = ({}, 0)
            made = self.mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (made, self.seen - before)
        return made

    def scalar(self, event: Any) -> Any:
        """A scalar with its tag: `!!int 5` is a number and `!!int x` text, `! 5` is text."""
        if event.tag is None:
            return scalar(event.value) if event.implicit[0] else event.value
        line = self.lines[event.start_mark.line] if event.start_mark.line < len(self.lines) else ""
        kinds = _TAGGED.get(event.tag.removeprefix("tag:yaml.org,2002:"))
        if kinds is None or event.style or line.startswith("!<", event.start_mark.column):
            return event.value
        found = scalar(event.value)
        return found if isinstance(found, kinds) else event.value

    def check_indent(self, event: Any) -> None:
        """Two things that PyYAML lets pass: a quoted value that goes on at column 0, a block value
        that a tab indents."""
        for number in range(event.start_mark.line + 1, event.end_mark.line + 1):
            line = self.lines[number] if number < len(self.lines) else ""
            if event.style in ("'", '"') and line[:1].strip():
                raise FrontmatterError("a quoted value goes on at column 0", number + 1)
            if event.style in ("|", ">") and line.startswith("\t") and line.strip():
                raise FrontmatterError("a tab indents a block value", number + 1)

    def check_flow(self, start: Any, end: Any, depth: int) -> None:
        """PyYAML also lets `[a,` go on at column 0."""
        if depth and start.flow_style:
            for number in range(start.start_mark.line + 1, end.start_mark.line + 1):
                if self.lines[number : number + 1] and self.lines[number][:1].strip():
                    raise FrontmatterError("a list or map goes on at column 0", number + 1)

    def mapping(self, start: Any, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            name = self.value(key, depth + 1)
            value = self.value(next(self.events), depth + 1)
            if name == "<<" and isinstance(value, dict):
                found = {**value, **found}
            else:
                found[key.value if isinstance(key, yaml.ScalarEvent) else str(name)[:80]] = value
        self.check_flow(start, key, depth)
        return found


def scalar(text: str) -> Any:
    """What an unquoted scalar means in YAML 1.2: `yes`, `on`, `1_0` and dates are text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) <= 400 and (_INT.match(text) or _FLOAT.match(text)):
        return Number(text)
    if _SPECIAL_FLOAT.match(text):
        return Number(text.replace(".", "", 1))
    if len(text) <= 400 and _BASED.match(text):
        return Number(int(text, 0) % 2**53)
    return text


def _is_dash(event: Any) -> bool:
    return event.value == "-" and not event.style and event.tag is None


def _problem(what: str, event: Any) -> FrontmatterError:
    return FrontmatterError(what, event.start_mark.line + 1)
