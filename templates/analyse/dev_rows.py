"""The dev rows as the analyst reads them: features by role, the target, a small design matrix.

Guarantees: arrays are aligned with the rows, in file order; numbers are finite or NaN; no column,
however dirty, stops the reading. Uses the roles that the explorer handed on; ids, constants and
excluded columns are not features here either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

ROWS = {"option_a": 10_000, "option_b": 50_000, "option_c": 200_000}
FEATURE_ROLES = ("number", "category", "datetime", "text")


@dataclass
class Feature:
    """One column.

    Attributes:
        numbers: (n,) float, NaN where missing; None for words.
        codes: (n,) int, distinct values numbered from 0 (numbers in their order), -1 where missing.
        levels: how many distinct values there are.
    """

    name: str
    role: str
    numbers: np.ndarray | None
    codes: np.ndarray
    levels: int

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: the cell is there."""
        return self.codes >= 0

    @property
    def whole(self) -> bool:
        """All numbers are whole: they may be codes of a category."""
        return self.numbers is not None and bool(np.all(np.nan_to_num(self.numbers) % 1 == 0))


@dataclass
class DevRows:
    """Features and target.

    Attributes:
        y: (n,) float, the target or the number of its class; NaN where unknown.
        counts: rows of each class, empty for regression.
        rows: rows of the file; `len(self)` is how many are used.
    """

    features: list[Feature]
    y: np.ndarray
    kind: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    rows: int
    request: dict[str, Any]
    option: str
    seed: int

    def __len__(self) -> int:
        return len(self.y)

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: the target is known."""
        return ~np.isnan(self.y)

    @property
    def usable(self) -> bool:
        """True when there is a target that varies, in at least 20 rows."""
        if self.known.sum() < 20:
            return False
        if self.kind == "regression":
            return float(np.ptp(self.y[self.known])) > 0
        return sum(count > 0 for count in self.counts) > 1

    @property
    def rarest(self) -> int:
        """Rows of the rarest class that occurs; all known rows for regression."""
        return min((c for c in self.counts if c), default=int(self.known.sum()))

    @property
    def event(self) -> np.ndarray:
        """(n,) float: the target, or 1 for the positive (binary) or most frequent (multiclass)
        class.
        """
        if self.kind == "regression":
            return self.y
        chosen = (
            1 if self.kind == "binary" and len(self.counts) == 2 else int(np.argmax(self.counts))
        )
        return (self.y == chosen).astype(float)


def read_dev_rows(data: Path, request: dict[str, Any]) -> DevRows:
    """Read the Parquet file, at most as many rows as the option looks at, in their order."""
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with duckdb.connect(":memory:", config=settings) as connection:
        frame = connection.execute("SELECT * FROM read_parquet(?)", [str(data)]).df()
    rows, seed = len(frame), int(request.get("seed") or 0)
    option = str(request.get("option") or "option_b")
    most = min(int(request.get("max_rows") or 50_000), ROWS.get(option, 50_000))
    if rows > most:
        chosen = np.random.default_rng(seed).choice(rows, most, replace=False)
        frame = frame.iloc[np.sort(chosen)].reset_index(drop=True)
    target = str(request.get("target") or "")
    roles = given_roles(request)
    features = []
    for name in frame.columns:
        role = roles.get(str(name)) or "number"
        if str(name) != target and role in FEATURE_ROLES:
            feature = make_feature(str(name), role, frame[name])
            if feature.levels > 1:
                features.append(feature)
    task = request.get("task") or {}
    kind = str(task.get("kind") or "regression")
    classes = tuple(str(c) for c in request.get("classes") or task.get("classes") or ())
    y, classes, counts = make_target(frame, target, kind, classes)
    return DevRows(features, y, kind, classes, counts, rows, request, option, seed)


def given_roles(request: dict[str, Any]) -> dict[str, str]:
    """Column -> role, the explorer's if it handed them on, else those of planning."""
    handed = request.get("roles") or {}
    columns = handed.get("columns") if isinstance(handed.get("columns"), dict) else handed
    columns = columns or request.get("columns") or {}
    roles = {n: str(c.get("role")) for n, c in columns.items() if isinstance(c, dict)}
    return roles | dict.fromkeys(handed.get("excluded") or {}, "excluded")


