"""Typed Parquet: every cell by the schema, every row where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlagent.contracts.plan import ColumnChoice
from mlagent.contracts.task import TaskSpec
from mlagent.data.door import open_table
from mlagent.data.profile import profile_table
from mlagent.data.wire import TypedTable, choices_of, infinite_cells, ingest

Put = Callable[..., Path]
HEADER = 'when,amount,count,open,"we""ird {{7*7}}",y\n'


def lines(n: int) -> str:
    return "".join(
        f'2020-01-{k % 28 + 1:02d},"1,{k:03d}.5",{k * 7 % 31},{"true" if k % 2 else "false"},'
        f"{'north' if k % 3 else ' none'},{'yes' if k % 4 else 'no'}\n"
        for k in range(n)
    )


@pytest.fixture
def typed(put: Put, tmp_path: Path) -> TypedTable:
    text = HEADER + lines(60) + "oops,inf,,maybe,?,\n" + '2020-02-01,"2,000",3,true,x,yes\n'
    path = put("table.csv", text)
    with open_table(path) as table:
        found = choices_of(profile_table(table))
        found["open"] = ColumnChoice(role="category", dtype="bool")
        found["when"] = ColumnChoice(
            role="datetime", dtype="datetime64", datetime_format="%Y-%m-%d"
        )
        task = TaskSpec(description="x", kind="binary", target="y")
        return ingest(table, found, task, tmp_path / "typed.parquet")


def test_cells_are_cast_and_failures_are_counted(typed: TypedTable) -> None:
    with typed:
        assert typed.rows == 62
        assert typed.failed == {"when": 1, "amount": 1, "open": 1}
        amount = typed.column("amount")
        assert amount.dtype == np.float64
        assert amount[1] == 1001.5
        assert amount[61] == 2000.0
        assert np.isnan(amount[60])
        assert typed.column("when").dtype.kind == "M"
        assert pd.isna(typed.column("when")[60])
        weird = typed.column('we"ird {{7*7}}')
        assert weird[0] == " none"
        assert weird[60] is None


def test_infinite_cells_are_counted(put: Put) -> None:
    text = "y,x\n" + "1,2\n" * 30 + "inf,1\n-Infinity,1\nnan,1\n,1\nword,1\n" + '"1,000",3\n'
    with open_table(put("a.csv", text)) as table:
        assert infinite_cells(table, "y", ColumnChoice(role="number", dtype="float64")) == 2


def test_a_class_is_the_text_of_the_file_and_missing_targets_are_reported(
    typed: TypedTable,
) -> None:
    with typed:
        assert typed.target()[:2].tolist() == ["no", "yes"]
        assert typed.missing_target().tolist() == [60]


def test_a_numeric_class_keeps_its_text(put: Put, tmp_path: Path) -> None:
    path = put("a.csv", "x,y\n" + "".join(f"{n}.5,{n % 2}.0\n" for n in range(20)))
    for kind, wanted in (("binary", ["0.0", "1.0"]), ("regression", [0.0, 1.0])):
        with open_table(path) as table:
            task = TaskSpec(description="x", kind=kind, target="y")  # type: ignore[arg-type]
            choices = choices_of(profile_table(table))
            found = ingest(table, choices, task, tmp_path / f"{kind}.parquet")
        with found:
            assert found.target()[:2].tolist() == wanted


def test_rows_are_written_in_exactly_the_given_order(typed: TypedTable, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).permutation(62)[:40]
    rows = np.concatenate([rows, rows[:3]])
    with typed:
        everything = typed.frame(None, typed.columns)
        typed.write(rows, ["y", "amount"], tmp_path / "rows.parquet")
        direct = typed.frame(rows, ["y", "amount"])
    with open_table(tmp_path / "rows.parquet") as table:
        back = table.sample(100)
    expected = everything.iloc[rows].reset_index(drop=True)
    assert direct["amount"].equals(expected["amount"])
    assert list(back.columns) == ["y", "amount"]
    assert back["y"].tolist() == [None if pd.isna(v) else v for v in expected["y"]]


def test_equal_features_have_equal_keys_and_different_ones_do_not(put: Put, tmp_path: Path) -> None:
    path = put("a.csv", "a,b,y\n" + "x,1,0\nx,1,1\nx,,0\n,1,1\nx1,,0\nx,11,1\n" * 4)
    with open_table(path) as table:
        task = TaskSpec(description="x", kind="binary", target="y")
        found = ingest(table, choices_of(profile_table(table)), task, tmp_path / "t.parquet")
    with found:
        keys = found.keys(["a", "b"])
        assert keys.dtype == np.uint64
        assert keys[0] == keys[1] == keys[6]
        assert len(set(keys.tolist())) == 5
        hashes = found.row_hashes()
        assert hashes[0] != hashes[1]
        assert hashes[0] == hashes[6]
        assert all(len(one) == 16 and int(one, 16) >= 0 for one in hashes)


def test_row_hashes_survive_growth_and_a_new_missing_cell(put: Put, tmp_path: Path) -> None:
    hashes = []
    for name, more in (("a", ""), ("b", ",z,1\n")):
        text = "n,s,y\n" + "".join(f"{k * 3 % 17},t{k % 5},{k % 2}\n" for k in range(30)) + more
        with open_table(put(f"{name}.csv", text)) as table:
            task = TaskSpec(description="x", kind="binary", target="y")
            choices = choices_of(profile_table(table))
            found = ingest(table, choices, task, tmp_path / f"{name}.parquet")
        with found:
            hashes.append(found.row_hashes()[:30].tolist())
    assert hashes[0] == hashes[1]


def test_any_frame_can_be_written_without_pyarrow(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": [0.25, 0.5], 'a "b"': ["x", None]}, index=[5, 3])
    TypedTable.write_frame(frame, tmp_path / "f.parquet")
    with open_table(tmp_path / "f.parquet") as table:
        assert table.sample(5).to_numpy().tolist() == [["0.25", "x"], ["0.5", None]]


@pytest.mark.parametrize("columns", [31, 32, 33, 200])
def test_a_wide_table_is_cast_some_columns_at_a_time_within_the_memory(
    put: Put, tmp_path: Path, columns: int
) -> None:
    """200 columns of numbers in one statement took more than the engine's 512 MB."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(1_200, columns))
    names = [f"n{i} `<!-- {{{{" for i in range(columns)]
    frame = pd.DataFrame(values, columns=names).astype(object)
    frame.iloc[7, columns - 1] = "oops"
    frame.iloc[9, 0] = "-inf"
    frame.iloc[11, 0] = None
    frame["y"] = np.where(values[:, 0] > 0, "yes", "no")
    path = put("wide.csv", frame.to_csv(index=False))
    with open_table(path) as table:
        found = choices_of(profile_table(table))
        numbers = dict.fromkeys(names, ColumnChoice(role="number", dtype="float64"))
        task = TaskSpec(description="x", kind="binary", target="y")
        with ingest(table, found | numbers, task, tmp_path / "typed.parquet") as typed:
            assert typed.rows == 1_200
            assert typed.columns == tuple(frame.columns)
            assert typed.failed == {names[-1]: 1, names[0]: 1}
            assert list(typed.target()[:3]) == list(frame["y"][:3])
            for name in (names[0], names[columns // 2], names[-1]):
                wanted = pd.to_numeric(frame[name], errors="coerce").replace(-np.inf, np.nan)
                assert np.array_equal(typed.column(name), wanted.to_numpy(), equal_nan=True)


def test_many_rows_of_a_wide_table_stay_where_they_were(put: Put, tmp_path: Path) -> None:
    rows, columns = 150_000, 40
    values = np.arange(rows)[:, None] * 100 + np.arange(columns)
    frame = pd.DataFrame(values, columns=[f"n{i}" for i in range(columns)])
    frame["y"] = np.where(values[:, 0] % 3, "yes", "no")
    path = put("long.csv", frame.to_csv(index=False))
    with open_table(path) as table:
        found = choices_of(profile_table(table))
        task = TaskSpec(description="x", kind="binary", target="y")
        with ingest(table, found, task, tmp_path / "typed.parquet") as typed:
            for name in ("n0", "n31", "n32", "n39", "y"):
                assert list(typed.column(name)) == list(frame[name])
