"""The table as the explorer sees it: typed columns, bins for scoring, and the target.

Guarantees: every array is aligned with the rows of the frame, numbers are finite or NaN, and no
column, however dirty, stops the reading. Does not change the table, and shows no cell to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

BINS = 64
"""Quantile bins of a number for its single-column score; columns with fewer values keep their
values.
"""
MISSING_TOKENS = ("", "?", "nan", "null", "n/a", "#n/a", "-")
"""Texts that are read as missing in a text column, compared in lower case without blanks around."""
DTYPES = ("float64", "int64", "bool", "str", "datetime64")
ROLES = ("number", "category", "text", "datetime", "id", "constant", "target", "excluded")


@dataclass
class Column:
    """One column.

    Attributes:
        missing: (n,) bool.
        numbers: (n,) float with NaN where missing, or None for a column of words.
        codes: (n,) int, distinct values numbered from 0, -1 where missing; values of numbers keep
            their order.
        levels: how many distinct values there are.
        bins: (n,) int >= 0, the same cut to at most BINS quantile bins for numbers; missing has the
            last bin.
        texts: the distinct values as text, in the order of `codes`; None for numbers.
        tokens: cells that were text but mean missing.
    """

    name: str
    role: str
    dtype: str
    why: str
    missing: np.ndarray
    numbers: np.ndarray | None
    codes: np.ndarray
    levels: int
    bins: np.ndarray
    texts: np.ndarray | None = None
    tokens: int = 0

    @property
    def n_bins(self) -> int:
        return int(self.bins.max()) + 1 if self.bins.size else 0

    @property
    def present(self) -> int:
        return int((~self.missing).sum())

    @property
    def near_unique(self) -> bool:
        """Words that hardly ever repeat: nothing can be learnt from equality."""
        return self.texts is not None and self.levels > 0.5 * max(self.present, 1)

    @property
    def is_feature(self) -> bool:
        return self.role in ("number", "category", "datetime", "text")


@dataclass
class Target:
    """What is predicted.

    Attributes:
        known: (n,) bool, rows whose target is known.
        values: (n,) float: regression target, or the class number; NaN where unknown.
        matrix: (n, m) float: the target itself, the indicator of the positive class, or one column
            per class.
        classes: names of the classes; empty for regression.
    """

    name: str
    kind: str
    known: np.ndarray
    values: np.ndarray
    matrix: np.ndarray
    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def usable(self) -> bool:
        """True when there is something to relate features to."""
        if int(self.known.sum()) < 10:
            return False
        if self.kind == "regression":
            return float(np.ptp(self.values[self.known])) > 0
        return sum(count > 1 for count in self.counts) > 1


@dataclass
class Table:
    """The sampled rows, in file order."""

    frame: pd.DataFrame
    rows: int
    columns: list[Column]
    target: Target | None
    request: dict[str, Any]
    option: str
    seed: int
    notes: list[str] = field(default_factory=list)

    @property
    def features(self) -> list[Column]:
        return [column for column in self.columns if column.is_feature]

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def read_table(path: Path, request: dict[str, Any], max_rows: int) -> Table:
    """Read at most `max_rows` rows of the Parquet file, sampled without losing their order."""
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with duckdb.connect(":memory:", config=settings) as connection:
        frame = connection.execute("SELECT * FROM read_parquet(?)", [str(path)]).df()
    rows = len(frame)
    seed = int(request.get("seed") or 0)
    if rows > max_rows:
        chosen = np.random.default_rng(seed).choice(rows, max_rows, replace=False)
        frame = frame.iloc[np.sort(chosen)].reset_index(drop=True)
    target_name = str(request.get("target") or "")
    asked = request.get("columns") or {}
    columns = [
        make_column(str(name), frame[name], asked.get(str(name)) or {})
        for name in frame.columns
        if str(name) != target_name
    ]
    target = make_target(frame, request) if target_name in frame.columns else None
    option = str(request.get("option") or "option_b")
    return Table(frame, rows, columns, target, request, option, seed)


def make_column(name: str, values: pd.Series, asked: dict[str, Any]) -> Column:
    """Type one column; what `plan` found is believed unless these rows contradict it."""
    numbers, texts, tokens = None, None, 0
    if is_words(values):
        words, tokens = clean_words(values)
        codes, uniques = pd.factorize(words)
        texts = np.asarray(uniques, dtype=object)
        missing = codes < 0
        bins = np.where(missing, len(texts), codes)
        levels = len(texts)
    else:
        numbers = as_numbers(values)
        missing = np.isnan(numbers)
        codes, levels = order_codes(numbers)
        bins = quantile_bins(codes, levels)
    role = str(asked.get("role") or "")
    if role not in ROLES or role == "target":
        role = guess_role(values, texts, levels, len(values))
    dtype = str(asked.get("dtype") or "")
    if dtype not in DTYPES:
        dtype = guess_dtype(values)
    why = str(asked.get("why") or "as the values look")
    return Column(name, role, dtype, why, missing, numbers, codes, levels, bins, texts, tokens)


def is_words(values: pd.Series) -> bool:
    """True for text columns (and anything that is no number, truth value or date)."""
    kinds = pd.api.types
    return not (
        kinds.is_bool_dtype(values) or kinds.is_numeric_dtype(values) or is_date(values)
    ) and not holds_truth_values(values)


def is_date(values: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def holds_truth_values(values: pd.Series) -> bool:
    """A bool column with missing cells comes back from duckdb as objects."""
    if values.dtype != object:
        return False
    return pd.api.types.infer_dtype(values, skipna=True) == "boolean"


def clean_words(values: pd.Series) -> tuple[pd.Series, int]:
    """Text without outer blanks; cells that mean missing become missing and are counted."""
    empty = values.isna()
    words = values.astype(object).where(~empty, None)
    codes, uniques = pd.factorize(words)
    stripped = [str(value).strip() for value in uniques]
    token = np.array([text.lower() in MISSING_TOKENS for text in stripped] + [False], dtype=bool)
    names = np.array([*stripped, None], dtype=object)
    names[token] = None
    return pd.Series(names[codes], dtype=object), int(token[codes].sum())


def as_numbers(values: pd.Series) -> np.ndarray:
    """(n,) float; dates as seconds since 1970, truth values as 0 and 1, infinite as missing."""
    if is_date(values):
        stamps = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        seconds = (stamps - pd.Timestamp("1970-01-01")).dt.total_seconds()
        numbers = seconds.to_numpy(dtype=float)
    elif values.dtype == object:
        numbers = pd.Series([np.nan if pd.isna(v) else float(v) for v in values]).to_numpy()
    else:
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def order_codes(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the distinct values in their order, -1 where missing."""
    known = ~np.isnan(numbers)
    codes = np.full(len(numbers), -1, dtype=np.int64)
    uniques, inverse = np.unique(numbers[known], return_inverse=True)
    codes[known] = inverse
    return codes, len(uniques)


