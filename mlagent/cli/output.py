"""How commands print: tables for people, one JSON document on stdout for machines."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import IO, TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from mlagent.contracts.evaluation import Difference, Score

MOST_SEED = 2**31 - 1
"""Libraries inside the sandbox take no larger one."""
WIDE = 160
"""Columns for tables when the output is not a terminal; sentences are not wrapped there."""
_PADDING = re.compile(r"[ \t]+(?=\n)")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, logs on stderr.")]


class Unpadded:
    """A stream that gets lines without the blanks that layout leaves at their ends."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        deliver(self._out, _PADDING.sub("", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


def console(*, stderr: bool = False) -> Console:
    """A rich console that interprets no markup in data."""
    from rich.console import Console

    out = sys.stderr if stderr else sys.stdout
    plain = not out.isatty()
    width = WIDE if plain and "COLUMNS" not in os.environ else None
    return Console(
        file=cast(IO[str], Unpadded(out)) if plain else None,
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=plain,
        width=width,
    )


def indented(out: Console, text: Text, by: int) -> RenderableType:
    """`text` so many columns to the right: wrapped under itself in a terminal, one line
    elsewhere."""
    from rich.padding import Padding
    from rich.text import Text

    return Padding(text, (0, 0, 0, by)) if out.is_terminal else Text.assemble(" " * by, text)


def deliver(out: TextIO, text: str) -> None:
    """Write at once. A pipe that was closed (`| head -1`) ends the output, not the work."""
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        nobody_reads(out)


def nobody_reads(out: TextIO) -> None:
    """From now on, what is written to this stream goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out.fileno())
    os.close(nowhere)


def print_json(value: Any) -> None:
    """A record or plain value as one JSON document on stdout."""
    from mlagent.store.files import json_bytes

    deliver(sys.stdout, json_bytes(value).decode())


def as_dict(record: Any) -> Any:
    """A record as plain JSON values."""
    return json.loads(record.model_dump_json())


def number(value: float) -> str:
    """A score with sensible digits: 0.8453, 41.74, 47,176."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.2f}"
    return f"{value:.4f}"


def interval(score: Score | None) -> str:
    """'0.8453 [0.8301, 0.8605]'."""
    if score is None:
        return "no score"
    return f"{number(score.value)} [{number(score.low)}, {number(score.high)}]"


def signed(difference: Difference) -> str:
    """'+0.0123 [+0.0040, +0.0201] better'."""
    parts = [
        f"{'+' if value >= 0 else '-'}{number(abs(value))}"
        for value in (difference.value, difference.low, difference.high)
    ]
    return f"{parts[0]} [{parts[1]}, {parts[2]}] {difference.verdict}"
