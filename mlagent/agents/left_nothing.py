"""Why a job of a candidate left nothing, in a sentence: no model, no predictions. Pure."""

from __future__ import annotations

import re

from mlagent.contracts.ports import Outcome

NPY_HEADER = 128
"""Bytes before the data in a `.npy` file of one or two dimensions, as NumPy pads it."""


def without_model(outcome: Outcome, wall_s: float) -> str:
    """Why a fit left no model, as a sentence."""
    if outcome.verdict == "time":
        return f"its fit yielded no model within {wall_s:.0f} s"
    if outcome.refused:
        return f"no model: {'; '.join(outcome.refused)}"
    if outcome.ok:
        return f"no model: {outcome.sentence.rstrip('.')} without yielding a model."
    return f"no model: {outcome.sentence}"


def without_predictions(outcome: Outcome, rows: int, columns: int) -> str:
    """Why a predict job left no array, as a sentence. A file that was not taken is known by its
    size only, so its shape is a guess."""
    if not outcome.ok:
        return outcome.sentence
    for refusal in outcome.refused:
        if found := re.fullmatch(r"'predictions\.npy': (\d+) bytes, \d+ are allowed", refusal):
            wanted = (rows,) if columns == 1 else (rows, columns)
            wide, rest = divmod(int(found[1]) - NPY_HEADER, max(1, rows) * 8)
            if rest == 0:
                return f"the predictions seem to have shape {(rows, wide)}, expected {wanted}"
            return f"predictions.npy ({found[1]} bytes) is too large for shape {wanted}"
    if outcome.refused:
        return "; ".join(outcome.refused)
    return f"{outcome.sentence.rstrip('.')} without leaving predictions."
