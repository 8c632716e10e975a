"""What a killed search finds again: scores of the same code, with what its failure printed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mlagent.agents.ml_engineer import FoldResult
from mlagent.orchestrator.resuming import forget_folds, load_folds, save_folds
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return Project(tmp_path).runs.create(datetime.now(UTC))


def test_a_failure_is_kept_with_what_it_printed(run: RunFolder) -> None:
    save_folds(run, FoldResult("claude-01", outcome="no score: exit", log="Traceback: [cell]"))
    known = load_folds(run, "claude-01")
    assert known is not None
    assert (known.outcome, known.log) == ("no score: exit", "Traceback: [cell]")


def test_scores_of_other_code_are_forgotten(run: RunFolder) -> None:
    save_folds(run, FoldResult("claude-01", {0: np.array([0.5])}))
    save_folds(run, FoldResult("claude-02", {0: np.array([0.7])}))
    forget_folds(run, "claude-01")
    assert load_folds(run, "claude-01") is None
    kept = load_folds(run, "claude-02")
    assert kept is not None
    assert kept.predictions[0].tolist() == [0.7]
    forget_folds(run, "never-there")
