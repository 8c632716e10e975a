"""Categories of the training rows, and cells of new rows that hold another one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mlagent.data.frames import write_frame
from mlagent.data.levels import MOST_LEVELS, Unseen, levels_of, unseen


def parquet(folder: Path, name: str, **columns: list[object]) -> Path:
    path = folder / name
    write_frame(pd.DataFrame(columns), path)
    return path


def test_levels_are_the_distinct_cells_without_missing_ones(tmp_path: Path) -> None:
    table = parquet(tmp_path, "a.parquet", plan=["b", "a", None, "b"], n=[1, 2, 2, 1])
    assert levels_of(table, ["plan", "n"]) == {"plan": ["a", "b"], "n": ["1.0", "2.0"]}


def test_cells_of_another_level_are_counted_with_examples(tmp_path: Path) -> None:
    table = parquet(tmp_path, "a.parquet", plan=["a", "x", "x", None, "'); --", "b"])
    found = unseen(table, {"plan": ["a", "b"]})
    assert found == {"plan": Unseen(3, ("x", "'); --"))}
    assert unseen(table, {"plan": ["a", "b", "x", "'); --"]}) == {}


def test_a_number_is_the_same_level_beside_missing_cells(tmp_path: Path) -> None:
    whole = parquet(tmp_path, "a.parquet", code=[1, 2, 3])
    holey = parquet(tmp_path, "b.parquet", code=[1.0, None, 4.0])
    assert unseen(holey, levels_of(whole, ["code"])) == {"code": Unseen(1, ("4.0",))}


def test_a_column_with_very_many_levels_is_left_out(tmp_path: Path) -> None:
    many = parquet(tmp_path, "a.parquet", code=[f"c{i}" for i in range(MOST_LEVELS + 1)])
    assert levels_of(many, ["code"]) == {}


def test_a_name_with_quotes_is_a_name(tmp_path: Path) -> None:
    table = parquet(tmp_path, "a.parquet", **{'"); import os #': ["a", "b"]})
    assert levels_of(table, ['"); import os #']) == {'"); import os #': ["a", "b"]}
