"""Parts of the candidates, called in a rendered solution: folds, encodings, weights, labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def solution(load: Callable[[str], Any]) -> Any:
    return load("option_c").module


def target_of(solution: Any, values: list[str], classes: list[str]) -> Any:
    spec = {"task": "multiclass", "classes": classes, "metric": "log_loss"}
    return solution.Target(pd.Series(values), spec)


def test_a_group_is_never_on_both_sides_of_an_inner_fold(solution: Any) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"who": rng.choice([f"g{i}" for i in range(23)] + [None], 300)})
    target = target_of(solution, list(rng.choice(["a", "b"], 300)), ["a", "b"])
    pairs = solution.inner_folds({"kind": "group", "group": "who"}, frame, target, 4, 0)
    assert len(pairs) == 4
    assert sum(len(outside) for _, outside in pairs) == 300
    names = frame["who"].fillna("missing").to_numpy()
    for inside, outside in pairs:
        assert not set(names[inside]) & set(names[outside])


def test_inner_validation_is_later_than_inner_training_for_time(solution: Any) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(200), "D")}
    )
    target = target_of(solution, ["a", "b"] * 100, ["a", "b"])
    pairs = solution.inner_folds({"kind": "time", "time": "when"}, frame, target, 4, 0)
    assert len(pairs) == 1
    inside, outside = pairs[0]
    assert len(inside) == 160
    assert frame["when"].iloc[inside].max() < frame["when"].iloc[outside].min()


def test_stratified_folds_spread_every_class(solution: Any) -> None:
    target = target_of(solution, ["a"] * 90 + ["b"] * 8 + ["c"] * 2, ["a", "b", "c"])
    pairs = solution.inner_folds(
        {"kind": "stratified"}, pd.DataFrame(index=range(100)), target, 4, 0
    )
    for _, outside in pairs:
        assert (target.y[outside] == 1).sum() == 2
        assert len(outside) == 25


def test_a_fit_with_groups_never_trains_on_a_group_that_it_validates(
    solution: Any, churn: Callable[..., Any]
) -> None:
    table = churn()
    table.spec["split"] = {"kind": "group", "group": "zone", "time": None, "folds": 4}
    settings = {"rows": 300, "text": "words", "folds": 4, "topics": 5}
    problem = solution.Problem(table.train, table.spec, settings)
    zones = table.train["zone"].to_numpy()
    for repeat in (0, 1):
        for fold in range(len(problem.folds(repeat))):
            inside, outside = problem.rows_of(repeat, fold, None)
            assert not set(zones[inside]) & set(zones[outside])


def test_target_encodings_of_training_rows_do_not_use_their_own_target(solution: Any) -> None:
    codes = np.arange(200, dtype=np.int32)[:, None]
    target = target_of(solution, ["a", "b"] * 100, ["a", "b"])
    encoded = solution.TargetEncoder(target, [0]).fit_transform(codes, target)
    np.testing.assert_allclose(encoded, 0.5)


def test_weights_prefer_the_member_that_predicts_held_out_rows_better(solution: Any) -> None:
    rng = np.random.default_rng(0)
    target = target_of(solution, list(rng.choice(["a", "b"], 400)), ["a", "b"])
    good = np.clip(np.eye(2)[target.y] * 0.6 + 0.2, 0, 1)
    noise = rng.dirichlet([1, 1], 400)
    weights = solution.choose_weights([noise, good], target, samples=3)
    assert weights[1] > 0.9
    assert weights.sum() == pytest.approx(1.0)


def test_labels_of_numbers_are_the_same_with_and_without_gaps(solution: Any) -> None:
    whole = solution.as_labels(pd.Series([1, 2, 3]))
    gaps = solution.as_labels(pd.Series([1.0, np.nan, 3.0]))
    texts = solution.as_labels(pd.Series([" 1", "", "3 "], dtype=object))
    assert list(whole) == ["1", "2", "3"]
    assert list(gaps) == list(texts) == ["1", None, "3"]


def test_numbers_in_dirty_text_are_read(solution: Any) -> None:
    values = solution.as_numbers(pd.Series([" 1,234.5 ", "x", None, "inf", "-2"], dtype=object))
    np.testing.assert_array_equal(values, [1234.5, np.nan, np.nan, np.nan, -2.0])
