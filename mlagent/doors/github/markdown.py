"""Text of others inside GitHub's Markdown: it stays text.

Guarantees: `inline` leaves nothing that Markdown, HTML, a table, a mention, a reference or a link
is made of; line ends, control characters and marks that turn the reading direction become visible.
In a template every `{{ value }}` passes through it unless it is `Safe`, which only numbers and
texts of our own are. Does not: keep the text's bytes (a copy of the page has zero-width spaces).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.data.drift import clip
from mlagent.templates.environment import ContentLoader

PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,-")
BREAK = "&#8203;"
"""A zero-width space: GitHub looks for @name and #1 in rendered text, where entities are gone."""
LONGEST = 300


class Safe(str):
    """Text of our own that may be Markdown."""


def inline(value: object, most: int = LONGEST) -> Safe:
    """Any value as one line of text that Markdown leaves alone, at most `most` characters long."""
    if isinstance(value, Safe):
        return value
    text = re.sub(r"(?i)\b(gh)-(?=\d)", "\\1\0-", clip(str(value).replace("\0", " "), most))
    return Safe("".join(_one(mark) for mark in text))


@cache
def _one(mark: str) -> str:
    if mark in PLAIN:
        return mark
    if mark == "\0":
        return BREAK
    if mark in "@#":
        return f"&#{ord(mark)};{BREAK}"
    if unicodedata.category(mark)[0] == "C" or mark in "\u2028\u2029":
        escaped = f"\\u{ord(mark):04x}" if ord(mark) > 0xFF else f"\\x{ord(mark):02x}"
        return "".join(_one(part) for part in escaped)
    return mark if ord(mark) > 0x7F else f"&#{ord(mark)};"


def code(value: object, most: int = 80) -> Safe:
    """A name of others, set as code."""
    return Safe(f"<code>{inline(value, most)}</code>")


def environment(content: Content) -> SandboxedEnvironment:
    """Templates below templates/pr/."""
    made = SandboxedEnvironment(
        loader=ContentLoader(content, "pr"),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML: `finalize` escapes
        finalize=inline,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["code"] = code
    return made


def render(templates: SandboxedEnvironment, name: str, values: dict[str, Any]) -> str:
    """templates/pr/<name>.md.j2 with the values filled in. Raises MlagentError."""
    try:
        return templates.get_template(f"{name}.md.j2").render(values).strip()
    except TemplateError as problem:
        raise MlagentError(
            f"The template 'pr/{name}.md.j2' does not render: {problem}.",
            remedy="Correct it below the --content folder, or leave --content out.",
        ) from problem


def length(text: str) -> int:
    """Characters as GitHub may count them: UTF-16 units, which are never fewer than characters."""
    return len(text.encode("utf-16-le")) // 2
