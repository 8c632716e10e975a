"""Drift: how the values of each column are spread, and how far two tables are apart.

One module for pull requests and for monitoring: `spread_of` counts a table once (a run folder keeps
the counts as distributions.json), `spread_like` counts another table in the same bins, `difference`
compares the two.

Guarantees: aggregates only (a value is named when it stands in at least 10 rows of a category
column); numbers are cut at the reference's deciles, missing cells are a bin of their own; a PSI
that sampling alone explains is `stable`. Does not: join features and target, look at ids and text,
or correct for the number of columns (about 1 in 20 stable columns exceeds its noise by chance).

PSI = sum over bins of (q - p) ln(q / p), with half a row added to each bin. 0.1 and 0.25 are the
usual limits (Siddiqi 2006). Without drift, PSI / (1/n + 1/m) is about chi-squared with bins - 1
degrees of freedom (Yurdakul 2018): `noise` is its 95 % point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlagent.contracts.drift import (
    ColumnDrift,
    ColumnSpread,
    DataDifference,
    Distributions,
    DriftLevel,
    Retyped,
)
from mlagent.contracts.plan import ColumnChoice

from .wire import TypedTable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MODERATE, LARGE = 0.1, 0.25
BINS = 10
NAMED_FROM = 10
MOST_LABELS = 30
MOST_ROWS = 200_000
"""Of more rows a fixed random sample is counted."""
SHOWN, MOST_NAMES = 50, 100
UNCOUNTED = {"id", "text", "excluded"}


def spread_of(
    typed: TypedTable, columns: Mapping[str, ColumnChoice], sha256: str, *, seed: int = 0
) -> Distributions:
    """Count every column of a typed table in bins of its own.

    Args:
        typed: from `wire.ingest` with these columns.
        columns: `columns.found` of the plan.
        sha256: of the table's file.
        seed: of the sample, when the table has more than 200,000 rows.
    """
    return _spread(typed, columns, sha256, {}, seed)


def spread_like(
    reference: Distributions,
    typed: TypedTable,
    columns: Mapping[str, ColumnChoice],
    sha256: str,
    *,
    seed: int = 0,
) -> Distributions:
    """Count another table in the bins of `reference`. Columns that it lacks are left out."""
    bins = {one.name: one for one in reference.columns}
    return _spread(typed, columns, sha256, bins, seed)


def difference(
    before: Distributions,
    after: Distributions,
    *,
    rows_after: int | None = None,
    names_after: Sequence[str] | None = None,
    types_after: Mapping[str, ColumnSpread] | None = None,
) -> DataDifference:
    """Schema, rows and drift between two tables that were counted in the same bins.

    Args:
        rows_after, names_after: of the whole second table, where `after` holds less.
        types_after: the second table's columns as its own plan reads them; None: as before.
    """
    new = {one.name: one for one in after.columns}
    old = {one.name: one for one in before.columns}
    names = list(new) if names_after is None else list(names_after)
    drift = [column_drift(old[name], new[name]) for name in old if name in new]
    drift.sort(key=lambda one: (one.psi is None, -(one.psi or 0.0), one.column))
    return DataDifference(
        same_file=before.data_sha256 == after.data_sha256,
        rows_before=before.rows,
        rows_after=after.rows if rows_after is None else rows_after,
        added=tuple(clip(name) for name in names if name not in old)[:MOST_NAMES],
        removed=tuple(clip(name) for name in old if name not in names)[:MOST_NAMES],
        retyped=retyped(old, types_after or {})[:MOST_NAMES],
        columns=tuple(drift[:SHOWN]),
        compared=sum(one.psi is not None for one in drift),
    )


def column_drift(before: ColumnSpread, after: ColumnSpread) -> ColumnDrift:
    """One column, counted twice in the same bins."""
    old, new = _with_rest(before), _with_rest(after)
    shares = [one.missing / max(1, one.missing + _filled(one)) for one in (before, after)]
    index, noise, level = None, None, "not compared"
    if before.counts and after.counts:
        index, noise = psi(old, new)
        level = level_of(index, noise)
    return ColumnDrift(
        column=clip(before.name),
        psi=index,
        noise=noise,
        level=level,
        missing_before=shares[0],
        missing_after=shares[1],
    )


def psi(before: Sequence[int], after: Sequence[int]) -> tuple[float, float]:
    """Population stability index of two lists of counts, and what sampling alone stays below in 95
    of 100 cases. Bins that are empty in both are left out."""
    import numpy as np
    from scipy.stats import chi2

    counts = np.array([before, after], dtype=np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    n, m = counts.sum(axis=1)
    if counts.shape[1] < 2 or not n or not m:
        return 0.0, 0.0
    shares = counts + 0.5
    shares /= shares.sum(axis=1, keepdims=True)
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    return index, float(chi2.ppf(0.95, counts.shape[1] - 1) * (1 / n + 1 / m))


def level_of(index: float, noise: float) -> DriftLevel:
    """'stable' below 0.1 or within the noise, 'large' above 0.25, else 'moderate'."""
    if index < MODERATE or index <= noise:
        return "stable"
    return "large" if index >= LARGE else "moderate"


def retyped(
    before: Mapping[str, ColumnSpread], after: Mapping[str, ColumnSpread]
) -> tuple[Retyped, ...]:
    """Columns of both tables whose role or dtype is another one."""
    found = []
    for name, one in before.items():
        other = after.get(name)
        if other is not None and (one.role, one.dtype) != (other.role, other.dtype):
            was, now = f"{one.role} {one.dtype}", f"{other.role} {other.dtype}"
            found.append(Retyped(column=clip(name), before=clip(was), after=clip(now)))
    return tuple(found)


def clip(text: str, most: int = 300) -> str:
    """At most `most` characters, an ellipsis for the rest."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _spread(
    typed: TypedTable,
    columns: Mapping[str, ColumnChoice],
    sha256: str,
    bins: Mapping[str, ColumnSpread],
    seed: int,
) -> Distributions:
    import numpy as np

    rows: npt.NDArray[np.int64] | None = None
    if typed.rows > MOST_ROWS:
        drawn = np.random.default_rng(seed).choice(typed.rows, MOST_ROWS, replace=False)
        rows = np.sort(drawn)
    found = []
    for name in typed.columns:
        if name not in columns or (bins and name not in bins):
            continue
        choice, like = columns[name], bins.get(name)
        cells = typed.frame(rows, [name])[name]
        found.append(_counted(name, choice, cells, like))
    return Distributions(
        data_sha256=sha256,
        rows=typed.rows,
        counted_rows=typed.rows if rows is None else len(rows),
        columns=tuple(found),
    )


