"""Every metric as a function of row weights, for many weightings at once.

A metric is prepared once per prediction (one sort, one table of losses) and then called with a (b,
n) matrix of weights. The plain score is the case of all weights 1, so that a score and its interval
cannot disagree about the formula.

Guarantees: agrees with scikit-learn's `sample_weight`; NaN where a weighting leaves the metric
undefined. Does not: check predictions (`check.py`) or make weights (`intervals.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlagent.contracts.metrics import METRICS

from .confusion import LABEL_METRICS, class_positions, from_confusion, mean_of_defined, ratio
from .truth import Codes, Floats, Truth, Undefined, Weights

EPSILON = float(np.finfo(np.float64).eps)
"""Log loss clips probabilities to [EPSILON, 1 - EPSILON]: scikit-learn's own convention for
float64."""


class WeightedMetric(Protocol):
    """(b, n) weights -> (b,) float64 scores, NaN where undefined."""

    def __call__(self, weights: Weights) -> Floats: ...


@dataclass(frozen=True)
class Sums:
    """A metric that is a function of a few weighted sums: all mean losses, RMSE, R2.

    `columns` is (n, q); `finish` turns the (b, q) sums into (b,) scores.
    """

    columns: Floats
    finish: Callable[[Floats], Floats]

    def __call__(self, weights: Weights) -> Floats:
        return self.finish(weights.astype(np.float64, copy=False) @ self.columns)


@dataclass(frozen=True)
class Cells:
    """A metric that is a function of the weighted confusion matrix. `cell` is (n,): truth * k +
    label."""

    metric: str
    k: int
    order: Codes
    starts: Codes
    present: Codes
    cost: Sequence[Sequence[float]] | None
    positions: Floats

    def __call__(self, weights: Weights) -> Floats:
        counts = np.zeros((len(weights), self.k * self.k))
        if len(self.starts):
            sorted_by_cell = weights.take(self.order, axis=1)
            ends = np.append(self.starts[1:], len(self.order))
            for cell, start, end in zip(self.present, self.starts, ends, strict=True):
                counts[:, cell] = sorted_by_cell[:, start:end].sum(axis=1)
        return from_confusion(
            self.metric,
            counts.reshape(-1, self.k, self.k),
            cost=self.cost,
            positions=self.positions,
        )


@dataclass(frozen=True)
class Ranked:
    """Rows sorted once: positions of positives and negatives by falling score, ties known.

    `negatives_above[i]`, `negatives_level[i]`: number of negatives with a score above, and at
    least, that of the i-th positive; `positives_level[i]`: the same for positives.
    """

    positives: Codes
    negatives: Codes
    negatives_above: Codes
    negatives_level: Codes
    positives_level: Codes

    @classmethod
    def of(cls, positive: npt.NDArray[np.bool_], score: Floats) -> Ranked:
        """Sort once. (n,) bool and (n,) scores of any range."""
        order = np.argsort(-score, kind="stable")
        is_positive = positive[order]
        positives, negatives = order[is_positive], order[~is_positive]
        fall_p, fall_n = -score[positives], -score[negatives]
        return cls(
            positives,
            negatives,
            np.searchsorted(fall_n, fall_p, "left"),
            np.searchsorted(fall_n, fall_p, "right"),
            np.searchsorted(fall_p, fall_p, "right"),
        )

    def auc(self, weights: Weights) -> Floats:
        """Area under the ROC curve: P(positive above negative), ties count half."""
        w_pos = weights.take(self.positives, axis=1)
        above = _running(weights.take(self.negatives, axis=1))
        mass = w_pos.sum(axis=1) * above[:, -1].astype(np.float64)
        lost = _dot(w_pos, above.take(self.negatives_above, axis=1))
        if (self.negatives_above != self.negatives_level).any():
            lost = (lost + _dot(w_pos, above.take(self.negatives_level, axis=1))) / 2
        return 1.0 - ratio(lost, mass)

    def average_precision(self, weights: Weights) -> Floats:
        """Sum over positives of the precision at their score, ties as one step."""
        w_pos = weights.take(self.positives, axis=1)
        running = _running(w_pos)
        hits = running.take(self.positives_level, axis=1)
        above = _running(weights.take(self.negatives, axis=1))
        alarms = hits + above.take(self.negatives_level, axis=1)
        precision = np.zeros(hits.shape)
        np.divide(hits, alarms, out=precision, where=alarms > 0)
        value = ratio(_dot(w_pos, precision), running[:, -1].astype(np.float64))
        return np.where(above[:, -1] > 0, value, np.nan)


def _running(weights: Weights) -> Weights:
    """(b, m) -> (b, m + 1) running sums that begin with 0; counts stay whole numbers."""
    dtype = np.float64 if weights.dtype.kind == "f" else np.int32
    out = np.zeros((weights.shape[0], weights.shape[1] + 1), dtype=dtype)
    np.cumsum(weights, axis=1, dtype=dtype, out=out[:, 1:])
    return out


def _dot(first: Weights, second: Weights) -> Floats:
    """Row by row scalar products in float64. (b, m), (b, m) -> (b,)"""
    product: Floats = np.einsum("bi,bi->b", first, second, dtype=np.float64, casting="safe")
    return product


@dataclass(frozen=True)
class MeanOver:
    """The mean of several metrics, each on its own rows (folds) or on all (classes). Undefined
    parts are left out."""

    parts: tuple[tuple[npt.NDArray[Any] | None, WeightedMetric], ...]

    def __call__(self, weights: Weights) -> Floats:
        scores = [
            metric(weights if rows is None else weights.take(rows, axis=1))
            for rows, metric in self.parts
        ]
        return mean_of_defined(np.vstack(scores))


def _mean_loss(loss: Floats, after: Callable[[Floats], Floats] | None = None) -> Sums:
    def finish(sums: Floats) -> Floats:
        mean = ratio(sums[:, 1], sums[:, 0])
        return mean if after is None else after(mean)

    return Sums(np.column_stack([np.ones(len(loss)), loss]), finish)


def _r2(y: Floats, prediction: Floats) -> Sums:
    centred = y - (y.mean() if len(y) else 0.0)
    columns = np.column_stack([np.ones(len(y)), centred, centred**2, (y - prediction) ** 2])

    def finish(sums: Floats) -> Floats:
        spread = sums[:, 2] - sums[:, 1] * ratio(sums[:, 1], sums[:, 0])
        tiny = 1e-12 * np.maximum(sums[:, 2], np.finfo(np.float64).tiny)
        return 1.0 - ratio(sums[:, 3], np.where(spread > tiny, spread, 0.0))

    return Sums(columns, finish)


def _regression(metric: str, y: Floats, prediction: Floats, quantile: float) -> Sums:
    error = y - prediction
    if metric == "rmse":
        return _mean_loss(error**2, np.sqrt)
    if metric == "mae":
        return _mean_loss(np.abs(error))
    if metric == "r2":
        return _r2(y, prediction)
    if metric == "pinball":
        return _mean_loss(np.maximum(quantile * error, (quantile - 1.0) * error))
    if metric == "mape":
        if (y == 0).any():
            raise Undefined(
                f"MAPE is not defined: {int((y == 0).sum())} of {len(y)} true values are 0.",
                remedy="Choose mae or rmsle instead.",
            )
        return _mean_loss(np.abs(error) / np.abs(y))
    if (y < 0).any():
        raise Undefined(
            f"RMSLE is not defined: {int((y < 0).sum())} of {len(y)} true values are below 0.",
            remedy="Choose rmse or mae instead.",
        )
    logs = np.log1p(y) - np.log1p(np.maximum(prediction, 0.0))
    return _mean_loss(logs**2, np.sqrt)


def labels(truth: Truth, prediction: Floats, threshold: float | None = None) -> Codes:
    """(n,) predicted class codes: probability >= threshold (default 0.5), or the arg max."""
    if truth.kind == "multiclass":
        return np.asarray(prediction.argmax(axis=1), dtype=np.int64)
    cut = 0.5 if threshold is None else threshold
    return np.asarray(prediction >= cut, dtype=np.int64)


def _cells(
    metric: str, truth: Truth, label: Codes, cost: Sequence[Sequence[float]] | None
) -> Cells:
    k = len(truth.classes)
    cell = truth.y * k + label
    order = np.argsort(cell, kind="stable")
    present, starts = np.unique(cell[order], return_index=True)
    return Cells(metric, k, order, starts, present, cost, class_positions(truth.classes))


def prepare(
    metric: str,
    truth: Truth,
    prediction: Floats,
    *,
    threshold: float | None = None,
    cost: Sequence[Sequence[float]] | None = None,
    quantile: float = 0.5,
) -> WeightedMetric:
    """A metric, ready to be called with weights.

    Args:
        metric: a name of `contracts.metrics.METRICS` that fits the task.
        truth: n rows.
        prediction: (n,) probability or score of the positive class; (n, k) multiclass; (n,)
            regression.
        threshold: binary label metrics; default 0.5.
        cost: (k, k), for `cost`: row truth, column predicted.
        quantile: for `pinball`.

    Raises:
        Undefined: no weighting of these rows has a value (MAPE with a true 0; RMSLE with a negative
            truth; RMSLE reads predictions below 0 as 0).
        ValueError: an unknown metric, or one of another task.
        BadInput: `cost` without a fitting matrix.
    """
    info = METRICS.get(metric)
    if info is None or truth.kind not in info.tasks:
        raise ValueError(f"{metric!r} is not a metric for {truth.kind} tasks")
    prediction = np.asarray(prediction, dtype=np.float64)
    if truth.kind == "regression":
        return _regression(metric, truth.y, prediction, quantile)
    if metric in LABEL_METRICS:
        if metric == "cost":
            from_confusion("cost", np.zeros((1, len(truth.classes), len(truth.classes))), cost=cost)
        return _cells(metric, truth, labels(truth, prediction, threshold), cost)
    if metric == "roc_auc":
        return Ranked.of(truth.positive, prediction).auc
    if metric == "pr_auc":
        return Ranked.of(truth.positive, prediction).average_precision
    if metric == "ovr_auc":
        ranked = [Ranked.of(truth.y == c, prediction[:, c]) for c in range(len(truth.classes))]
        return MeanOver(tuple((None, one.auc) for one in ranked))
    if metric == "brier":
        return _mean_loss((prediction - truth.positive) ** 2)
    if truth.kind == "binary":
        of_true = np.where(truth.positive, prediction, 1.0 - prediction)
    else:
        of_true = prediction[np.arange(truth.n), truth.y]
    return _mean_loss(-np.log(np.clip(of_true, EPSILON, 1.0 - EPSILON)))
