"""Candidates on small tables: shapes, rare classes, gaps, tiny budgets, hostile names, replay."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

NAMES = ("linear", "option_a", "option_b", "option_c")
each_candidate = pytest.mark.parametrize("name", NAMES)


def auc(truth: pd.Series, shares: np.ndarray) -> float:
    """Share of (yes, no) pairs in the right order."""
    yes, no = shares[truth.to_numpy() == "yes"], shares[truth.to_numpy() == "no"]
    return float(np.mean(yes[:, None] > no[None, :]))


@each_candidate
def test_binary_predictions_rank_the_positive_class_last_in_the_spec(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn()
    shares = load(name).run(table.train, table.spec, table.test)
    assert shares.shape == (len(table.test),)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert auc(table.truth, shares) > 0.75


@each_candidate
def test_a_class_of_one_row_and_a_class_of_none_keep_their_columns(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn("multiclass")
    shares = load(name).run(table.train, table.spec, table.test)
    assert shares.shape == (len(table.test), 5)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (shares[:, 0] == 0).all()


@each_candidate
def test_regression_predictions_are_in_target_units(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn("regression", budget_s=6.0)  # time enough on a busy machine too
    values = load(name).run(table.train, table.spec, table.test)
    errors = table.truth.to_numpy() - values
    spread = table.truth.to_numpy() - table.train["y"].mean()
    assert values.shape == (len(table.test),)
    assert np.mean(errors**2) < 0.9 * np.mean(spread**2)


@each_candidate
def test_columns_with_role_id_constant_or_excluded_are_ignored(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn()
    table.spec["columns"]["zone"]["role"] = "excluded"
    table.spec["columns"]["plan"]["role"] = "constant"
    table.spec["budget_s"] = 1.0
    solution = load(name)
    made = solution.module.fit(table.train, table.spec)
    model = list(made)[-1] if hasattr(made, "__next__") else made
    other = table.test.assign(key=0, zone="elsewhere", plan="other")
    first, second = (solution.module.predict(model, rows) for rows in (table.test, other))
    np.testing.assert_array_equal(first, second)


@each_candidate
def test_without_features_the_prior_is_predicted(name: str, load: Callable[[str], Any]) -> None:
    train = pd.DataFrame(
        {"same": ["a"] * 40, "none": [np.nan] * 40, "y": ["yes"] * 10 + ["no"] * 30}
    )
    spec = {
        "task": "binary", "target": "y", "classes": ["no", "yes"], "metric": "roc_auc", "seed": 0,
        "columns": {"same": {"role": "category", "dtype": "str"},
                    "none": {"role": "number", "dtype": "float64"}},
        "split": {"kind": "stratified"}, "budget_s": 1.0, "threads": 1, "members": [],
    }  # fmt: skip
    for columns in (spec["columns"], {}):
        shares = load(name).run(train, {**spec, "columns": columns}, train.drop(columns="y"))
        np.testing.assert_allclose(shares, 0.25, atol=0.01)


@each_candidate
def test_missing_unseen_and_infinite_cells_do_not_stop_a_prediction(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn(budget_s=1.0)
    table.train.loc[:5, "amount"] = np.inf
    rows = table.test.head(4).astype(object)
    rows.loc[0, :] = None
    rows.loc[1, "plan"] = "never seen"
    rows.loc[2, "amount"] = -np.inf
    rows.loc[3, "note"] = None
    shares = load(name).run(table.train, table.spec, rows)
    assert np.isfinite(shares).all()


@each_candidate
def test_a_tiny_budget_still_gives_a_model(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn(budget_s=0.2)
    shares = load(name).run(table.train, table.spec, table.test)
    assert np.isfinite(shares).all()


@each_candidate
def test_twelve_rows_are_enough_not_to_fail(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    for task in ("binary", "multiclass", "regression"):
        table = churn(task, budget_s=0.5)
        values = load(name).run(table.train.head(12), table.spec, table.test.head(5))
        assert np.isfinite(values).all()


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
@pytest.mark.parametrize("name", ["option_b", "option_c"])
def test_replaying_a_schedule_gives_the_same_bytes(
    name: str, task: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn(task, budget_s=2.5)
    solution = load(name)
    original = solution.run(table.train, table.spec, table.test)
    schedule = json.loads(Path("schedule.json").read_text())
    assert schedule["members"]
    replay = {**table.spec, "replay": schedule, "budget_s": 0.001}
    again = solution.run(table.train, replay, table.test)
    assert again.tobytes() == original.tobytes()
    assert json.loads(Path("schedule.json").read_text())["members"] == schedule["members"]
    assert solution.run(table.train, replay, table.test).tobytes() == again.tobytes()


@pytest.mark.parametrize("name", ["option_b", "option_c"])
def test_a_fit_that_was_cut_is_replayed_as_it_was_handed_over(
    name: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn(budget_s=5.0)
    solution = load(name)
    taken = []
    for model in solution.module.fit(table.train, table.spec):
        schedule = json.loads(Path("schedule.json").read_text())
        kept = pickle.loads(pickle.dumps(model, protocol=5))
        taken.append((schedule, np.asarray(solution.module.predict(kept, table.test))))
    assert taken
    for schedule, original in taken:
        replay = {**table.spec, "replay": schedule}
        assert solution.run(table.train, replay, table.test).tobytes() == original.tobytes()


def test_rounds_that_made_no_tree_are_replayed_as_such(
    load: Callable[[str], Any],
) -> None:
    """At random thresholds a round may find no split that helps: trees are fewer than rounds."""
    learner_class = load("option_b").module.LightGBM
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(693, 4)), columns=list("abcd"))
    y = (x["a"].to_numpy() + rng.normal(size=len(x)) > 0).astype(float)
    target = SimpleNamespace(task="binary", n_classes=2, metric="roc_auc", quantile=None)
    params = {"extra_trees": True, "min_data_in_leaf": 48, "lambda_l1": 5.0, "num_leaves": 8}
    params |= {"learning_rate": 0.03, "most_rounds": 900, "patience": 900}
    until = time.monotonic() + 60

    searched = learner_class(params, target, 0, 1).fit(x, y, x[:200], y[:200], None, until)
    searched.keep(700)
    replayed = learner_class(params, target, 0, 1).fit(x, y, x[:200], y[:200], 700, until)
    replayed.keep(700)

    assert searched.trees[699] < 700
    assert searched.predict(x, 700).tobytes() == replayed.predict(x, 700).tobytes()


@pytest.mark.parametrize("kind", ["time", "group"])
@pytest.mark.parametrize("name", ["option_b", "option_c"])
def test_replay_also_repeats_fits_on_time_and_group_splits(
    name: str, kind: str, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    split = {"kind": kind, "group": "zone", "time": "opened", "folds": 3}
    table = churn("regression", budget_s=2.5, split=split)
    solution = load(name)
    original = solution.run(table.train, table.spec, table.test)
    replay = {**table.spec, "replay": json.loads(Path("schedule.json").read_text())}
    assert solution.run(table.train, replay, table.test).tobytes() == original.tobytes()
    assert np.isfinite(original).all()


def test_a_linear_model_that_read_a_sample_is_replayed_on_that_sample(
    load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn("regression")
    solution = load("linear")
    whole = solution.run(table.train, table.spec, table.test)
    schedule = json.loads(Path("schedule.json").read_text())
    assert schedule["settings"]["rows"] == len(table.train)
    schedule["settings"]["rows"] = 150
    replay = {**table.spec, "replay": schedule, "budget_s": 0.001}
    sampled = solution.run(table.train, replay, table.test)
    assert json.loads(Path("schedule.json").read_text())["settings"]["rows"] == 150
    assert sampled.tobytes() != whole.tobytes()
    assert solution.run(table.train, replay, table.test).tobytes() == sampled.tobytes()


def test_replaying_option_a_gives_the_same_bytes(
    load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn()
    solution = load("option_a")
    original = solution.run(table.train, table.spec, table.test)
    replay = {**table.spec, "replay": json.loads(Path("schedule.json").read_text())}
    assert solution.run(table.train, replay, table.test).tobytes() == original.tobytes()


def test_coefficients_of_option_a_name_columns_and_values(
    load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn()
    *_, model = load("option_a").module.fit(table.train, table.spec)
    named = model.coefficients()
    assert named["column"].str.match("amount( from .* to .*)?$").any()
    assert named["column"].str.contains("plan is pro").any()


def test_hostile_column_names_stay_data(
    folders: dict[str, Path], load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn(budget_s=1.0)
    hostile = {"amount": '"); import os #', "plan": "{{7*7}}", "zone": "a\nb:[]{}", "note": "'''"}
    hostile["y"] = "{% raw %}"
    train, test = table.train.rename(columns=hostile), table.test.rename(columns=hostile)
    columns = {hostile.get(key, key): value for key, value in table.spec["columns"].items()}
    spec = {**table.spec, "columns": columns, "target": "{% raw %}"}
    for name in NAMES:
        assert auc(table.truth, load(name).run(train, spec, test)) > 0.7
        code = (folders[name] / "solution.py").read_text()
        assert not any(value in code for value in (hostile["amount"], "{{", "{%"))


@each_candidate
def test_it_runs_by_hand_on_csv_files(
    name: str, folders: dict[str, Path], tmp_path: Path, churn: Callable[..., Any]
) -> None:
    table = churn("multiclass", budget_s=1.5)
    (tmp_path / "solution.py").write_bytes((folders[name] / "solution.py").read_bytes())
    (tmp_path / "spec.json").write_text(json.dumps(table.spec))
    table.train.to_csv(tmp_path / "train.csv", index=False)
    table.test.to_csv(tmp_path / "test.csv", index=False)
    done = subprocess.run(
        [sys.executable, "solution.py", "train.csv", "test.csv"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = pd.read_csv(tmp_path / "predictions.csv")
    assert list(written.columns) == table.spec["classes"]
    np.testing.assert_allclose(written.sum(axis=1), 1.0)


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_forest_predicts_the_same_bytes_however_its_threads_run(
    task: str, load: Callable[[str], Any]
) -> None:
    learner = load("forest").module.Forest
    rng = np.random.default_rng(0)
    x, unseen = rng.normal(size=(2, 2_000, 6)).astype(np.float32)
    y = np.exp(x[:, 0] + rng.normal(size=2_000))
    y = y if task == "regression" else (y > 1).astype(int)
    target = SimpleNamespace(task=task, n_classes=2)

    def predicted(threads: int) -> bytes:
        forest = learner({"min_samples_leaf": 3}, target, 0, threads).fit(
            x, y, None, None, 40, np.inf
        )
        waits = np.random.default_rng(threads).permutation(40)
        for tree, wait in zip(forest.model.estimators_, waits, strict=True):
            late(tree, "predict" if task == "regression" else "predict_proba", wait / 10_000)
        shares: np.ndarray = forest.predict(unseen, 40)
        return shares.tobytes()

    assert predicted(4) == predicted(1) == predicted(2)


def late(tree: Any, name: str, seconds: float) -> None:
    """Have a method of one object wait before it answers."""
    answer = getattr(tree, name)

    def after_a_while(*given: Any, **named: Any) -> Any:
        time.sleep(seconds)
        return answer(*given, **named)

    setattr(tree, name, after_a_while)


def test_rounds_in_which_no_split_helps_are_repeated_too(load: Callable[[str], Any]) -> None:
    learner = load("option_b").module.LightGBM
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 2)).astype(np.float32), rng.integers(0, 2, 300)
    target = SimpleNamespace(task="binary", n_classes=2, metric="roc_auc")
    stubborn = {"min_data_in_leaf": 15, "lambda_l2": 1e6, "min_gain_to_split": 1.0}
    asked = learner(stubborn, target, 0, 1).fit(x, y, None, None, 50, np.inf)
    assert asked.booster.current_iteration() < 50
    assert asked.done == 50
