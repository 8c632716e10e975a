"""The threshold: from which probability on a row is called positive (rule 6).

Guarantees: chosen on the out-of-fold rows handed in and on nothing else; over folds, the cut that
judges the rows of one fold comes from the rows of the others; deterministic; the cut lies midway
between two neighbouring predictions, and among equally good cuts it is the one nearest to 0.5. Does
not: know whether the rows are dev rows; the caller freezes the number before the vault is opened.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlagent.contracts.metrics import METRICS, threshold_metric

from .confusion import LABEL_METRICS, from_confusion
from .metrics import sign
from .truth import Floats, Truth, Undefined, why_undefined


def best_threshold(
    metric: str,
    truth: Truth,
    oof_prediction: Floats,
    cost: Sequence[Sequence[float]] | None = None,
) -> float:
    """The threshold with the best label metric.

    Args:
        metric: the task's metric; see `threshold_metric`.
        truth: binary; dev rows only.
        oof_prediction: (n,) probabilities from models that had not seen the row.
        cost: (2, 2), for `cost`.

    Returns:
        A number t: rows with a probability >= t are positive. Above every prediction when
            calling nobody positive is best.

    Raises:
        Undefined: one class only.
    """
    if truth.kind != "binary":
        raise ValueError(f"a threshold is for binary tasks, not {truth.kind}")
    name = threshold_metric(metric)
    assert name in LABEL_METRICS
    levels, place = np.unique(oof_prediction, return_inverse=True)
    place = place.reshape(-1)
    m = len(levels)
    positive = np.bincount(place[truth.positive], minlength=m).astype(np.float64)
    negative = np.bincount(place[~truth.positive], minlength=m).astype(np.float64)
    counts = np.empty((m + 1, 2, 2))
    counts[:, 0, 0] = np.concatenate([[0.0], np.cumsum(negative)])
    counts[:, 1, 0] = np.concatenate([[0.0], np.cumsum(positive)])
    counts[:, 0, 1] = negative.sum() - counts[:, 0, 0]
    counts[:, 1, 1] = positive.sum() - counts[:, 1, 0]
    value = sign(name) * from_confusion(name, counts, cost=cost)
    if m == 0 or np.isnan(value).all():
        raise Undefined(why_undefined(METRICS[name].title, truth))
    above = (levels[-1] + 1.0) / 2 if levels[-1] < 1.0 else float(np.nextafter(1.0, 2.0))
    cuts = np.concatenate([[levels[0] / 2], (levels[:-1] + levels[1:]) / 2, [above]])
    best = np.flatnonzero(value >= np.nanmax(value) - 1e-12)
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5), axis=0)]])


def cross_thresholds(
    metric: str,
    truth: Truth,
    predictions: Floats,
    folds: npt.NDArray[np.int8],
    cost: Sequence[Sequence[float]] | None = None,
) -> tuple[float, ...]:
    """One threshold for each fold, the best on rows that the other folds hold out.

    A single one for all would be chosen on the rows that it judges, and label metrics would look
    better than they are: on noise, every one of them.

    Args:
        predictions: (F, n) probabilities, one layer for each fold.
        folds: (F, n): 2 = held out.

    Returns:
        F numbers; 0.5 where the other folds hold out no row or one class only.
    """
    held = folds == 2
    found = []
    for fold in range(len(folds)):
        others = held.copy()
        others[fold] = False
        rows = np.flatnonzero(others.any(axis=0) & ~held[fold])
        first = others.argmax(axis=0)[rows]
        part = truth.take(rows)
        both = len(rows) > 0 and bool(part.positive.any()) and not bool(part.positive.all())
        cut = best_threshold(metric, part, predictions[first, rows], cost) if both else 0.5
        found.append(cut)
    return tuple(found)
