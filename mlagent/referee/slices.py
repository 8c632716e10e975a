"""Slices: on which groups of rows is the model worse than on the rest?

Guarantees: a value is named only when it occurs at least 10 times; "worse" is said only when the
paired interval of the difference to the rest lies below 0; the number of slices looked at stands
below them. Does not: look at crossings of columns, or correct the intervals for their number (it
says how many would be flagged by chance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mlagent.contracts.evaluation import SliceScore

from .intervals import DRAWS_SECONDARY, difference_of, interval, paired_draws
from .metrics import point, sign
from .truth import Codes, Floats, Truth, Undefined, Weights, is_missing
from .weighted import WeightedMetric, prepare

SHOWN_FROM = 10
MOST_VALUES = 20
SHOWN = 12
MOST_ROWS = 50_000
"""Of more judged rows a fixed random sample is looked at; the interval says what that costs."""


class Slices(NamedTuple):
    """The rows of the slice table, and one sentence on how many groups were looked at."""

    rows: tuple[SliceScore, ...]
    note: str


@dataclass(frozen=True)
class _Slice:
    column: str
    value: str
    rows: Codes


@dataclass(frozen=True)
class _On:
    """A metric prepared on some rows, called with the weights of all."""

    rows: Codes
    metric: WeightedMetric

    def __call__(self, weights: Weights) -> Floats:
        return self.metric(weights.take(self.rows, axis=1))


def slice_scores(
    metric: str,
    truth: Truth,
    prediction: Floats,
    columns: Mapping[str, npt.NDArray[Any]],
    *,
    seed: int,
    threshold: float | None = None,
    cost: Sequence[Sequence[float]] | None = None,
    quantile: float = 0.5,
    clusters: npt.NDArray[Any] | None = None,
    always: Sequence[str] = (),
) -> Slices:
    """The worst slices, worst first, at most 12; then those on which the metric is not defined.

    Every slice of the columns in `always` is shown, however well it scores.

    Args:
        columns: name -> (n,) values; up to 20 distinct values are slices, numbers with more are cut
            into quartiles, other columns are passed over. None, NaN and '' are the slice
            '(missing)'.
        seed: of the draws (200).
    """
    options: dict[str, Any] = {"threshold": threshold, "cost": cost, "quantile": quantile}
    if truth.n > MOST_ROWS:
        keep = np.sort(np.random.default_rng(seed).choice(truth.n, MOST_ROWS, replace=False))
        truth, prediction = truth.take(keep), prediction[keep]
        columns = {name: values[keep] for name, values in columns.items()}
        clusters = None if clusters is None else clusters[keep]
    try:
        overall = point(metric, prepare(metric, truth, prediction, **options), truth)
    except Undefined:
        return Slices((), "")
    scored: list[tuple[float, float, _Slice]] = []
    unscored: list[SliceScore] = []
    for part in _slices(columns):
        inside = truth.take(part.rows)
        try:
            value = point(metric, prepare(metric, inside, prediction[part.rows], **options), inside)
        except Undefined as reason:
            unscored.append(_record(part, inside, note=reason.message))
            continue
        shortfall = sign(metric) * (overall - value)
        scored.append((shortfall * float(np.sqrt(len(part.rows))), value, part))
    looked_at = len(scored)
    scored.sort(key=lambda entry: -entry[0])
    shown = scored[:SHOWN] + [one for one in scored[SHOWN:] if one[2].column in always]
    records = _judged(metric, truth, prediction, shown, seed, clusters, options)
    return Slices((*records, *unscored[: max(0, SHOWN - len(records))]), _said(looked_at))


def _said(looked_at: int) -> str:
    """What the number of slices means for the worst of them."""
    if looked_at < 2:
        return ""
    return (
        f"{looked_at} groups were looked at; by chance alone about "
        f"{max(1, round(0.025 * looked_at))} would be called worse than the rest."
    )


def _judged(
    metric: str,
    truth: Truth,
    prediction: Floats,
    worst: list[tuple[float, float, _Slice]],
    seed: int,
    clusters: npt.NDArray[Any] | None,
    options: dict[str, Any],
) -> list[SliceScore]:
    """Scores with intervals for the chosen slices, each beside the rest of the rows."""
    metrics: list[WeightedMetric] = []
    rest_values: list[float | None] = []
    for _, _, part in worst:
        others = np.setdiff1d(np.arange(truth.n), part.rows, assume_unique=True)
        for rows in (part.rows, others):
            on_rows = prepare(metric, truth.take(rows), prediction[rows], **options)
            metrics.append(_On(rows, on_rows))
        try:
            rest_values.append(point(metric, on_rows, truth.take(others)))
        except Undefined:
            rest_values.append(None)
    drawn = paired_draws(metrics, truth.n, draws=DRAWS_SECONDARY, seed=seed, clusters=clusters)
    found: list[tuple[float, SliceScore]] = []
    for i, (_, value, part) in enumerate(worst):
        inside = truth.take(part.rows)
        here, rest, rest_value = drawn[2 * i], drawn[2 * i + 1], rest_values[i]
        try:
            score = interval(metric, inside, value, here, inside.n)
        except Undefined as reason:
            found.append((np.inf, _record(part, inside, note=reason.message)))
            continue
        note = "" if rest_value is None else _note(metric, value, rest_value, here, rest)
        record = _record(part, inside, note=note)
        found.append((sign(metric) * value, record.model_copy(update={"score": score})))
    found.sort(key=lambda entry: entry[0])
    return [record for _, record in found]


def _note(metric: str, value: float, rest_value: float, here: Floats, rest: Floats) -> str:
    """What is said of a slice: something only when the interval of the difference to the rest
    excludes 0."""
    try:
        gap = difference_of(sign(metric) * (value - rest_value), sign(metric) * (here - rest))
    except Undefined:
        return ""
    if gap.verdict != "worse":
        return ""
    return f"worse than the rest by {-gap.value:.3g} ({-gap.high:.3g} to {-gap.low:.3g})"


def _record(part: _Slice, inside: Truth, note: str = "") -> SliceScore:
    positives = int(inside.positive.sum()) if inside.kind == "binary" else None
    return SliceScore(
        column=part.column, value=part.value, n=inside.n, positives=positives, note=note
    )


def _slices(columns: Mapping[str, npt.NDArray[Any]]) -> list[_Slice]:
    """Slices with at least 10 rows that are not the whole column."""
    found: list[_Slice] = []
    for name, values in columns.items():
        text = np.array([_text(value) for value in values], dtype=object)
        present, code = np.unique(text.astype(str), return_inverse=True)
        if len(present) > MOST_VALUES:
            found.extend(_quartiles(name, text))
            continue
        for i, value in enumerate(present):
            rows = np.flatnonzero(code.reshape(-1) == i)
            if SHOWN_FROM <= len(rows) < len(values):
                found.append(_Slice(name, str(value), rows))
    return found


def _text(value: Any) -> str:
    return "(missing)" if is_missing(value) else str(value)


def _quartiles(name: str, text: npt.NDArray[Any]) -> list[_Slice]:
    """Four ranges of a column of numbers, and its missing cells; nothing for other columns."""
    absent = text == "(missing)"
    try:
        numbers = text[~absent].astype(np.float64)
    except ValueError:
        return []
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    if np.isnan(numbers).any() or len(numbers) < 4 * SHOWN_FROM:
        return []
    edges = np.unique(np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    where = np.flatnonzero(~absent)
    found = []
    for i in range(len(edges) - 1):
        rows = where[place == i]
        if SHOWN_FROM <= len(rows) < len(text):
            found.append(_Slice(name, _range(edges, i), rows))
    missing = np.flatnonzero(absent)
    if len(missing) >= SHOWN_FROM:
        found.append(_Slice(name, "(missing)", missing))
    return found


def _range(edges: Floats, i: int) -> str:
    """The i-th range in words. The smallest and the largest cell are nobody's business, so the
    outer ranges are open."""
    if len(edges) == 2:
        return "any number"
    if i == 0:
        return f"under {edges[1]:.4g}"
    if i == len(edges) - 2:
        return f"from {edges[i]:.4g}"
    return f"{edges[i]:.4g} to {edges[i + 1]:.4g}"
