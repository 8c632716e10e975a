"""Profile: each column's kind and counts, from a sample of rows and a streaming count.

Guarantees: aggregates only (a value is shown when it stands in at least 10 rows of a category
column); nothing joins a feature with the target; up to 50,000 rows every count is exact, above that
counts, minima and maxima are of the whole table, distinct values are estimated, quantiles, failed
cells and duplicates are the sample's. Does not: change a cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from mlagent.contracts.base import TaskKind
from mlagent.contracts.errors import BadInput
from mlagent.contracts.profile import ColumnProfile, Profile

from .cells import is_missing, missing_sql, number_sql
from .door import Table
from .kinds import Kind, comma_notes, infinite_notes, kind_of

if TYPE_CHECKING:
    import pandas as pd

EXACT_ROWS = 50_000
"""Up to so many rows everything is counted exactly, from the rows themselves."""
PROBED_ROWS = 20_000
"""Rows that types are probed on when the table is larger."""
COUNTED_VALUES = 50
"""Columns with at most so many distinct values are counted value by value."""
SHOWN_AT_LEAST = 10
SHOWN_VALUES = 20
DUPLICATE_CELLS = 20_000_000


class TableProfile(Profile):
    """A Profile that also remembers, in memory only, how often each value of a short column occurs.

    `infer` reads it to find classes; it is never written: only the fields of `Profile` are.
    """

    _counts: dict[str, dict[str, int]] = PrivateAttr(default_factory=dict)

    def value_counts(self, column: str) -> dict[str, int] | None:
        """Texts (not missing) -> rows of the whole table, or None when there are too many
        values."""
        return self._counts.get(column)


def profile_table(
    table: Table, *, target: str | None = None, ids: Sequence[str] = (), seed: int = 0
) -> TableProfile:
    """Profile an open table.

    Args:
        table: see `door.open_table`.
        target: marks its role; None when it is not known yet (see `with_target`).
        ids: columns that the user says are ids.
        seed: of the row sample.

    Raises:
        BadInput: `target` or one of `ids` is no column.
    """
    for name in (*ids, *((target,) if target else ())):
        if name not in table.names:
            raise absent_column(name, table.names, "--target" if name == target else "--id")
    wanted = table.ref.rows if table.ref.rows <= EXACT_ROWS else PROBED_ROWS
    frame = table.sample(wanted, seed)
    complete = len(frame) == table.ref.rows
    kinds = {name: kind_of(name, frame[name], table.ref.rows) for name in table.names}
    for name in ids:
        kinds[name] = _as_given_id(kinds[name])
    columns: list[ColumnProfile] = []
    counts: dict[str, dict[str, int]] = {}
    whole = None if complete else _stream(table, list(kinds.values()))
    for number, name in enumerate(table.names):
        kind, cells = kinds[name], frame[name]
        counted = _value_counts(cells, kind, whole, number)
        if counted is not None:
            counts[name] = counted
        columns.append(_column(name, kind, cells, counted, whole, number, table.ref.rows))
    infinite = {column.name: column.infinite for column in columns}
    notes = (*table.ref.notes, *comma_notes(kinds), *infinite_notes(infinite))
    if not complete:
        seen = f"{len(frame)} of {table.ref.rows} rows, drawn by row number."
        notes = (*notes, f"Types, quantiles and duplicates are from {seen}")
    profile = TableProfile(
        rows=table.ref.rows,
        sampled_rows=len(frame),
        columns=tuple(columns),
        duplicate_rows=_duplicates(frame),
        notes=notes,
    )
    profile._counts = counts
    if target is None:
        return profile
    number_target = kinds[target].role == "number" and kinds[target].distinct > COUNTED_VALUES
    return with_target(profile, target, "regression" if number_target else "multiclass")


def with_target(profile: Profile, target: str, kind: TaskKind) -> TableProfile:
    """The same profile with the target marked and, for a classification, its classes counted.

    No second look at the table. Raises KeyError when the column is absent.
    """
    counts = profile._counts if isinstance(profile, TableProfile) else {}
    old = profile.column(target)
    shown = counts.get(target, dict(old.top)) if kind != "regression" else {}
    ranked = tuple(sorted(shown.items(), key=lambda item: (-item[1], item[0])))
    new = old.model_copy(
        update={
            "role": "target",
            "dtype": "float64" if kind == "regression" else "str",
            "top": tuple((v, n) for v, n in ranked if n >= SHOWN_AT_LEAST)[:SHOWN_VALUES],
        }
    )
    marked = TableProfile(
        rows=profile.rows,
        sampled_rows=profile.sampled_rows,
        columns=tuple(new if column.name == target else column for column in profile.columns),
        duplicate_rows=profile.duplicate_rows,
        target_counts=ranked,
        notes=profile.notes,
    )
    marked._counts = dict(counts)
    return marked


def absent_column(name: str, names: Sequence[str], flag: str) -> BadInput:
    """The error for a column that is not there, with the nearest names."""
    import difflib

    lower = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)
    near += [one for one in lower if name.lower() in one or one in name.lower()]
    close = list(dict.fromkeys(lower[one] for one in near))[:3]
    listed = close or list(names)[:12]
    said = "Did you mean" if close else "The columns are"
    more = " ..." if not close and len(names) > 12 else ""
    return BadInput(
        f"{flag} names {name!r}, but the table has no such column.",
        remedy=f"{said}: {', '.join(map(repr, listed))}{more}{'?' if close else '.'}",
    )


def _as_given_id(kind: Kind) -> Kind:
    from dataclasses import replace

    return replace(kind, role="id", why="named by --id")


def _fields(number: int, kind: Kind) -> list[tuple[str, str]]:
    """The aggregates of one column in the streaming pass: (key, SQL)."""
    cell, x = f"c{number}", f"x{number}"
    if 1 <= kind.distinct <= COUNTED_VALUES:
        some = [("histogram", f"histogram({cell})")]
    else:
        some = [("distinct", f"approx_count_distinct({cell})")]
    if _is_number(kind):
        away = f"({x} - {_middle(kind)!r})"
        some += [
            ("parsed", f"count({x})"),
            ("minimum", f"min({x})"),
            ("maximum", f"max({x})"),
            ("sum", f"sum({away})"),
            ("square", f"sum({away} * {away})"),
        ]
    elif "histogram" not in dict(some):
        blank = missing_sql(cell, kind.missing_tokens, numbers=kind.role == "datetime")
        some += [("blank", f"count(*) FILTER ({blank})"), ("length", f"avg(length({cell}))")]
    return some


def _is_number(kind: Kind) -> bool:
    return kind.values is not None and kind.role in ("number", "id", "constant")


def _middle(kind: Kind) -> float:
    """Numbers are summed around the sample's mean, so that squares do not cancel."""
    import numpy as np

    finite = kind.values[~np.isnan(kind.values)]
    return float(finite.mean()) if finite.size and np.isfinite(finite.mean()) else 0.0


