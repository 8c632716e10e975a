"""Label metrics from weighted confusion counts, for many confusion matrices at once.

Guarantees: agrees with scikit-learn (weights included); NaN where the metric has no value, never 0
by accident. Does not choose labels: `metrics.labels` does, with a threshold or the arg max.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlagent.contracts.errors import BadInput

from .truth import Floats

LABEL_METRICS = ("f1", "accuracy", "balanced_accuracy", "mcc", "cost", "macro_f1", "kappa")


def ratio(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where `below` is not positive. Shapes as given."""
    out = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


def mean_of_defined(values: Floats) -> Floats:
    """Mean over axis 0 of what is not NaN; NaN where nothing is. (m, b) -> (b,)"""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def cost_matrix(cost: Sequence[Sequence[float]] | None, k: int) -> Floats:
    """(k, k) costs: row = truth, column = predicted.

    Raises:
        BadInput: absent, or of the wrong shape.
    """
    if cost is None:
        raise BadInput(
            "the metric 'cost' needs a cost matrix.",
            remedy="Give `cost:` in mlagent.yaml, as {truth: {predicted: price}}.",
        )
    matrix = np.asarray(cost, dtype=np.float64)
    if matrix.shape != (k, k) or not np.isfinite(matrix).all():
        raise BadInput(
            f"the cost matrix has shape {matrix.shape!r}, but the task has {k} classes.",
            remedy=f"Give {k} rows (truth) of {k} finite numbers (predicted).",
        )
    return matrix


def class_positions(classes: tuple[str, ...]) -> Floats:
    """(k,) rank of each class for the quadratic kappa: as numbers when all are numbers ('9' <
    '10'), else as listed."""
    try:
        values = [float(label) for label in classes]
    except ValueError:
        return np.arange(len(classes), dtype=np.float64)
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)


def from_confusion(
    metric: str,
    counts: Floats,
    *,
    cost: Sequence[Sequence[float]] | None = None,
    positions: Floats | None = None,
) -> Floats:
    """A label metric for b confusion matrices.

    Args:
        metric: one of LABEL_METRICS.
        counts: (b, k, k) weights; rows truth, columns predicted; binary: positive last.
        cost: (k, k), for `cost`.
        positions: (k,) ranks, for `kappa`; default 0..k-1.

    Returns:
        (b,) float64; NaN where undefined: no weight; under two classes in the truth (balanced
        accuracy, MCC, macro F1, kappa); no positives (F1). As in scikit-learn, MCC is 0 when one
        class alone is predicted.
    """
    k = counts.shape[1]
    total = counts.sum(axis=(1, 2))
    right = np.diagonal(counts, axis1=1, axis2=2)
    actual = counts.sum(axis=2)
    predicted = counts.sum(axis=1)
    two = (actual > 0).sum(axis=1) >= 2
    if metric == "accuracy":
        return ratio(right.sum(axis=1), total)
    if metric == "cost":
        return ratio((counts * cost_matrix(cost, k)).sum(axis=(1, 2)), total)
    if metric == "f1":
        below = actual[:, 1] + predicted[:, 1]
        return np.where(actual[:, 1] > 0, ratio(2 * right[:, 1], below), np.nan)
    if metric == "balanced_accuracy":
        return np.where(two, mean_of_defined(ratio(right, actual).T), np.nan)
    if metric == "macro_f1":
        return np.where(two, mean_of_defined(ratio(2 * right, actual + predicted).T), np.nan)
    if metric == "mcc":
        cov = right.sum(axis=1) * total - (actual * predicted).sum(axis=1)
        spread_true = total**2 - (actual**2).sum(axis=1)
        spread_predicted = total**2 - (predicted**2).sum(axis=1)
        value = ratio(cov, np.sqrt(np.maximum(spread_true * spread_predicted, 0.0)))
        return np.where(two, np.where(spread_predicted > 0, value, 0.0), np.nan)
    if metric == "kappa":
        rank = np.arange(k, dtype=np.float64) if positions is None else positions
        weight = (rank[:, None] - rank[None, :]) ** 2
        seen = (counts * weight).sum(axis=(1, 2))
        by_chance = ratio(np.einsum("bi,ij,bj->b", actual, weight, predicted), total)
        return np.where(two, 1.0 - ratio(seen, by_chance), np.nan)
    raise ValueError(f"{metric!r} is not a label metric: {LABEL_METRICS!r}")
