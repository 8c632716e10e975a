"""The first phase of a run: what is said of targets that are infinite or too large."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.documents import read_record
from mlagent.orchestrator.edited_plan import EditedPlan
from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here
from mlagent.orchestrator.preparing import prepare_table
from mlagent.orchestrator.state import State

HEADER = "x,z,y\n"


def lines(count: int, **odd: str) -> str:
    """Rows of x, z, y; `odd` names cells of y by row, such as r3="inf"."""
    return "".join(f"{n},{n % 7},{odd.get(f'r{n}', n * 1.5)}\n" for n in range(count))


def prepared(folder: Path, table: str, test: str | None = None) -> State:
    """The state after the table was read, on a bench that keeps nothing."""
    (folder / "table.csv").write_text(HEADER + table)
    make_plan_here(folder, PlanFlags("predict y", data=folder / "table.csv"), None)
    plan = read_record(EditedPlan, (folder / "plan.yaml").read_text("utf-8"), "plan.yaml")
    path = None
    if test is not None:
        path = folder / "test.csv"
        path.write_text(HEADER + test)

    def nothing(*_: Any, **__: Any) -> None:
        return None

    bench: Any = SimpleNamespace(
        project=SimpleNamespace(folder=folder),
        run=SimpleNamespace(write=nothing),
        journal=SimpleNamespace(append=nothing),
        desk=SimpleNamespace(scratch=folder, progress=SimpleNamespace(say=nothing)),
    )
    request: Any = SimpleNamespace(plan=plan, test=path)
    state = State(request, plan.task)
    try:
        prepare_table(bench, state)
    finally:
        if state.table is not None:
            state.table.typed.close()
    return state


def test_infinite_targets_are_counted_among_the_rows_left_out(tmp_path: Path) -> None:
    state = prepared(tmp_path, lines(80, r3="inf", r4="-inf", r5=""), lines(20, r6="Infinity"))
    assert state.notes == ["4 rows without a value in 'y' were left out (3 of them are infinite)."]


def test_without_infinite_targets_nothing_is_said_of_them(tmp_path: Path) -> None:
    state = prepared(tmp_path, lines(80, r5=""))
    assert state.notes == ["1 row without a value in 'y' was left out."]


def test_a_target_of_the_test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'y' has values as large as 1e.200") as caught:
        prepared(tmp_path, lines(80), lines(20, r6="-1e200"))
    assert "Rescale" in caught.value.remedy
