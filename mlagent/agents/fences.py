"""Text of others in a prompt: in a block that says what it is and that its own text cannot end.

Guarantees: the mark of a block does not occur in its text, so no text, whoever wrote it, holds the
line that ends it; the same text gives the same block. Does not hide what the text says.
"""

from __future__ import annotations

import hashlib

MARK_DIGITS = 12


def fenced(kind: str, text: str) -> str:
    """The text between `<kind mark=...>` and `</kind mark=...>`."""
    turn = 0
    mark = _mark(text, turn)
    while mark in text:  # somebody who knew the whole text could have put its mark into it
        turn += 1
        mark = _mark(text, turn)
    return f"<{kind} mark={mark}>\n{text}\n</{kind} mark={mark}>"


def _mark(text: str, turn: int) -> str:
    return hashlib.sha256(f"{turn} {text}".encode(errors="replace")).hexdigest()[:MARK_DIGITS]
