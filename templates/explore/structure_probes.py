"""How columns relate to each other: strongest pairs, redundancy, dependence of missing cells,
drift over rows.

Guarantees: at most PAIR_ROWS rows are used, evenly taken. Does not test causes, and drift is over
the order of the rows, which is time only if the file is in order of time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reporting import finding, listed, percent, quoted, verb
from single_scores import auc_of_counts, cramers_v, eta, ranks
from table_columns import Column, Table

PAIR_ROWS = 10_000
SHOWN_AT, REDUNDANT_AT = 0.5, 0.98
MOST_PAIRS = 20


def strongest_pairs(table: Table, *, deep: bool) -> list[tuple[str, str, float]]:
    """Feature pairs from SHOWN_AT on, strongest first: |Spearman|; `deep` adds Cramer's V and
    eta.
    """
    step = max(1, -(-len(table.frame) // PAIR_ROWS))
    numbers = [
        c for c in table.features if c.numbers is not None and c.levels > 1 and c.present >= 30
    ]
    pairs: list[tuple[str, str, float]] = []
    if len(numbers) > 1:
        rho = rank_correlations(numbers[:200], step)
        for i, j in zip(*np.triu_indices(len(rho), 1), strict=True):
            if abs(rho[i, j]) >= SHOWN_AT:
                pairs.append(
                    (numbers[i].name, numbers[j].name, round(float(min(abs(rho[i, j]), 1)), 4))
                )
    if deep:
        pairs += _word_pairs(table, step)
    return sorted(pairs, key=lambda pair: -pair[2])[:MOST_PAIRS]


def rank_correlations(columns: list[Column], step: int) -> np.ndarray:
    """(k, k) Spearman correlations; missing cells take the mean rank."""
    table = []
    for column in columns:
        values = column.numbers[::step]
        known = ~np.isnan(values)
        place = np.zeros(len(values))
        if known.sum() > 1:
            r = ranks(values[known])
            spread = r.std()
            place[known] = (r - r.mean()) / spread if spread > 0 else 0.0
            size = np.sqrt((place**2).sum())
            place = place / size if size > 0 else place
        table.append(place)
    matrix = np.array(table)
    return matrix @ matrix.T


def _word_pairs(table: Table, step: int) -> list[tuple[str, str, float]]:
    words = [c for c in table.features if c.texts is not None and 2 <= c.levels <= 100][:40]
    numbers = [c for c in table.features if c.numbers is not None and c.levels > 1][:40]
    pairs = []
    for i, one in enumerate(words):
        for other in words[i + 1 :]:
            use = (one.codes[::step] >= 0) & (other.codes[::step] >= 0)
            if use.sum() >= 30:
                strength = cramers_v(one.codes[::step][use], other.codes[::step][use])
                pairs.append((one.name, other.name, strength))
        for other in numbers:
            use = (one.codes[::step] >= 0) & ~other.missing[::step]
            if use.sum() >= 30:
                strength = eta(one.codes[::step][use], ranks(other.numbers[::step][use]))
                pairs.append((one.name, other.name, strength))
    return [(a, b, round(float(s), 4)) for a, b, s in pairs if s is not None and s >= SHOWN_AT]


def redundancy_findings(pairs: list[tuple[str, str, float]]) -> list[dict[str, Any]]:
    """Pairs that say the same thing twice."""
    same = [(a, b, s) for a, b, s in pairs if s >= REDUNDANT_AT]
    if not same:
        return []
    names = list(dict.fromkeys(name for a, b, _ in same for name in (a, b)))
    return [
        finding(
            "redundant.pair",
            "low",
            names,
            f"{listed(names)} say nearly the same",
            "; ".join(f"{quoted(a)} and {quoted(b)}: {s:.3f}" for a, b, s in same[:5]) + ".",
            "Kept. Coefficients and importances are shared between them; read them together.",
        )
    ]


def missing_dependence(table: Table) -> list[dict[str, Any]]:
    """Does another column tell which cells are missing (not missing completely at random)?"""
    found, n = [], len(table.frame)
    holes = [c for c in table.features if 20 <= c.missing.sum() <= n - 20][:20]
    numbers = [c for c in table.features if c.present >= 30 and c.levels > 1]
    linked: list[tuple[float, str, str]] = []
    for hole in holes:
        for other in numbers[:40]:
            if other is hole or other.near_unique:
                continue
            use = ~other.missing
            gone, here = hole.missing & use, ~hole.missing & use
            if min(gone.sum(), here.sum()) < 20:
                continue
            if other.numbers is None:
                strength = cramers_v(other.codes[use], hole.missing[use].astype(np.int64)) or 0.0
            else:
                a = np.bincount(other.codes[gone], minlength=other.levels)
                b = np.bincount(other.codes[here], minlength=other.levels)
                score = auc_of_counts(a, b, np.arange(other.levels))
                strength = 0.0 if score is None else abs(2 * score - 1)
            if strength >= 0.2 and strength * np.sqrt(min(gone.sum(), 5000)) > 5:
                linked.append((strength, hole.name, other.name))
    if linked:
        linked.sort(reverse=True)
        names = list(dict.fromkeys(name for _, name, _ in linked))
        found.append(
            finding(
                "missing.dependent",
                "medium",
                names,
                f"{listed(names)} {verb(names, 'is', 'are')} not missing at random",
                "; ".join(f"{quoted(h)} with {quoted(o)}: {s:.2f}" for s, h, o in linked[:5]) + ".",
                "The mean is a biased filling there; indicators and tree models use the pattern "
                "instead.",
            )
        )
    return found


def drift_findings(table: Table) -> list[dict[str, Any]]:
    """Adversarial validation: can a small model tell the first half of the rows from the second?"""
    from sklearn.ensemble import ExtraTreesClassifier

    features = [c for c in table.features if c.role in ("number", "category") and not c.near_unique]
    n = len(table.frame)
    if len(features) < 1 or n < 400:
        return []
    rows = np.linspace(0, n - 1, min(n, 6000)).astype(int)
    x = np.column_stack([c.bins[rows] for c in features]).astype(float)
    late = (np.arange(len(rows)) >= len(rows) // 2).astype(int)
    fold = np.random.default_rng(table.seed).random(len(rows)) < 0.5
    chance = np.zeros(len(rows))
    for side in (fold, ~fold):
        model = ExtraTreesClassifier(
            n_estimators=40, max_depth=8, min_samples_leaf=5, random_state=table.seed
        )
        chance[side] = model.fit(x[~side], late[~side]).predict_proba(x[side])[:, 1]
    keys, place = np.unique(chance, return_inverse=True)
    score = auc_of_counts(
        np.bincount(place, weights=late, minlength=len(keys)),
        np.bincount(place, weights=1 - late, minlength=len(keys)),
        keys,
    )
    if score is None or score < 0.6:
        return []
    moved = sorted(((_shift(c, n), c.name) for c in features), reverse=True)[:4]
    moved = [(shift, name) for shift, name in moved if shift >= 0.02]
    return [
        finding(
            "drift.rows",
            "medium" if score > 0.75 else "low",
            [name for _, name in moved],
            "the first and the second half of the file differ",
            f"A small model tells them apart with AUC {score:.2f}; most moved: "
            + "; ".join(f"{quoted(name)} {percent(shift)}" for shift, name in moved)
            + " (total variation).",
            "If the order is time, new rows will differ again: prefer a split by time and watch "
            "the inputs.",
        )
    ]


def _shift(column: Column, n: int) -> float:
    """Total variation distance between the binned halves."""
    half = n // 2
    size = column.n_bins
    if size > 200:
        return 0.0
    a = np.bincount(column.bins[:half], minlength=size) / max(half, 1)
    b = np.bincount(column.bins[half:], minlength=size) / max(n - half, 1)
    return float(np.abs(a - b).sum() / 2)
