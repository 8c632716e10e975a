"""A Markdown document as a list of sections with their statements.

Guarantees: every heading outside fenced code gives one section, every line belongs to one section
or one fence, and nothing is dropped: code and tables are counted. Reads what subagent files use
(headings, lists, paragraphs, tables, fences); it is no full Markdown parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)\Z")
_FENCE = re.compile(r" {0,3}((?>`{3,}|~{3,}))(?>[ \t]*)([^`]*)\Z")
_ITEM = re.compile(r"([ \t]*)(?:[-*+•]|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?(.*)\Z")
_ROW = re.compile(r"[ \t]*\|(.*)\|[ \t]*\Z")
_RULE = re.compile(r"[ \t]*(?:[-*_][ \t]*){3,}\Z")
_EMPHASIS = re.compile(r"(\*\*|(?<!\w)__(?=\S)|(?<!\*)\*(?!\s|\*))(.+?)\1")


class Statement(NamedTuple):
    """One list item, paragraph or table row. `kind`: item, text, row, or gap between two of them;
    while lines are read also more, a line that goes on. `depth`: of the item."""

    line: int
    text: str
    kind: str
    depth: int = 0


class Code(NamedTuple):
    """One fenced block. `language` is the first word behind the fence, in lower case."""

    line: int
    language: str
    text: str


@dataclass
class Section:
    """A heading and what stands below it up to the next one. `level` 0: text before any heading."""

    line: int
    level: int
    heading: str
    statements: list[Statement] = field(default_factory=list)
    code: list[Code] = field(default_factory=list)
    above: tuple[str, ...] = ()


def read_sections(text: str, first_line: int = 1) -> list[Section]:
    """The sections of `text`, in order. `first_line`: number of its first line in the file."""
    sections = [Section(first_line, 0, "")]
    titles: list[tuple[int, str]] = []
    reader = _Lines(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), first_line)
    for number, line in reader:
        if fence := _FENCE.match(line):
            sections[-1].code.append(reader.fence(number, fence))
        elif heading := _HEADING.match(line):
            level, title = len(heading[1]), plain(_unclosed(heading[2]))
            titles = [pair for pair in titles if pair[0] < level]
            above = tuple(name for _, name in titles)
            sections.append(Section(number, level, title, above=above))
            titles.append((level, title))
        else:
            _add(sections[-1], number, line)
    if not sections[0].statements and not sections[0].code:
        del sections[0]
    for section in sections:
        section.statements = _joined(section.statements)
    return sections


def _unclosed(heading: str) -> str:
    """Without the number signs that may stand behind a heading, apart from its words."""
    words = heading.rstrip(" \t")
    before = words.rstrip("#")
    return before if before.endswith((" ", "\t")) else words


class _Lines:
    """The lines with their numbers; a fence takes its own ones out."""

    def __init__(self, lines: list[str], first: int) -> None:
        self.lines = lines
        self.first = first
        self.at = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self.at < len(self.lines):
            self.at += 1
            yield self.first + self.at - 1, self.lines[self.at - 1]

    def fence(self, number: int, opening: re.Match[str]) -> Code:
        mark, info = opening[1], opening[2].split()
        start = self.at
        while self.at < len(self.lines):
            line = self.lines[self.at].strip()
            self.at += 1
            if line and not line.strip(mark[0]) and len(line) >= len(mark):
                break
        else:
            return Code(number, info[0].lower() if info else "", "\n".join(self.lines[start:]))
        body = "\n".join(self.lines[start : self.at - 1])
        return Code(number, info[0].lower() if info else "", body)


def _add(section: Section, number: int, line: str) -> None:
    said = section.statements
    if not line.strip() or _RULE.match(line):
        if said and said[-1].text:
            said.append(Statement(number, "", "gap"))
        return
    if row := _ROW.match(line):
        if row[1].strip(" \t|:-"):
            cells = [plain(cell) for cell in row[1].split("|")]
            said.append(Statement(number, " | ".join(cells), "row"))
    elif item := _ITEM.match(line):
        said.append(Statement(number, plain(item[2]), "item", len(item[1].expandtabs(4)) // 2))
    elif said and said[-1].kind in ("item", "text", "more"):
        if more := plain(line):
            said.append(Statement(number, more, "more"))
    else:
        said.append(Statement(number, plain(line), "text"))


def _joined(read: list[Statement]) -> list[Statement]:
    """Each statement with the lines that go on with it; at once, for one may have any number."""
    found: list[Statement] = []
    texts: list[list[str]] = []
    for said in read:
        if said.kind == "more":
            texts[-1].append(said.text)
        else:
            found.append(said)
            texts.append([said.text])
    return [
        said._replace(text=" ".join(filter(None, lines)))
        for said, lines in zip(found, texts, strict=True)
    ]


def statements(section: Section) -> list[Statement]:
    """What the section says, without empty lines and without lines that only lead to a list
    ("This agent reads:")."""
    return [
        said
        for said in section.statements
        if said.text and not (said.kind == "text" and said.text.endswith(":"))
    ]


def plain(text: str) -> str:
    """One line without Markdown emphasis, backticks and surrounding blanks."""
    return _EMPHASIS.sub(r"\2", text.strip()).replace("`", "").strip()
