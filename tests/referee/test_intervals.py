"""Intervals: draws agree with the metric, cover the truth, and "better" is said only when it is
so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from mlagent.contracts.metrics import METRICS
from mlagent.referee.intervals import (
    difference,
    judge_many,
    paired_draws,
    poisson_weights,
    score_many,
    score_with_interval,
    time_blocks,
    training_spread,
)
from mlagent.referee.metrics import Undefined, applicable, compute
from mlagent.referee.threshold import best_threshold, cross_thresholds
from mlagent.referee.truth import Truth
from mlagent.referee.weighted import prepare


def made(n: int, seed: int, noise: float = 1.0) -> tuple[Truth, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * signal))).astype(int)
    p = 1 / (1 + np.exp(-(signal + noise * rng.normal(size=n))))
    return Truth("binary", y, ("no", "yes")), p, signal


def test_poisson_weights_have_mean_and_variance_one():
    weights = poisson_weights(np.random.default_rng(0), 100, 20_000).astype(float)
    assert weights.mean() == pytest.approx(1.0, abs=0.003)
    assert weights.var() == pytest.approx(1.0, abs=0.005)
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.002)


@given(seed=st.integers(0, 10_000), n=st.integers(5, 60), levels=st.sampled_from([2, 7, 1000]))
@settings(max_examples=40, deadline=None)
def test_each_draw_of_a_ranking_metric_equals_scikit_learn_with_those_weights(seed, n, levels):
    truth, p, _ = made(n, seed)
    p = np.round(p * levels) / levels
    weights = poisson_weights(np.random.default_rng(seed), 5, n)
    auc = prepare("roc_auc", truth, p)(weights)
    precision = prepare("pr_auc", truth, p)(weights)
    for i, w in enumerate(weights):
        if len(np.unique(truth.y[w > 0])) < 2:
            assert np.isnan(auc[i])
            assert np.isnan(precision[i])
            continue
        assert auc[i] == pytest.approx(roc_auc_score(truth.y, p, sample_weight=w))
        expected = average_precision_score(truth.y, p, sample_weight=w)
        assert precision[i] == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_each_draw_of_every_metric_equals_the_metric_on_rows_repeated_so_often(kind):
    rng = np.random.default_rng(5)
    n = 60
    if kind == "regression":
        truth, p = Truth("regression", rng.gamma(2, 5, n)), rng.gamma(2, 5, n)
        cost = None
    else:
        k = 2 if kind == "binary" else 3
        truth = Truth(kind, rng.integers(0, k, n), ("a", "b", "c")[:k])
        raw = rng.random((n, 3))
        p = raw[:, 0] if k == 2 else raw / raw.sum(axis=1, keepdims=True)
        cost = np.arange(k * k).reshape(k, k).tolist()
    weights = poisson_weights(rng, 6, n)
    for metric in applicable(kind, with_cost=True):
        drawn = prepare(metric, truth, p, cost=cost)(weights)
        for w, value in zip(weights, drawn, strict=True):
            rows = np.repeat(np.arange(n), w)
            expected = compute(metric, truth.take(rows), p[rows], cost=cost)
            assert value == pytest.approx(expected), metric


def test_many_draws_do_not_depend_on_how_they_are_chunked():
    truth, p, _ = made(100, 0)
    metric = prepare("roc_auc", truth, p)
    whole = paired_draws([metric], 100, draws=40, seed=3)
    parts = paired_draws([metric], 100, draws=40, seed=3, cells_at_once=1000)
    assert np.allclose(parts, whole)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_intervals_cover_the_true_value_about_95_times_in_100(metric):
    big, p, _ = made(200_000, 99)
    true_value = compute(metric, big, p)
    rng = np.random.default_rng(7)
    covered = 0
    for trial in range(200):
        rows = rng.choice(big.n, 300, replace=False)
        score = score_with_interval(metric, big.take(rows), p[rows], seed=trial, draws=300)
        covered += score.low <= true_value <= score.high
    assert 0.90 <= covered / 200 <= 0.99


def test_a_model_better_by_construction_is_called_better_and_the_other_way_round_worse():
    truth, p, signal = made(2000, 1, noise=1.5)
    best = 1 / (1 + np.exp(-2 * signal))
    for metric in ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy"):
        assert difference(metric, truth, best, p, seed=0).verdict == "better"
        turned = difference(metric, truth, p, best, seed=0)
        assert turned.verdict == "worse"
        assert turned.value < 0
        assert turned.high < 0


def test_two_equally_good_models_are_not_distinguishable():
    truth, _, signal = made(2000, 2)
    rng = np.random.default_rng(3)
    a, b = (1 / (1 + np.exp(-(signal + rng.normal(size=2000)))) for _ in range(2))
    gap = difference("roc_auc", truth, a, b, seed=0)
    assert gap.verdict == "not distinguishable"
    assert gap.low < 0 < gap.high


def test_the_same_prediction_differs_by_exactly_nothing():
    truth, p, _ = made(300, 4)
    gap = difference("log_loss", truth, p, p.copy(), seed=0)
    assert (gap.value, gap.low, gap.high, gap.verdict) == (0, 0, 0, "not distinguishable")


def test_equal_models_are_called_better_in_at_most_some_five_of_a_hundred_tries():
    wrong = 0
    for seed in range(150):
        truth, a, signal = made(250, seed)
        b = 1 / (1 + np.exp(-(signal + np.random.default_rng(seed + 10_000).normal(size=250))))
        gap = difference("roc_auc", truth, a, b, seed=seed, draws=200)
        wrong += gap.verdict != "not distinguishable"
    assert wrong / 150 <= 0.10


def test_less_is_better_is_turned_so_that_positive_is_better():
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    truth = Truth("regression", y)
    near, far = y + 0.1 * rng.normal(size=500), y + rng.normal(size=500)
    assert difference("rmse", truth, near, far, seed=0).value > 0
    assert difference("r2", truth, near, far, seed=0).value > 0


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    truth, p, _ = made(200, 0)
    first = score_with_interval("roc_auc", truth, p, seed=1)
    assert first == score_with_interval("roc_auc", truth, p, seed=1)
    assert first != score_with_interval("roc_auc", truth, p, seed=2)


def test_clusters_widen_the_interval_when_rows_repeat_each_other():
    truth, p, _ = made(100, 0)
    rows = np.repeat(np.arange(100), 20)
    many, q = truth.take(rows), p[rows]
    naive = score_with_interval("roc_auc", many, q, seed=0)
    honest = score_with_interval("roc_auc", many, q, seed=0, clusters=rows)
    plain = score_with_interval("roc_auc", truth, p, seed=0)
    assert honest.high - honest.low > 3 * (naive.high - naive.low)
    assert honest.high - honest.low == pytest.approx(plain.high - plain.low, rel=0.25)


def test_time_blocks_are_consecutive_and_keep_equal_times_together():
    times = np.repeat(np.arange(1000), 2)
    blocks = time_blocks(times)
    assert (np.diff(blocks) >= 0).all()
    assert (blocks[::2] == blocks[1::2]).all()
    assert 50 < len(np.unique(blocks)) < 500


def test_judge_many_gives_scores_and_differences_from_the_same_weights():
    truth, p, signal = made(400, 0)
    predictions = {"model": signal, "linear": p, "dummy": np.full(400, 0.5)}
    judged = judge_many("roc_auc", truth, predictions, seed=0)
    assert set(judged.scores) == {"model", "linear", "dummy"}
    assert judged.scores["dummy"].low == judged.scores["dummy"].high == 0.5
    gap = judged.differences["dummy"]
    score = judged.scores["model"]
    assert gap.value == pytest.approx(score.value - 0.5)
    assert gap.low == pytest.approx(score.low - 0.5)


def test_thresholds_go_by_name():
    truth, p, _ = made(400, 0)
    judged = judge_many(
        "accuracy", truth, {"model": p, "linear": p}, seed=0, thresholds={"model": 2.0}
    )
    assert judged.scores["model"].value == pytest.approx((truth.y == 0).mean())
    assert judged.scores["linear"].value == pytest.approx(compute("accuracy", truth, p))


def test_out_of_fold_scores_are_means_over_folds_and_count_rows_once():
    truth, p, _ = made(90, 0)
    folds = np.ones((6, 90), dtype=np.int8)
    for i in range(6):
        folds[i, (i % 3) * 30 : (i % 3 + 1) * 30] = 2
    predictions = np.vstack([np.where(folds[i] == 2, p, np.nan) for i in range(6)])
    score = score_with_interval("roc_auc", truth, predictions, seed=0, folds=folds)
    by_hand = [compute("roc_auc", truth.take(f == 2), p[f == 2]) for f in folds]
    assert score.value == pytest.approx(np.mean(by_hand))
    assert score.n == 90


def five_folds(n: int) -> np.ndarray:
    place = np.arange(n) % 5
    return np.where(place == np.arange(5)[:, None], 2, 1).astype(np.int8)


def test_the_spread_is_nadeau_and_bengios_factor():
    folds = five_folds(100)
    assert training_spread(None) == 1.0
    assert training_spread(folds) == pytest.approx(np.sqrt(1 + 5 * 20 / 80))
    assert training_spread(np.vstack([folds] * 3)) == pytest.approx(1.5), "repeats add nothing"
    forward = np.zeros((2, 90), dtype=np.int8)
    forward[0, :30], forward[0, 30:60], forward[1, :60], forward[1, 60:] = 1, 2, 1, 2
    assert training_spread(forward) == pytest.approx(np.sqrt(1 + 2 * (30 / 30 + 30 / 60) / 2))


def test_over_folds_an_interval_is_wider_than_over_the_same_rows_alone():
    truth, p, signal = made(200, 3)
    folds = five_folds(200)
    layered = {
        name: np.where(folds == 2, array, np.nan)
        for name, array in (("model", p), ("linear", 1 / (1 + np.exp(-signal))))
    }
    wide = judge_many("brier", truth, layered, seed=0, folds=folds)
    rows = {name: np.nansum(array, axis=0) for name, array in layered.items()}
    narrow = judge_many("brier", truth, rows, seed=0)
    for one, other in (
        (wide.scores["model"], narrow.scores["model"]),
        (wide.differences["linear"], narrow.differences["linear"]),
    ):
        assert one.value == pytest.approx(other.value)
        assert (one.high - one.low) / (other.high - other.low) == pytest.approx(1.5, rel=0.05)


def test_an_interval_never_leaves_what_the_metric_can_be():
    truth, p, _ = made(60, 1, noise=0.2)
    folds = five_folds(60)
    for metric in ("roc_auc", "accuracy", "log_loss", "mcc", "brier"):
        score = score_with_interval(
            metric, truth, np.where(folds == 2, p, np.nan), seed=0, folds=folds
        )
        assert METRICS[metric].low <= score.low <= score.value <= score.high <= METRICS[metric].high


@pytest.mark.parametrize("metric", ["mcc", "f1", "accuracy", "balanced_accuracy"])
def test_on_noise_no_label_metric_gains_by_its_threshold(metric: str) -> None:
    """One threshold for all would be chosen on the rows that it judges."""
    gains = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = Truth("binary", rng.permutation(np.arange(120) % 2), ("no", "yes"))
        folds = five_folds(120)
        noise = np.where(folds == 2, rng.random(120), np.nan)
        score = score_with_interval(metric, truth, noise, seed=0, folds=folds, draws=20)
        gains.append(score.value - {"mcc": 0.0, "f1": score.value}.get(metric, 0.5))
    assert np.mean(gains) < 2.5 * np.std(gains) / np.sqrt(60) + 1e-9


def test_the_threshold_of_a_fold_comes_from_the_other_folds() -> None:
    truth, p, _ = made(200, 5)
    folds = five_folds(200)
    layers = np.where(folds == 2, p, np.nan)
    cuts = cross_thresholds("f1", truth, layers, folds)
    for index in range(5):
        rest = np.flatnonzero(folds[index] != 2)
        assert cuts[index] == best_threshold("f1", truth.take(rest), p[rest])
    changed = np.where(folds[0] == 2, 1 - truth.y, truth.y)
    other = cross_thresholds("f1", Truth("binary", changed, truth.classes), layers, folds)
    assert other[0] == cuts[0], "its own rows do not count"


def test_metrics_without_a_value_are_left_out_with_their_reason_and_never_zero():
    truth = Truth("regression", np.array([0.0, 1.0, 2.0, 3.0]))
    reasons: dict[str, str] = {}
    scores = score_many(
        ["rmse", "mape"],
        truth,
        np.ones(4),
        seed=0,
        on_undefined=lambda metric, reason: reasons.update({metric: reason}),
    )
    assert set(scores) == {"rmse"}
    assert "true values are 0" in reasons["mape"]


def test_one_class_has_no_interval():
    truth = Truth("binary", np.ones(5, dtype=int), ("no", "yes"))
    with pytest.raises(Undefined):
        score_with_interval("roc_auc", truth, np.full(5, 0.5), seed=0)


def test_a_metric_that_most_draws_leave_undefined_has_no_interval():
    truth = Truth("binary", np.array([0, 1]), ("no", "yes"))
    assert compute("roc_auc", truth, np.array([0.1, 0.9])) == 1.0
    with pytest.raises(Undefined, match="over half of the draws on 2 rows"):
        score_with_interval("roc_auc", truth, np.array([0.1, 0.9]), seed=0)


def test_a_single_positive_row_still_has_an_honest_interval():
    truth = Truth("binary", np.array([1, 0, 0, 0, 0, 0]), ("no", "yes"))
    score = score_with_interval("roc_auc", truth, np.array([0.5, 0.9, 0.1, 0.2, 0.3, 0.4]), seed=0)
    assert score.low < score.value < score.high
