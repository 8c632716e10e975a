"""Code that did not ship, fold by fold: how much time it gets, and what is said when it fails."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desks import EmptySandbox, desk_at

from mlagent.agents.left_nothing import without_model, without_predictions
from mlagent.agents.ml_engineer import APART_GRACE_S, CandidateFolder, fit, score_apart
from mlagent.contracts.ports import Collected, Job, OnLine, Outcome, Verdict
from mlagent.referee.metrics import Truth


class SlowCandidate(EmptySandbox):
    """Its fit yields a model and is killed at its limit; a prediction job takes 1 s."""

    tier = "T3"

    def __init__(self) -> None:
        self.fits: list[float] = []
        self.cpus: list[float] = []

    def run(
        self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
    ) -> Outcome:
        if job.command == "fit":
            self.fits.append(job.limits.wall_s)
            self.cpus.append(job.limits.cpus)
            path = job.into / "model.pkl"
            path.write_bytes(b"model")
            file = Collected("model.pkl", path, 5, "0" * 64)
            why = "The code was stopped at its time limit."
            return Outcome("time", why, 124, job.limits.wall_s, "", {"model.pkl": file})
        path = job.into / "predictions.npy"
        np.save(path, np.full(4, 0.5))
        file = Collected("predictions.npy", path, path.stat().st_size, "0" * 64)
        return Outcome("ok", "The code ended by itself.", 0, 1.0, "", {"predictions.npy": file})


class Rows:
    """Four rows for each call, written nowhere."""

    path = Path("features.parquet")

    def write_train(self, rows: np.ndarray, into: Path) -> Path:
        return into

    def write_features(self, rows: np.ndarray, into: Path) -> Rows:
        return self

    def restore(self, predictions: np.ndarray) -> np.ndarray:
        return predictions

    def truth(self, rows: np.ndarray) -> Truth:
        return Truth("binary", np.arange(len(rows)) % 2, ("no", "yes"))


def test_only_the_first_fold_of_a_fit_that_never_ends_has_the_whole_grace(tmp_path: Path) -> None:
    sandbox: Any = SlowCandidate()
    desk = desk_at(sandbox, tmp_path, memory_mb=1024, cpus=2)
    folds = np.array([[2 if i // 4 == fold else 1 for i in range(12)] for fold in range(3)])
    result = score_apart(
        desk,
        CandidateFolder("theirs", tmp_path, "D"),
        rows=Rows(),
        dev=np.arange(12),
        folds=folds.astype(np.int8),
        budget_s=1.0,
    )
    assert result.outcome == "ok"
    assert sorted(result.predictions) == [0, 1, 2]
    assert sandbox.fits == [1.0 + APART_GRACE_S, 4.0, 4.0]


@pytest.mark.parametrize(("side_by_side", "share"), [(1, 4.0), (2, 2.0), (3, 1.0), (8, 1.0)])
def test_containers_side_by_side_share_the_cores(
    tmp_path: Path, side_by_side: int, share: float
) -> None:
    sandbox: Any = SlowCandidate()
    folds = np.array([[2 if i // 4 == fold else 1 for i in range(12)] for fold in range(3)])
    score_apart(
        desk_at(sandbox, tmp_path, memory_mb=1024, cpus=4),
        CandidateFolder("theirs", tmp_path, "D"),
        rows=Rows(),
        dev=np.arange(12),
        folds=folds.astype(np.int8),
        budget_s=1.0,
        side_by_side=side_by_side,
    )
    assert sandbox.cpus == [share] * 3


def left(verdict: Verdict = "ok", *refused: str, log: str = "") -> Outcome:
    said = {
        "ok": "The code ended by itself.",
        "exit": "The code failed (exit code 1): ValueError: no idea.",
        "time": "The code was stopped at its time limit of 9 s.",
    }[verdict]
    return Outcome(verdict, said, 0, 1.0, log, {}, refused)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (left("time"), "its fit yielded no model within 9 s"),
        (left(), "no model: The code ended by itself without yielding a model."),
        (left("ok", "'model.pkl': 9 bytes, 8 are allowed"), "no model: 'model.pkl': 9 bytes, 8"),
        (
            left("exit", log="ValueError: no idea"),
            "no model: The code failed (exit code 1): ValueError: no idea.",
        ),
    ],
)
def test_a_fit_without_a_model_says_what_was_missing(outcome: Outcome, said: str) -> None:
    told = without_model(outcome, 9.0)
    assert told.startswith(said)
    assert told.count("no idea") <= 1


def too_large(array: np.ndarray, tmp_path: Path) -> str:
    np.save(tmp_path / "a.npy", array)
    return f"'predictions.npy': {(tmp_path / 'a.npy').stat().st_size} bytes, 6656 are allowed"


def test_predictions_that_are_too_large_are_named_by_their_likely_shape(tmp_path: Path) -> None:
    wide = left("ok", too_large(np.zeros((800, 3)), tmp_path))
    assert without_predictions(wide, 800, 1) == (
        "the predictions seem to have shape (800, 3), expected (800,)"
    )
    assert without_predictions(left("ok", too_large(np.zeros((800, 3)), tmp_path)), 800, 2) == (
        "the predictions seem to have shape (800, 3), expected (800, 2)"
    )
    longer = left("ok", too_large(np.zeros(1201), tmp_path))
    assert "too large for shape (800,)" in without_predictions(longer, 800, 1)
    assert without_predictions(left(), 800, 1) == (
        "The code ended by itself without leaving predictions."
    )


class SecondFoldFails(SlowCandidate):
    """Of folds side by side the second fails, and the third goes on printing after it."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = threading.Event()

    def run(
        self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
    ) -> Outcome:
        place = job.into.name
        if place == "theirs-1":
            self.failed.set()
            return Outcome("exit", "The code ended by itself.", 1, 1.0, "ValueError: two", {})
        if place.startswith("theirs-2"):
            assert self.failed.wait(10)
            time.sleep(0.1)
        return replace(super().run(job, on_line, stop), log="nothing went wrong in three")


