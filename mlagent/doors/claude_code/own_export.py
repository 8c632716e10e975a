"""What somebody put into, or took out of, a file that `mlagent agents export` wrote.

Guarantees: every line and every value of the frontmatter that is not what the export itself writes
for the same contract is found, under the heading that it stands below; only what is the same, word
for word, may be taken as said by the contract. Never takes a change for a clause. A line of another
version of mlagent, or of other persona files, is a change too.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from mlagent.content import Content
from mlagent.contracts.contract import Contract
from mlagent.documents import dump_yaml

from .agent_text import GENERATED, agent_markdown
from .document import Document, read_document, tool_names
from .files import PLACES
from .policy import contract_sha256, load_work

_COPY = re.compile(r"a copy of the file lies in `([a-z./-]{1,80})`, sha256 `([0-9a-f]{64})`")
_VERSION = re.compile(rf"{re.escape(GENERATED)}[0-9][0-9a-z.+]{{0,30}};")
_BULLET = re.compile(r"\A\s*(?:[-*+>#]+|\d{1,3}[.)])\s+")
WIDTH = 280
"""Characters of a statement in the report; a longer line becomes several."""
TOOLS = ("tools", "disallowedTools")


class Change(NamedTuple):
    """`section`: index in the document's sections, None for the frontmatter. `added`: the document
    says it and the export does not; else the other way round. `text`: as shown; `said`: the line
    without bullets."""

    line: int
    section: int | None
    added: bool
    text: str
    said: str


def changes(document: Document, contract: Contract, content: Content) -> list[Change]:
    """Everything in which the document is not the export of `contract`, in the document's order."""
    theirs = read_document(_rendered(document, contract, content).encode(), document.name)
    found = [*_front(document, theirs), *_lines(document, theirs, dump_yaml(contract))]
    generated = GENERATED in document.body
    return [change for change in found if change.added or generated]


def _rendered(document: Document, contract: Contract, content: Content) -> str:
    copy = f"contracts/{contract.name}.yaml"
    place, digest = copy, contract_sha256(content, contract.name)
    known = {place, *(p.inside(f"{p.contracts}/{contract.name}.yaml") for p in PLACES.values())}
    if (said := _COPY.search(document.body)) and said[1] in known:
        place, digest = said[1], said[2]
    return agent_markdown(
        content,
        contract,
        load_work(content)[contract.name],
        contract_place=place,
        contract_sha256=digest,
    )


def _front(ours: Document, theirs: Document) -> Iterator[Change]:
    for key in dict.fromkeys((*ours.keys, *theirs.keys)):
        here, there = ours.keys.get(key), theirs.keys.get(key)
        if key in TOOLS:
            has, had = tool_names(here), tool_names(there)
            for name in (name for name in has if name not in had):
                yield from _change(1, None, True, f"{key}: {name}")
            for name in (name for name in had if name not in has):
                yield from _change(1, None, False, f"{key}: {name}")
        elif here != there and here is not None:
            yield from _change(1, None, True, f"{key}: {_flat(here)}")
        elif here != there:
            yield from _change(1, None, False, f"{key}: {_flat(there)}")


def _flat(value: Any) -> str:
    """All of a value, on one line: a hook or a server in it must be seen."""
    return " ".join(str(value).split())


def _lines(ours: Document, theirs: Document, block: str) -> Iterator[Change]:
    left = Counter((heading, text) for _, _, heading, text in _told(theirs))
    inside = Counter(line.strip() for line in block.splitlines())
    for number, section, heading, text in _told(ours):
        if left[heading, text]:
            left[heading, text] -= 1
        elif inside[text] and "#" not in text:
            continue  # the contract's own block, which is compared clause by clause
        else:
            yield from _change(number, section, True, text)
    for (heading, text), count in left.items():
        section = next((n for n, s in enumerate(ours.sections) if s.heading == heading), None)
        line = ours.sections[section].line if section is not None else 1
        for _ in range(count):
            yield from _change(line, section, False, text)


def _told(document: Document) -> Iterator[tuple[int, int | None, str, str]]:
    """(line, index of the section, its heading, text) of each line that is not empty."""
    lines = document.body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = document.first_line
    at: int | None = None
    starts = {section.line: number for number, section in enumerate(document.sections)}
    for number, line in enumerate(lines, first):
        at = starts.get(number, at)
        if line.strip():
            heading = document.sections[at].heading if at is not None else ""
            yield number, at, heading, _VERSION.sub(GENERATED, line.strip())


def _change(line: int, section: int | None, added: bool, text: str) -> Iterator[Change]:
    whole = _BULLET.sub("", text, count=1).replace("`", "").replace("**", "")
    for piece in textwrap.wrap(text, WIDTH) or [text]:
        yield Change(line, section, added, piece, whole)
