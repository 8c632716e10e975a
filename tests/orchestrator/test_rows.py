"""A run's table: rows without a target or a group, and the seal that counts rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from mlagent.contracts.run import Seal
from mlagent.contracts.task import TaskSpec
from mlagent.data.door import open_table
from mlagent.data.profile import profile_table
from mlagent.data.wire import choices_of, ingest
from mlagent.orchestrator.rows import RunTable
from mlagent.referee.split import draw_seal

SHA = "a" * 64


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[dict[str, RunTable]]:
    """The same 600 rows with `full`, a target of every row, and with `gaps`, missing in 60."""
    path = tmp_path / "table.csv"
    lines = ["x,firm,full,gaps\n"]
    for k in range(600):
        firm = "" if k % 5 == 0 else f"F{k % 40}"
        gaps = "" if k % 10 == 3 else "yn"[k % 3 == 0]
        lines.append(f"{k * 7919 % 601},{firm},{'ab'[k % 2]},{gaps}\n")
    path.write_text("".join(lines))
    classes = {"full": ("a", "b"), "gaps": ("n", "y")}
    with ExitStack() as stack, open_table(path) as table:
        choices = choices_of(profile_table(table))
        found = {}
        for target, both in classes.items():
            task = TaskSpec(
                description="x",
                kind="binary",
                target=target,
                classes=both,
                positive=both[1],
                group="firm",
            )
            typed = ingest(table, choices, task, tmp_path / f"{target}.parquet")
            stack.callback(typed.close)
            found[target] = RunTable(typed, task, ("x", "firm"))
        yield found


def test_each_row_without_a_group_has_one_of_its_own(tables: dict[str, RunTable]) -> None:
    table = tables["full"]
    groups = table.facts(("x",)).groups
    assert groups is not None
    missing = np.arange(600) % 5 == 0
    names = np.arange(600) % 40
    assert len(np.unique(groups[missing])) == 120
    assert not set(groups[missing]) & set(groups[~missing])
    assert len(np.unique(groups[~missing])) == len(np.unique(names[~missing]))


def drawn(table: RunTable, earlier: list[Seal]) -> Seal:
    return draw_seal(
        table.facts(("x",)),
        kind="stratified",
        share="auto",
        seed=0,
        data_sha256=table.sha256_with(SHA),
        earlier=earlier,
    )


def test_another_target_with_gaps_has_a_seal_of_its_own_rows(tables: dict[str, RunTable]) -> None:
    first = drawn(tables["full"], [])
    second = drawn(tables["gaps"], [first])
    assert first.data_sha256 == SHA
    assert second.id != first.id
    assert second.dev_rows + len(second.vault_rows) == 540
    assert drawn(tables["gaps"], [first, second]).id == second.id


def test_rows_of_an_earlier_vault_stay_in_the_vault(tables: dict[str, RunTable]) -> None:
    first = drawn(tables["full"], [])
    second = drawn(tables["gaps"], [first])
    usable = tables["gaps"].usable
    kept = set(first.vault_rows) & set(usable.tolist())
    assert kept <= set(usable[list(second.vault_rows)].tolist())
