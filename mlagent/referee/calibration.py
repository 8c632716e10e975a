"""Calibration: do probabilities mean what they say?

Guarantees: bins of equal count that keep equal predictions together; slope and intercept of the
logistic recalibration (Cox 1958: 1 and 0 when calibrated), None when they do not exist. Does not:
recalibrate.
"""

from __future__ import annotations

import numpy as np

from mlagent.contracts.evaluation import Calibration

from .truth import Floats, Truth

BINS = 10
ROWS_PER_BIN = 20
CLIP = 1e-6
STEEPEST = 30.0
"""A slope or intercept beyond this means that the classes are separated: there is no estimate."""


def calibration_of(truth: Truth, prediction: Floats) -> Calibration | None:
    """Reliability of probabilities.

    Binary: of the positive class. Multiclass: of the class with the largest probability (top-class
    confidence). Regression, or no rows: None.
    """
    if truth.kind == "regression" or truth.n == 0:
        return None
    if truth.kind == "binary":
        said, came = prediction, truth.positive.astype(np.float64)
    else:
        said = prediction.max(axis=1)
        came = (prediction.argmax(axis=1) == truth.y).astype(np.float64)
    bins = _bins(said, came)
    error = sum(abs(p - y) * n for p, y, n in bins) / truth.n
    slope, intercept = _recalibration(said, came)
    return Calibration(bins=bins, expected_error=error, slope=slope, intercept=intercept)


def _bins(said: Floats, came: Floats) -> tuple[tuple[float, float, int], ...]:
    """(mean predicted, observed share, rows) per bin, rising."""
    count = max(1, min(BINS, len(said) // ROWS_PER_BIN))
    inner = np.unique(np.quantile(said, np.linspace(0, 1, count + 1)[1:-1]))
    code = np.searchsorted(inner, said, side="left")
    rows = np.bincount(code, minlength=len(inner) + 1)
    predicted = np.bincount(code, weights=said, minlength=len(rows))
    observed = np.bincount(code, weights=came, minlength=len(rows))
    return tuple(
        (float(p / n), float(y / n), int(n))
        for p, y, n in zip(predicted, observed, rows, strict=True)
        if n
    )


def _recalibration(said: Floats, came: Floats) -> tuple[float | None, float | None]:
    """Slope and intercept of the logistic regression of the outcome on the predicted log odds
    (Newton)."""
    p = np.clip(said, CLIP, 1 - CLIP)
    odds = np.log(p / (1 - p))
    if came.min() == came.max() or odds.max() - odds.min() < 1e-9:
        return None, None
    x = np.column_stack([np.ones(len(odds)), odds])
    beta = np.zeros(2)
    loss = _loss(x, came, beta)
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-x @ beta))
        hessian = (x * (fitted * (1 - fitted))[:, None]).T @ x
        if np.linalg.cond(hessian) > 1e12:
            return None, None
        step = np.linalg.solve(hessian, x.T @ (came - fitted))
        while (ahead := _loss(x, came, beta + step)) > loss and np.abs(step).max() > 1e-9:
            step = step / 2
        beta, loss = beta + step, ahead
        if np.abs(beta).max() > STEEPEST:
            return None, None
        if np.abs(step).max() < 1e-8:
            return float(beta[1]), float(beta[0])
    return None, None


def _loss(x: Floats, came: Floats, beta: Floats) -> float:
    """Negative log likelihood of a logistic regression."""
    z = x @ beta
    return float((np.logaddexp(0.0, z) - came * z).sum())
