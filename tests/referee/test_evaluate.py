"""From arrays to the record and its words: each known weakness has its sentence, each gate its
evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlagent.contracts.contract import QualityGate
from mlagent.contracts.evaluation import Difference, Evaluation, Score
from mlagent.referee.dummy import dummy_prediction
from mlagent.referee.evaluate import EvaluationInputs, evaluate
from mlagent.referee.gates import Measured, evaluate_gates
from mlagent.referee.leaderboard import apart, candidate_score, choose, out_of_fold
from mlagent.referee.metrics import Truth, Undefined, compute

GATES = (
    QualityGate(name="dummy", metric="primary", comparison="better_than_dummy", required=True),
    QualityGate(name="linear", metric="roc_auc", comparison="better_than_linear", required=False),
    QualityGate(
        name="floor", metric="accuracy", comparison="at_least", threshold=0.99, required=True
    ),
    QualityGate(
        name="slow", metric="predict_seconds", comparison="at_most", threshold=1, required=True
    ),
    QualityGate(name="big", metric="model_mb", comparison="at_most", threshold=1, required=True),
    QualityGate(
        name="worst", metric="worst_slice", comparison="at_least", threshold=0.5, required=False
    ),
    QualityGate(
        name="honest",
        metric="calibration_error",
        comparison="at_most",
        threshold=0.9,
        required=True,
    ),
)


def inputs(n: int = 1500, **more) -> EvaluationInputs:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=n)
    truth = Truth(
        "binary", (rng.random(n) < 1 / (1 + np.exp(-2 * signal))).astype(int), ("no", "yes")
    )
    predictions = {
        "model": 1 / (1 + np.exp(-2 * signal)),
        "linear": 1 / (1 + np.exp(-(signal + 1.2 * rng.normal(size=n)))),
        "dummy": dummy_prediction(truth, "roc_auc", n),
    }
    made = EvaluationInputs(
        metric="roc_auc",
        truth=truth,
        predictions=predictions,
        judged_on="vault",
        model_name="option_b",
        seal_id="abc",
        opening=1,
        tries=3,
        tier="T3",
        seed=0,
        thresholds={"model": 0.4},
        slice_columns={"half": np.array(["left", "right"], dtype=object)[np.arange(n) % 2]},
        gates=GATES,
        predict_seconds=0.2,
    )
    return replace(made, **more)


def test_the_record_holds_score_baselines_differences_and_round_trips():
    found = evaluate(inputs())
    assert found.model.value == pytest.approx(
        compute("roc_auc", inputs().truth, inputs().predictions["model"])
    )
    assert set(found.baselines) == {"dummy", "linear"}
    assert found.baselines["dummy"].value == 0.5
    assert found.difference_to_linear.verdict == "better"
    assert found.metrics["roc_auc"] == found.model
    assert set(found.metrics) >= {"pr_auc", "log_loss", "brier", "f1", "accuracy", "mcc"}
    assert "cost" not in found.metrics
    assert found.threshold == 0.4
    assert found.calibration is not None
    assert found.curves.roc
    assert len(found.slices) == 2
    assert len(found.cannot_see) == 6
    assert Evaluation.model_validate_json(found.model_dump_json()) == found
    assert evaluate(inputs()) == found


def test_gates_pass_fail_or_are_not_measured_with_evidence():
    gates = {gate.name: gate for gate in evaluate(inputs()).gates}
    assert {name: gate.outcome for name, gate in gates.items()} == {
        "dummy": "pass",
        "linear": "pass",
        "floor": "fail",
        "slow": "pass",
        "big": "not measured",
        "worst": "pass",
        "honest": "pass",
    }
    assert "better" in gates["dummy"].evidence
    assert "1,500 rows" in gates["floor"].evidence


def test_a_relative_gate_fails_when_the_interval_includes_zero():
    score = Score(value=0.8, low=0.7, high=0.9, n=100)
    unsure = Difference(value=0.01, low=-0.01, high=0.03, verdict="not distinguishable")
    measured = Measured("roc_auc", score, difference_to_dummy=unsure, difference_to_linear=unsure)
    for gate in evaluate_gates(GATES[:2], measured):
        assert (gate.value, gate.outcome) == (0.01, "fail")
        assert "not distinguishable" in gate.evidence


def test_linear_is_not_compared_with_itself_by_a_gate():
    made = inputs()
    shipped = dict(made.predictions, model=made.predictions["linear"])
    found = evaluate(replace(made, model_name="linear", predictions=shipped))
    gates = {gate.name: gate for gate in found.gates}
    assert gates["linear"].outcome == "not applicable"
    assert gates["linear"].value is None
    assert "linear baseline itself ships" in gates["linear"].evidence
    assert gates["dummy"].outcome == "pass"


def test_the_verdict_says_better_only_when_the_interval_does():
    made = inputs()
    good = evaluate(made).verdict
    assert "It is better than the dummy" in good
    assert "It is better than the linear baseline" in good
    assert "on 1,500 vault rows" in good
    same = dict(made.predictions, model=made.predictions["linear"])
    assert (
        "not distinguishable from the linear baseline"
        in evaluate(replace(made, predictions=same)).verdict
    )
    turned = dict(
        made.predictions, model=made.predictions["linear"], linear=made.predictions["model"]
    )
    assert "worse than the linear baseline" in evaluate(replace(made, predictions=turned)).verdict


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"opening": 3}, "opening 3 of the same vault"),
        ({"tries": 50}, "50 candidates have been scored"),
        ({"tier": "T0"}, "tier T0, without a container"),
        ({"suspects": ("total",)}, "Suspect, kept: 'total'. It predicts the target almost alone;"),
        ({"suspects": ("a", "b")}, "'a', 'b'. They predict the target almost alone, each or toge"),
        ({"n": 200}, "Only 200 rows were judged"),
        ({"chosen_over": "option_b was below linear, so linear ships."}, "so linear ships."),
        ({"notes": ("Trained on a sample of 1000 rows.",)}, "Trained on a sample"),
    ],
)
def test_each_known_weakness_has_its_sentence(more, words):
    assert words not in evaluate(inputs(gates=())).verdict
    assert words in evaluate(inputs(gates=(), **more)).verdict


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "None of the judged rows is of class 'yes'"),
        (3, "Only 3 of the judged rows are of class 'yes': every interval here is too narrow"),
        (19, "Only 19 of the judged rows are of class 'yes'"),
    ],
)
def test_few_judged_rows_of_a_class_are_said(count, words):
    made = inputs(600, metric="log_loss", gates=())
    rare = Truth("binary", (np.arange(600) < count).astype(int), ("no", "yes"))
    assert words in evaluate(replace(made, truth=rare)).verdict
    enough = Truth("binary", (np.arange(600) < 20).astype(int), ("no", "yes"))
    assert "of class 'yes'" not in evaluate(replace(made, truth=enough)).verdict


def test_few_groups_are_said():
    made = inputs(600, gates=())
    assert "only 2 groups" in evaluate(replace(made, clusters=np.arange(600) % 2)).verdict
    assert "groups (or" not in evaluate(replace(made, clusters=np.arange(600) % 10)).verdict


def test_a_perfect_score_is_doubted_and_a_useless_model_is_not_recommended():
    made = inputs(400)
    perfect = dict(made.predictions, model=made.truth.y.astype(float))
    assert "more often a leak" in evaluate(replace(made, predictions=perfect)).verdict
    nearly = dict(made.predictions, model=np.where(np.arange(400) == 0, 0.5, perfect["model"]))
    assert "more often a leak" in evaluate(replace(made, predictions=nearly)).verdict
    useless = dict(made.predictions, model=np.full(400, 0.5))
    assert "do not use it" in evaluate(replace(made, predictions=useless)).verdict


def test_when_linear_ships_it_is_not_compared_with_itself():
    made = inputs(model_name="linear")
    assert "the linear baseline" not in evaluate(made).verdict


def test_an_out_of_fold_evaluation_says_that_the_shipped_model_is_unscored():
    made = inputs(600)
    folds = np.ones((4, 600), dtype=np.int8)
    for i in range(4):
        folds[i, i % 2 :: 2] = 2
    stacked = {
        name: np.where(folds == 2, values, np.nan) for name, values in made.predictions.items()
    }
    found = evaluate(
        replace(made, predictions=stacked, folds=folds, judged_on="out-of-fold", opening=0)
    )
    assert "is itself unscored" in found.verdict
    assert found.model.n == 600
    assert found.seal.opening == 0
    assert sum(map(sum, found.curves.confusion)) == 600


def test_a_contradiction_between_folds_and_place_of_judging_is_refused():
    with pytest.raises(ValueError, match="out-of-fold"):
        evaluate(inputs(judged_on="out-of-fold"))
    made = inputs()
    with pytest.raises(ValueError, match="linear"):
        evaluate(replace(made, predictions={"model": made.predictions["model"]}))


def test_one_class_among_the_judged_rows_is_no_score_with_a_sentence():
    truth = Truth("binary", np.zeros(1500, dtype=int), ("no", "yes"))
    with pytest.raises(Undefined, match="'no'"):
        evaluate(inputs(truth=truth))


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_the_other_tasks_are_evaluated_as_well(kind):
    rng = np.random.default_rng(0)
    if kind == "multiclass":
        truth = Truth(kind, rng.integers(0, 3, 600), ("a", "b", "c"))
        raw = rng.random((600, 3)) + np.eye(3)[truth.y]
        model, metric = raw / raw.sum(axis=1, keepdims=True), "log_loss"
    else:
        truth = Truth(kind, rng.normal(size=600))
        model, metric = truth.y + 0.1 * rng.normal(size=600), "rmse"
    linear = np.full_like(model, 1 / 3)
    predictions = {"model": model, "linear": linear, "dummy": dummy_prediction(truth, metric, 600)}
    found = evaluate(
        inputs(600, metric=metric, truth=truth, predictions=predictions, thresholds={}, gates=())
    )
    assert found.difference_to_dummy.verdict == "better"
    assert found.threshold is None
    assert (found.calibration is None) == (kind == "regression")
    assert found.direction == "minimize"


def test_out_of_fold_predictions_are_means_over_repeats():
    folds = np.array([[2, 1, 0], [2, 2, 0]], dtype=np.int8)
    rows, mean = out_of_fold(folds, np.array([[0.2, 0.5, np.nan], [0.4, 0.9, np.nan]]))
    assert rows.tolist() == [0, 1]
    assert mean == pytest.approx([0.3, 0.9])
    stacked = np.full((2, 3, 2), np.nan)
    stacked[0, 0], stacked[1, 0], stacked[1, 1] = [0.2, 0.8], [0.4, 0.6], [1, 0]
    assert out_of_fold(folds, stacked)[1] == pytest.approx(np.array([[0.3, 0.7], [1, 0]]))


def test_the_board_is_ordered_and_linear_ships_when_the_option_is_below_it():
    made = inputs(400)
    folds = np.ones((2, 400), dtype=np.int8)
    folds[0, :200] = folds[1, 200:] = 2

    def row(name, prediction, **more):
        stacked = None if prediction is None else np.where(folds == 2, prediction, np.nan)
        return candidate_score(name, "roc_auc", made.truth, folds, stacked, seed=0, **more)

    good, linear = row("good", made.predictions["model"]), row("linear", made.predictions["linear"])
    dead = row("dead", None, outcome="no score: time")
    assert len(good.folds) == 2
    assert good.score.value == pytest.approx(np.mean(good.folds))
    kept = choose([dead, linear, good], "roc_auc", asked_for="good")
    assert (kept.name, kept.why) == ("good", "")
    assert [entry.name for entry in kept.board] == ["good", "linear", "dead"]
    assert [entry.chosen for entry in kept.board] == [True, False, False]
    fallen = choose([dead, linear], "roc_auc", asked_for="dead")
    assert fallen.name == "linear"
    assert fallen.why == "dead has no score on the dev folds (time), so linear ships."
    below = choose(
        [linear, row("noise", np.random.default_rng(0).random(400))], "roc_auc", asked_for="noise"
    )
    assert below.name == "linear"
    assert "not as good as linear" in below.why


def test_clusters_widen_every_interval_of_the_record():
    small = inputs(100, gates=(), slice_columns={})
    rows = np.repeat(np.arange(100), 10)
    repeated = {name: values[rows] for name, values in small.predictions.items()}
    naive = replace(small, truth=small.truth.take(rows), predictions=repeated)
    honest = evaluate(replace(naive, clusters=rows))
    plain = evaluate(naive)
    for wide, narrow in (
        (honest.model, plain.model),
        (honest.difference_to_linear, plain.difference_to_linear),
        (honest.metrics["brier"], plain.metrics["brier"]),
    ):
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_two_scores_that_differ_late_are_shown_apart():
    assert apart(0.84461, 0.84463) == ("0.84461", "0.84463")
    assert apart(0.8, 0.9) == ("0.8", "0.9")
    assert apart(0.5, 0.5) == ("0.5", "0.5")
