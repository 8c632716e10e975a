"""How much of what ten bins explain a straight line misses, for one column.

Guarantees: too few rows, too few bins or an effect too small to bend give None, not a number.
Does not judge: `assumption_checks.py` says from which share and p value on a column is bent.
"""

from __future__ import annotations

import numpy as np
from dev_rows import DevRows, Feature
from scipy.special import chdtrc, fdtrc, xlogy


def grouped_lack(feature: Feature, data: DevRows) -> tuple[float, float] | None:
    """Share of the binned explanation that a line misses, and the p value of the lack of fit."""
    use = feature.known & data.known
    n = int(use.sum())
    if n < 200:
        return None
    x, y = feature.numbers[use], data.event[use]
    edges = np.unique(np.quantile(x, np.linspace(0, 1, 11)[1:-1]))
    bins = np.searchsorted(edges, x, side="right")
    size = np.bincount(bins)
    keep = size >= 10
    if keep.sum() < 5:
        return None
    rows = keep[bins]
    _, bins = np.unique(bins[rows], return_inverse=True)
    x, y = x[rows], y[rows]
    size = np.bincount(bins).astype(float)
    centre = np.bincount(bins, weights=x) / size
    spread = centre.std()
    if spread <= 0:
        return None
    centre = (centre - centre.mean()) / spread
    total = np.bincount(bins, weights=y)
    if data.kind == "regression":
        return _line_of_means(centre, size, total / size, y, bins)
    return _line_of_logits(centre, size, total)


def _line_of_means(
    x: np.ndarray, size: np.ndarray, mean: np.ndarray, y: np.ndarray, bins: np.ndarray
) -> tuple[float, float] | None:
    within = float(((y - mean[bins]) ** 2).sum())
    overall = float((size * mean).sum() / size.sum())
    explained = float((size * (mean - overall) ** 2).sum())
    design = np.column_stack([np.ones_like(x), x]) * np.sqrt(size)[:, None]
    weights, *_ = np.linalg.lstsq(design, mean * np.sqrt(size), rcond=None)
    missed = float((size * (mean - weights[0] - weights[1] * x) ** 2).sum())
    freedom, rest = len(x) - 2, len(y) - len(x)
    if explained <= 0 or within <= 0 or rest <= 0 or explained / (explained + within) < 0.005:
        return None
    f = (missed / freedom) / (within / rest)
    return missed / explained, float(fdtrc(freedom, rest, f))


def _line_of_logits(
    x: np.ndarray, size: np.ndarray, hits: np.ndarray
) -> tuple[float, float] | None:
    """Grouped logistic regression by iteratively reweighted least squares; deviance against the
    bins.
    """
    rate = hits / size
    overall = hits.sum() / size.sum()

    def deviance(p: np.ndarray) -> float:
        p = np.clip(p, 1e-9, 1 - 1e-9)
        return float(2 * (xlogy(hits, rate / p) + xlogy(size - hits, (1 - rate) / (1 - p))).sum())

    empty = deviance(np.full_like(x, overall))
    if empty < 30:
        return None
    weights = np.array([np.log(overall / (1 - overall)), 0.0])
    design = np.column_stack([np.ones_like(x), x])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        w = size * p * (1 - p) + 1e-9
        step = np.linalg.solve(
            design.T @ (design * w[:, None]) + 1e-9 * np.eye(2), design.T @ (hits - size * p)
        )
        weights = weights + np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-8:
            break
    missed = deviance(1 / (1 + np.exp(-np.clip(design @ weights, -30, 30))))
    return min(missed / empty, 1.0), float(chdtrc(len(x) - 2, missed))
