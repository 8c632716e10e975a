"""A report without importance says why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlagent.agents.ml_engineer import CandidateFolder, FoldResult
from mlagent.orchestrator.judging import why_no_importance
from mlagent.orchestrator.state import State


def state(winner: str, result: FoldResult | None, probe: bool, code: Any = "B") -> State:
    folder = CandidateFolder(winner, Path(), code)
    made = SimpleNamespace(
        winner=winner,
        scored={} if result is None else {winner: result},
        linear=folder,
        chosen=folder,
        facts={"probe": object()} if probe else {},
    )
    return cast(State, made)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (state("linear", FoldResult("linear"), False), "no feature can be shuffled"),
        (state("option_b", None, True), "option_b's folds (it was not scored there)"),
        (
            state("option_b", FoldResult("option_b", outcome="no score: time"), True),
            "option_b's folds (no score: time)",
        ),
        (state("option_b", FoldResult("option_b"), True, "C"), "did not ship with mlagent"),
        (state("linear", FoldResult("linear"), True), "linear left no usable prediction"),
    ],
)
def test_the_reason_fits_what_happened(made: State, words: str) -> None:
    said = why_no_importance(made)
    assert said.startswith("Not measured: ")
    assert words in said
