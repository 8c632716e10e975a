"""The metric registry's functions: one entry, `compute`, for every name in
`contracts.metrics.METRICS`.

Guarantees: equal to scikit-learn, `sample_weight` included (tested); undefined raises `Undefined`
with a sentence. Conventions: log loss clips at float64's epsilon as scikit-learn does; kappa is
quadratic over the rank of the class; RMSLE reads predictions below 0 as 0; one-vs-rest AUC is the
mean over the classes that occur. Does not check predictions: `check.py` comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlagent.contracts.base import TaskKind
from mlagent.contracts.metrics import METRICS

from .truth import Floats, Truth, Undefined, encode_target, why_undefined
from .weighted import WeightedMetric, labels, prepare

__all__ = [
    "Truth",
    "Undefined",
    "applicable",
    "compute",
    "encode_target",
    "labels",
    "point",
    "sign",
]


def sign(metric: str) -> int:
    """+1 when more is better, -1 when less is better."""
    return 1 if METRICS[metric].direction == "maximize" else -1


def applicable(kind: TaskKind, *, with_cost: bool = False) -> tuple[str, ...]:
    """Names of the metrics for a task, in the registry's order; `cost` only with a cost matrix."""
    return tuple(
        name
        for name, info in METRICS.items()
        if kind in info.tasks and (name != "cost" or with_cost)
    )


def point(metric: str, prepared: WeightedMetric, truth: Truth, n: int | None = None) -> float:
    """The plain score of a prepared metric: all weights 1.

    Raises:
        Undefined: with the reason.
    """
    rows = truth.n if n is None else n
    value = float(prepared(np.ones((1, rows)))[0]) if rows else float("nan")
    if not np.isfinite(value):
        raise Undefined(why_undefined(METRICS[metric].title, truth))
    return value


def compute(
    metric: str,
    truth: Truth,
    prediction: Floats,
    weights: Floats | None = None,
    *,
    threshold: float | None = None,
    cost: Sequence[Sequence[float]] | None = None,
    quantile: float = 0.5,
) -> float:
    """One metric on one prediction. Arguments as for `weighted.prepare`; `weights` is (n,), not
    negative.

    Raises:
        Undefined: one class only, no rows, a constant target (R2), ... with the reason.
    """
    prepared = prepare(metric, truth, prediction, threshold=threshold, cost=cost, quantile=quantile)
    if weights is None:
        return point(metric, prepared, truth)
    weights = np.asarray(weights, dtype=np.float64)
    value = float(prepared(weights[None, :])[0]) if truth.n else float("nan")
    if not np.isfinite(value):
        raise Undefined(why_undefined(METRICS[metric].title, truth.take(weights > 0)))
    return value
