"""The numbers of a table's rows, to know a row when it is printed.

Guarantees: numbers of a line, a bracket or a column of the text are judged together, never singly.
Does not know a row that ten rows share, nor rows beyond `MOST_CELLS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlagent.data.engine import Engine, identifier

SHARED = 10
"""Rows that share numbers which may leave together, as in `table_text.COMMON`."""
TELLING = 0.2
"""Share of the rows up to which a number tells something of a row."""
MOST_CELLS = 10_000_000
"""Numeric cells that are remembered, 12 bytes each: rows beyond are not known as rows."""

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]


class Printed(NamedTuple):
    """A number in a text.

    Attributes:
        start, end: in the reading.
        value: NaN for a missing cell, which keeps its place among the others.
        half: half a unit of its last digit.
    """

    start: int
    end: int
    value: float
    half: float


class Column(NamedTuple):
    """A numeric column: its cells in their order, and the row of each."""

    values: Floats
    rows: Rows

    def places(self, value: float, half: float) -> slice:
        """Where the cells stand that are this number, to half a unit of its last digit."""
        slack = half + 1e-12 * abs(value)
        low, high = np.searchsorted(self.values, (value - slack, value + slack))
        return slice(int(low), int(high))


class NumericCells:
    """The numeric cells of a table, and text cells of columns that hold nothing but numbers, to
    know a row when it is printed.

    Args:
        table: Parquet of the typed table.
    """

    def __init__(self, table: Path) -> None:
        self.columns: list[Column] = []
        self._known: dict[tuple[float, float], Rows] = {}
        with Engine([table]) as engine:
            source = f"read_parquet({engine.linked()})"
            described = engine.rows(f"DESCRIBE SELECT * FROM {source}")
            numeric = [name for name, kind, *_ in described if _numeric(engine, name, str(kind))]
            self.count = int(engine.rows(f"SELECT count(*) FROM {source}")[0][0])
            kept = MOST_CELLS // max(1, len(numeric))
            for name in numeric:
                cell = f"TRY_CAST({identifier(name)} AS DOUBLE)"
                sql = f"SELECT {cell} AS v FROM {source} LIMIT {kept}"
                found = engine.connection.execute(sql).fetchnumpy()["v"]
                cells = np.ma.filled(np.ma.asarray(found, dtype=np.float64), np.nan)
                order = np.argsort(cells, kind="stable")[: np.count_nonzero(~np.isnan(cells))]
                self.columns.append(Column(cells[order], order.astype(np.int32)))

    def hidden(self, groups: Iterable[list[list[Printed]]]) -> set[Printed]:
        """The numbers that are a row, or cells of one column.

        Args:
            groups: neighbours, such as lines, with the numbers of each.
        """
        found: set[Printed] = set()
        self._known.clear()
        width = len(self.columns)
        for group in groups if self.columns else ():
            chances = [min(self._row(unit), self._row(unit[1:])) for unit in group]
            matched = [chance for chance in chances if chance < 1]
            if 1 < len(group) <= len(matched) / 0.75 and np.prod(matched) < 0.01:
                found.update(*group)
                continue
            for unit, chance in zip(group, chances, strict=True):
                if chance < (0.05 if len(unit) < 4 else 0.4) or self._cells(unit):
                    found.update(unit)
                    continue
                for start in range(len(unit) - width + 1 if width > 2 else 0):
                    if self._whole(window := unit[start : start + width]):
                        found.update(window)
        return found

    def _row(self, unit: list[Printed]) -> float:
        """How likely it is by chance that a row holds nearly all numbers of the unit, in whatever
        order; 1 where none does, or ten do."""
        values = {(one.value, one.half) for one in unit if not math.isnan(one.value)}
        if len(values) < 2:
            return 1.0
        rows_of = [self._holders(value) for value in values]
        telling = [rows for rows in rows_of if rows.size <= self.count * TELLING]
        rows, times = np.unique(np.concatenate([*telling, _NOBODY]), return_counts=True)
        if not rows.size or (best := int(times.max())) < 0.75 * len(telling):
            return 1.0
        holders = rows[times == best]
        shares = sorted(one.size / self.count for one in telling if one.size)[-best:]
        for common in (one for one in rows_of if one.size > self.count * TELLING):
            holders = holders[np.isin(holders, common, assume_unique=True)]
            shares.append(common.size / self.count)
        if len(shares) < 2 or not 0 < holders.size < SHARED:
            return 1.0
        holding = sum(
            any(np.isin(holders, column.rows[column.places(*value)]).any() for value in values)
            for column in self.columns
        )
        if holding < len(shares):  # 0.48 and 0.5 are the same cell
            return 1.0
        return 1.0 - math.exp(-self.count * math.prod(shares))

    def _holders(self, value: tuple[float, float]) -> Rows:
        """The rows that hold a number in any column."""
        if value not in self._known:
            between = [column.rows[column.places(*value)] for column in self.columns]
            self._known[value] = np.unique(np.concatenate(between))
        return self._known[value]

    def _whole(self, window: list[Printed]) -> bool:
        """Whether one row, and at most nine, are these numbers, column by column."""
        found: Rows | None = None
        for column, one in zip(self.columns, window, strict=True):
            if math.isnan(one.value):
                continue
            rows = column.rows[column.places(one.value, one.half)]
            found = rows if found is None else found[np.isin(found, rows, assume_unique=True)]
            if not found.size:
                return False
        return found is not None and bool(found.size < SHARED)

    def _cells(self, unit: list[Printed]) -> bool:
        """Whether four numbers or more are cells of one column that less than ten rows share, in
        a column that has far from all numbers between them."""
        values = sorted({(one.value, one.half) for one in unit if not math.isnan(one.value)})
        if len(values) < 4:
            return False
        least, greatest = values[0][0], values[-1][0]
        step = 2 * min(half for _, half in values)
        for column in self.columns:
            sizes = [column.rows[column.places(*value)].size for value in values]
            rare = sum(0 < size < SHARED for size in sizes)
            if rare < 0.9 * len(values):
                continue
            between = column.places((least + greatest) / 2, (greatest - least + step) / 2)
            taken = np.unique(np.round(column.values[between] / step)).size
            if (taken / (1 + (greatest - least) / step)) ** rare < 0.05:
                return True
        return False


def _numeric(engine: Engine, name: str, kind: str) -> bool:
    if kind != "VARCHAR":
        return kind not in ("BOOLEAN", "DATE") and not kind.startswith("TIME")
    cell = identifier(name)
    asked = f"SELECT count(*) FROM read_parquet({engine.linked()}) WHERE {cell} IS NOT NULL"
    return not int(engine.rows(f"{asked} AND TRY_CAST({cell} AS DOUBLE) IS NULL")[0][0])


_NOBODY = np.zeros(0, dtype=np.int32)


def groups_of(text: str, numbers: list[Printed]) -> Iterator[list[list[Printed]]]:
    """Numbers that stand together: those of each line or innermost bracket, neighbours with as
    many numbers in a group; and of such a group the first ones, the second ones ..."""
    starts = [one.start for one in numbers]
    ends = [match.start() for match in re.finditer(r"\n|\Z", text)]
    cuts = [0, *(int(cut) for cut in np.searchsorted(starts, ends))]
    lines = [numbers[low:high] for low, high in pairwise(cuts) if high > low]
    for units in (lines, _brackets(text, numbers)):
        for _, run in groupby(units, len):
            group = list(run)
            yield group
            yield [list(column) for column in zip(*group, strict=True)]


def _brackets(text: str, numbers: list[Printed]) -> list[list[Printed]]:
    """The numbers of each bracket; one of a single number, as in float64(0.5), is none."""
    closed: list[list[Printed]] = []
    open_: list[list[Printed]] = [[]]
    left = iter([*numbers, None])
    number = next(left)
    for match in re.finditer(r"[][(){}]", text):
        while number is not None and number.start < match.start():
            open_[-1].append(number)
            number = next(left)
        if match[0] in "[({":
            open_.append([])
        elif len(open_) > 1:
            inside = open_.pop()
            if len(inside) > 1:
                closed.append(inside)
            else:
                open_[-1].extend(inside)
    return closed
