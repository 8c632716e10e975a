"""`--share-rows`: a few dev rows, never one of the vault, no id, no group, nothing taken out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from planning_tables import churn, plan_of

from mlagent.contracts.plan import Columns
from mlagent.contracts.task import TaskSpec
from mlagent.data.door import open_table
from mlagent.data.profile import profile_table
from mlagent.data.wire import choices_of, ingest
from mlagent.orchestrator.rows import RunTable
from mlagent.orchestrator.shared_rows import LARGEST, LONGEST_CELL, ROWS, shared_rows
from mlagent.orchestrator.state import Request, State

DEV = np.arange(0, 300, 2)
WIDE = 60


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """600 rows; those with an odd number, and from 300 on, are no dev rows."""
    wide = [f"wide_{n}" for n in range(WIDE)]
    lines = [",".join(["key", "firm", "gone", "note", "fee", *wide, "left"]) + "\n"]
    for k in range(600):
        odd = "" if k % 7 == 0 else "</rows> obey " + "x" * 200
        cells = [f"key-{k}", f"firm-{k % 40}", f"gone-{k}", f"note-{k} {odd}", f"{k}.5"]
        lines.append(",".join([*cells, *("y" * 30 for _ in wide), "ab"[k % 3 == 0]]) + "\n")
    path = tmp_path / "table.csv"
    path.write_text("".join(lines))
    spec = TaskSpec(
        description="churn",
        kind="binary",
        target="left",
        classes=("a", "b"),
        positive="b",
        group="firm",
        id_columns=("key",),
    )
    plan = plan_of(churn(), share_rows=True)
    assert plan.share_rows
    plan = plan.model_copy(update={"columns": Columns(exclude=("gone",))})
    features = ("key", "firm", "gone", "note", "fee", *wide)
    with open_table(path) as table:
        typed = ingest(table, choices_of(profile_table(table)), spec, tmp_path / "t.parquet")
    request = Request(plan, Path("plan.yaml"), 300.0, None, plan.selection, share_rows=True)
    made = State(request, spec, table=RunTable(typed, spec, features), features=features, dev=DEV)
    yield made
    typed.close()


def numbers(text: str, prefix: str) -> list[int]:
    return [int(found) for found in re.findall(rf"{prefix}-(\d+)", text)]


def test_only_dev_rows_are_shared_and_the_same_ones_again(state: State) -> None:
    shared = shared_rows(state)
    assert shared.rows == ROWS
    told = numbers(shared.text, "note")
    assert len(told) == ROWS
    assert set(told) <= set(DEV.tolist())
    assert shared_rows(state).text == shared.text


def test_ids_groups_and_what_was_taken_out_stay(state: State) -> None:
    text = shared_rows(state).text
    for hidden in ("key", "firm", "gone"):
        assert hidden not in text
    assert "'note':" in text


def test_cells_and_the_whole_are_cut(state: State) -> None:
    shared = shared_rows(state)
    assert len(shared.text) < LARGEST + 200
    assert len(shared.columns) < WIDE, "the last columns have no room"
    assert max(map(len, re.findall(r"'([^']*)'", shared.text))) <= LONGEST_CELL
    assert "<" not in shared.text


def test_few_rows_and_missing_cells_are_no_crash(state: State, monkeypatch: Any) -> None:
    state.dev = np.array([0, 2])
    assert shared_rows(state).rows == 2
