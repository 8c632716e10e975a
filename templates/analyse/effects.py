"""One feature and the target: a rank or contingency test, its effect size, and false-discovery
control.

Guarantees: tests by ranks, so that no outlier decides; effect sizes in 0..1, corrected for the
number of levels; q values of Benjamini and Hochberg (1995). Does not claim causes, and each test
looks at one column alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from dev_rows import DevRows, Feature
from scipy.special import chdtrc, ndtr, stdtr

LEAST_ROWS, RARE_LEVEL = 20, 10
"""Fewer known rows: no test. Rarer levels are put together before a contingency test (expected
counts).
"""


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """q values, in the order of `p_values`."""
    p = np.asarray(p_values, dtype=float)
    n = len(p)
    if n == 0:
        return p
    order = np.argsort(p)
    scaled = p[order] * n / np.arange(1, n + 1)
    q = np.empty(n)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def associations(data: DevRows) -> list[dict[str, Any]]:
    """Every testable feature against the target, strongest first, in the shape of the record
    `Association`.
    """
    if not data.usable:
        return []
    found = [test for feature in data.features if (test := associate(feature, data)) is not None]
    for test, q in zip(found, benjamini_hochberg([t["p_value"] for t in found]), strict=True):
        test["q_value"] = float(q)
    return sorted(found, key=lambda test: (-test["effect"], test["column"]))


def associate(
    feature: Feature, data: DevRows, rows: np.ndarray | None = None
) -> dict[str, Any] | None:
    """Test one feature on all rows, or on `rows`. None for text and where there is nothing to
    test.
    """
    codes, y = feature.codes, data.y
    numbers = feature.numbers
    if rows is not None:
        codes, y = codes[rows], y[rows]
        numbers = None if numbers is None else numbers[rows]
    use = (codes >= 0) & ~np.isnan(y)
    n = int(use.sum())
    near_unique = feature.numbers is None and feature.levels > 0.5 * n
    if feature.role == "text" or n < LEAST_ROWS or near_unique:
        return None
    codes, y = codes[use], y[use]
    if feature.numbers is None:
        groups = lump(codes)
        if data.kind == "regression":
            result = kruskal(groups, y)
        else:
            result = chi_square(groups, y.astype(np.int64))
    elif data.kind == "regression":
        result = spearman(numbers[use], y)
    elif len(np.unique(y)) == 2:
        result = mann_whitney(numbers[use], y == y.max())
    else:
        result = kruskal(y.astype(np.int64), numbers[use])
    if result is None:
        return None
    test, name, effect, p = result
    return {
        "column": feature.name,
        "test": test,
        "effect": float(np.clip(effect, 0.0, 1.0)),
        "effect_name": name,
        "p_value": float(np.clip(p, 0.0, 1.0)),
        "q_value": 1.0,
        "n": n,
    }


Result = tuple[str, str, float, float]


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks from 1; ties share theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def lump(codes: np.ndarray) -> np.ndarray:
    """Put levels with fewer than RARE_LEVEL rows together."""
    counts = np.bincount(codes)
    return np.where(counts[codes] >= RARE_LEVEL, codes, len(counts))


def mann_whitney(values: np.ndarray, positive: np.ndarray) -> Result | None:
    """Mann-Whitney U with tie correction; effect: rank-biserial correlation |2 AUC - 1|."""
    a, b = int(positive.sum()), int((~positive).sum())
    if a == 0 or b == 0:
        return None
    r, n = ranks(values), a + b
    u = r[positive].sum() - a * (a + 1) / 2
    _, ties = np.unique(values, return_counts=True)
    ties = ties.astype(float)
    variance = a * b / 12 * ((n + 1) - (ties**3 - ties).sum() / (n * (n - 1)))
    if variance <= 0:
        return None
    z = (u - a * b / 2) / np.sqrt(variance)
    return "Mann-Whitney", "|rank-biserial r|", abs(2 * u / (a * b) - 1), 2 * ndtr(-abs(z))


def kruskal(groups: np.ndarray, values: np.ndarray) -> Result | None:
    """Kruskal-Wallis; effect: square root of epsilon squared, corrected (Kelley 1935), on ranks."""
    _, groups = np.unique(groups, return_inverse=True)
    n, k = np.bincount(groups), int(groups.max()) + 1
    total = len(values)
    r = ranks(values)
    spread = ((r - r.mean()) ** 2).sum()
    if k < 2 or total <= k or spread <= 0:
        return None
    means = np.bincount(groups, weights=r) / n
    h = (total - 1) * (n * (means - r.mean()) ** 2).sum() / spread
    squared = max(0.0, (h - k + 1) / (total - k))
    return "Kruskal-Wallis", "eta (ranks)", float(np.sqrt(squared)), float(chdtrc(k - 1, h))


def spearman(a: np.ndarray, b: np.ndarray) -> Result | None:
    """Spearman's rho with the t approximation."""
    x, y, n = ranks(a), ranks(b), len(a)
    x, y = x - x.mean(), y - y.mean()
    power = np.sqrt((x**2).sum() * (y**2).sum())
    if power == 0:
        return None
    rho = float(np.clip((x * y).sum() / power, -1, 1))
    t = rho * np.sqrt((n - 2) / max(1 - rho**2, 1e-300))
    return "Spearman", "|Spearman rho|", abs(rho), float(2 * stdtr(n - 2, -abs(t)))


def chi_square(a: np.ndarray, b: np.ndarray) -> Result | None:
    """Pearson's chi square; effect: Cramer's V with the bias correction of Bergsma (2013)."""
    _, a = np.unique(a, return_inverse=True)
    _, b = np.unique(b, return_inverse=True)
    rows, columns, n = int(a.max()) + 1, int(b.max()) + 1, len(a)
    if rows < 2 or columns < 2:
        return None
    table = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)
    expected = np.outer(table.sum(1), table.sum(0)) / n
    chi = float(((table - expected) ** 2 / expected).sum())
    freedom = (rows - 1) * (columns - 1)
    phi = max(0.0, chi / n - freedom / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    effect = float(np.sqrt(min(phi / least, 1.0))) if least > 0 else 0.0
    return "chi square", "Cramer's V", effect, float(chdtrc(freedom, chi))
