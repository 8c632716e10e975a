"""Answers that stay small: pages of rows, and texts cut to a length.

A default answer is at most 2,000 tokens. No tokenizer is here, so the limits are in characters:
three characters a token is less than JSON and English need, so 6,000 characters keep the promise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeVar

from mlagent.contracts.base import Record
from mlagent.contracts.errors import BadInput

Format = Literal["concise", "detailed"]
T = TypeVar("T")
R = TypeVar("R", bound=Record)

ANSWER_CHARACTERS = 6000
"""Text and structured content of a default answer together: 2,000 tokens of three characters."""
PAGE_CHARACTERS = {"concise": 3000, "detailed": 12000}
"""What the rows of one page may weigh, as JSON; one row is always given."""
LONGEST_WORD = 200
LIMIT = 20
MOST = 200


def page(
    items: Sequence[T],
    row: Callable[[T], R],
    *,
    limit: int = LIMIT,
    cursor: str | None = None,
    style: Format = "concise",
) -> tuple[tuple[R, ...], str | None]:
    """At most `limit` rows from `cursor` on, fewer when they weigh too much.

    Returns:
        The rows, and the cursor of the next page or None.

    Raises:
        BadInput: a limit that is not 1 to 200, or a cursor that no answer gave.
    """
    if not 1 <= limit <= MOST:
        raise BadInput(f"limit {limit} is not from 1 to {MOST}.", remedy=f"The default is {LIMIT}.")
    start = 0
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and int(cursor[:9]) <= len(items)):
            raise BadInput(
                f"The cursor {clip(cursor, 40)!r} was not given by this tool.",
                remedy="Use next_cursor of the answer before, or leave it out.",
            )
        start = int(cursor[:9])
    rows: list[R] = []
    room = PAGE_CHARACTERS[style]
    for item in items[start : start + limit]:
        made = row(item)
        room -= len(made.model_dump_json(exclude_none=True))
        if rows and room < 0:
            break
        rows.append(made)
    end = start + len(rows)
    return tuple(rows), str(end) if end < len(items) else None


def clip(text: str, most: int) -> str:
    """One line of printable text of at most `most` characters; a cut is shown."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def printable(text: str) -> str:
    """The text with a space for each control character but the end of a line."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def without_long_words(text: str, most: int = LONGEST_WORD) -> str:
    """The printable text with every word cut that is longer than any name should be."""

    def cut(found: re.Match[str]) -> str:
        return f"{found[0][: most - 23]}...{found[0][-20:]}"

    return re.sub(rf"\S{{{most + 1},}}", cut, printable(text))


def clipped(texts: Iterable[str], count: int, most: int) -> tuple[str, ...]:
    """At most `count` texts of at most `most` characters; how many were left out is said."""
    every = list(texts)
    kept = [clip(text, most) for text in every[:count]]
    if len(every) > count:
        kept.append(f"... and {len(every) - count} more")
    return tuple(kept)
