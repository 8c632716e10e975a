"""predictions/{oof,vault}.parquet: what was predicted for which row, with the truth beside it.

Columns: row (position in the file), fold (oof only), truth (class or value), then for each model
`name` or, for multiclass, `name:class`. No feature ever stands here. A file of folds names the rows
that a fold held out and not those that it trained on; an interval over folds needs both
(`referee.intervals.training_spread`), so they are found again when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mlagent.contracts.errors import BadInput
from mlagent.contracts.run import Seal
from mlagent.contracts.task import TaskSpec
from mlagent.data.frames import read_frame, write_frame
from mlagent.referee.metrics import Truth, encode_target
from mlagent.store.runs import RunFolder

from .rows import RunTable


@dataclass(frozen=True)
class Saved:
    """Judged predictions of the shipped model.

    Attributes:
        rows: positions in the file of those that were judged, (n,).
        model: (n,) or (n, k); with `folds`, (F, m) or (F, m, k), m >= n: all dev rows.
        folds: (F, m) with 1 = trained on and 2 = held out, for a run without a vault.
        clusters: (n,) groups, or None; with `folds`, (m,).
    """

    rows: np.ndarray
    truth: Truth
    model: np.ndarray
    folds: np.ndarray | None
    clusters: np.ndarray | None


def write_predictions(
    run: RunFolder,
    name: str,
    rows: np.ndarray,
    truth: Truth,
    predictions: Mapping[str, np.ndarray],
    *,
    fold: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> None:
    """Write predictions/<name>.parquet.

    Args:
        rows: positions in the file, shape (m,).
        predictions: model name -> (m,) or (m, k).
    """
    columns: dict[str, np.ndarray] = {"row": rows}
    if fold is not None:
        columns["fold"] = fold
    if clusters is not None:
        columns["cluster"] = clusters
    if truth.kind == "regression":
        columns["truth"] = truth.y
    else:
        columns["truth"] = np.array(truth.classes, dtype=object)[truth.y]
    for model, array in predictions.items():
        if array.ndim == 1:
            columns[model] = array
        else:
            for index, label in enumerate(truth.classes):
                columns[f"{model}:{label}"] = array[:, index]
    write_frame(pd.DataFrame(columns), run.file(f"predictions/{name}.parquet"))


def read_predictions(run: RunFolder, task: TaskSpec, of: str = "model") -> Saved:
    """The judged predictions of a run: of its vault, or out-of-fold when it had none.

    Args:
        of: 'model' (what ships), 'linear' or 'dummy'.

    Raises:
        BadInput: the run has none.
    """
    seal, manifest = run.read("seal.json", Seal), run.manifest()
    path = run.path / "predictions" / ("vault.parquet" if seal.vault_rows else "oof.parquet")
    name = str(manifest.model_name) if of == "model" and not seal.vault_rows else of
    if not path.exists():
        raise BadInput(
            f"Run {run.id} has no judged predictions ({path.name}).",
            remedy="Take a run of `mlagent execute` whose folder is whole; see `mlagent runs`.",
        )
    frame = read_frame(path)
    assert task.kind is not None
    names = [name]
    if task.kind == "multiclass":
        names = [f"{name}:{label}" for label in task.classes]
    if absent := [column for column in names if column not in frame]:
        raise BadInput(f"Run {run.id}: {path.name} has no column {absent[0]!r}.")
    values = frame[names].to_numpy(dtype=np.float64)
    if task.kind != "multiclass":
        values = values[:, 0]
    if seal.vault_rows:
        return Saved(frame["row"].to_numpy(), _truth(frame, task), values, None, _clusters(frame))
    first = frame.drop_duplicates("row").sort_values("row", ignore_index=True)
    place = np.searchsorted(first["row"].to_numpy(), frame["row"].to_numpy())
    fold = frame["fold"].to_numpy()
    folds = np.zeros((int(fold.max()) + 1, len(first)), dtype=np.int8)
    folds[fold, place] = 2
    layers = np.full((*folds.shape, *values.shape[1:]), np.nan)
    layers[fold, place] = values
    found = Saved(first["row"].to_numpy(), _truth(first, task), layers, folds, _clusters(first))
    return with_training_rows(found, seal)


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


def _truth(frame: pd.DataFrame, task: TaskSpec) -> Truth:
    assert task.kind is not None
    if task.kind == "regression":
        return Truth(task.kind, frame["truth"].to_numpy(dtype=np.float64))
    return Truth(task.kind, encode_target(frame["truth"], task.classes), task.classes)


def _clusters(frame: pd.DataFrame) -> np.ndarray | None:
    return frame["cluster"].to_numpy() if "cluster" in frame else None


def read_layers(
    run: RunFolder,
    model: str,
    folds: np.ndarray,
    task: TaskSpec,
    table: RunTable,
    dev: np.ndarray,
) -> np.ndarray | None:
    """One model's out-of-fold predictions of a run as layers (F, n[, k]); None when the folds
    differ."""
    path = run.path / "predictions" / "oof.parquet"
    if not path.exists():
        return None
    frame = read_frame(path)
    fold, row = np.nonzero(folds == 2)
    if len(frame) != len(row) or not (
        np.array_equal(frame["fold"].to_numpy(), fold)
        and np.array_equal(frame["row"].to_numpy(), table.usable[dev[row]])
    ):
        return None
    if task.kind == "multiclass":
        names = [f"{model}:{label}" for label in task.classes]
        layers = np.full((*folds.shape, len(names)), np.nan)
    else:
        names = [model]
        layers = np.full(folds.shape, np.nan)
    if any(name not in frame for name in names):
        return None
    values = frame[names].to_numpy(dtype=np.float64)
    layers[fold, row] = values if task.kind == "multiclass" else values[:, 0]
    return layers
