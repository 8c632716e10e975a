"""Small tables of our own making (predictions) to and from Parquet, through duckdb.

Does not type, clean or guess: what was written comes back.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .engine import Engine, literal
from .wire import TypedTable

if TYPE_CHECKING:
    import pandas as pd


def write_frame(frame: pd.DataFrame, into: Path) -> None:
    """A frame with text column names as Parquet, without its index."""
    TypedTable.write_frame(frame, into)


def concatenate(first: TypedTable, second: TypedTable, into: Path) -> TypedTable:
    """The rows of `first`, then those of `second`; columns that `second` lacks are missing there.

    Whole numbers become float64 where one of the two has missing cells.
    """
    with Engine([first.path, second.path]) as engine:
        copy = engine.folder / "joined.parquet"
        engine.connection.execute(
            f"COPY (SELECT * FROM read_parquet([{engine.linked(0)}, {engine.linked(1)}], "
            f"union_by_name=true)) TO {literal(str(copy))} (FORMAT parquet, COMPRESSION zstd)"
        )
        shutil.move(str(copy), into)
    failed = dict(first.failed)
    for name, count in second.failed.items():
        failed[name] = failed.get(name, 0) + count
    return TypedTable(into, first.columns, first.target_name, failed)


def read_frame(path: Path) -> pd.DataFrame:
    """A Parquet file as a frame, in the order it was written."""
    with Engine([path]) as engine:
        frame: pd.DataFrame = engine.connection.execute(
            f"SELECT * FROM read_parquet({engine.linked()})"
        ).df()
    return frame
