"""Text from a sandbox, made fit for a terminal.

Guarantees: what `clean` returns holds printable characters, newlines and tabs only: no escape
sequence, no C0, C1 or bidi control, no lone surrogate. Does not make text fit for HTML: the
report escapes it there.
"""

from __future__ import annotations

import re
import unicodedata

_ESCAPES = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles, links
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[@-_]"
)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that print nothing or steer the terminal: control, format (bidi), surrogate,
unassigned.
"""


def clean(text: str, limit: int = 100_000) -> str:
    """Printable characters, newlines and tabs of the first `limit` characters of `text`."""
    text = text[:limit].replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.replace("\n", " ").replace("\t", " ").isprintable():
        return text
    return "".join(
        letter
        for letter in _ESCAPES.sub("", text)
        if letter in "\n\t" or unicodedata.category(letter) not in _HIDDEN
    )


def clean_line(text: str, limit: int = 2_000) -> str:
    """`clean`, on one line."""
    return " ".join(clean(text, limit).split("\n")).strip()
