"""Out-of-fold predictions of a finished run, with the training rows of its folds.

`predictions/oof.parquet` names the rows that a fold held out and not those that it trained on, and
an interval over folds needs both (`referee.intervals.training_spread`). Guarantees: as many
training rows in each fold as the run had. Does not know their values: rows that no fold held out
have no prediction and are only counted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlagent.contracts.run import Seal
from mlagent.orchestrator.saved import Saved


def with_training_rows(saved: Saved, seal: Seal) -> Saved:
    """The same predictions; `folds` is (F, dev rows) with 1 for training rows, and `truth`, `model`
    and `clusters` reach as far. `rows` stays: those that were judged. A vault's come back as they
    are."""
    if saved.folds is None:
        return saved
    held = saved.folds == 2
    if seal.kind == "time":  # an expanding window: what an earlier fold held out, or none
        trained = held.argmax(axis=0)[None, :] < np.arange(len(held))[:, None]
    else:
        trained = ~held
    known = np.where(held, 2, np.where(trained, 1, 0)).astype(np.int8)
    count = held.shape[1]
    more = max(0, seal.dev_rows - count)
    always = np.ones((len(held), more), dtype=np.int8)
    gap = [(0, 0)] * saved.model.ndim
    gap[1] = (0, more)
    clusters = saved.clusters
    if clusters is not None:
        _, code = np.unique(clusters, return_inverse=True)
        code = code.reshape(-1)
        clusters = np.concatenate([code, code.max() + 1 + np.arange(more)])
    return replace(
        saved,
        truth=saved.truth.take(np.concatenate([np.arange(count), np.zeros(more, dtype=np.int64)])),
        model=np.pad(saved.model, gap, constant_values=np.nan),
        folds=np.hstack([known, always]),
        clusters=clusters,
    )
