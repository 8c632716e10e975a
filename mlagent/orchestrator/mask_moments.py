"""The dates and times of a table's rows, to know one when it is printed.

Guarantees: where a column holds dates, no day leaves with the name of its month and no time of day;
three neighbouring numbers that are year, month and day, month, day and hour, or day, hour and
minute of less than ten rows are known, unless the table has so many that they tell nothing. Does
not know other writings, such as a day of the year alone, nor names of months that are not English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlagent.data.engine import Engine, identifier

from .mask_numbers import MOST_CELLS, SHARED, Printed

_MONTH = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
_DAY, _YEAR = r"\d{1,2}(?:st|nd|rd|th)?", r"(?:[-\s./,]{1,2}'?(?:\d{4}|\d\d)(?!\d))?"
_WRITTEN = re.compile(
    rf"(?<![^\W_])(?:{_DAY}[-\s./,]{{1,2}}(?:of\s)?(?:{_MONTH})(?![^\W\d_])\.?{_YEAR}"
    rf"|(?:{_MONTH})\.?[-\s./]{_DAY}(?![^\W_]){_YEAR}"
    r"|(?<![:.])\d{1,2}[:.h]\d\d\s?[ap]\.?m\b|(?<![:.])\d{1,2}:\d\d(?![:\d]))",
    re.IGNORECASE,
)
PARTS = ("year({}) % 100", "month({})", "day({})", "hour({})", "minute({})")
WINDOWS = ((0, 1, 2), (1, 2, 3), (2, 3, 4))
"""Of the parts, three by three."""
ORDERS = (((0, 1, 2), (2, 1, 0), (2, 0, 1)), ((0, 1, 2), (1, 0, 2)), ((0, 1, 2),))
"""In which orders the three are printed: the place of each."""
DENSE = (0.5, 0.05, 0.05)
"""Of each window: from this share of all that could be, three numbers tell nothing of a row. A year
is seldom another number; hours and minutes are any small ones."""

Codes = npt.NDArray[np.int64]


class Moments:
    """The dates of a table.

    Args:
        table: Parquet of the typed table.
    """

    def __init__(self, table: Path) -> None:
        self._rare: list[tuple[int, Codes]] = []
        with Engine([table]) as engine:
            source = f"read_parquet({engine.linked()})"
            described = engine.rows(f"DESCRIBE SELECT * FROM {source}")
            names = [
                name
                for name, kind, *_ in described
                if str(kind) == "DATE" or str(kind).startswith("TIMESTAMP")
            ]
            self.any = bool(names)
            for name in names:
                cell = f"CAST({identifier(name)} AS TIMESTAMP)"
                parts = ", ".join(
                    f"{part.format(cell)} AS p{place}" for place, part in enumerate(PARTS)
                )
                found = engine.connection.execute(
                    f"SELECT {parts} FROM {source} WHERE {identifier(name)} IS NOT NULL "
                    f"LIMIT {MOST_CELLS // (len(PARTS) * len(names))}"
                ).fetchnumpy()
                columns = [np.asarray(found[f"p{place}"], np.int64) for place in range(len(PARTS))]
                for window, places in enumerate(WINDOWS):
                    self._add(window, [columns[place] for place in places])

    def _add(self, window: int, three: list[Codes]) -> None:
        codes, rows = np.unique(_code(*three), return_counts=True)
        possible = np.prod([np.unique(part).size for part in three])
        if codes.size and codes.size / possible < DENSE[window]:
            self._rare.append((window, codes[rows < SHARED]))

    def written(self, text: str) -> Iterator[re.Match[str]]:
        """Days by the names of their months, and times of day."""
        return _WRITTEN.finditer(text) if self.any else iter(())

    def hidden(self, groups: Iterable[list[list[Printed]]]) -> set[Printed]:
        """The numbers that are parts of a date of the table.

        Args:
            groups: neighbours, such as lines, with the numbers of each.
        """
        found: set[Printed] = set()
        for group in groups if self._rare else ():
            for unit in group:
                for three in zip(unit, unit[1:], unit[2:], strict=False):
                    if self._known([one.value for one in three]):
                        found.update(three)
        return found

    def _known(self, three: list[float]) -> bool:
        if not all(0 <= value < 10_000 and value == int(value) for value in three):
            return False
        for window, codes in self._rare:
            for order in ORDERS[window]:
                first, second, third = (int(three[place]) for place in order)
                code = _code(first % 100 if window == 0 else first, second, third)
                place = int(np.searchsorted(codes, code))
                if place < codes.size and codes[place] == code:
                    return True
        return False


def _code(first: Codes | int, second: Codes | int, third: Codes | int) -> Codes | int:
    return (first * 10_000 + second) * 10_000 + third
