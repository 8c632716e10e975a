"""New data to predict on: read with the training schema, and written back with its predictions.

Guarantees: the same file formats as for training; a feature that is absent is an error that names
it; cells that do not parse are missing and counted; the output keeps every input column as its
text, in order, and appends the predictions. Does not: need the target, or refuse extra columns
(they are reported).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import ColumnChoice
from mlagent.contracts.task import DataRef

from .door import open_table
from .engine import identifier
from .wire import cast_table

if TYPE_CHECKING:
    import numpy as np

READ_ROWS = 20_000


@dataclass(frozen=True)
class PredictionInput:
    """What came of reading new data.

    Attributes:
        rows: of the file.
        failed: feature -> cells that were filled and did not parse (missing now).
        extra: columns that the model does not use.
        original: which file it was.
    """

    rows: int
    failed: dict[str, int]
    extra: tuple[str, ...]
    original: DataRef


def read_for_prediction(
    path: Path, columns: Mapping[str, ColumnChoice], features: Sequence[str], into: Path
) -> PredictionInput:
    """Cast the features of `path` to Parquet at `into`, in the order of `features`, rows in file
    order.

    Raises:
        BadInput: the file is unreadable or lacks a feature.
    """
    with open_table(path, minimum_rows=1) as table:
        absent = [name for name in features if name not in table.names]
        if absent:
            raise _absent(path, absent, table.names)
        failed = cast_table(table, features, columns, into)
        extra = tuple(name for name in table.names if name not in set(features))
        return PredictionInput(table.ref.rows, failed, extra, table.ref)


def _absent(path: Path, absent: Sequence[str], names: Sequence[str]) -> BadInput:
    shown = ", ".join(map(repr, absent[:10])) + (" ..." if len(absent) > 10 else "")
    word = "column" if len(absent) == 1 else f"{len(absent)} columns"
    folded = {name.casefold(): name for name in names}
    near = [folded[name.casefold()] for name in absent if name.casefold() in folded]
    hint = f" It has {', '.join(map(repr, near))}: case counts." if near else ""
    return BadInput(
        f"{str(path)!r} lacks the {word} that the model was trained on: {shown}.",
        remedy=f"Give a file with the columns of the training table.{hint}",
    )


def write_predictions(source: Path, into: Path, predictions: Mapping[str, np.ndarray]) -> None:
    """Copy `source` with its cells as text and append one column per prediction.

    Args:
        source: the file that was read.
        into: `.parquet` writes Parquet, anything else comma-separated utf-8 CSV with a header.
        predictions: name -> shape (rows,), in file order; floats keep their shortest exact text.

    Raises:
        BadInput: a prediction has the name of an input column, or `into` is the source itself.
        ValueError: a prediction has another length than the table (a defect of the caller).
    """
    if into.exists() and into.resolve() == source.resolve():
        raise BadInput(
            f"The output {str(into)!r} is the input file.", remedy="Choose another --out."
        )
    with open_table(source, minimum_rows=1) as table:
        taken = {name.casefold() for name in table.names}
        for name, values in predictions.items():
            if name.casefold() in taken:
                raise BadInput(
                    f"{str(source)!r} already has a column {name!r}, "
                    "which is the name of a prediction.",
                    remedy=f"Rename or remove the column {name!r} in the input file.",
                )
            if len(values) != table.ref.rows:
                raise ValueError(f"{name}: {len(values)} predictions for {table.ref.rows} rows")
        if into.suffix.lower() == ".parquet":
            _write_parquet(table, into, predictions)
        else:
            _write_csv(table, into, predictions)


def _write_csv(table: Any, into: Path, predictions: Mapping[str, np.ndarray]) -> None:
    fields = ", ".join(f"c{number}" for number in range(len(table.names)))
    cursor = table.engine.connection.execute(f"SELECT {fields} FROM {table.relation}")
    appended = [values.tolist() for values in predictions.values()]
    row = 0
    with into.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*table.names, *predictions])
        while block := cursor.fetchmany(READ_ROWS):
            for cells in block:
                new = ["" if one[row] is None else one[row] for one in appended]
                writer.writerow(["" if cell is None else cell for cell in cells] + new)
                row += 1


def _write_parquet(table: Any, into: Path, predictions: Mapping[str, np.ndarray]) -> None:
    import shutil

    import numpy as np
    import pandas as pd

    from .engine import literal

    frame = pd.DataFrame(dict(predictions))
    frame.columns = pd.Index([f"p{number}" for number in range(len(predictions))])
    frame["place"] = np.arange(table.ref.rows) + 1
    table.engine.connection.register("predicted", frame)
    kept = [f"t.c{number} AS {identifier(name)}" for number, name in enumerate(table.names)]
    new = [f"p.p{number} AS {identifier(name)}" for number, name in enumerate(predictions)]
    copy = table.engine.folder / "predicted.parquet"
    table.engine.connection.execute(
        f"COPY (SELECT {', '.join([*kept, *new])} FROM "
        f"(SELECT *, row_number() OVER () AS r FROM {table.relation}) t "
        f"JOIN predicted p ON p.place = t.r ORDER BY t.r) "
        f"TO {literal(str(copy))} (FORMAT parquet, COMPRESSION zstd)"
    )
    shutil.move(str(copy), str(into))
