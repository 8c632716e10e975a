"""Drift: equal tables are stable, moved ones are found, and nothing but aggregates is kept."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlagent.contracts.drift import ColumnSpread, DataDifference, Distributions
from mlagent.contracts.plan import ColumnChoice
from mlagent.contracts.task import TaskSpec
from mlagent.data.door import open_table
from mlagent.data.drift import column_drift, difference, level_of, psi, spread_like, spread_of
from mlagent.data.wire import ingest

COLUMNS = {
    "amount": ColumnChoice(role="number", dtype="float64"),
    "kind": ColumnChoice(role="category", dtype="str"),
    "day": ColumnChoice(role="datetime", dtype="datetime64", datetime_format="%Y-%m-%d"),
    "id": ColumnChoice(role="id", dtype="str"),
    "note": ColumnChoice(role="text", dtype="str"),
}
TASK = TaskSpec(description="no target")


def table(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), "D")
    return pd.DataFrame(
        {
            "amount": rng.normal(10 + shift, 2, rows).round(3),
            "kind": rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
            "day": days.strftime("%Y-%m-%d"),
            "id": [f"SECRET-{i}" for i in range(rows)],
            "note": [f"text {i}" for i in range(rows)],
        }
    )


def spread(
    folder: Path,
    frame: pd.DataFrame,
    like: Distributions | None = None,
    columns: Mapping[str, ColumnChoice] = COLUMNS,
) -> Distributions:
    file = folder / "table.csv"
    frame.to_csv(file, index=False)
    here = {name: one for name, one in columns.items() if name in frame}
    with open_table(file) as opened, ingest(opened, here, TASK, folder / "t.parquet") as typed:
        if like is None:
            return spread_of(typed, here, opened.ref.sha256)
        return spread_like(like, typed, here, opened.ref.sha256)


def drift(folder: Path, before: pd.DataFrame, after: pd.DataFrame) -> DataDifference:
    reference = spread(folder, before)
    return difference(reference, spread(folder, after, reference), names_after=list(after))


def levels(found: DataDifference) -> dict[str, str]:
    return {one.column: one.level for one in found.columns}


def test_two_samples_of_one_distribution_are_stable(tmp_path: Path) -> None:
    found = drift(tmp_path, table(3000, 1), table(2000, 2))
    assert levels(found) == {
        "amount": "stable",
        "kind": "stable",
        "day": "stable",
        "id": "not compared",
        "note": "not compared",
    }
    assert found.compared == 3
    assert (found.rows_before, found.rows_after) == (3000, 2000)
    assert not found.same_file


def test_the_same_table_has_a_psi_of_zero(tmp_path: Path) -> None:
    found = drift(tmp_path, table(500, 1), table(500, 1))
    assert found.same_file
    assert [one.psi for one in found.columns if one.psi is not None] == [0, 0, 0]


def test_what_moved_stands_first(tmp_path: Path) -> None:
    after = table(2000, 2, shift=3.0)
    after.loc[:1199, "kind"] = "d"
    found = drift(tmp_path, table(3000, 1), after)
    assert {one.column for one in found.columns[:2]} == {"amount", "kind"}
    assert levels(found)["amount"] == levels(found)["kind"] == "large"
    assert levels(found)["day"] == "stable"


def test_the_index_is_the_formula_of_the_docstring() -> None:
    before, after = [60, 30, 10], [20, 30, 50]
    p = [(n + 0.5) / 101.5 for n in before]
    q = [(n + 0.5) / 101.5 for n in after]
    wanted = sum((b - a) * log(b / a) for a, b in zip(p, q, strict=True))
    index, noise = psi(before, after)
    assert index == pytest.approx(wanted)
    assert noise == pytest.approx(5.991464547 * (1 / 100 + 1 / 100))  # chi-squared, 2 degrees


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=12))
def test_an_index_is_never_negative_and_symmetric(pairs: list[tuple[int, int]]) -> None:
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    index, noise = psi(before, after)
    assert index >= 0
    assert noise >= 0
    assert index == pytest.approx(psi(after, before)[0])
    assert psi(before, before)[0] == pytest.approx(0)


def test_the_noise_is_exceeded_by_chance_about_as_often_as_said() -> None:
    rng = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    over = 0
    for _ in range(600):
        index, noise = psi(
            rng.multinomial(800, shares).tolist(), rng.multinomial(500, shares).tolist()
        )
        over += index > noise
    assert 0.025 < over / 600 < 0.08


def test_few_rows_do_not_make_an_alarm() -> None:
    before, after = [6, 5, 5, 4], [2, 3, 4, 1]
    index, noise = psi(before, after)
    assert index > 0.1
    assert level_of(index, noise) == "stable"
    assert level_of(0.3, 0.2) == "large"
    assert level_of(0.15, 0.01) == "moderate"


def test_a_column_of_mostly_one_value_is_counted_exactly(tmp_path: Path) -> None:
    before = table(1000, 1)
    before["amount"] = np.where(np.arange(1000) < 800, 0.0, before["amount"])
    one = spread(tmp_path, before).columns[0]
    assert one.edges[0] == 0.0
    assert one.counts[0] == 800
    after = before.copy()
    after["amount"] = np.where(np.arange(1000) < 500, 0.0, 12.0)
    assert levels(drift(tmp_path, before, after))["amount"] == "large"


def test_missing_cells_are_a_bin_of_their_own(tmp_path: Path) -> None:
    after = table(2000, 2)
    after.loc[:799, "amount"] = np.nan
    found = drift(tmp_path, table(2000, 1), after)
    (amount,) = [one for one in found.columns if one.column == "amount"]
    assert amount.level == "large"
    assert (amount.missing_before, amount.missing_after) == (0, 0.4)


def test_columns_that_came_and_went_are_named(tmp_path: Path) -> None:
    after = table(500, 2).drop(columns=["note"])
    after["fresh"] = 1
    found = drift(tmp_path, table(500, 1), after)
    assert (found.added, found.removed) == (("fresh",), ("note",))


def test_a_column_that_is_read_otherwise_is_named(tmp_path: Path) -> None:
    before = spread(tmp_path, table(500, 1))
    other = COLUMNS | {"amount": ColumnChoice(role="category", dtype="str")}
    after = spread(tmp_path, table(500, 1), columns=other)
    found = difference(before, before, types_after={one.name: one for one in after.columns})
    assert [(one.column, one.before, one.after) for one in found.retyped] == [
        ("amount", "number float64", "category str")
    ]


def test_no_id_no_text_and_no_rare_value_is_kept(tmp_path: Path) -> None:
    frame = table(500, 1)
    frame.loc[:8, "kind"] = "RARE"  # 9 rows
    kept = spread(tmp_path, frame).model_dump_json()
    assert "SECRET" not in kept
    assert "text 1" not in kept
    assert "RARE" not in kept
    (kind,) = [one for one in spread(tmp_path, frame).columns if one.name == "kind"]
    assert kind.other == 9
    assert sum(kind.counts) == 491


def test_counts_that_do_not_fit_their_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="bins"):
        ColumnSpread(name="x", role="number", dtype="float64", missing=0, edges=(1.0,), counts=(1,))


def test_dates_are_compared(tmp_path: Path) -> None:
    after = table(1000, 2)
    after["day"] = "2025-03-01"
    assert levels(drift(tmp_path, table(1000, 1), after))["day"] == "large"


def test_a_column_without_any_value_is_not_an_error(tmp_path: Path) -> None:
    empty = ColumnSpread(name="x", role="number", dtype="float64", missing=0)
    assert column_drift(empty, empty).level == "not compared"
    after = table(300, 2)
    after["amount"] = np.nan
    assert levels(drift(tmp_path, table(300, 1), after))["amount"] == "large"
