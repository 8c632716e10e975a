"""Permutation importance on held-out rows: how much of the score is lost when one column is
shuffled.

Guarantees: the same rows, shuffled by a seed, for each column; intervals from paired draws over
rows; the predictions come from outside (the orchestrator runs `predict` on the stacked frame in the
sandbox). Does not: split credit between columns that say the same (each alone then looks
dispensable).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlagent.contracts.evaluation import Importance

from .intervals import DRAWS_SECONDARY, difference_of, paired_draws
from .metrics import point, sign
from .truth import Codes, Floats, Truth, Undefined
from .weighted import MeanOver, prepare

if TYPE_CHECKING:
    import pandas as pd

REPEATS = 3
MOST_STACKED = 200_000


@dataclass(frozen=True)
class ProbeIndex:
    """Which rows of the stacked frame are what.

    The stack is blocks of len(rows): first the rows as they are, then for each column `repeats`
    shuffled copies.

    Attributes:
        rows: positions in the frame that was given, rising.
        columns: in the order of their blocks.
        repeats: shuffled copies per column.
    """

    rows: Codes
    columns: tuple[str, ...]
    repeats: int


def probe_frame_plan(n: int, columns: Sequence[str], seed: int, max_rows: int) -> ProbeIndex:
    """Which rows and how many repeats: at most `max_rows` rows, at most 200,000 stacked."""
    columns = tuple(columns)
    limit = max(50, MOST_STACKED // (1 + len(columns)))
    size = min(n, max_rows, limit)
    rows = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
    repeats = max(1, min(REPEATS, (MOST_STACKED // max(size, 1) - 1) // max(1, len(columns))))
    return ProbeIndex(rows, columns, repeats)


def permuted_copies(
    frame: pd.DataFrame, columns: Sequence[str], seed: int, max_rows: int = 1000
) -> tuple[pd.DataFrame, ProbeIndex]:
    """The frame to predict on, and its index.

    Args:
        frame: features of held-out rows.
        columns: the ones to shuffle; a name that is not in the frame is a KeyError.
        max_rows: rows of the frame that are used.
    """
    import pandas as pd

    index = probe_frame_plan(len(frame), columns, seed, max_rows)
    base = frame.iloc[index.rows].reset_index(drop=True)
    rng = np.random.default_rng([seed, 1])
    blocks = [base]
    for column in index.columns:
        for _ in range(index.repeats):
            block = base.copy()
            block[column] = base[column].take(rng.permutation(len(base))).to_numpy()
            block[column] = block[column].astype(base[column].dtype)
            blocks.append(block)
    return pd.concat(blocks, ignore_index=True), index


def importance_from(
    predictions: Floats,
    truth: Truth,
    metric: str,
    index: ProbeIndex,
    *,
    seed: int,
    **options: Any,
) -> tuple[Importance, ...]:
    """Importances, largest first; empty when the metric is not defined on these rows.

    Args:
        predictions: for every row of the stacked frame.
        truth: of the frame that was given to `permuted_copies` (all of its rows).
        options: threshold, cost, quantile as for `metrics.compute`.
    """
    kept = truth.take(index.rows)
    m = kept.n
    blocks = 1 + len(index.columns) * index.repeats
    if len(predictions) != blocks * m:
        raise ValueError(f"{len(predictions)} predictions for {blocks} blocks of {m} rows")
    parts = np.split(predictions, blocks)
    try:
        base = prepare(metric, kept, parts[0], **options)
        whole = point(metric, base, kept)
    except Undefined:
        return ()
    metrics = [base]
    for i in range(len(index.columns)):
        shuffled = parts[1 + i * index.repeats : 1 + (i + 1) * index.repeats]
        metrics.append(
            MeanOver(tuple((None, prepare(metric, kept, one, **options)) for one in shuffled))
        )
    drawn = paired_draws(metrics, m, draws=DRAWS_SECONDARY, seed=seed)
    found = []
    for i, column in enumerate(index.columns, start=1):
        drop = sign(metric) * (whole - point(metric, metrics[i], kept))
        try:
            gap = difference_of(drop, sign(metric) * (drawn[0] - drawn[i]))
        except Undefined:
            continue
        drop, low, high = (round(part, 12) + 0.0 for part in (drop, gap.low, gap.high))
        found.append(Importance(column=column, drop=drop, low=low, high=high))
    return tuple(sorted(found, key=lambda one: -one.drop))
