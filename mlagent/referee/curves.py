"""Points for the report's plots.

Guarantees: at most 200 points a curve, first and last kept; made from judged rows only, never with
a row's identity. Does not: draw.
"""

from __future__ import annotations

import numpy as np

from mlagent.contracts.evaluation import Curves

from .truth import Floats, Truth
from .weighted import labels

POINTS = 200
BINS = 20
MOST_CLASSES = 30
"""A confusion matrix of more classes is not shown."""

Points = tuple[tuple[float, float], ...]


def curves_of(truth: Truth, prediction: Floats, threshold: float | None = None) -> Curves:
    """Curves of one prediction. Shapes as for `metrics.compute`; `threshold` for the confusion
    matrix."""
    if truth.n == 0:
        return Curves()
    if truth.kind == "regression":
        return Curves(
            residuals=_residuals(truth.y, prediction),
            predicted_histogram=_histogram(prediction, None),
        )
    k = len(truth.classes)
    confusion: tuple[tuple[int, ...], ...] = ()
    if k <= MOST_CLASSES:
        cell = truth.y * k + labels(truth, prediction, threshold)
        counts = np.bincount(cell, minlength=k * k).reshape(k, k)
        confusion = tuple(tuple(int(count) for count in row) for row in counts)
    if truth.kind == "multiclass":
        return Curves(
            confusion=confusion, predicted_histogram=_histogram(prediction.max(axis=1), (0.0, 1.0))
        )
    roc, pr = _roc_and_pr(truth.positive.astype(np.float64), prediction)
    return Curves(
        roc=roc,
        pr=pr,
        confusion=confusion,
        predicted_histogram=_histogram(prediction, (0.0, 1.0)),
    )


def _roc_and_pr(positive: Floats, score: Floats) -> tuple[Points, Points]:
    """(false positive rate, recall) and (recall, precision), by falling threshold; empty with one
    class."""
    order = np.argsort(-score, kind="stable")
    fallen = score[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(fallen)), len(fallen) - 1)
    hits = np.cumsum(positive[order])[last_of_tie]
    alarms = last_of_tie + 1.0 - hits
    if hits[-1] == 0 or alarms[-1] == 0:
        return (), ()
    recall = hits / hits[-1]
    roc = _thinned(np.append(0.0, alarms / alarms[-1]), np.append(0.0, recall))
    return roc, _thinned(recall, hits / (hits + alarms))


def _thinned(x: Floats, y: Floats) -> Points:
    """At most POINTS points, evenly spaced along x, ends kept."""
    if len(x) > POINTS:
        wanted = np.searchsorted(x, np.linspace(x[0], x[-1], POINTS - 2))
        keep = np.unique(np.concatenate([[0], np.minimum(wanted, len(x) - 1), [len(x) - 1]]))
        x, y = x[keep], y[keep]
    return tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))


def _residuals(y: Floats, prediction: Floats) -> Points:
    """(predicted, truth - predicted) of evenly spaced rows in the order of the predicted value."""
    order = np.argsort(prediction, kind="stable")
    if len(order) > POINTS:
        order = order[np.linspace(0, len(order) - 1, POINTS).round().astype(np.int64)]
    return tuple((float(prediction[i]), float(y[i] - prediction[i])) for i in order)


def _histogram(values: Floats, limits: tuple[float, float] | None) -> tuple[tuple[float, int], ...]:
    """(left edge, rows) of equal-width bins."""
    low, high = limits or (float(values.min()), float(values.max()))
    if not high - low > 1e-9 * max(abs(low), abs(high), 1e-300):
        return ((low, len(values)),)
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    return tuple((float(edge), int(n)) for edge, n in zip(edges[:-1], counts, strict=True))
