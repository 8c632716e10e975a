"""What is known about the rows that are judged: the task and the true values.

Guarantees: class codes are positions in `classes`, so that a prediction's columns and the truth
agree. Does not: read tables, drop rows, or guess classes; a label that is not among `classes` is an
error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlagent.contracts.base import TaskKind
from mlagent.contracts.errors import BadInput, MlagentError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Weights = npt.NDArray[Any]
"""(draws, rows): uint8 counts from the bootstrap, or float64 sample weights."""


class Undefined(MlagentError):
    """A metric has no value on these rows. "No score" is a value: never 0, never NaN.

    Callers that can go on without the number (slices, secondary metrics) catch it and keep
    `message`.
    """


@dataclass(frozen=True)
class Truth:
    """True values of n rows.

    Attributes:
        kind: the task.
        y: (n,) float64 for regression; (n,) int64 codes into `classes` otherwise.
        classes: binary: positive last; empty for regression.
    """

    kind: TaskKind
    y: npt.NDArray[Any]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.y.ndim != 1:
            raise ValueError(f"truth must have one dimension, not shape {self.y.shape!r}")
        if self.kind == "binary" and len(self.classes) != 2:
            raise ValueError(f"a binary task has two classes, not {self.classes!r}")
        dtype = np.float64 if self.kind == "regression" else np.int64
        y = np.ascontiguousarray(self.y, dtype=dtype)
        if self.kind == "regression":
            if not np.isfinite(y).all():
                raise ValueError("truth holds values that are missing or infinite")
        elif len(y) and (int(y.min()) < 0 or int(y.max()) >= len(self.classes)):
            raise ValueError(f"truth holds codes outside 0..{len(self.classes) - 1}")
        object.__setattr__(self, "y", y)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """(n,) True where the row is of the positive class (binary: the last one)."""
        return np.asarray(self.y == len(self.classes) - 1)

    def take(self, rows: npt.NDArray[Any]) -> Truth:
        """The same for a part of the rows: `rows` is a mask or positions."""
        return Truth(self.kind, self.y[rows], self.classes)


def encode_target(y_text: Iterable[object], classes: tuple[str, ...]) -> Codes:
    """Codes of class labels, as text in the file.

    Returns:
        (n,) int64, positions in `classes`.

    Raises:
        BadInput: a label is not among `classes` (a missing one included).
    """
    code_of = {label: code for code, label in enumerate(classes)}
    codes = [code_of.get(str(label), -1) for label in y_text]
    if -1 in codes:
        row = codes.index(-1)
        labels = list(y_text)
        raise BadInput(
            f"row {row} of the target holds {labels[row]!r}, which is not among the classes "
            f"{classes!r}.",
            remedy="Plan again so that the classes are read from this table.",
        )
    return np.asarray(codes, dtype=np.int64)


def is_missing(value: object) -> bool:
    """True for the ways in which numpy and pandas write an empty cell: None, NaN, NaT, NA, ''."""
    return value is None or str(value) in ("", "nan", "NaT", "<NA>")


def why_undefined(title: str, truth: Truth) -> str:
    """One sentence: why a metric that came out undefined has no value on these rows."""
    if truth.n == 0:
        return f"{title} is not defined: there are no rows."
    if truth.kind == "regression":
        if len(np.unique(truth.y)) == 1:
            return f"{title} is not defined: the target is the same in all {truth.n} rows."
        return f"{title} is not defined on these {truth.n} rows: the numbers overflow."
    present = np.unique(truth.y)
    if len(present) == 1:
        only = truth.classes[int(present[0])]
        return f"{title} is not defined: all {truth.n} rows are of class {only!r}."
    return f"{title} is not defined on these {truth.n} rows."
