"""The dummy: the best that can be said without looking at a single feature. Computed on the host.

Guarantees: fitted on training truth only; the constant that fits the metric. Does not: see the
judged rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlagent.contracts.metrics import METRICS

from .confusion import from_confusion
from .metrics import sign
from .truth import Floats, Truth


def dummy_prediction(
    truth_train: Truth,
    metric: str,
    n: int,
    *,
    cost: Sequence[Sequence[float]] | None = None,
    quantile: float = 0.5,
) -> Floats:
    """The same prediction for n rows.

    Returns:
        binary: (n,) share of positives, or for label metrics 0.0 or 1.0, the better of the two;
        multiclass: (n, k) class shares, or for label metrics all on the best single class;
        regression: (n,) mean (rmse, r2), median (mae), weighted median (mape), mean of logs
            (rmsle),
        quantile (pinball).

    Raises:
        ValueError: no training rows.
    """
    if truth_train.n == 0:
        raise ValueError("a dummy needs at least one training row")
    if truth_train.kind == "regression":
        return np.full(n, _constant(truth_train.y, metric, quantile))
    k = len(truth_train.classes)
    shares = np.bincount(truth_train.y, minlength=k) / truth_train.n
    if METRICS[metric].needs == "label":
        best = np.zeros(k)
        best[_best_class(metric, shares, cost)] = 1.0
        shares = best
    if truth_train.kind == "binary":
        return np.full(n, shares[1])
    return np.tile(shares, (n, 1))


def _best_class(metric: str, shares: Floats, cost: Sequence[Sequence[float]] | None) -> int:
    """The class which, given always, scores best on training; the most frequent one among
    equals."""
    k = len(shares)
    counts = np.zeros((k, k, k))
    for label in range(k):
        counts[label, :, label] = shares
    value = sign(metric) * from_confusion(metric, counts, cost=cost)
    value = np.where(np.isnan(value), -np.inf, value)
    return int(np.lexsort((-shares, -np.round(value, 12)))[0])


def _constant(y: Floats, metric: str, quantile: float) -> float:
    if metric == "mae":
        return float(np.median(y))
    if metric == "pinball":
        return float(np.quantile(y, quantile))
    if metric == "mape" and (y != 0).all():
        order = np.argsort(y, kind="stable")
        mass = np.cumsum(1.0 / np.abs(y[order]))
        return float(y[order][np.searchsorted(mass, mass[-1] / 2)])
    if metric == "rmsle" and (y >= 0).all():
        return float(np.expm1(np.log1p(y).mean()))
    return float(y.mean())
