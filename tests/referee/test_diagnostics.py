"""Slices, calibration, curves, importance, power and leaks: numbers that stand beside the score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlagent.referee.calibration import calibration_of
from mlagent.referee.curves import curves_of
from mlagent.referee.importance import importance_from, permuted_copies
from mlagent.referee.leaks import exclude_automatically, is_suspect
from mlagent.referee.metrics import Truth, compute
from mlagent.referee.power import detectable_difference
from mlagent.referee.slices import slice_scores

CLASSES = ("no", "yes")


def made(n: int, seed: int = 0) -> tuple[Truth, np.ndarray]:
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=n)
    p = 1 / (1 + np.exp(-odds))
    return Truth("binary", (rng.random(n) < p).astype(int), CLASSES), p


def test_the_group_on_which_the_model_guesses_is_named_worst_and_flagged():
    truth, p = made(3000)
    rng = np.random.default_rng(1)
    region = rng.choice(np.array(["north", "south", "east"], dtype=object), 3000)
    p = np.where(region == "east", rng.random(3000), p)
    found, note = slice_scores("roc_auc", truth, p, {"region": region}, seed=0)
    assert (found[0].column, found[0].value) == ("region", "east")
    assert found[0].n == (region == "east").sum()
    assert found[0].positives == truth.y[region == "east"].sum()
    assert "worse than the rest" in found[0].note
    assert note.startswith("3 groups were looked at")
    assert not any("looked at" in part.note for part in found)
    assert found[0].score.value < found[1].score.value <= found[2].score.value


def test_equally_good_groups_are_not_flagged():
    truth, p = made(3000)
    region = np.random.default_rng(2).choice(np.array(["a", "b"], dtype=object), 3000)
    found, note = slice_scores("roc_auc", truth, p, {"region": region}, seed=0)
    assert not any("worse than the rest" in part.note for part in found)
    assert note.startswith("2 groups were looked at")


def test_a_value_that_occurs_under_ten_times_is_never_named():
    truth, p = made(500)
    column = np.array(["common"] * 491 + ["secret"] * 9, dtype=object)
    assert slice_scores("log_loss", truth, p, {"c": column}, seed=0).rows[0].value == "common"
    assert len(slice_scores("log_loss", truth, p, {"c": column}, seed=0).rows) == 1


def test_numbers_are_cut_into_quartiles_and_missing_cells_are_a_slice():
    truth, p = made(1000)
    age = np.arange(1000).astype(object)
    age[:100] = None
    found = slice_scores(
        "brier", truth, p, {"age": age, "id": np.array([f"x{i}" for i in age])}, seed=0
    ).rows
    values = {part.value for part in found}
    assert len(values) == 5
    assert "(missing)" in values
    assert {part.column for part in found} == {"age"}
    assert {"under 324.8", "from 774.2"} <= values
    assert not any("999" in value or "100" in value for value in values)


def test_at_most_twelve_slices_and_a_slice_of_one_class_has_no_score_but_a_reason():
    truth, p = made(2000)
    columns = {f"c{i}": np.arange(2000) % (i + 3) for i in range(8)}
    assert len(slice_scores("roc_auc", truth, p, columns, seed=0).rows) == 12
    flag = np.where((truth.y == 1) & (np.arange(2000) % 7 == 0), "all yes", "mixed")
    found = slice_scores("roc_auc", truth, p, {"flag": flag}, seed=0).rows
    only = next(part for part in found if part.value == "all yes")
    assert only.score is None
    assert "all" in only.note
    assert "'yes'" in only.note


def test_calibrated_probabilities_have_slope_one_and_a_small_error():
    truth, p = made(20_000)
    good = calibration_of(truth, p)
    assert good.slope == pytest.approx(1, abs=0.06)
    assert good.intercept == pytest.approx(0, abs=0.06)
    assert good.expected_error < 0.02
    assert sum(n for _, _, n in good.bins) == 20_000
    assert len(good.bins) == 10
    odds = np.log(p / (1 - p))
    bold = calibration_of(truth, 1 / (1 + np.exp(-3 * odds)))
    assert bold.slope == pytest.approx(1 / 3, abs=0.03)
    assert bold.expected_error > 0.1


def test_calibration_without_a_slope_says_none():
    truth, p = made(100)
    constant = calibration_of(truth, np.full(100, 0.5))
    assert constant.slope is None
    assert constant.bins == ((0.5, pytest.approx(truth.y.mean()), 100),)
    separated = calibration_of(truth, truth.y.astype(float))
    assert separated.slope is None
    assert separated.expected_error == 0
    assert calibration_of(Truth("regression", p), p) is None


def test_multiclass_calibration_is_of_the_top_class():
    y = np.array([0, 1, 2, 0] * 50)
    p = np.tile([0.6, 0.3, 0.1], (200, 1))
    found = calibration_of(Truth("multiclass", y, ("a", "b", "c")), p)
    assert found.expected_error == pytest.approx(0.1)


def test_curves_are_thin_keep_their_ends_and_enclose_the_auc():
    truth, p = made(30_000)
    found = curves_of(truth, p, 0.5)
    assert len(found.roc) <= 200
    assert len(found.pr) <= 200
    assert found.roc[0] == (0.0, 0.0)
    assert found.roc[-1] == (1.0, 1.0)
    area = np.trapezoid([y for _, y in found.roc], [x for x, _ in found.roc])
    assert area == pytest.approx(compute("roc_auc", truth, p), abs=0.01)
    assert sum(map(sum, found.confusion)) == 30_000
    assert found.confusion[1][1] == ((truth.y == 1) & (p >= 0.5)).sum()
    assert sum(n for _, n in found.predicted_histogram) == 30_000


def test_curves_of_one_class_and_of_regression():
    ones = curves_of(Truth("binary", np.ones(5, dtype=int), CLASSES), np.full(5, 0.5))
    assert ones.roc == ()
    y = np.random.default_rng(0).normal(size=1000)
    found = curves_of(Truth("regression", y), y + 1)
    assert len(found.residuals) == 200
    assert all(residual == pytest.approx(-1) for _, residual in found.residuals)
    constant = curves_of(Truth("regression", y), np.zeros(1000))
    assert constant.predicted_histogram == ((0.0, 1000),)


def test_the_column_that_matters_has_the_importance_and_the_noise_has_none():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "useful": rng.normal(size=900),
            "noise": rng.normal(size=900),
            "word": ["a", None, "b"] * 300,
        }
    )
    y = (frame["useful"] + 0.3 * rng.normal(size=900) > 0).astype(int).to_numpy()
    stacked, index = permuted_copies(frame, list(frame.columns), seed=0, max_rows=400)
    assert len(stacked) == 400 * (1 + 3 * index.repeats)
    assert (stacked.dtypes == frame.dtypes).all()
    assert stacked.iloc[:400].equals(frame.iloc[index.rows].reset_index(drop=True))
    for block in range(index.repeats):
        rows = slice(400 * (1 + block), 400 * (2 + block))
        part = stacked.iloc[rows].reset_index(drop=True)
        assert not part["useful"].equals(stacked["useful"].iloc[:400])
        assert sorted(part["useful"]) == sorted(stacked["useful"].iloc[:400])
        assert part["noise"].equals(stacked["noise"].iloc[:400])
    p = 1 / (1 + np.exp(-3 * stacked["useful"].to_numpy()))
    found = importance_from(p, Truth("binary", y, CLASSES), "roc_auc", index, seed=0)
    assert found[0].column == "useful"
    assert found[0].low > 0.3
    assert [one.drop for one in found[1:]] == [0, 0]
    with pytest.raises(ValueError, match="blocks"):
        importance_from(p[:-1], Truth("binary", y, CLASSES), "roc_auc", index, seed=0)


def test_a_column_goes_out_by_itself_only_for_a_copy_or_a_perfect_score():
    assert exclude_automatically(0.5, is_copy=True)
    assert exclude_automatically(0.9999)
    assert not exclude_automatically(0.9998)
    assert not exclude_automatically(None)
    assert is_suspect(0.9998)
    assert is_suspect(0.95)
    assert not is_suspect(0.94)
    assert not is_suspect(0.99995)


def test_four_times_the_rows_detect_half_the_difference():
    for metric, kind, fact in (
        ("roc_auc", "binary", 0.3),
        ("accuracy", "binary", 0.3),
        ("log_loss", "binary", 0.3),
        ("rmse", "regression", 2.0),
        ("mae", "regression", 2.0),
        ("r2", "regression", 2.0),
    ):
        few = detectable_difference(metric, kind, 500, fact)
        many = detectable_difference(metric, kind, 2000, fact)
        assert few / many == pytest.approx(2, rel=0.02)
    assert detectable_difference("mcc", "binary", 500, 0.3) is None
    assert detectable_difference("roc_auc", "binary", 500, 0.001) is None
    assert detectable_difference("rmse", "regression", 5, 1.0) is None


def test_the_detectable_rmse_difference_is_found_in_about_80_of_100_simulations():
    from mlagent.referee.power import ALIKE, EXPLAINED

    n, sd = 500, 1.0
    delta = detectable_difference("rmse", "regression", n, sd)
    residual = np.sqrt(1 - EXPLAINED) * sd
    rng = np.random.default_rng(0)
    worse = (residual + delta) / residual
    spread = []
    for _ in range(400):
        shared = rng.normal(size=n)
        a, b = (np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * rng.normal(size=n) for _ in range(2))
        spread.append(
            np.sqrt(np.mean((worse * residual * b) ** 2)) - np.sqrt(np.mean((residual * a) ** 2))
        )
    found = (np.array(spread) / np.std(spread) > 1.96).mean()
    assert 0.70 < found < 0.90
