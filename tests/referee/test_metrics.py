"""Metrics agree with scikit-learn, weights included; undefined is an exception with a reason."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as skl

from mlagent.contracts.errors import BadInput
from mlagent.contracts.metrics import METRICS
from mlagent.referee.metrics import (
    Truth,
    Undefined,
    applicable,
    compute,
    encode_target,
    labels,
    sign,
)

COST = ((0.0, 1.0), (5.0, -1.0))
COST3 = ((0.0, 1.0, 2.0), (3.0, 0.0, 1.0), (4.0, 1.0, 0.0))


def binary(n: int, seed: int, levels: int = 0) -> tuple[Truth, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = [0, 1]
    p = np.clip(0.3 * y + 0.7 * rng.random(n), 0, 1)
    if levels:
        p = np.round(p * levels) / levels
    return Truth("binary", y, ("no", "yes")), p, rng.integers(1, 5, n).astype(float)


def multiclass(n: int, seed: int) -> tuple[Truth, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    y[:3] = [0, 1, 2]
    raw = rng.random((n, 3)) + 0.5 * np.eye(3)[y]
    p = raw / raw.sum(axis=1, keepdims=True)
    return Truth("multiclass", y, ("a", "b", "c")), p, rng.integers(1, 5, n).astype(float)


def regression(n: int, seed: int) -> tuple[Truth, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.gamma(2.0, 10.0, n) + 0.1
    return Truth("regression", y), y * rng.uniform(0.5, 1.5, n), rng.integers(1, 5, n).astype(float)


def sklearn_binary(metric: str, y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    label = (p >= 0.5).astype(int)
    return {
        "roc_auc": lambda: skl.roc_auc_score(y, p, sample_weight=w),
        "pr_auc": lambda: skl.average_precision_score(y, p, sample_weight=w),
        "log_loss": lambda: skl.log_loss(y, p, sample_weight=w, labels=[0, 1]),
        "brier": lambda: skl.brier_score_loss(y, p, sample_weight=w),
        "f1": lambda: skl.f1_score(y, label, sample_weight=w, zero_division=0.0),
        "accuracy": lambda: skl.accuracy_score(y, label, sample_weight=w),
        "balanced_accuracy": lambda: skl.balanced_accuracy_score(y, label, sample_weight=w),
        "mcc": lambda: skl.matthews_corrcoef(y, label, sample_weight=w),
        "cost": lambda: np.average(np.asarray(COST)[y, label], weights=w),
    }[metric]()


def sklearn_multiclass(metric: str, y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    label = p.argmax(axis=1)
    return {
        "log_loss": lambda: skl.log_loss(y, p, sample_weight=w, labels=[0, 1, 2]),
        "accuracy": lambda: skl.accuracy_score(y, label, sample_weight=w),
        "balanced_accuracy": lambda: skl.balanced_accuracy_score(y, label, sample_weight=w),
        "cost": lambda: np.average(np.asarray(COST3)[y, label], weights=w),
        "macro_f1": lambda: skl.f1_score(y, label, average="macro", sample_weight=w),
        "ovr_auc": lambda: skl.roc_auc_score(y, p, multi_class="ovr", sample_weight=w),
        "kappa": lambda: skl.cohen_kappa_score(y, label, weights="quadratic", sample_weight=w),
    }[metric]()


def sklearn_regression(metric: str, y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    return {
        "rmse": lambda: skl.root_mean_squared_error(y, p, sample_weight=w),
        "mae": lambda: skl.mean_absolute_error(y, p, sample_weight=w),
        "r2": lambda: skl.r2_score(y, p, sample_weight=w),
        "mape": lambda: skl.mean_absolute_percentage_error(y, p, sample_weight=w),
        "rmsle": lambda: skl.root_mean_squared_log_error(y, p, sample_weight=w),
        "pinball": lambda: skl.mean_pinball_loss(y, p, sample_weight=w, alpha=0.8),
    }[metric]()


@pytest.mark.parametrize("metric", applicable("binary", with_cost=True))
@given(n=st.integers(4, 80), seed=st.integers(0, 10_000), levels=st.sampled_from([0, 3, 10]))
@settings(max_examples=25, deadline=None)
def test_binary_metrics_equal_scikit_learn_with_sample_weight(metric, n, seed, levels):
    truth, p, w = binary(n, seed, levels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sklearn_binary(metric, truth.y, p, w)
    assert compute(metric, truth, p, w, cost=COST) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("metric", applicable("multiclass", with_cost=True))
@given(n=st.integers(6, 80), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_multiclass_metrics_equal_scikit_learn_with_sample_weight(metric, n, seed):
    truth, p, w = multiclass(n, seed)
    expected = sklearn_multiclass(metric, truth.y, p, w)
    assert compute(metric, truth, p, w, cost=COST3) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("metric", applicable("regression"))
@given(n=st.integers(2, 80), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_regression_metrics_equal_scikit_learn_with_sample_weight(metric, n, seed):
    truth, p, w = regression(n, seed)
    expected = sklearn_regression(metric, truth.y, p, w)
    assert compute(metric, truth, p, w, quantile=0.8) == pytest.approx(expected, rel=1e-9)


def test_every_name_of_the_registry_has_a_function_and_no_weights_means_weights_of_one():
    made = {
        "binary": binary(50, 1),
        "multiclass": multiclass(50, 1),
        "regression": regression(50, 1),
    }
    seen = set()
    for name, info in METRICS.items():
        for kind in info.tasks:
            truth, p, _ = made[kind]
            cost = COST if kind == "binary" else COST3
            plain = compute(name, truth, p, cost=cost)
            assert plain == pytest.approx(compute(name, truth, p, np.ones(50), cost=cost))
            seen.add(name)
    assert seen == set(METRICS)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("roc_auc", 0.75), ("accuracy", 0.5), ("f1", 2 / 3), ("brier", 0.195), ("mcc", 0.0)],
)
def test_hand_values_on_four_rows(metric, expected):
    truth = Truth("binary", np.array([0, 0, 1, 1]), ("no", "yes"))
    p = np.array([0.6, 0.5, 0.55, 0.9])
    hand = {"brier": (0.36 + 0.25 + 0.2025 + 0.01) / 4}.get(metric, expected)
    assert compute(metric, truth, p) == pytest.approx(hand)


def test_log_loss_of_a_sure_and_wrong_prediction_is_finite_and_equals_scikit_learn():
    truth = Truth("binary", np.array([0, 1]), ("no", "yes"))
    p = np.array([1.0, 1.0])
    assert compute("log_loss", truth, p) == pytest.approx(skl.log_loss([0, 1], p, labels=[0, 1]))


def test_kappa_orders_numeric_classes_as_numbers():
    y = np.array([0, 1, 2, 0, 1, 2])
    p = np.eye(3)[[0, 2, 2, 1, 1, 2]]
    as_numbers = Truth("multiclass", y, ("10", "8", "9"))
    expected = skl.cohen_kappa_score(
        np.array([10, 8, 9])[y], np.array([10, 8, 9])[p.argmax(axis=1)], weights="quadratic"
    )
    assert compute("kappa", as_numbers, p) == pytest.approx(expected)


def test_rmsle_reads_a_prediction_below_zero_as_zero():
    truth = Truth("regression", np.array([1.0, 2.0]))
    below = compute("rmsle", truth, np.array([-3.0, 2.0]))
    assert below == pytest.approx(compute("rmsle", truth, np.array([0.0, 2.0])))


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "balanced_accuracy", "mcc"])
def test_one_class_alone_is_no_score_with_a_reason(metric):
    truth = Truth("binary", np.ones(4, dtype=int), ("no", "yes"))
    with pytest.raises(Undefined, match="all 4 rows are of class 'yes'"):
        compute(metric, truth, np.full(4, 0.5))


def test_f1_without_positives_is_no_score():
    truth = Truth("binary", np.zeros(4, dtype=int), ("no", "yes"))
    with pytest.raises(Undefined, match="'no'"):
        compute("f1", truth, np.full(4, 0.9))


@pytest.mark.parametrize(
    ("metric", "y", "words"),
    [
        ("r2", [3.0, 3.0, 3.0], "same in all 3 rows"),
        ("mape", [0.0, 1.0, 2.0], "1 of 3 true values are 0"),
        ("rmsle", [-1.0, 1.0, 2.0], "1 of 3 true values are below 0"),
    ],
)
def test_regression_metrics_without_a_value_say_why(metric, y, words):
    with pytest.raises(Undefined, match=words):
        compute(metric, Truth("regression", np.array(y)), np.ones(3))


def test_no_rows_is_no_score():
    with pytest.raises(Undefined, match="no rows"):
        compute("rmse", Truth("regression", np.array([])), np.array([]))


def test_r2_of_a_nearly_constant_large_target_does_not_explode():
    y = np.array([1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3])
    assert compute("r2", Truth("regression", y), y) == pytest.approx(1.0)


def test_cost_without_a_matrix_names_the_way_out():
    truth, p, _ = binary(10, 0)
    with pytest.raises(BadInput, match=r"mlagent\.yaml"):
        compute("cost", truth, p)
    with pytest.raises(BadInput, match="2 classes"):
        compute("cost", truth, p, cost=COST3)


def test_a_metric_of_another_task_is_refused():
    truth, p, _ = binary(10, 0)
    with pytest.raises(ValueError, match="binary"):
        compute("rmse", truth, p)


def test_labels_use_the_threshold_and_the_arg_max():
    truth, p, _ = binary(20, 0)
    assert (labels(truth, p, 0.3) == (p >= 0.3)).all()
    multi, q, _ = multiclass(20, 0)
    assert (labels(multi, q) == q.argmax(axis=1)).all()


def test_encode_target_gives_positions_and_refuses_unknown_labels():
    assert encode_target(["yes", "no", "yes"], ("no", "yes")).tolist() == [1, 0, 1]
    with pytest.raises(BadInput, match="row 1 .* 'maybe'"):
        encode_target(["yes", "maybe"], ("no", "yes"))


def test_signs_follow_the_registry():
    assert sign("roc_auc") == 1
    assert sign("rmse") == -1


def test_a_truth_with_missing_values_is_refused():
    with pytest.raises(ValueError, match="missing"):
        Truth("regression", np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="codes"):
        Truth("binary", np.array([0, -1]), ("no", "yes"))
