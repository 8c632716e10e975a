"""Power: the smallest difference between two models that these rows can show.

Guarantees: 80 % power at the two-sided 5 % level, from a stated approximation. Does not: promise
more than an order of magnitude; the assumptions about how alike two models are stand below, and
without a formula that holds the answer is None.

Sources: AUC, Hanley and McNeil (1982, 1983); accuracy and mean cost of labels, McNemar's test;
RMSE, MAE, R2, normal errors correlated between the models (bivariate normal moments); log loss and
Brier, delta method.
"""

from __future__ import annotations

from math import asin, pi, sqrt

from mlagent.contracts.base import TaskKind

FACTOR = 1.959964 + 0.841621
"""z for two-sided 5 % plus z for 80 % power."""
TYPICAL_AUC = 0.8
ALIKE = 0.8
"""Correlation between the errors of two sensible models on the same rows."""
DISAGREE = 0.1
"""Share of rows to which two sensible classifiers give different labels."""
LOG_ODDS_APART = 0.5
"""Standard deviation of the difference of two models' log odds."""
EXPLAINED = 0.5
"""Share of the target's variance that a sensible model explains."""


def detectable_difference(
    metric: str, kind: TaskKind, n_vault: int, base_rate_or_sd: float | None
) -> float | None:
    """Smallest difference of the metric that n rows show with 80 % power.

    Args:
        n_vault: rows that will be judged.
        base_rate_or_sd: share of positives (binary), standard deviation of the target (regression),
            ignored for multiclass.

    Returns:
        In units of the metric, or None when there is no formula, or too few rows for one.
    """
    if n_vault < 10:
        return None
    if kind == "regression":
        error = _regression_error(metric, n_vault, base_rate_or_sd)
    elif kind == "multiclass":
        error = sqrt(DISAGREE / n_vault) if metric == "accuracy" else None
    else:
        error = _binary_error(metric, n_vault, base_rate_or_sd)
    return None if error is None else FACTOR * error


def _binary_error(metric: str, n: int, rate: float | None) -> float | None:
    """Standard error of the difference of two models."""
    if metric == "accuracy":
        return sqrt(DISAGREE / n)
    if rate is None or not 0 < rate < 1:
        return None
    positives, negatives = n * rate, n * (1 - rate)
    if min(positives, negatives) < 5:
        return None
    if metric == "roc_auc":
        a = TYPICAL_AUC
        q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
        variance = (
            a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)
        ) / (positives * negatives)
        return sqrt(2 * variance * (1 - ALIKE))
    spread = rate * (1 - rate)
    if metric == "balanced_accuracy":
        return sqrt(DISAGREE / positives + DISAGREE / negatives) / 2
    if metric == "log_loss":
        return sqrt(spread / n) * LOG_ODDS_APART
    if metric == "brier":
        return 2 * sqrt(spread / n) * spread * LOG_ODDS_APART
    return None


def _regression_error(metric: str, n: int, sd: float | None) -> float | None:
    """Standard error of the difference of two models with normal errors of correlation ALIKE."""
    if metric == "r2":
        return 2 * (1 - EXPLAINED) * sqrt((1 - ALIKE**2) / n)
    if sd is None or not sd > 0:
        return None
    residual = sd * sqrt(1 - EXPLAINED)
    if metric == "rmse":
        return residual * sqrt((1 - ALIKE**2) / n)
    if metric in ("mae", "pinball"):
        both = 2 / pi * (ALIKE * asin(ALIKE) + sqrt(1 - ALIKE**2))
        variance = 2 * residual**2 * (1 - both)
        return sqrt(variance / n) * (0.5 if metric == "pinball" else 1.0)
    return None
