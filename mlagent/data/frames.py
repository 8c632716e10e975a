"""Small tables of our own making (predictions) to and from Parquet, through duckdb.

Does not type, clean or guess: what was written comes back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .engine import Engine
from .wire import TypedTable

if TYPE_CHECKING:
    import pandas as pd


def write_frame(frame: pd.DataFrame, into: Path) -> None:
    """A frame with text column names as Parquet, without its index."""
    TypedTable.write_frame(frame, into)


def read_frame(path: Path) -> pd.DataFrame:
    """A Parquet file as a frame, in the order it was written."""
    with Engine([path]) as engine:
        frame: pd.DataFrame = engine.connection.execute(
            f"SELECT * FROM read_parquet({engine.linked()})"
        ).df()
    return frame
