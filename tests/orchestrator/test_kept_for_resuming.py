"""What a killed run finds again: what ended by itself, well or not; nothing that Ctrl-C cut."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mlagent.agents.ml_engineer import Fitted, FoldResult
from mlagent.orchestrator.engineering import keep_folds
from mlagent.orchestrator.fitting import keep_fit
from mlagent.orchestrator.resuming import load_fitted, load_folds
from mlagent.orchestrator.state import Bench, StopFlag
from mlagent.store.files import sha256_of
from mlagent.store.project import Project

CUT = "The code was stopped before its time was over, on request."


def bench_in(folder: Path, *, stopped: bool) -> Bench:
    """A bench at which Ctrl-C was pressed once, or not."""
    stop = StopFlag()
    if stopped:
        stop.press()
    run = Project(folder).runs.create(datetime.now(UTC))
    return cast(Bench, SimpleNamespace(run=run, stop=stop))


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("outcome", ["ok", CUT])
def test_a_fit_that_ctrl_c_cut_is_not_found_again(
    tmp_path: Path, outcome: str, stopped: bool
) -> None:
    bench = bench_in(tmp_path, stopped=stopped)
    (tmp_path / "model.pkl").write_bytes(b"model")
    fitted = Fitted(tmp_path, sha256_of(tmp_path / "model.pkl"), outcome, 1.0)
    keep_fit(bench, "option_b", fitted)
    found: Any = load_fitted(bench.run, "option_b")
    assert (found is None) == (stopped and outcome == CUT)
    assert found is None or (found.outcome, found.sha256) == (outcome, fitted.sha256)


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("outcome", ["ok", f"no score: fold 1 of 3: {CUT}"])
def test_folds_that_ctrl_c_cut_are_not_found_again(
    tmp_path: Path, outcome: str, stopped: bool
) -> None:
    bench = bench_in(tmp_path, stopped=stopped)
    result = FoldResult("option_b", {0: np.ones(3)}, outcome, schedules={"0": {"trials": 2}})
    keep_folds(bench, result)
    found = load_folds(bench.run, "option_b")
    assert (found is None) == (stopped and outcome != "ok")
    assert found is None or (found.outcome, found.schedules) == (outcome, result.schedules)
