"""`--share-rows`: a few rows as text, for a language model to read.

Guarantees: dev rows only, never one of the vault; no id, no group and no column that was taken out;
cells are cut, and so is the whole. Which rows is a matter of the seed. Without the flag nobody
calls this, and no row leaves the machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlagent.agents.table_text import shown

from .state import Bench, State, table_of

ROWS = 5
LONGEST_CELL, LARGEST = 40, 4_000


class SharedRows(NamedTuple):
    """Rows as text, one line for each column; how many rows, and of which columns."""

    text: str
    rows: int
    columns: tuple[str, ...]


def share_rows(bench: Bench, state: State) -> str:
    """The rows for the prompt, said on screen and in the record; '' when nobody allowed it."""
    if not state.request.share_rows:
        return ""
    shared = shared_rows(state)
    said = (
        f"{shared.rows} dev rows with {len(shared.columns)} columns were shown to Claude "
        "(--share-rows)."
    )
    bench.desk.progress.say(said)
    state.notes.append(said)
    state.facts["shared_rows"] = shared.rows
    bench.journal.append("rows.shared", rows=shared.rows, columns=list(shared.columns))
    return shared.text


def shared_rows(state: State) -> SharedRows:
    """A few dev rows: features and the target, column by column."""
    table, task = table_of(state), state.task
    rng = np.random.default_rng(state.request.seed)
    rows = np.sort(rng.choice(state.dev, min(ROWS, len(state.dev)), replace=False))
    hidden = {task.group, *task.id_columns, *state.request.plan.columns.exclude}
    names = [name for name in (*state.features, task.target or "") if name not in hidden]
    frame = table.typed.frame(table.usable[rows], names)
    lines: list[str] = []
    for place, name in enumerate(names):
        cells = (_cell(value) for value in frame.iloc[:, place])
        line = f"{shown(name)}: {', '.join(cells)}"
        if sum(map(len, lines)) + len(line) > LARGEST:
            break
        lines.append(line)
    return SharedRows("\n".join(lines), len(rows), tuple(names[: len(lines)]))


def _cell(value: object) -> str:
    """A cell as a literal; a missing one as 'missing'."""
    if value is None or value != value:  # NaN and NaT are not themselves
        return "missing"
    return shown(str(value)[:LONGEST_CELL])
