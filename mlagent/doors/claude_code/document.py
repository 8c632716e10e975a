"""A subagent file of any kind, read as far as it can be: frontmatter, sections, what each is about.

Guarantees: every file gives a document. A frontmatter that Claude Code would not read is read after
mending (byte-order marks, CRLF, quotes), or line by line, and the document says which. Does not
make a contract of it: `importing` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from mlagent.contracts.agent_files import LoadVerdict, Part

from .frontmatter import DOCUMENTED_KEYS
from .lenient_yaml import FrontmatterError, Number, read_block
from .loading import load, with_quotes
from .parts import parts_of
from .sections import Section, read_sections, statements

ReadAs = Literal["frontmatter", "mended", "lines", "none"]
_BLOCK = re.compile(r"\s*---[ \t]*\n(.*?)(?:^---[ \t]*$\n?|\Z)", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"\n*([ \t]{1,16})---[ \t]*\n")
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,40})[ \t]*:[ \t]*(.*)\Z")
_KEYS_OF_OTHERS = frozenset(
    {"version", "category", "model_tier", "author", "tags", "emoji", "vibe"}
)
"""Seen in public collections beside the documented ones."""


@dataclass(frozen=True)
class Document:
    """One file. `parts[i]` says what `sections[i]` is about. `first_line`: of the body."""

    name: str
    verdict: LoadVerdict
    read_as: ReadAs
    keys: dict[str, Any]
    sections: list[Section]
    parts: list[Part]
    body: str
    first_line: int = 1

    def text(self, key: str) -> str:
        """A text of the frontmatter, or ''."""
        value = self.keys.get(key)
        return value.strip() if isinstance(value, str) else ""

    @property
    def title(self) -> str:
        """The first heading of level 1, or ''."""
        return next((s.heading for s in self.sections if s.level == 1), "")

    def first_words(self, part: Part, headings: str = "") -> str:
        """The first text or item of the sections about `part` whose heading fits `headings`."""
        for section, its_part in zip(self.sections, self.parts, strict=True):
            if its_part == part and re.search(headings, section.heading, re.IGNORECASE):
                for said in statements(section):
                    return said.text
        return ""


def read_document(data: bytes, name: str) -> Document:
    """The file `name` with the content `data`. Never fails: the verdict says what is wrong."""
    loaded = load(data, name)
    keys, body, first_line = loaded.keys, loaded.body, loaded.body_line
    read_as: ReadAs = "mended" if loaded.mended else "frontmatter"
    if not keys:
        keys, body, first_line, read_as = _recover(data)
    sections = read_sections(body, first_line)
    parts = parts_of(sections)
    return Document(name, loaded.verdict, read_as, keys, sections, parts, body, first_line)


def _recover(data: bytes) -> tuple[dict[str, Any], str, int, ReadAs]:
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if indented := _INDENTED.match(text):
        text = re.sub(rf"(?m)^[ \t]{{1,{len(indented[1])}}}", "", text)
    match = _BLOCK.match(text)
    if match is None or not _KEY.match(match[1].lstrip().split("\n", 1)[0]):
        return {}, text, 1, "none"
    body, first_line = text[match.end() :], text.count("\n", 0, match.end()) + 1
    for block in (match[1], with_quotes(match[1])):
        try:
            value = read_block(block)
        except FrontmatterError:
            continue
        if isinstance(value, dict):
            return value, body, first_line, "mended"
    return _by_lines(match[1]), body, first_line, "lines"


def _by_lines(block: str) -> dict[str, Any]:
    """`key: value` lines; what stands between two of them belongs to the first. A line is a key
    only when it is one that subagent files use, so that 'user: ...' stays text."""
    found: dict[str, list[str]] = {}
    last = ""
    for line in block.split("\n"):
        pair = _KEY.match(line)
        if pair and (pair[1] in DOCUMENTED_KEYS or pair[1] in _KEYS_OF_OTHERS):
            last = pair[1]
            found[last] = [pair[2].strip().strip("\"'")]
        elif last and line.strip():
            found[last].append(line.rstrip())
    return {
        key: "\n".join(lines).strip() if lines[1:] else lines[0] for key, lines in found.items()
    }


def tool_names(value: Any) -> list[str]:
    """The entries of `tools`: a list, or text with commas outside brackets."""
    if isinstance(value, list):
        entries = [str(item) for item in value if isinstance(item, str | Number)]
    elif isinstance(value, str):
        inner = value.strip()
        if inner[:1] + inner[-1:] == "[]":
            inner = inner[1:-1]
        entries = _entries(inner)
    else:
        return []
    return [entry.strip(" \t\"'`") for entry in entries if entry.strip(" \t\"'`-")]


def _entries(text: str) -> list[str]:
    """What stands between line ends, and between commas outside brackets, so that
    `Agent(worker, researcher)` stays whole. A comma is inside when the next bracket closes."""
    found, end, inside = [], len(text), False
    for at in range(len(text) - 1, -1, -1):
        char = text[at]
        if char in "()[]":
            inside = char in ")]"
        elif char == "\n" or (char == "," and not inside):
            found.append(text[at + 1 : end])
            end = at
    return [text[:end], *reversed(found)]