def make_feature(name: str, role: str, values: pd.Series) -> Feature:
    """Type one column by how it travelled."""
    kinds = pd.api.types
    dated = kinds.is_datetime64_any_dtype(values)
    truth = values.dtype == object and kinds.infer_dtype(values, skipna=True) == "boolean"
    if dated or truth or kinds.is_bool_dtype(values) or kinds.is_numeric_dtype(values):
        numbers = as_numbers(values)
        known = ~np.isnan(numbers)
        codes = np.full(len(numbers), -1, dtype=np.int64)
        uniques, codes[known] = np.unique(numbers[known], return_inverse=True)
        words = role == "category"
        return Feature(name, role, None if words else squarable(numbers), codes, len(uniques))
    words = values.astype(object).where(~values.isna(), None)
    codes, uniques = pd.factorize(words)
    blank = np.array([not str(text).strip() for text in uniques] + [True])
    codes = np.where(blank[codes], -1, codes)
    _, codes[codes >= 0] = np.unique(codes[codes >= 0], return_inverse=True)
    return Feature(name, role, None, codes, int(codes.max(initial=-1)) + 1)


def squarable(numbers: np.ndarray) -> np.ndarray:
    """The numbers, divided by a power of two where sums of their squares would overflow: checks
    compare within a column, and none shows a value.
    """
    largest = float(np.abs(numbers[~np.isnan(numbers)]).max(initial=0.0))
    return numbers if largest < 1e100 else np.ldexp(numbers, -int(np.ceil(np.log2(largest))))


def as_numbers(values: pd.Series) -> np.ndarray:
    """(n,) float; dates as seconds, truth values as 0 and 1, infinite as missing."""
    if pd.api.types.is_datetime64_any_dtype(values):
        stamps = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        numbers = (stamps - pd.Timestamp("1970-01-01")).dt.total_seconds().to_numpy(dtype=float)
    elif values.dtype == object:
        numbers = np.array([np.nan if pd.isna(v) else float(v) for v in values], dtype=float)
    else:
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def make_target(
    frame: pd.DataFrame, target: str, kind: str, classes: tuple[str, ...]
) -> tuple[np.ndarray, tuple[str, ...], tuple[int, ...]]:
    """The target, its classes and their counts."""
    if target not in frame.columns:
        return np.full(len(frame), np.nan), classes, ()
    if kind == "regression":
        raw = frame[target]
        if not (pd.api.types.is_numeric_dtype(raw) or pd.api.types.is_bool_dtype(raw)):
            raw = pd.to_numeric(raw, errors="coerce")
        return as_numbers(raw), (), ()
    words = [None if pd.isna(cell) else str(cell) for cell in frame[target]]
    unseen = {word for word in words if word and word.strip()} - set(classes)
    classes = (*classes, *sorted(unseen))
    number = {label: float(position) for position, label in enumerate(classes)}
    y = np.array([number.get(word, np.nan) for word in words], dtype=float)
    counts = np.bincount(y[~np.isnan(y)].astype(np.int64), minlength=len(classes))
    return y, classes, tuple(int(count) for count in counts)


def design_matrix(data: DevRows, rows: np.ndarray, most_columns: int = 200) -> np.ndarray:
    """(len(rows), k) standardised columns: numbers with the median for missing, the 8 most common
    levels.
    """
    columns = []
    for feature in data.features:
        if len(columns) >= most_columns:
            break
        if feature.role == "text":
            continue
        if feature.numbers is not None:
            values = feature.numbers[rows]
            middle = np.nanmedian(values) if not np.isnan(values).all() else 0.0
            columns.append(np.where(np.isnan(values), middle, values))
            continue
        codes = feature.codes[rows]
        counts = np.bincount(codes[codes >= 0], minlength=feature.levels)
        for level in np.argsort(-counts, kind="stable")[:8]:
            if counts[level] >= 10:
                columns.append((codes == level).astype(float))
    if not columns:
        return np.zeros((len(rows), 0))
    x = np.column_stack(columns)
    x = x - x.mean(axis=0)
    spread = x.std(axis=0)
    return x[:, spread > 1e-12] / spread[spread > 1e-12]


def quoted(name: str) -> str:
    """A column name inside a sentence: quoted, one line, at most 40 characters."""
    return repr(name if len(name) <= 40 else name[:37] + "...")


def listed(names: Iterable[str], most: int = 4) -> str:
    """'a', 'b' and 3 more."""
    names = list(names)
    shown = ", ".join(quoted(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def finite(value: float | None) -> float | None:
    """None instead of NaN or infinity."""
    return None if value is None or not math.isfinite(value) else float(value)
