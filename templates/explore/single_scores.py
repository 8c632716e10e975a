"""How much one column alone says about the target, and how strongly two columns hang together.

Guarantees: scores are cross-fitted in two halves (Micci-Barreca's target means, learnt on one
half and scored on the other), so a column of unique values scores as chance does. Effect sizes
are corrected for the number of levels and lie in 0..1. Nothing here is a test of significance;
the analyst has those.
"""

from __future__ import annotations

import numpy as np
from table_columns import Column, Target

PRIOR_ROWS = 1.0
"""Weight of the overall mean in a level's mean: one row."""
MOST_CLASSES = 20
"""With more classes than this, the most frequent ones stand for all."""


def single_score(column: Column, target: Target, half: np.ndarray) -> float | None:
    """Cross-fitted score of one column: AUC (binary), one-vs-rest AUC (multiclass) or R2
    (regression).

    Args:
        half: (n,) bool, which half each row belongs to.

    Returns:
        0.5..1 or 0..1; None when a half has too few rows or one class only.
    """
    known = target.known
    if target.kind == "regression":
        return _r2(column, target, half)
    scores = []
    frequent = np.argsort(target.matrix[known].sum(axis=0))[::-1][:MOST_CLASSES]
    for position in frequent:
        positive = target.matrix[:, position] == 1.0
        if min(int(positive[known].sum()), int((~positive)[known].sum())) < 4:
            continue
        score = _auc(column, positive, known, half)
        if score is not None:
            scores.append(score)
    return float(np.mean(scores)) if scores else None


def _auc(column: Column, positive: np.ndarray, known: np.ndarray, half: np.ndarray) -> float | None:
    size = column.n_bins
    folds = []
    for side in (half, ~half):
        learn, judge = known & ~side, known & side
        if not learn.any():
            return None
        rate = positive[learn].mean()
        total = np.bincount(column.bins[learn], minlength=size)
        hits = np.bincount(column.bins[learn & positive], minlength=size)
        keys = (hits + PRIOR_ROWS * rate) / (total + PRIOR_ROWS)
        pos = np.bincount(column.bins[judge & positive], minlength=size)
        neg = np.bincount(column.bins[judge & ~positive], minlength=size)
        score = auc_of_counts(pos, neg, keys)
        if score is None:
            return None
        folds.append(score)
    binned = float(np.mean(folds))
    if column.numbers is None:
        return max(binned, 0.5)
    raw = _raw_auc(column, positive, known)
    return max(binned, raw, 1.0 - raw)


def _raw_auc(column: Column, positive: np.ndarray, known: np.ndarray) -> float:
    """AUC of the values themselves, in their order; missing rows are left out."""
    use = known & ~column.missing
    if use.sum() < 0.5 * known.sum():
        return 0.5
    pos = np.bincount(column.codes[use & positive], minlength=column.levels)
    neg = np.bincount(column.codes[use & ~positive], minlength=column.levels)
    score = auc_of_counts(pos, neg, np.arange(column.levels))
    coverage = use.sum() / max(int(known.sum()), 1)
    return 0.5 if score is None else 0.5 + (score - 0.5) * float(coverage)


def auc_of_counts(pos: np.ndarray, neg: np.ndarray, keys: np.ndarray) -> float | None:
    """AUC of groups of rows that share a score `keys`; ties count one half. None without both
    classes.
    """
    if pos.sum() == 0 or neg.sum() == 0:
        return None
    _, place = np.unique(keys, return_inverse=True)
    pos = np.bincount(place, weights=pos)
    neg = np.bincount(place, weights=neg)
    below = np.cumsum(neg) - neg
    return float((pos * (below + neg / 2)).sum() / (pos.sum() * neg.sum()))


def _r2(column: Column, target: Target, half: np.ndarray) -> float | None:
    """Best of: means per bin, a line per bin, one line; each learnt on the other half."""
    known, y, size = target.known, target.values, column.n_bins
    errors, spread = np.zeros(3), 0.0
    x = None
    if column.numbers is not None and column.present > 1:
        centre, scale = np.nanmean(column.numbers), np.nanstd(column.numbers)
        x = np.nan_to_num((column.numbers - centre) / (scale if scale > 0 else 1.0))
    for side in (half, ~half):
        learn, judge = known & ~side, known & side
        if learn.sum() < 3 or judge.sum() < 3:
            return None
        mean = y[learn].mean()
        bins = column.bins[learn]
        n = np.bincount(bins, minlength=size)
        level = (np.bincount(bins, weights=y[learn], minlength=size) + mean) / (n + PRIOR_ROWS)
        here = column.bins[judge]
        guesses = [level[here]]
        if x is not None:
            guesses += [
                _lines(x, y, learn, judge, column.bins, level, n),
                _line(x, y, learn, judge),
            ]
        for position in range(3):
            guess = guesses[min(position, len(guesses) - 1)]
            errors[position] += float(((y[judge] - guess) ** 2).sum())
        spread += float(((y[judge] - y[judge].mean()) ** 2).sum())
    if spread <= 0:
        return None
    return float(np.clip(1.0 - errors.min() / spread, 0.0, 1.0))


