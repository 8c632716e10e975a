"""Which lines of a comment are commands to somebody who reads it on GitHub.

Guarantees: a line counts when it begins with `/mlagent` in the source *and* on the page, as text of
a paragraph, heading or list. Code (fenced, indented, inline over several lines), quotations (also a
line that goes on with one without a `>` of its own), HTML and its comments, and titles of links do
not count; where a paragraph mixes both, none of its lines does. Does not know GitHub's own
additions to CommonMark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.token import Token

WORD = "/mlagent"
_LINE = re.compile(rf"^{WORD}(?:[ \t].*)?$", re.MULTILINE)
_ENDS = re.compile(r"\r\n?|\n")
"""Of lines, as CommonMark has it; `str.splitlines` knows more of them."""
_OTHER = "\0"
"""Stands for what is not plain text of the source; CommonMark has no such character."""
_PARSER = MarkdownIt("commonmark").disable(["emphasis", "text_join"])
"""Without emphasis, which hides nothing; without joining, so that `\\/` is told from `/`."""


def command_lines(body: str) -> list[str]:
    """The lines that are commands, as they were written, in their order."""
    lines = _ENDS.split(body)
    if not any(map(_LINE.fullmatch, lines)):
        return []
    found: list[str] = []
    quoted = 0
    for token in _PARSER.parse("\n".join(lines)):
        if token.type.startswith("blockquote_"):
            quoted += token.nesting
        elif token.type == "inline" and not quoted and token.map is not None:
            written = [line for line in lines[slice(*token.map)] if _LINE.fullmatch(line)]
            if len(written) == len(_LINE.findall(_shown(token.children or []))):
                found += written
    return found


def _shown(tokens: Iterable[Token]) -> str:
    """The plain text of a paragraph with its line breaks."""
    breaks = ("softbreak", "hardbreak")
    return "".join(
        token.content if token.type == "text" else "\n" if token.type in breaks else _OTHER
        for token in tokens
    )