def _stream(table: Table, kinds: Sequence[Kind]) -> list[dict[str, Any]]:
    """Counts of the whole table; one more pass for columns that hold infinities or NaN."""
    import math

    every = dict(enumerate(kinds))
    seen = _aggregate(table, every, finite=False)
    odd = {
        number: kind
        for number, kind in every.items()
        if "sum" in seen[number] and not math.isfinite(seen[number]["square"] or 0.0)
    }
    if odd:
        for number, facts in _aggregate(table, odd, finite=True).items():
            everything = int(seen[number]["parsed"])
            seen[number] = {
                **facts,
                "infinite": max(everything - facts["parsed"] - facts["nan"], 0),
            }
    return [seen[number] for number in every]


def _aggregate(table: Table, kinds: dict[int, Kind], *, finite: bool) -> dict[int, dict[str, Any]]:
    numbers = []
    for n, kind in kinds.items():
        if not _is_number(kind):
            continue
        sql = number_sql(
            f"c{n}",
            thousands=kind.thousands,
            decimal_comma=kind.decimal_comma,
            signs=kind.signs,
        )
        if finite:
            numbers.append(f"CASE WHEN isfinite({sql}) THEN {sql} END AS x{n}")
            numbers.append(f"isnan({sql}) AS n{n}")
        else:
            numbers.append(f"{sql} AS x{n}")
    fields = {n: _fields(n, kind) for n, kind in kinds.items()}
    if finite:
        fields = {n: [*some, ("nan", f"count(*) FILTER (n{n})")] for n, some in fields.items()}
    source = f"(SELECT {', '.join(['*', *numbers])} FROM {table.relation})"
    seen: dict[int, dict[str, Any]] = {n: {} for n in kinds}
    # histograms apart from the rest: together they take twice the time of two passes (duckdb 2.0)
    for histograms in (False, True):
        wanted = [
            (n, key, sql)
            for n, some in fields.items()
            for key, sql in some
            if (key == "histogram") == histograms
        ]
        if wanted:
            row = table.engine.rows(f"SELECT {', '.join(sql for *_, sql in wanted)} FROM {source}")[
                0
            ]
            for (n, key, _), value in zip(wanted, row, strict=True):
                seen[n][key] = value
    return seen


