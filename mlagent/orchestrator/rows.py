"""The table of one run: which rows are usable, dev and vault, and how they go to a sandbox.

Guarantees: vault labels never leave this process (no file that is written for a sandbox holds
them); the rows of a judged prediction are permuted, and only this object knows the permutation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from mlagent.contracts.task import TaskSpec
from mlagent.data.wire import TypedTable
from mlagent.referee.metrics import Truth, encode_target
from mlagent.referee.split import RowFacts


@dataclass
class Shuffled:
    """Features of some rows, written in a random order for a sandbox.

    `restore(p)` puts predictions (n, ...) that came back in that order into the order of the rows.
    """

    path: Path
    order: np.ndarray

    def restore(self, predictions: np.ndarray) -> np.ndarray:
        restored = np.empty_like(predictions)
        restored[self.order] = predictions
        return restored


class RunTable:
    """A typed table with the task's target encoded.

    Args:
        typed: the whole table.
        task: kind, target and classes set.
        features: columns that candidates may see, in file order.
    """

    def __init__(self, typed: TypedTable, task: TaskSpec, features: Sequence[str]) -> None:
        assert task.target is not None
        assert task.kind is not None
        self.typed, self.task, self.features = typed, task, tuple(features)
        missing = np.zeros(typed.rows, dtype=bool)
        missing[typed.missing_target()] = True
        self.usable = np.flatnonzero(~missing)
        self.without_target = int(missing.sum())
        values = typed.target()[self.usable]
        self.y: np.ndarray
        if task.kind == "regression":
            self.y = np.asarray(values, dtype=np.float64)
        else:
            self.y = encode_target(values, task.classes)

    def truth(self, rows: np.ndarray) -> Truth:
        """Truth of the given positions among the usable rows."""
        assert self.task.kind is not None
        return Truth(kind=self.task.kind, y=self.y[rows], classes=self.task.classes)

    def facts(self, key_columns: Sequence[str]) -> RowFacts:
        """What the referee needs to split: keys over `key_columns` (features without ids)."""
        assert self.task.kind is not None
        task = self.task
        return RowFacts(
            y=self.y,
            kind=self.task.kind,
            keys=self.typed.keys(tuple(key_columns))[self.usable],
            row_hashes=self.typed.row_hashes()[self.usable],
            groups=self._codes(task.group),
            times=self._times(task.time),
        )

    def _codes(self, column: str | None) -> np.ndarray | None:
        """A number for each group; each row without a group has one of its own."""
        if column is None:
            return None
        import pandas as pd

        codes = pd.factorize(pd.Series(self.typed.column(column)[self.usable]), sort=True)[0]
        alone = np.flatnonzero(codes < 0)
        codes = codes.astype(np.int64)
        codes[alone] = codes.max(initial=-1) + 1 + np.arange(len(alone))
        return codes

    def sha256_with(self, data_sha256: str) -> str:
        """The data's hash, or, where rows without a target are left out, one of the data and of
        which rows those are: row numbers of a seal count the others only."""
        if len(self.usable) == self.typed.rows:
            return data_sha256
        left = sha256(np.asarray(self.usable, dtype=np.int64).tobytes()).hexdigest()
        return sha256(f"{data_sha256} {left}".encode()).hexdigest()

    def _times(self, column: str | None) -> np.ndarray | None:
        if column is None:
            return None
        import pandas as pd

        values = pd.Series(self.typed.column(column)[self.usable])
        ranks = values.rank(method="dense", na_option="top")
        return ranks.to_numpy(dtype=np.float64)

    def cells(self, rows: np.ndarray, columns: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Columns as arrays, for slices. Host only."""
        frame = self.typed.frame(self.usable[rows], list(columns))
        return {name: frame[name].to_numpy(dtype=object) for name in frame.columns}

    def frame(self, rows: np.ndarray) -> Any:
        """Features of the given rows as a pandas frame. Host only."""
        return self.typed.frame(self.usable[rows], list(self.features))

    def write_train(self, rows: np.ndarray, into: Path) -> Path:
        """Features and target of these rows, in this order: what `fit` sees."""
        assert self.task.target is not None
        columns = [*self.features, self.task.target]
        self.typed.write(self.usable[rows], columns, into)
        return into

    def write_features(
        self, rows: np.ndarray, into: Path, order: np.ndarray | None = None
    ) -> Shuffled:
        """Features only, in an order that nobody else knows (seeded by the operating system).

        `order` repeats the order of an earlier call. A group column is not a feature.
        """
        if order is None:
            order = np.random.default_rng().permutation(len(rows))
        features = [name for name in self.features if name != self.task.group]
        self.typed.write(self.usable[rows[order]], features, into)
        return Shuffled(into, order)
