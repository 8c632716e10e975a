"""The evaluation: from arrays to the record `evaluation.json`.

Guarantees: every number in the record is computed here or handed in as a record of this room; one
seed, one result; what is not defined is absent with its reason among the notes. Does not: open
vaults, count openings, run candidates, write files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlagent.contracts.evaluation import (
    CandidateScore,
    Evaluation,
    Importance,
    Score,
    SealRef,
)
from mlagent.contracts.metrics import METRICS

from .calibration import calibration_of
from .curves import curves_of
from .gates import GateSpec, Measured, evaluate_gates
from .intervals import DRAWS, judge_many, score_many
from .leaderboard import out_of_fold
from .metrics import applicable
from .slices import slice_scores
from .truth import Floats, Truth
from .verdict import CANNOT_SEE, VerdictFacts, compose_verdict

MODEL, LINEAR, DUMMY = "model", "linear", "dummy"


@dataclass(frozen=True)
class EvaluationInputs:
    """Everything an evaluation is made from.

    Attributes:
        metric: the task's metric.
        truth: judged rows: the vault's, or with `folds` all dev rows.
        predictions: 'model', 'linear' and 'dummy' -> (n,) or (n, k); with `folds` (F, n) or (F, n,
            k). All have passed `check_prediction`.
        judged_on: what the rows are.
        model_name: which candidate ships, as on the leaderboard.
        seal_id, opening: opening counts this one; 0 without a vault.
        tries: distinct candidates scored on these dev folds so far, see `contracts.evaluation`.
        folds: (F, n), 2 = held out; for `judged_on` 'out-of-fold' only.
        thresholds: 'model', 'linear', 'dummy' -> frozen threshold (binary); 0.5 where absent.
        clusters: (n,) groups, or `intervals.time_blocks`.
        slice_columns: (n,) values per column, categories and numbers only, never ids or text.
        chosen_over, notes: sentences for the verdict, see `VerdictFacts`.
    """

    metric: str
    truth: Truth
    predictions: Mapping[str, Floats]
    judged_on: Literal["vault", "out-of-fold", "test file"]
    model_name: str
    seal_id: str
    opening: int
    tries: int
    tier: str
    seed: int
    folds: npt.NDArray[np.int8] | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    clusters: npt.NDArray[Any] | None = None
    cost: Sequence[Sequence[float]] | None = None
    quantile: float = 0.5
    slice_columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    always_sliced: tuple[str, ...] = ()
    leaderboard: tuple[CandidateScore, ...] = ()
    importance: tuple[Importance, ...] = ()
    importance_note: str = ""
    gates: Sequence[GateSpec] = ()
    suspects: tuple[str, ...] = ()
    predict_seconds: float | None = None
    model_mb: float | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    chosen_over: str = ""
    notes: tuple[str, ...] = ()
    draws: int = DRAWS


def evaluate(inputs: EvaluationInputs) -> Evaluation:
    """The record.

    Raises:
        Undefined: the task's metric has no value on the judged rows (the reason is in the message).
        ValueError: a prediction is absent, or `folds` and `judged_on` contradict each other.
    """
    missing = [name for name in (MODEL, LINEAR, DUMMY) if name not in inputs.predictions]
    if missing:
        raise ValueError(f"predictions lack {missing!r}")
    if (inputs.folds is None) == (inputs.judged_on == "out-of-fold"):
        raise ValueError("folds belong to an out-of-fold evaluation, and to no other")
    options: dict[str, Any] = {"cost": inputs.cost, "quantile": inputs.quantile}
    judged = judge_many(
        inputs.metric,
        inputs.truth,
        {name: inputs.predictions[name] for name in (MODEL, LINEAR, DUMMY)},
        draws=inputs.draws,
        seed=inputs.seed,
        clusters=inputs.clusters,
        folds=inputs.folds,
        thresholds=inputs.thresholds,
        **options,
    )
    cut = inputs.thresholds.get(MODEL)
    metrics = _secondary(inputs, judged.scores[MODEL], cut, options)
    rows, predicted = np.arange(inputs.truth.n), inputs.predictions[MODEL]
    if inputs.folds is not None:
        rows, predicted = out_of_fold(inputs.folds, predicted)
    truth = inputs.truth.take(rows)
    calibration = calibration_of(truth, predicted)
    slices = slice_scores(
        inputs.metric,
        truth,
        predicted,
        {name: values[rows] for name, values in inputs.slice_columns.items()},
        seed=inputs.seed,
        threshold=cut,
        clusters=None if inputs.clusters is None else inputs.clusters[rows],
        always=inputs.always_sliced,
        **options,
    )
    to_linear, to_dummy = judged.differences[LINEAR], judged.differences[DUMMY]
    gates = evaluate_gates(
        inputs.gates,
        Measured(
            metric=inputs.metric,
            model=judged.scores[MODEL],
            difference_to_dummy=to_dummy,
            difference_to_linear=to_linear,
            model_name=inputs.model_name,
            metrics=metrics,
            slices=slices.rows,
            calibration=calibration,
            predict_seconds=inputs.predict_seconds,
            model_mb=inputs.model_mb,
            others=inputs.measures,
        ),
    )
    verdict = compose_verdict(
        VerdictFacts(
            metric=inputs.metric,
            judged_on=inputs.judged_on,
            model_name=inputs.model_name,
            model=judged.scores[MODEL],
            dummy=judged.scores[DUMMY],
            linear=judged.scores[LINEAR],
            to_dummy=to_dummy,
            to_linear=to_linear,
            opening=inputs.opening,
            tries=inputs.tries,
            tier=inputs.tier,
            suspects=inputs.suspects,
            chosen_over=inputs.chosen_over,
            notes=inputs.notes,
            rarest=_rarest(truth),
            clusters=None if inputs.clusters is None else len(np.unique(inputs.clusters[rows])),
        )
    )
    return Evaluation(
        metric=inputs.metric,
        direction=METRICS[inputs.metric].direction,
        judged_on=inputs.judged_on,
        model_name=inputs.model_name,
        model=judged.scores[MODEL],
        baselines={name: judged.scores[name] for name in (DUMMY, LINEAR)},
        difference_to_linear=to_linear,
        difference_to_dummy=to_dummy,
        metrics=metrics,
        threshold=cut if inputs.truth.kind == "binary" else None,
        slices=slices.rows,
        slices_note=slices.note,
        calibration=calibration,
        curves=curves_of(truth, predicted, cut),
        leaderboard=inputs.leaderboard,
        importance=inputs.importance,
        importance_note=inputs.importance_note,
        gates=gates,
        seal=SealRef(id=inputs.seal_id, opening=inputs.opening),
        tries=inputs.tries,
        tier=inputs.tier,
        suspects=inputs.suspects,
        verdict=verdict,
        cannot_see=CANNOT_SEE,
    )


def _rarest(truth: Truth) -> tuple[str, int] | None:
    """The class with the fewest judged rows, and how many; None for a regression."""
    if truth.kind == "regression":
        return None
    counts = np.bincount(truth.y, minlength=len(truth.classes))
    return truth.classes[int(counts.argmin())], int(counts.min())


def _secondary(
    inputs: EvaluationInputs, primary: Score, cut: float | None, options: dict[str, Any]
) -> dict[str, Score]:
    """Every metric that applies to the task, the task's own first and from its full draws."""
    names = [
        name
        for name in applicable(inputs.truth.kind, with_cost=inputs.cost is not None)
        if name != inputs.metric
    ]
    others = score_many(
        names,
        inputs.truth,
        inputs.predictions[MODEL],
        seed=inputs.seed,
        clusters=inputs.clusters,
        folds=inputs.folds,
        serves=inputs.metric,
        threshold=cut,
        **options,
    )
    return {inputs.metric: primary, **others}
