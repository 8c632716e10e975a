"""What a job left behind, as the host reads it. A candidate's process could have written it, so
nothing in it is believed before it was checked.

Guarantees: a record that is absent, broken or of another shape is empty, never an exception; a
prediction comes back whole and checked, or with a sentence why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlagent.contracts.errors import BadInput
from mlagent.contracts.ports import Outcome
from mlagent.documents import load_json
from mlagent.referee.check import check_prediction
from mlagent.referee.metrics import Truth
from mlagent.sandbox.collect import BadArray, read_npy


def width(truth: Truth) -> int:
    """How many columns a prediction has: 1, or the number of classes."""
    return len(truth.classes) if truth.kind == "multiclass" else 1


def read_prediction(path: Path, rows: int, truth: Truth) -> tuple[np.ndarray | None, str]:
    """(prediction, '') or (None, why it is none). Shapes as for `metrics.compute`."""
    try:
        array = read_npy(path, rows, width(truth), finite=False)
    except BadArray as problem:
        return None, str(problem)
    if problem_text := check_prediction(array, rows, truth.kind, truth.classes):
        return None, problem_text
    return array, ""


def json_object(outcome: Outcome, name: str) -> dict[str, Any]:
    """An output that holds a JSON object; empty where there is none."""
    value = _json(outcome, name)
    return value if isinstance(value, dict) else {}


def folds_told(outcome: Outcome) -> dict[int, Mapping[str, Any]]:
    """folds.json: number of the fold -> what the runner says of it, for those that ended."""
    value = _json(outcome, "folds.json")
    entries = (
        [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    )
    return {entry["fold"]: entry for entry in entries if isinstance(entry.get("fold"), int)}


def busy_seconds(told: Mapping[int, Mapping[str, Any]]) -> float:
    """Seconds during which at least one fold was being fitted."""
    spans = [(duration(e.get("fit_from")), duration(e.get("fit_seconds"))) for e in told.values()]
    total = until = 0.0
    for start, took in sorted(spans):
        total += max(0.0, start + took - max(start, until))
        until = max(until, start + took)
    return total


def duration(value: object) -> float:
    """A duration that was told; 0 for anything that cannot be one."""
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e9 else 0.0


def _json(outcome: Outcome, name: str) -> Any:
    file = outcome.files.get(name)
    if file is None:
        return None
    try:
        return load_json(file.path.read_text(encoding="utf-8"), name)
    except (BadInput, UnicodeDecodeError):  # kept records are read by the same rules
        return None
