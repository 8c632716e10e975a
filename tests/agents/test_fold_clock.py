"""How a budget is spread over folds: host and runner agree, and repeats give way to time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mlagent.agents.job_outputs import busy_seconds, folds_told
from mlagent.agents.ml_engineer import at_once, rounds
from mlagent.content import Content
from mlagent.contracts.ports import Collected, Outcome
from mlagent.orchestrator.preparing import folds_within


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    found = importlib.util.spec_from_file_location(
        "fold_clock_runner", Content().path("sandbox/runner.py")
    )
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["fold_clock_runner"] = module
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("cpus", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("folds", [1, 3, 5, 15])
def test_the_host_plans_the_time_that_the_runner_spends(
    runner: ModuleType, folds: int, cpus: int
) -> None:
    side_by_side = at_once(folds, cpus)
    shares = [runner.fold_share(i, folds, side_by_side, cpus) for i in range(folds)]
    waves = [shares[i : i + side_by_side] for i in range(0, folds, side_by_side)]
    assert rounds(folds, cpus) == pytest.approx(sum(max(s for _, s in wave) for wave in waves))
    assert all(sum(threads for threads, _ in wave) <= cpus for wave in waves)
    assert all(threads * share >= cpus // side_by_side * 0.5 for threads, share in shares)


def test_the_last_fold_alone_has_all_cores_and_half_the_time(runner: ModuleType) -> None:
    assert [runner.fold_share(i, 3, 2, 2) for i in range(3)] == [(1, 1.0), (1, 1.0), (2, 0.5)]


def test_what_the_runner_says_of_a_fold_goes_by_its_number_not_its_place(tmp_path: Path) -> None:
    file = tmp_path / "folds.json"
    file.write_text('[{"fold": 2, "fit_seconds": 3.0}, "broken", {"error": "no number"}]')
    left = Collected("folds.json", file, file.stat().st_size, "0" * 64)
    outcome = Outcome("time", "It was stopped.", 124, 9.0, "", {"folds.json": left})
    assert folds_told(outcome) == {2: {"fold": 2, "fit_seconds": 3.0}}
    file.write_text("[" * 100_000)
    assert folds_told(outcome) == {}


def test_time_inside_fit_counts_folds_side_by_side_once() -> None:
    told = {
        0: {"fit_from": 0.0, "fit_seconds": 4.0},
        1: {"fit_from": 1.0, "fit_seconds": 2.0},
        2: {"fit_from": 6.0, "fit_seconds": 1.0},
        3: {"fit_from": "soon", "fit_seconds": None},
    }
    assert busy_seconds(told) == pytest.approx(5.0)


def test_folds_are_repeated_only_when_each_fit_has_time() -> None:
    assert folds_within(800, 0.0, "stratified", lambda fits: 30 / fits)[:2] == (5, 3)
    folds, repeats, why = folds_within(800, 0.0, "stratified", lambda fits: 15 / fits)
    assert (folds, repeats) == (5, 1)
    assert why == (
        "800 dev rows: 5 folds, not repeated: 3 repeats would leave each fit 1.0 s of the budget"
    )
    assert folds_within(3_000, 0.2, "stratified", lambda fits: 0.1)[:2] == (3, 1)
