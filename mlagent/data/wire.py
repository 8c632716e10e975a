"""The wire: a table cast once to typed Parquet, and read from there by row number.

Guarantees: file order is kept; numbers, dates and booleans are cast by the training schema and a
cell that does not parse is missing and counted; infinities are missing; str cells and
classification targets are the text of the file; Parquet is written by duckdb (zstd), so nobody
needs pyarrow. Does not: drop rows (rows without a target are reported), or decide which rows go
where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlagent.contracts.plan import ColumnChoice
from mlagent.contracts.profile import Profile
from mlagent.contracts.task import TaskSpec

from .cells import bool_sql, date_sql, integer_sql, missing_sql, number_sql, text_sql
from .closing import Closing
from .door import Table
from .engine import Engine, identifier, literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

CELL_END = "chr(31)"
CELL_MISSING = "chr(30)"
AT_ONCE = 32
"""Columns that one statement casts."""


def choices_of(profile: Profile) -> dict[str, ColumnChoice]:
    """The `columns.found` of a plan, as the profile has them."""
    return {
        column.name: ColumnChoice(
            role=column.role,
            dtype=column.dtype,
            datetime_format=column.datetime_format,
            missing_tokens=column.missing_tokens,
            thousands=column.thousands,
            decimal_comma=column.decimal_comma,
        )
        for column in profile.columns
    }


def typed_sql(field: str, choice: ColumnChoice) -> str:
    """SQL that casts one text column by its choice; NULL for missing, failed and infinite cells."""
    if choice.dtype == "datetime64" and choice.datetime_format:
        return date_sql(field, choice.datetime_format)
    if choice.dtype == "bool":
        return bool_sql(field)
    if choice.dtype in ("float64", "int64"):
        blank = missing_sql(field, choice.missing_tokens, numbers=True)
        number = number_sql(field, thousands=choice.thousands, decimal_comma=choice.decimal_comma)
        finite = f"CASE WHEN isfinite({number}) THEN {number} END"
        plain = not choice.thousands and not choice.decimal_comma
        cast = integer_sql(field) if choice.dtype == "int64" and plain else finite
        return f"CASE WHEN {blank} THEN NULL ELSE {cast} END"
    return text_sql(field, choice.missing_tokens)


def filled_sql(field: str, choice: ColumnChoice) -> str | None:
    """SQL that counts cells that are filled; None where every text will do."""
    if choice.dtype not in ("float64", "int64", "bool", "datetime64"):
        return None
    return f"count(*) FILTER (NOT {missing_sql(field, choice.missing_tokens, numbers=True)})"


def target_choice(choice: ColumnChoice, task: TaskSpec) -> ColumnChoice:
    """How the target travels: text for classes, float64 for a regression."""
    dtype = "float64" if task.kind == "regression" else "str"
    return choice.model_copy(update={"role": "target", "dtype": dtype})


def infinite_cells(table: Table, name: str, choice: ColumnChoice) -> int:
    """Cells of a column of numbers that hold an infinity, which the wire makes missing."""
    number = number_sql(
        table.sql_name(name), thousands=choice.thousands, decimal_comma=choice.decimal_comma
    )
    return int(
        table.engine.rows(f"SELECT count(*) FILTER (isinf({number})) FROM {table.relation}")[0][0]
    )


def zeros_and_negatives(table: Table, name: str, choice: ColumnChoice) -> tuple[int, int]:
    """How many cells of a column of numbers are 0, and how many below 0."""
    number = typed_sql(table.sql_name(name), choice.model_copy(update={"dtype": "float64"}))
    counted = table.engine.rows(
        f"SELECT count(*) FILTER ({number} = 0), count(*) FILTER ({number} < 0) "
        f"FROM {table.relation}"
    )[0]
    return int(counted[0]), int(counted[1])


def cast_table(
    table: Table, names: Sequence[str], columns: Mapping[str, ColumnChoice], into: Path
) -> dict[str, int]:
    """COPY the named columns, typed, to Parquet; returns the failed cells per column.

    Some columns at a time: what duckdb takes to plan a statement, and the memory that it holds for
    it, grow faster than the number of columns.
    """
    engine, relation = table.engine, table.relation
    several = len(names) > AT_ONCE
    if several:  # the file is read once
        fields = ", ".join(dict.fromkeys(table.sql_name(name) for name in names))
        engine.connection.execute(f"CREATE TEMP TABLE cells AS SELECT {fields} FROM {relation}")
        relation = "cells"
    parts: list[str] = []
    failures: dict[str, int] = {}
    for start in range(0, len(names), AT_ONCE):
        part = engine.folder / f"typed{start}.parquet"
        some = names[start : start + AT_ONCE]
        failures |= _cast_some(table, relation, some, columns, part)
        parts.append(f"read_parquet({literal(str(part))})")
    whole = engine.folder / "typed0.parquet"
    if several:
        engine.connection.execute("DROP TABLE cells")
        whole = engine.folder / "typed.parquet"
        _copy(engine, f"SELECT * FROM {' POSITIONAL JOIN '.join(parts)}", whole)
    _move(whole, into)
    return {name: failures[name] for name in names if failures.get(name)}


def _cast_some(
    table: Table,
    relation: str,
    names: Sequence[str],
    columns: Mapping[str, ColumnChoice],
    into: Path,
) -> dict[str, int]:
    """Cast some columns; the failed cells: those that are filled and have no value."""
    fields = [(table.sql_name(name), columns[name], identifier(name)) for name in names]
    typed = ", ".join(f"{typed_sql(field, choice)} AS {name}" for field, choice, name in fields)
    _copy(table.engine, f"SELECT {typed} FROM {relation}", into)
    counts = [
        (name, filled, own)
        for name, (field, choice, own) in zip(names, fields, strict=True)
        if (filled := filled_sql(field, choice)) is not None
    ]
    if not counts:
        return {}
    cells = table.engine.rows(f"SELECT {', '.join(sql for _, sql, _ in counts)} FROM {relation}")
    values = table.engine.rows(
        f"SELECT {', '.join(f'count({own})' for _, _, own in counts)} "
        f"FROM read_parquet({literal(str(into))})"
    )
    return {
        name: max(0, int(there) - int(read))
        for (name, _, _), there, read in zip(counts, cells[0], values[0], strict=True)
    }


def _copy(engine: Engine, select: str, into: Path) -> None:
    engine.connection.execute(
        f"COPY ({select}) TO {literal(str(into))} (FORMAT parquet, COMPRESSION zstd)"
    )


def _move(source: Path, into: Path) -> None:
    import shutil

    shutil.move(str(source), str(into))


def ingest(
    table: Table, columns: Mapping[str, ColumnChoice], task: TaskSpec, into: Path
) -> TypedTable:
    """Cast the whole table to `into` (an existing folder's file).

    Args:
        table: open table; all of its columns that stand in `columns` are written.
        columns: `columns.found` of the plan.
        task: its target and kind.

    Raises:
        KeyError: `columns` names a column that the table lacks.
    """
    choices = dict(columns)
    if task.target is not None:
        choices[task.target] = target_choice(choices[task.target], task)
    names = [name for name in table.names if name in choices]
    for name in choices:
        table.sql_name(name)
    failed = cast_table(table, names, choices, into)
    return TypedTable(into, tuple(names), task.target, failed)


class TypedTable(Closing):
    """A typed Parquet file, read by row number (position in the original file, from 0).

    Attributes:
        path: the Parquet file.
        columns: names in file order, target included.
        rows: how many.
        failed: column -> cells that were filled and did not parse (they are missing now).
    """

    def __init__(
        self, path: Path, columns: tuple[str, ...], target: str | None, failed: dict[str, int]
    ) -> None:
        self.path = path
        self.columns = columns
        self.failed = failed
        self.target_name = target
        self._engine = Engine([path])
        self._source = f"read_parquet({self._engine.linked()}, file_row_number=true)"
        self.rows = int(self._engine.rows(f"SELECT count(*) FROM {self._source}")[0][0])

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column in file order: float64 (NaN missing; int64 when whole and complete), bool,
        datetime64, or object of str and None."""
        return _array(self._fetch([name], None)[name])

    def target(self) -> npt.NDArray[Any]:
        """The target in file order: object of str (None missing) or float64 (NaN missing)."""
        if self.target_name is None:
            raise KeyError("this table has no target")
        return self.column(self.target_name)

    def missing_target(self) -> npt.NDArray[np.int64]:
        """Row numbers without a target, ascending."""
        import numpy as np
        import pandas as pd

        return np.flatnonzero(pd.isna(self.target())).astype(np.int64)

    def keys(self, features: Sequence[str]) -> npt.NDArray[np.uint64]:
        """Shape (rows,): equal exactly where all `features` are equal (64 bits of md5)."""
        import numpy as np

        sql = f"md5_number_lower({self._row_text(features)})"
        found = self._column_of(sql)
        return np.asarray(found, dtype=np.uint64)

    def row_hashes(self) -> npt.NDArray[Any]:
        """Shape (rows,), object of str: first 16 hex digits of sha256 over the typed row, target
        included.

        Whole numbers hash like floats, so a column that gains a missing cell keeps its hashes.
        """
        import numpy as np

        return np.asarray(
            self._column_of(f"left(sha256({self._row_text(self.columns)}), 16)"), dtype=object
        )

    def filled(self, names: Sequence[str]) -> dict[str, int]:
        """Cells of the named columns that hold a value."""
        if not names:
            return {}
        listed = ", ".join(f"count({identifier(name)})" for name in names)
        counted = self._engine.rows(f"SELECT {listed} FROM {self._source}")[0]
        return {name: int(n) for name, n in zip(names, counted, strict=True)}

    def frame(self, rows: npt.NDArray[Any] | None, columns: Sequence[str]) -> pd.DataFrame:
        """The given rows in the given order (None: all, in file order)."""
        return self._fetch(columns, rows)

    def write(self, rows: npt.NDArray[Any], columns: Sequence[str], into: Path) -> None:
        """Parquet with exactly the given rows in the given order. Row numbers may repeat."""
        copy = self._engine.folder / "rows.parquet"
        with _Picked(self._engine, rows):
            self._engine.connection.execute(
                f"COPY ({self._select(columns, picked=True)}) TO {literal(str(copy))} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
        _move(copy, into)

    @staticmethod
    def write_frame(frame: pd.DataFrame, into: Path) -> None:
        """Any pandas frame as Parquet, without its index. Column names must be text."""
        with Engine() as engine:
            copy = engine.folder / "frame.parquet"
            engine.connection.register("handed", frame)
            engine.connection.execute(
                f"COPY (SELECT * FROM handed) TO {literal(str(copy))} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
            _move(copy, into)

    def close(self) -> None:
        """Free the connection; the Parquet file stays. Idempotent."""
        self._engine.close()

    def _row_text(self, columns: Sequence[str]) -> str:
        kinds = {
            str(row[0]): str(row[1])
            for row in self._engine.rows(f"DESCRIBE SELECT * FROM {self._source}")
        }
        cells = []
        for name in columns:
            cell = identifier(name)
            if kinds[name] == "BIGINT":
                cell = f"CAST({cell} AS DOUBLE)"
            cells.append(f"coalesce(CAST({cell} AS VARCHAR), {CELL_MISSING})")
        return f"concat_ws({CELL_END}, '', {', '.join(cells)})" if cells else "''"

    def _column_of(self, sql: str) -> Any:
        found = self._engine.connection.execute(
            f"SELECT {sql} AS v FROM {self._source} ORDER BY file_row_number"
        ).fetchnumpy()
        return found["v"]

    def _select(self, columns: Sequence[str], *, picked: bool) -> str:
        listed = ", ".join(f"t.{identifier(name)}" for name in columns)
        if not picked:
            return f"SELECT {listed} FROM {self._source} t ORDER BY t.file_row_number"
        return (
            f"SELECT {listed} FROM picked p JOIN {self._source} t ON t.file_row_number = p.row "
            "ORDER BY p.place"
        )

    def _fetch(self, columns: Sequence[str], rows: npt.NDArray[Any] | None) -> pd.DataFrame:
        if rows is None:
            return _frame(self._engine.connection.execute(self._select(columns, picked=False)).df())
        with _Picked(self._engine, rows):
            return _frame(self._engine.connection.execute(self._select(columns, picked=True)).df())


class _Picked:
    """Registers row numbers as the relation `picked(place, row)` for the time of one statement."""

    def __init__(self, engine: Engine, rows: npt.NDArray[Any]) -> None:
        import numpy as np
        import pandas as pd

        wanted = np.asarray(rows, dtype=np.int64)
        self._engine = engine
        self._frame = pd.DataFrame({"place": np.arange(wanted.size), "row": wanted})

    def __enter__(self) -> None:
        self._engine.connection.register("picked", self._frame)

    def __exit__(self, *_: object) -> None:
        self._engine.connection.unregister("picked")


def _frame(found: pd.DataFrame) -> pd.DataFrame:
    """Booleans that are complete become bool; text stays as pandas has it."""
    return found


def _array(values: pd.Series) -> npt.NDArray[Any]:
    import numpy as np
    import pandas as pd

    if isinstance(values.dtype, pd.StringDtype) or values.dtype == object:
        plain = values.astype(object).to_numpy(copy=True)
        plain[pd.isna(plain)] = None
        return np.asarray(plain, dtype=object)
    return np.asarray(values.to_numpy())
