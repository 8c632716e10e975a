"""Units: which rows must stay together, and how units are dealt out.

A unit is a set of rows that may never lie on two sides of a split: one row, a group, a set of rows
with equal features, or what groups and equal features tie together.

Guarantees: a unit is never cut. Does not: see near-duplicates, or relations that no column names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlagent.contracts.base import TaskKind

from .truth import Codes, is_missing

DISTINCT_AT_LEAST = 0.5
LARGEST_KEY = 0.01
LARGEST_KEY_ROWS = 5
"""In small tables a key with up to this many rows is grouped, though it may be over 1 % of the
rows."""
TIED_AT_MOST = 0.2
"""Groups that equal features would tie together into more than this share of rows are not tied."""


@dataclass(frozen=True)
class RowFacts:
    """What the split needs to know of each row, in file order.

    Attributes:
        kind: the task.
        y: (n,) class codes (-1: target missing) or float64 values (NaN: missing).
        keys: (n,) uint64 hash of the features without ids and target.
        row_hashes: (n,) first 16 hex digits of the row's sha256: as uint64 numbers or as strings.
        groups: (n,) any labels, None or NaN or -1 for missing (each such row is its own group).
            None: no group column was given.
        times: (n,) numbers or datetime64, NaN or NaT for missing. None: no time column was given.
    """

    kind: TaskKind
    y: npt.NDArray[Any]
    keys: npt.NDArray[Any]
    row_hashes: npt.NDArray[Any]
    groups: npt.NDArray[Any] | None = None
    times: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for name in ("keys", "row_hashes", "groups", "times"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.y):
                raise ValueError(f"{name} has {len(column)} rows, the target {len(self.y)}")

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def has_target(self) -> npt.NDArray[np.bool_]:
        """(n,) False where the target is missing."""
        if self.kind == "regression":
            return ~np.isnan(self.y.astype(np.float64))
        return np.asarray(self.y >= 0)

    def take(self, rows: npt.NDArray[Any]) -> RowFacts:
        """The same for a part of the rows, in the order of `rows`."""
        return RowFacts(
            self.kind,
            self.y[rows],
            self.keys[rows],
            self.row_hashes[rows],
            None if self.groups is None else self.groups[rows],
            None if self.times is None else self.times[rows],
        )

    def hex_hashes(self, rows: npt.NDArray[Any]) -> list[str]:
        """16 hex digits for each of `rows`."""
        chosen = self.row_hashes[rows]
        if chosen.dtype.kind == "u":
            return [f"{int(value):016x}" for value in chosen]
        return [str(value) for value in chosen]


def group_codes(groups: npt.NDArray[Any]) -> Codes:
    """(n,) codes from 0; a row whose group is missing is a group of its own."""
    if groups.dtype.kind == "O":
        names: dict[Any, int] = {}
        codes = np.empty(len(groups), dtype=np.int64)
        for i, label in enumerate(groups):
            codes[i] = -1 if is_missing(label) else names.setdefault(label, len(names))
    elif groups.dtype.kind == "f":
        codes = np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)
        codes[np.isnan(groups)] = -1
    elif groups.dtype.kind == "i":
        codes = np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)
        codes[groups == -1] = -1
    else:
        codes = np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(len(alone))
    return codes


def duplicates_note(keys: npt.NDArray[Any]) -> str | None:
    """Why rows with equal features are not kept together, or None when they are (rule 4)."""
    _, counts = np.unique(keys, return_counts=True)
    n = len(keys)
    if len(counts) < DISTINCT_AT_LEAST * n:
        return (
            f"only {len(counts)} of {n} rows have distinct features: rows with equal features "
            "were not kept on one side of the split."
        )
    largest = int(counts.max(initial=0))
    if largest > max(LARGEST_KEY * n, LARGEST_KEY_ROWS):
        return (
            f"{largest} of {n} rows share the same features: rows with equal features were not "
            "kept on one side of the split."
        )
    return None


@dataclass(frozen=True)
class Units:
    """(n,) unit codes, whether equal features stay together, and what there is to say about it."""

    code: Codes
    grouped_duplicates: bool
    notes: tuple[str, ...]


def units_of(facts: RowFacts, *, by_group: bool, by_key: bool | None = None) -> Units:
    """The units of a table. `by_group` needs `facts.groups`; `by_key` None: rule 4 decides."""
    note = duplicates_note(facts.keys) if by_key is None else None
    tie_keys = note is None if by_key is None else by_key
    notes = (note,) if note else ()
    if not by_group:
        if not tie_keys:
            return Units(np.arange(facts.n), False, notes)
        return Units(_dense(facts.keys), True, notes)
    assert facts.groups is not None
    groups = group_codes(facts.groups)
    if not tie_keys:
        return Units(groups, False, notes)
    tied = _tied(groups, _dense(facts.keys))
    largest = int(np.bincount(tied).max(initial=0))
    if largest > max(TIED_AT_MOST * facts.n, int(np.bincount(groups).max(initial=0))):
        said = (
            "equal features occur across many groups: groups were kept whole, rows with equal "
            "features were not kept on one side of the split."
        )
        return Units(groups, False, (*notes, said))
    return Units(tied, True, notes)


def _dense(values: npt.NDArray[Any]) -> Codes:
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _tied(groups: Codes, keys: Codes) -> Codes:
    """Connected components of groups and keys: the smallest units that cut neither."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n_groups, n_keys = int(groups.max(initial=-1)) + 1, int(keys.max(initial=-1)) + 1
    size = n_groups + n_keys
    edges = coo_matrix((np.ones(len(groups)), (groups, n_groups + keys)), shape=(size, size))
    component = connected_components(edges, directed=False)[1]
    return _dense(component[groups])


def strata_of(facts: RowFacts, stratify: bool) -> Codes:
    """(n,) stratum per row: class code, or a tenth of the target's range of ranks; all 0 without
    `stratify`. -1: the target is missing."""
    known = facts.has_target
    out = np.where(known, 0, -1).astype(np.int64)
    if not stratify or not known.any():
        return out
    if facts.kind != "regression":
        return np.where(known, facts.y, -1).astype(np.int64)
    values = facts.y[known].astype(np.float64)
    bins = min(10, max(1, len(values) // 20))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    out[known] = np.searchsorted(edges, values, side="right")
    return out


@dataclass(frozen=True)
class UnitTable:
    """Per unit: number of rows with a target, and the stratum that most of them are of (-1: none
    has a target)."""

    size: Codes
    stratum: Codes


def unit_table(unit: Codes, strata: Codes) -> UnitTable:
    """Sizes and strata of units. (n,), (n,) -> per unit."""
    count = int(unit.max(initial=-1)) + 1
    known = strata >= 0
    size = np.bincount(unit[known], minlength=count)
    stratum = np.full(count, -1, dtype=np.int64)
    if known.any():
        width = int(strata.max()) + 1
        pair, times = np.unique(unit[known] * width + strata[known], return_counts=True)
        order = np.argsort(times, kind="stable")
        stratum[pair[order] // width] = pair[order] % width
    return UnitTable(size, stratum)