def _counted(
    name: str, choice: ColumnChoice, cells: Any, like: ColumnSpread | None
) -> ColumnSpread:
    """The counts of one pandas column; in the bins of `like` when it is given."""
    import numpy as np

    filled = cells[cells.notna()]
    role, dtype = (choice.role, choice.dtype) if like is None else (like.role, like.dtype)
    base: dict[str, Any] = {
        "name": name,
        "role": role,
        "dtype": dtype,
        "missing": len(cells) - len(filled),
    }
    if role in UNCOUNTED or (like is not None and not like.counts):
        return ColumnSpread(**base)
    if dtype in ("str", "bool"):
        return _labels(base, filled.astype(str), like)
    values = _numbers(filled, dtype)
    infinite = ~np.isfinite(values)
    base["missing"] += int(infinite.sum())
    values = values[~infinite]
    edges = _edges(values) if like is None else np.array(like.edges)
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    base |= {"edges": tuple(float(edge) for edge in edges), "counts": tuple(map(int, counts))}
    return ColumnSpread(**base)


def _labels(base: dict[str, Any], texts: Any, like: ColumnSpread | None) -> ColumnSpread:
    counted = texts.value_counts()
    if like is not None:
        labels: tuple[str, ...] = like.labels
    else:
        often = counted[counted >= NAMED_FROM]
        order = sorted(often.index, key=lambda text: (-int(often[text]), text))
        labels = tuple(order[:MOST_LABELS])
    counts = tuple(int(counted.get(text, 0)) for text in labels)
    other = int(counted.sum()) - sum(counts)
    return ColumnSpread(**base, labels=labels, counts=counts, other=other)


def _numbers(filled: Any, dtype: str) -> npt.NDArray[np.float64]:
    """Numbers as they are, dates as seconds since 1970; shape (n,)."""
    import numpy as np

    if dtype == "datetime64":
        return np.asarray(filled.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6)
    return np.asarray(filled.to_numpy(dtype=np.float64))


def _edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The deciles between the bins, each once; the maximum is no edge."""
    import numpy as np

    if not len(values):
        return np.zeros(0)
    steps = np.arange(1, BINS) / BINS
    edges = np.unique(np.quantile(values, steps, method="inverted_cdf"))
    return np.asarray(edges[edges < values.max()])


def _filled(one: ColumnSpread) -> int:
    return sum(one.counts) + one.other


def _with_rest(one: ColumnSpread) -> tuple[int, ...]:
    return (*one.counts, one.other, one.missing)
