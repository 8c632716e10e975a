"""Training rows of folds are found again, so that an interval is as wide as the run's."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from mlagent.contracts.run import Seal
from mlagent.orchestrator.saved import Saved, with_training_rows
from mlagent.referee.folds import make_folds
from mlagent.referee.intervals import judge_many, training_spread
from mlagent.referee.truth import Truth
from mlagent.referee.units import RowFacts

N = 300
Kind = Literal["random", "group", "time"]


class Plan:
    """What folds need of a validation plan."""

    def __init__(self, kind: Kind, folds: int, repeats: int) -> None:
        self.kind, self.folds, self.repeats = kind, folds, repeats


def seal(kind: Kind) -> Seal:
    return Seal(
        id="s",
        data_sha256="0" * 64,
        kind=kind,
        share=0.0,
        seed=0,
        dev_rows=N,
        vault_rows=(),
        vault_hashes=(),
        grouped_duplicates=False,
    )


@pytest.mark.parametrize(
    ("kind", "folds", "repeats"),
    [("random", 5, 1), ("random", 3, 2), ("random", 1, 1), ("time", 4, 1), ("time", 1, 1)],
)
def test_the_spread_is_the_one_of_the_run(kind: Kind, folds: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    truth = Truth("regression", rng.normal(size=N))
    facts = RowFacts(
        kind="regression",
        y=truth.y,
        keys=np.arange(N, dtype=np.uint64),
        row_hashes=np.arange(N, dtype=np.uint64),
        times=np.arange(N) if kind == "time" else None,
    )
    made = make_folds(facts, Plan(kind, folds, repeats), seed=0)
    held = (made == 2).any(axis=0)
    predicted = np.where(made == 2, truth.y + rng.normal(size=N), np.nan)
    bare = np.where(made == 2, 2, 0).astype(np.int8)[:, held]  # what the file knows
    groups = np.arange(N) // 3
    saved = Saved(
        np.flatnonzero(held),
        truth.take(np.flatnonzero(held)),
        predicted[:, held],
        bare,
        groups[held],
    )
    found = with_training_rows(saved, seal(kind))
    assert found.folds is not None
    assert training_spread(found.folds) == pytest.approx(training_spread(made))
    assert training_spread(bare) > 2 * training_spread(made)
    one = judge_many(
        "mae",
        found.truth,
        {"model": found.model},
        seed=0,
        folds=found.folds,
        clusters=found.clusters,
    ).scores["model"]
    ran = judge_many(
        "mae", truth, {"model": predicted}, seed=0, folds=made, clusters=groups
    ).scores["model"]
    assert (one.value, one.n) == (pytest.approx(ran.value), ran.n)
    assert one.high - one.low == pytest.approx(ran.high - ran.low, rel=0.3)


def test_a_vaults_predictions_are_left_alone() -> None:
    truth = Truth("regression", np.zeros(3))
    saved = Saved(np.arange(3), truth, np.zeros(3), None, None)
    assert with_training_rows(saved, seal("random")) is saved