def quantile_bins(codes: np.ndarray, levels: int, bins: int = BINS) -> np.ndarray:
    """Cut ordered codes into at most `bins` bins of about equal count; missing gets the last
    bin.
    """
    missing = codes < 0
    if levels <= bins:
        return np.where(missing, levels, codes)
    counts = np.bincount(codes[~missing], minlength=levels)
    middle = np.cumsum(counts) - counts / 2
    bin_of_level = np.minimum((middle * bins / counts.sum()).astype(np.int64), bins - 1)
    return np.where(missing, bins, bin_of_level[codes])


def guess_role(values: pd.Series, texts: np.ndarray | None, levels: int, rows: int) -> str:
    if levels <= 1:
        return "constant"
    if is_date(values):
        return "datetime"
    if texts is None:
        return (
            "category" if pd.api.types.is_bool_dtype(values) or values.dtype == object else "number"
        )
    length = float(np.mean([len(text) for text in texts[:1000]]))
    return "text" if levels > 0.5 * rows and length > 20 else "category"


def guess_dtype(values: pd.Series) -> str:
    if is_date(values):
        return "datetime64"
    if pd.api.types.is_bool_dtype(values) or holds_truth_values(values):
        return "bool"
    if pd.api.types.is_integer_dtype(values):
        return "int64"
    return "float64" if pd.api.types.is_numeric_dtype(values) else "str"


def make_target(frame: pd.DataFrame, request: dict[str, Any]) -> Target:
    """The target by kind of task: numbers for regression, class numbers otherwise."""
    name = str(request["target"])
    task = request.get("task") or {}
    kind = str(task.get("kind") or "regression")
    raw = frame[name]
    if kind == "regression":
        values = as_numbers(pd.to_numeric(raw, errors="coerce") if is_words(raw) else raw)
        return Target(name, kind, ~np.isnan(values), values, values[:, None])
    words = raw.astype(object).where(~raw.isna(), None)
    words = words.map(lambda cell: cell if cell is None else str(cell))
    classes = tuple(str(name) for name in request.get("classes") or task.get("classes") or ())
    seen = {value for value in words.dropna().unique() if value.strip() or value in classes}
    if not seen <= set(classes):
        classes = (*classes, *sorted(seen - set(classes)))
    number = {label: position for position, label in enumerate(classes)}
    values = words.map(lambda cell: np.nan if cell is None else number.get(cell, np.nan))
    values = values.to_numpy(dtype=float)
    known = ~np.isnan(values)
    codes = np.where(known, values, 0).astype(np.int64)
    counts = tuple(int(c) for c in np.bincount(codes[known], minlength=len(classes)))
    if kind == "binary" and len(classes) == 2:
        matrix = (codes == 1).astype(float)[:, None]
    else:
        matrix = np.zeros((len(codes), max(len(classes), 1)))
        matrix[np.arange(len(codes)), codes] = 1.0
    return Target(name, kind, known, values, matrix, classes, counts)
