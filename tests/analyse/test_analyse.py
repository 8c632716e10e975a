"""The analyst's sandbox code: tests, false-discovery control, assumption checks, folds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from sandbox_scripts import (
    add_classes,
    add_number,
    classes_of,
    load_script,
    run_script,
    three_numbers,
)

from mlagent.contracts.findings import Analysis

Analyse = Callable[..., Analysis]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("analyse/analyse.py")


@pytest.fixture
def analyse(script: ModuleType, tmp_path: Path) -> Analyse:
    """Run the script on a frame and validate what it wrote."""

    def run(frame: pd.DataFrame, target: str, kind: str, **more: Any) -> Analysis:
        columns = {}
        for name in frame.columns:
            values = frame[name]
            number = pd.api.types.is_numeric_dtype(values)
            when = pd.api.types.is_datetime64_any_dtype(values)
            role = "datetime" if when else "number" if number else "category"
            columns[str(name)] = {"role": role, "dtype": "float64", "why": "", "suspect": False}
        columns.pop(target, None)
        plan = {"kind": "random" if kind == "regression" else "stratified", "folds": 3, "why": "w"}
        request = {
            "task": {"kind": kind, "target": target, "metric": more.pop("metric", None)},
            "roles": {"columns": columns, "excluded": more.pop("excluded", {})},
            "option": "option_b",
            "target": target,
            "classes": classes_of(frame, target, kind),
            "seed": 0,
            "engineer_option": "option_c",
            "validation_plan": plan | more.pop("plan", {}),
            "detectable_difference": None,
            "budget_s": 30,
        } | more
        return Analysis.model_validate_json(run_script(script, tmp_path, frame, request))

    return run


def outcome(found: Analysis, code: str) -> str:
    return next(check.outcome for check in found.checks if check.code == code)


def table(rows: int = 800, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return three_numbers(rng, rows).assign(noise=rng.normal(size=rows))


def with_classes(rows: int = 800) -> pd.DataFrame:
    return add_classes(table(rows))


def with_number(rows: int = 800) -> pd.DataFrame:
    return add_number(table(rows))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_features_whose_squares_overflow_break_no_check(analyse: Analyse, kind: str) -> None:
    frame = with_classes() if kind == "binary" else with_number()
    frame["far"] = frame["a"].clip(-1.7, 1.7) * 1e308
    frame["huge"] = frame["b"] * 1e200
    found = analyse(frame, "y", kind, option="option_c")
    assert "check.failed" not in {item.code for item in found.findings}


@pytest.mark.parametrize("option", ["option_a", "option_b", "option_c"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "nearly empty"])
def test_the_record_validates_and_no_check_breaks(analyse: Analyse, kind: str, option: str) -> None:
    frame = with_number() if kind == "regression" else with_classes()
    if kind == "multiclass":
        frame["y"] = pd.cut(frame["a"], 4, labels=["p", "q", "r", "s"]).astype(str)
    if kind == "nearly empty":
        frame = frame.head(3)
    task = "binary" if kind == "nearly empty" else kind
    found = analyse(frame, "y", task, option=option)
    assert not {item.code for item in found.findings} & {"check.failed", "budget.cut"}
    assert found.validation_plan.kind == ("random" if kind == "regression" else "stratified")


def test_dirty_columns_neither_stop_the_run_nor_break_a_check(analyse: Analyse) -> None:
    frame = with_classes()
    frame["empty"] = np.nan
    frame["one"] = "same"
    frame["infinite"] = np.where(frame["b"] > 1, np.inf, frame["b"])
    frame["truth"] = pd.Series([True, None, False, True] * 200, dtype=object)
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(800), unit="h")
    frame["{{7*7}}"] = frame["c"].round()
    frame.loc[::5, "a"] = np.nan
    frame.loc[::9, "y"] = None
    found = analyse(frame, "y", "binary", option="option_c")
    assert "check.failed" not in {item.code for item in found.findings}
    assert {"empty", "one"}.isdisjoint(item.column for item in found.associations)


def test_q_values_equal_those_of_scipy(script: ModuleType) -> None:
    p = np.concatenate([np.random.default_rng(0).random(40), [0.0, 1.0, 1e-9, 0.2, 0.2]])
    np.testing.assert_allclose(
        sys.modules["effects"].benjamini_hochberg(p), stats.false_discovery_control(p)
    )


def test_p_values_equal_those_of_scipy(analyse: Analyse) -> None:
    frame = with_classes()
    frame["a"] = frame["a"].round(1)
    tests = {item.column: item for item in analyse(frame, "y", "binary").associations}
    yes = frame["y"] == "yes"
    u = stats.mannwhitneyu(frame["a"][yes], frame["a"][~yes], use_continuity=False)
    assert tests["a"].p_value == pytest.approx(u.pvalue, rel=1e-6)
    chi = stats.chi2_contingency(pd.crosstab(frame["level"], frame["y"]), correction=False)
    assert tests["level"].p_value == pytest.approx(chi.pvalue, rel=1e-6)
    numbers = with_number()
    tests = {item.column: item for item in analyse(numbers, "y", "regression").associations}
    assert tests["b"].p_value == pytest.approx(
        stats.spearmanr(numbers["b"], numbers["y"]).pvalue, rel=1e-6
    )
    groups = [values["y"] for _, values in numbers.groupby("level")]
    assert tests["level"].p_value == pytest.approx(stats.kruskal(*groups).pvalue, rel=1e-6)


def test_noise_is_not_discovered_and_signal_is(analyse: Analyse) -> None:
    frame = with_classes()
    for place in range(30):
        frame[f"noise{place}"] = np.random.default_rng(100 + place).normal(size=800)
    found = analyse(frame, "y", "binary")
    assert found.associations[0].column == "a"
    assert found.associations[0].q_value < 1e-6
    assert sum(item.q_value < 0.05 for item in found.associations) <= 3


def test_columns_taken_out_by_the_explorer_are_not_tested(analyse: Analyse) -> None:
    frame = with_classes()
    frame["twin"] = (frame["y"] == "yes").astype(int)
    found = analyse(frame, "y", "binary", excluded={"twin": "copy of the target"})
    assert "twin" not in {item.column for item in found.associations}


def test_folds_shrink_to_the_rarest_class_and_the_kind_never_changes(analyse: Analyse) -> None:
    frame = with_classes()
    frame.loc[:1, "y"] = "rare"
    plan = {"kind": "group", "group": "level", "folds": 5, "repeats": 3}
    found = analyse(frame, "y", "multiclass", plan=plan).validation_plan
    assert (found.kind, found.group, found.folds, found.repeats) == ("group", "level", 2, 3)
    steady = analyse(with_classes(), "y", "binary", plan={"folds": 5}).validation_plan
    assert steady.folds == 5


def test_the_estimate_of_the_host_is_kept(analyse: Analyse) -> None:
    plan = analyse(with_classes(), "y", "binary", detectable_difference=0.0123).validation_plan
    assert plan.detectable_difference == 0.0123
    checks = analyse(with_classes(), "y", "binary", detectable_difference=0.0123).checks
    power = next(item for item in checks if item.code == "power.difference")
    assert power.evidence == "0.0123 with 80 % power on the rows that will be judged."
    own = analyse(with_classes(), "y", "binary", metric="roc_auc").validation_plan
    assert own.detectable_difference is not None
    assert 0.005 < own.detectable_difference < 0.05


def test_a_bent_effect_is_told_from_a_straight_one(analyse: Analyse) -> None:
    frame = with_number(2000)
    straight = analyse(frame, "y", "regression")
    assert outcome(straight, "linear.linearity") == "pass"
    bent = analyse(frame.assign(y=frame["y"] + 4 * frame["b"] ** 2), "y", "regression")
    assert outcome(bent, "linear.linearity") == "warn"
    assert "'b'" in next(c.evidence for c in bent.checks if c.code == "linear.linearity")


def test_checks_follow_the_model_family(analyse: Analyse) -> None:
    frame = with_classes().assign(d=lambda f: f["a"] + f["b"])
    linear = analyse(frame, "y", "binary", engineer_option="option_a")
    trees = analyse(frame, "y", "binary", engineer_option="option_b")
    assert outcome(linear, "linear.collinearity") == "warn"
    assert outcome(trees, "linear.collinearity") == "not applicable"
    assert outcome(linear, "trees.extrapolation") == "not applicable"
    assert outcome(trees, "trees.extrapolation") == "pass"


def test_separation_extrapolation_and_spread_are_seen(analyse: Analyse) -> None:
    frame = with_classes()
    frame["only"] = np.where((frame["y"] == "yes") & (frame["b"] > 0), "sure", "open")
    assert outcome(analyse(frame, "y", "binary"), "linear.separation") == "warn"
    growing = with_classes().assign(step=np.arange(800.0))
    assert outcome(analyse(growing, "y", "binary"), "trees.extrapolation") == "warn"
    numbers = with_number(2000)
    error = np.random.default_rng(5).normal(size=2000) * np.exp(numbers["a"])
    wide = numbers.assign(y=10 + 3 * numbers["a"] + error)
    assert outcome(analyse(wide, "y", "regression"), "regression.spread") == "warn"
    assert outcome(analyse(numbers, "y", "regression"), "regression.spread") == "pass"


def test_neighbours_that_resemble_each_other_are_seen(analyse: Analyse) -> None:
    frame = with_number()
    walk = np.cumsum(np.random.default_rng(6).normal(size=800))
    assert outcome(analyse(frame, "y", "regression"), "independence.order") == "pass"
    walking = analyse(frame.assign(y=frame["y"] + walk), "y", "regression")
    assert outcome(walking, "independence.order") == "warn"


def test_slices_name_groups_of_people_first_and_things_have_no_age(analyse: Analyse) -> None:
    frame = with_classes()
    frame["gender"] = np.random.default_rng(2).choice(["f", "m"], 800)
    frame["housing_age"] = np.random.default_rng(3).integers(0, 3, 800)
    frame["tiny"] = ["rare"] * 20 + ["rest"] * 780
    found = analyse(frame, "y", "binary")
    assert [item.column for item in found.slices] == ["gender", "level"]
    fair = next(item for item in found.findings if item.code == "fairness.columns")
    assert fair.columns == ("gender",)


def test_thorough_adds_stability_and_a_power_curve(analyse: Analyse) -> None:
    frame = with_classes()
    for place in range(6):
        frame[f"n{place}"] = np.random.default_rng(place).normal(size=800)
    thorough = analyse(frame, "y", "binary", option="option_c", metric="roc_auc")
    standard = analyse(frame, "y", "binary", option="option_b", metric="roc_auc")
    essential = analyse(frame, "y", "binary", option="option_a", metric="roc_auc")
    codes = [{c.code for c in found.checks} for found in (essential, standard, thorough)]
    assert codes[0] < codes[1] < codes[2]
    assert codes[2] - codes[1] == {"power.curve", "stability.associations"}


def test_a_spent_budget_skips_checks_and_says_so(analyse: Analyse) -> None:
    found = analyse(with_classes(), "y", "binary", budget_s=1e-9)
    assert "budget.cut" in {item.code for item in found.findings}
