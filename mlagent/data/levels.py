"""Categories that a model was trained with, and cells of new rows that hold another one.

Guarantees: levels are text, as the typed table holds them; a column with more than `MOST_LEVELS` is
left out. Missing cells are no level. Does not judge: an unseen category may be harmless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .engine import Engine, identifier

MOST_LEVELS = 1_000
EXAMPLES = 3


class Unseen(NamedTuple):
    """Cells of one column with categories that were not in the training rows."""

    cells: int
    examples: tuple[str, ...]


def levels_of(table: Path, columns: Sequence[str]) -> dict[str, list[str]]:
    """The distinct cells of each column of a Parquet file, sorted."""
    found: dict[str, list[str]] = {}
    with Engine([table]) as engine:
        for name in columns:
            rows = engine.rows(
                f"SELECT DISTINCT {_as_text(engine, name)} AS level "
                f"FROM read_parquet({engine.linked()}) WHERE {identifier(name)} IS NOT NULL "
                f"LIMIT {MOST_LEVELS + 1}"
            )
            if len(rows) <= MOST_LEVELS:
                found[name] = sorted(str(level) for (level,) in rows)
    return found


def unseen(table: Path, levels: Mapping[str, Sequence[str]]) -> dict[str, Unseen]:
    """Columns of a Parquet file with cells that are no known level; the commonest first."""
    found: dict[str, Unseen] = {}
    with Engine([table]) as engine:
        for name, known in levels.items():
            rows = engine.rows(
                f"SELECT {_as_text(engine, name)} AS level, count(*) AS cells "
                f"FROM read_parquet({engine.linked()}) WHERE {identifier(name)} IS NOT NULL "
                "GROUP BY level HAVING NOT list_contains(?, level) ORDER BY cells DESC, level",
                [list(known)],
            )
            if rows:
                cells = sum(int(count) for _, count in rows)
                found[name] = Unseen(cells, tuple(str(level) for level, _ in rows[:EXAMPLES]))
    return found


def _as_text(engine: Engine, name: str) -> str:
    """SQL for a cell as text; a whole number is the same whether its column has missing cells."""
    column = identifier(name)
    kind = engine.rows(f"DESCRIBE SELECT {column} FROM read_parquet({engine.linked()})")[0][1]
    number = str(kind) in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE")
    return f"CAST(CAST({column} AS DOUBLE) AS VARCHAR)" if number else f"CAST({column} AS VARCHAR)"