def test_a_failure_comes_with_what_its_own_fold_printed(tmp_path: Path) -> None:
    sandbox: Any = SecondFoldFails()
    folds = np.array([[2 if i // 4 == fold else 1 for i in range(12)] for fold in range(3)])
    result = score_apart(
        desk_at(sandbox, tmp_path, memory_mb=1024, cpus=2),
        CandidateFolder("theirs", tmp_path, "D"),
        rows=Rows(),
        dev=np.arange(12),
        folds=folds.astype(np.int8),
        budget_s=1.0,
        side_by_side=2,
    )
    assert "fold 2 of 3" in result.outcome
    assert result.log == "ValueError: two"


@pytest.mark.parametrize("told", ['{"rounds": NaN}', '{"a": ' * 50 + "1" + "}" * 50, "[1]", "\xff"])
def test_a_schedule_that_could_not_be_read_again_is_none(tmp_path: Path, told: str) -> None:
    class Telling(SlowCandidate):
        def run(
            self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
        ) -> Outcome:
            outcome = super().run(job, on_line, stop)
            path = job.into / "schedule.json"
            path.write_bytes(told.encode("latin-1"))
            file = Collected("schedule.json", path, path.stat().st_size, "0" * 64)
            return replace(outcome, files={**outcome.files, "schedule.json": file})

    sandbox: Any = Telling()
    desk = desk_at(sandbox, tmp_path, memory_mb=1024, cpus=2)
    into = tmp_path / "out"
    into.mkdir()
    candidate = CandidateFolder("theirs", tmp_path, "D")
    fitted = fit(desk, candidate, train=tmp_path / "t", budget_s=1.0, into=into)
    assert fitted.ok
    assert fitted.schedule is None
