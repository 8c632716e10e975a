"""Is a candidate's prediction usable at all? One sentence, or None.

Guarantees: an array that passes can be scored by every metric of its task. Never repairs: no
clipping, no filling, no renormalising; a wrong prediction is "no score", and the sentence says why.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mlagent.contracts.base import TaskKind

ROW_SUM_TOLERANCE = 1e-3
LARGEST = 1e150
"""Larger values overflow float64 when they are squared."""


def check_prediction(
    array: npt.NDArray[Any], rows: int, kind: TaskKind, classes: tuple[str, ...] = ()
) -> str | None:
    """What is wrong with a prediction.

    Args:
        array: what came out of the sandbox; expected (rows,) or, for multiclass, (rows, k) floats.
        rows: how many rows were handed to `predict`.
        kind: the task.
        classes: every class, in the order of the columns.
    """
    shape = (rows, len(classes)) if kind == "multiclass" else (rows,)
    if array.dtype.kind != "f":
        return f"the prediction is of type {array.dtype.name}, not of floating-point numbers"
    if array.shape != shape:
        return f"the prediction has shape {array.shape!r}, but {shape!r} was asked for"
    missing = int(np.isnan(array).sum())
    if missing:
        return f"the prediction holds {missing} NaN among {array.size} numbers"
    infinite = int(np.isinf(array).sum())
    if infinite:
        return f"the prediction holds {infinite} infinite values among {array.size} numbers"
    if array.size == 0:
        return None
    low, high = float(array.min()), float(array.max())
    if kind == "regression":
        if max(-low, high) > LARGEST:
            return f"the prediction holds values beyond {LARGEST:g}, whose squares overflow"
        return None
    if low < 0.0 or high > 1.0:
        return f"the prediction holds probabilities from {low:.6g} to {high:.6g}, outside 0 to 1"
    if kind == "multiclass":
        off = np.abs(array.astype(np.float64).sum(axis=1) - 1.0)
        wrong = int((off > ROW_SUM_TOLERANCE).sum())
        if wrong:
            return (
                f"in {wrong} of {rows} rows the class probabilities do not sum to 1 (largest "
                f"difference {float(off.max()):.3g})"
            )
    return None