def _line(x: np.ndarray, y: np.ndarray, learn: np.ndarray, judge: np.ndarray) -> np.ndarray:
    centre, mean = x[learn].mean(), y[learn].mean()
    power = ((x[learn] - centre) ** 2).sum()
    slope = ((x[learn] - centre) * (y[learn] - mean)).sum() / power if power > 0 else 0.0
    return mean + slope * (x[judge] - centre)


def _lines(
    x: np.ndarray,
    y: np.ndarray,
    learn: np.ndarray,
    judge: np.ndarray,
    bins: np.ndarray,
    level: np.ndarray,
    n: np.ndarray,
) -> np.ndarray:
    """One short line per bin, so that a smooth copy of the target scores as the copy it is."""
    size, b = len(level), bins[learn]
    rows = np.maximum(n, 1)
    x_mean = np.bincount(b, weights=x[learn], minlength=size) / rows
    y_mean = np.bincount(b, weights=y[learn], minlength=size) / rows
    dx = x[learn] - x_mean[b]
    power = np.bincount(b, weights=dx**2, minlength=size)
    cross = np.bincount(b, weights=dx * (y[learn] - y_mean[b]), minlength=size)
    sloped = (n >= 10) & (power > 1e-12)
    slope = np.where(sloped, cross / np.where(sloped, power, 1.0), 0.0)
    base = np.where(n >= 10, y_mean, level)
    here = bins[judge]
    return base[here] + slope[here] * (x[judge] - x_mean[here])


def association(column: Column, target: Target) -> float | None:
    """Strength in 0..1: |Spearman|, |2 AUC - 1|, corrected Cramer's V or eta; None when there is
    too little.
    """
    use = target.known & ~column.missing
    if use.sum() < 10 or column.levels < 2 or column.near_unique:
        return None
    y = target.values[use]
    if target.kind == "regression":
        if column.numbers is not None:
            return spearman(column.numbers[use], y)
        return eta(column.codes[use], ranks(y))
    if column.numbers is None:
        return cramers_v(column.codes[use], y.astype(np.int64))
    if target.kind == "binary":
        pos = np.bincount(column.codes[use & (target.values == 1)], minlength=column.levels)
        neg = np.bincount(column.codes[use & (target.values == 0)], minlength=column.levels)
        score = auc_of_counts(pos, neg, np.arange(column.levels))
        return None if score is None else abs(2 * score - 1)
    return eta(y.astype(np.int64), ranks(column.numbers[use]))


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks from 1; ties share theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """|Spearman's rho|; None when one of them is constant."""
    x, y = ranks(a), ranks(b)
    x, y = x - x.mean(), y - y.mean()
    power = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return None if power == 0 else min(abs(float((x * y).sum())) / power, 1.0)


def eta(groups: np.ndarray, values: np.ndarray) -> float | None:
    """Square root of epsilon squared (Kelley 1935), the eta of `values` by `groups`, corrected for
    bias.
    """
    _, groups = np.unique(groups, return_inverse=True)
    n = np.bincount(groups)
    if len(n) < 2 or len(values) <= len(n):
        return None
    means = np.bincount(groups, weights=values) / n
    total = float(((values - values.mean()) ** 2).sum())
    if total <= 0:
        return None
    within = float(((values - means[groups]) ** 2).sum())
    squared = 1.0 - (within / (len(values) - len(n))) / (total / (len(values) - 1))
    return float(np.sqrt(np.clip(squared, 0.0, 1.0)))


def cramers_v(a: np.ndarray, b: np.ndarray) -> float | None:
    """Cramer's V with the bias correction of Bergsma (2013)."""
    _, a = np.unique(a, return_inverse=True)
    _, b = np.unique(b, return_inverse=True)
    rows, columns, n = int(a.max()) + 1, int(b.max()) + 1, len(a)
    if rows < 2 or columns < 2 or rows * columns > 4_000_000:
        return None
    table = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)
    expected = np.outer(table.sum(1), table.sum(0)) / n
    phi = float(((table - expected) ** 2 / expected).sum()) / n
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    r = rows - (rows - 1) ** 2 / (n - 1)
    k = columns - (columns - 1) ** 2 / (n - 1)
    least = min(r, k) - 1
    return float(np.sqrt(min(phi / least, 1.0))) if least > 0 else None
