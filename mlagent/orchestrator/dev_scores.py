"""What came of the candidates on the dev folds: predictions go to disk, scores to the board.

Guarantees: every candidate is scored with the same draws on the same folds; thresholds come from
out-of-fold dev rows. Nothing here sees the vault.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlagent.agents.ml_engineer import FoldResult
from mlagent.contracts.evaluation import CandidateScore
from mlagent.contracts.metrics import METRICS
from mlagent.referee.dummy import dummy_prediction
from mlagent.referee.intervals import judge_many, time_blocks
from mlagent.referee.metrics import Truth, Undefined, compute
from mlagent.referee.scoring import scoring
from mlagent.referee.threshold import best_threshold, cross_thresholds

from .saved import write_predictions
from .state import Bench, State, table_of


class OutOfFold:
    """Predictions on held-out rows, one layer per fold, as the referee wants them.

    Attributes:
        folds: int8 array (F, n): 0 unused, 1 train, 2 held out.
    """

    def __init__(self, folds: np.ndarray, columns: int) -> None:
        self.folds = folds
        self._shape = folds.shape if columns == 1 else (*folds.shape, columns)

    def layers(self, result: FoldResult) -> np.ndarray:
        """(F, n) or (F, n, k); NaN where a row was not held out."""
        array = np.full(self._shape, np.nan)
        for index, prediction in result.predictions.items():
            array[index, self.folds[index] == 2] = prediction
        return array

    def dummy(self, truth: Truth, metric: str, **options: Any) -> np.ndarray:
        """The dummy of each fold, from that fold's training rows."""
        array = np.full(self._shape, np.nan)
        for index, row in enumerate(self.folds):
            rows = int((row == 2).sum())
            learnt = truth.take(np.flatnonzero(row == 1))
            array[index, row == 2] = dummy_prediction(learnt, metric, rows, **options)
        return array

    def first_repeat(self, layers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows that were held out, rising, and the first prediction of each."""
        held = self.folds == 2
        rows = np.flatnonzero(held.any(axis=0))
        return rows, layers[held.argmax(axis=0)[rows], rows]


def keep_scores(bench: Bench, state: State, oof: OutOfFold, truth: Truth) -> None:
    """Out-of-fold predictions go to disk, scores to the board."""
    metric = state.task.metric or ""
    options = scoring(state.task)
    layers = {"dummy": oof.dummy(truth, metric, **options)}
    for name, result in state.scored.items():
        if result.ok:
            layers[name] = oof.layers(result)
    thresholds: dict[str, float] = {}
    if state.task.kind == "binary":
        for name, array in layers.items():
            rows, first = oof.first_repeat(array)
            thresholds[name] = best_threshold(metric, truth.take(rows), first, cost=options["cost"])
    state.facts |= {"oof": oof, "layers": layers, "thresholds": thresholds}
    option = state.request.engineer
    planned = state.request.selection["ml-engineer"]
    order = [name for name in dict.fromkeys((option, planned, "linear", "dummy")) if name in layers]
    judged = judge_many(
        metric,
        truth,
        {name: layers[name] for name in order},
        seed=state.request.seed,
        clusters=clusters_of(state, state.dev),
        folds=state.folds,
        **options,
    )
    state.facts["dev_judged"] = judged
    labelled = state.task.kind == "binary" and METRICS[metric].needs == "label"
    for name in dict.fromkeys((option, planned, "linear", "dummy")):
        if name == planned and name not in state.scored:
            continue
        known = state.scored.get(name)
        cuts: tuple[float, ...] | tuple[None, ...] = (None,) * len(state.folds)
        if labelled and name in layers:
            cuts = cross_thresholds(metric, truth, layers[name], state.folds, options["cost"])
        values = [
            _fold_value(metric, truth, layers[name], index, cuts[index], state)
            for index in range(len(state.folds))
            if name in layers
        ]
        entry = CandidateScore(
            name=name,
            score=judged.scores.get(name),
            folds=tuple(value for value in values if value is not None),
            outcome="ok" if known is None else known.outcome,
            fit_seconds=None if known is None else round(known.fit_seconds, 2),
        )
        state.board.append(entry)
        bench.journal.append(
            "scored",
            candidate=name,
            outcome=entry.outcome,
            on="dev folds",
            value=None if entry.score is None else entry.score.value,
            inside_fit_s=None if known is None else round(known.busy_seconds, 3),
        )
    _write_oof(bench, state, oof, truth, layers)


def _write_oof(
    bench: Bench, state: State, oof: OutOfFold, truth: Truth, layers: dict[str, np.ndarray]
) -> None:
    fold, row = np.nonzero(oof.folds == 2)
    table = table_of(state)
    clusters = clusters_of(state, state.dev)
    write_predictions(
        bench.run,
        "oof",
        table.usable[state.dev[row]],
        truth.take(row),
        {name: array[fold, row] for name, array in layers.items()},
        fold=fold,
        clusters=None if clusters is None else clusters[row],
    )


def _fold_value(
    metric: str,
    truth: Truth,
    layers: np.ndarray,
    index: int,
    threshold: float | None,
    state: State,
) -> float | None:
    rows = np.flatnonzero(state.folds[index] == 2)
    try:
        return compute(
            metric,
            truth.take(rows),
            layers[index, rows],
            threshold=threshold,
            **scoring(state.task),
        )
    except Undefined:
        return None


def clusters_of(state: State, rows: np.ndarray) -> np.ndarray | None:
    """Rows that intervals draw together: groups, blocks of time, or None for independent rows."""
    facts = state.facts["row_facts"]
    if facts.groups is not None:
        return np.asarray(facts.groups[rows])
    return None if facts.times is None else time_blocks(facts.times[rows])