def _value_counts(
    cells: pd.Series, kind: Kind, whole: list[dict[str, Any]] | None, number: int
) -> dict[str, int] | None:
    numbers = kind.role in ("number", "datetime") or kind.values is not None
    if whole is None:
        if not 1 <= kind.distinct <= COUNTED_VALUES:
            return None
        pairs = Counter(value for value in cells if isinstance(value, str)).items()
    else:
        histogram = whole[number].get("histogram")
        if histogram is None or len(histogram) > 20 * COUNTED_VALUES:
            return None
        pairs = histogram.items()
    kept = {
        str(text): int(count)
        for text, count in pairs
        if not (is_missing(text, numbers=numbers) or text in kind.missing_tokens)
    }
    return dict(sorted(kept.items(), key=lambda item: (-item[1], item[0])))


def _column(
    name: str,
    kind: Kind,
    cells: pd.Series,
    counted: dict[str, int] | None,
    whole: list[dict[str, Any]] | None,
    number: int,
    rows: int,
) -> ColumnProfile:
    facts: dict[str, Any] = {}
    seen = None if whole is None else whole[number]
    missing, infinite, distinct = kind.missing, kind.infinite, kind.distinct
    length: float | None = None
    if kind.values is not None:
        facts = _numbers(kind, seen)
    elif kind.dtype == "str":
        filled = [len(cell) for cell in cells if isinstance(cell, str)]
        length = sum(filled) / len(filled) if filled else None
    if seen is not None:
        if counted is not None and kind.values is None:
            distinct = len(counted)
        elif "distinct" in seen:
            # HyperLogLog is off by a few per cent; it cannot know more values than there are rows
            estimate = min(int(seen["distinct"]), rows) - len(kind.missing_tokens)
            distinct = max(estimate, kind.distinct)
        infinite = int(seen.get("infinite", 0))
        if "parsed" in seen:
            failed = round(kind.failed * rows / len(cells))
            missing = max(rows - int(seen["parsed"]) - infinite - failed, 0)
        elif counted is not None:
            missing = rows - sum(counted.values())
        else:
            missing, length = int(seen["blank"]), seen["length"]
    if length is not None:
        facts["mean_length"] = float(length)
    top: tuple[tuple[str, int], ...] = ()
    if kind.role == "category":
        ranked = counted or {}
        if counted is None and whole is None:
            ranked = dict(Counter(c for c in cells if isinstance(c, str)).most_common(60))
            ranked = {v: n for v, n in ranked.items() if not is_missing(v)}
        top = tuple((v, n) for v, n in ranked.items() if n >= SHOWN_AT_LEAST)[:SHOWN_VALUES]
    dtype = kind.dtype
    if dtype == "int64" and (missing or kind.failed or infinite):
        dtype = "float64"
    return ColumnProfile(
        name=name,
        role=kind.role,
        dtype=dtype,
        why=kind.why,
        missing=missing,
        missing_tokens=kind.missing_tokens,
        distinct=distinct,
        failed=kind.failed,
        datetime_format=kind.datetime_format,
        thousands=kind.thousands,
        decimal_comma=kind.decimal_comma,
        infinite=infinite,
        top=top,
        **facts,
    )


def _numbers(kind: Kind, seen: dict[str, Any] | None) -> dict[str, Any]:
    """minimum, maximum, mean, std, quantiles. A value too large to be squared leaves std out."""
    import math

    import numpy as np

    finite = kind.values[~np.isnan(kind.values)]
    if not finite.size:
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        facts: dict[str, float | None] = {
            "minimum": float(finite.min()),
            "maximum": float(finite.max()),
            "mean": float(finite.mean()),
            "std": float(finite.std(ddof=1)) if finite.size > 1 else 0.0,
        }
        if seen is not None and seen.get("parsed"):
            n, middle = int(seen["parsed"]), _middle(kind)
            mean = float(seen["sum"]) / n
            spread = max(float(seen["square"]) / n - mean * mean, 0.0)
            facts = {
                "minimum": float(seen["minimum"]),
                "maximum": float(seen["maximum"]),
                "mean": middle + mean,
                "std": math.sqrt(spread * n / max(n - 1, 1)),
            }
        quantiles = [float(q) for q in np.quantile(finite, [0.05, 0.25, 0.5, 0.75, 0.95])]
    return {
        **{
            key: value for key, value in facts.items() if value is not None and math.isfinite(value)
        },
        "quantiles": tuple(quantiles) if all(map(math.isfinite, quantiles)) else (),
    }


def _duplicates(frame: pd.DataFrame) -> int | None:
    """Rows of the sample that stand in it before, cell by cell."""
    if frame.size > DUPLICATE_CELLS:
        return None
    return int(frame.duplicated().sum())
