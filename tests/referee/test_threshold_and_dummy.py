"""The frozen threshold and the dummy: chosen on what they were given, and the best of their
kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagent.referee.dummy import dummy_prediction
from mlagent.referee.metrics import Truth, Undefined, compute, sign
from mlagent.referee.threshold import best_threshold

CLASSES = ("no", "yes")


@pytest.mark.parametrize("metric", ["f1", "accuracy", "balanced_accuracy", "mcc", "cost"])
@given(seed=st.integers(0, 5000), n=st.integers(4, 60), levels=st.sampled_from([4, 1000]))
@settings(max_examples=25, deadline=None)
def test_no_other_threshold_is_better(metric, seed, n, levels):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = [0, 1]
    p = np.round(rng.random(n) * levels) / levels
    truth = Truth("binary", y, CLASSES)
    cost = ((0.0, 1.0), (7.0, 0.0))
    found = best_threshold(metric, truth, p, cost)
    reached = compute(metric, truth, p, threshold=found, cost=cost)
    for other in np.concatenate([p, p + 1e-9, [0.0, 1.1]]):
        value = compute(metric, truth, p, threshold=float(other), cost=cost)
        assert sign(metric) * (reached - value) >= -1e-9


def test_a_metric_without_labels_gets_the_best_f1_threshold():
    rng = np.random.default_rng(0)
    y = (rng.random(500) < 0.2).astype(int)
    p = np.clip(0.2 * y + 0.4 * rng.random(500), 0, 1)
    truth = Truth("binary", y, CLASSES)
    assert best_threshold("roc_auc", truth, p) == best_threshold("f1", truth, p)


def test_equally_good_thresholds_are_settled_by_nearness_to_a_half():
    truth = Truth("binary", np.array([0, 1, 0, 1]), CLASSES)
    assert best_threshold("accuracy", truth, np.array([0.1, 0.3, 0.6, 0.9])) == 0.75


def test_the_threshold_of_one_class_alone_is_no_number():
    with pytest.raises(Undefined):
        best_threshold("mcc", Truth("binary", np.zeros(3, dtype=int), CLASSES), np.ones(3))


def test_the_dummy_predicts_the_class_shares():
    truth = Truth("binary", np.array([0, 0, 0, 1]), CLASSES)
    assert dummy_prediction(truth, "roc_auc", 3).tolist() == [0.25] * 3
    many = Truth("multiclass", np.array([0, 1, 1, 2]), ("a", "b", "c"))
    assert dummy_prediction(many, "log_loss", 2).tolist() == [[0.25, 0.5, 0.25]] * 2


@pytest.mark.parametrize("metric", ["accuracy", "f1", "cost"])
def test_the_dummy_of_a_label_metric_is_the_better_of_the_two_constants(metric):
    truth = Truth("binary", np.array([0] * 7 + [1] * 3), CLASSES)
    cost = ((0.0, 1.0), (9.0, 0.0))
    made = compute(metric, truth, dummy_prediction(truth, metric, 10, cost=cost), cost=cost)
    both = [compute(metric, truth, np.full(10, label), cost=cost) for label in (0.0, 1.0)]
    assert made == (max(both) if sign(metric) > 0 else min(both))


@pytest.mark.parametrize("metric", ["rmse", "mae", "mape", "rmsle", "pinball", "r2"])
def test_no_other_constant_fits_the_metric_better(metric):
    y = np.random.default_rng(0).lognormal(1, 1, 301)
    truth = Truth("regression", y)
    dummy = dummy_prediction(truth, metric, 301, quantile=0.9)
    reached = compute(metric, truth, dummy, quantile=0.9)
    for constant in np.quantile(y, np.linspace(0.01, 0.99, 60)):
        value = compute(metric, truth, np.full(301, constant), quantile=0.9)
        assert sign(metric) * (reached - value) >= -1e-9


def test_a_dummy_without_training_rows_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        dummy_prediction(Truth("regression", np.array([])), "rmse", 3)
