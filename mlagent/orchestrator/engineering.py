"""The ml-engineer's phases: baselines, folds, choice, fit.

Guarantees: the choice is made on dev folds only; below the linear baseline there, linear ships.
Fold fits get at most a quarter of the budget, the fit on all dev rows gets what is left before the
verdict's reserve.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mlagent.agents.ml_engineer import (
    CandidateFolder,
    Fitted,
    FoldResult,
    fit,
    score_apart,
    score_on_folds,
    width,
)
from mlagent.contracts.candidate import CandidateSpec, SpecColumn, SpecSplit
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.evaluation import CandidateScore
from mlagent.data.frames import write_frame
from mlagent.referee.dummy import dummy_prediction
from mlagent.referee.importance import REPEATS, permuted_copies
from mlagent.referee.intervals import judge_many, time_blocks
from mlagent.referee.leaderboard import Choice, choose
from mlagent.referee.metrics import Truth, Undefined, compute
from mlagent.referee.threshold import best_threshold
from mlagent.settings import cost_matrix
from mlagent.templates.candidates import CandidateName, default_members, render_candidate

from .preparing import LEAST_FOLD_S, fold_seconds
from .resuming import load_fitted, load_folds, save_fitted, save_folds
from .rows import RunTable
from .saved import write_predictions
from .state import Bench, State

LINEAR_BUDGET_S = 10.0
PROBE_STACK = 8_000
"""Rows that the first fold's model predicts for permutation importance, all copies together."""
PROBE_COLUMNS = 30


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


def left(bench: Bench, state: State) -> float:
    """Seconds until the budget is used up."""
    return state.request.budget_s - (bench.clock() - bench.started)


def score_candidates(bench: Bench, state: State) -> None:
    """Score linear and the chosen option on the frozen folds; the dummy is computed here."""
    table = table_of(state)
    assert state.dev_file is not None
    truth = table.truth(state.dev)
    oof = OutOfFold(state.folds, width(truth))
    budget = state.request.budget_s
    folds = len(state.folds)
    option = state.request.selection["ml-engineer"]

    state.linear = author(bench, state, "linear", LINEAR_BUDGET_S)
    probe, probe_rows = _probe(bench, state)
    begun = bench.clock()
    bench.desk.progress.update(candidate="linear", folds=folds)
    with ThreadPoolExecutor(1) as pool:
        fitting = pool.submit(fit_linear, bench, state)
        seconds = min(LINEAR_BUDGET_S, budget * 0.1)
        _score(bench, state, state.linear, truth, seconds, probe, probe_rows)
        state.fitted["linear"] = fitting.result()
    spent = bench.clock() - begun

    each = fold_seconds(bench, budget, folds, spent * 0.5 + 2.0)
    state.facts["fold_budget_s"] = each
    state.chosen = author(bench, state, option, each)
    if left(bench, state) < 8 and budget < 30:
        state.notes.append(
            "The budget was too small for the chosen option; only linear was fitted."
        )
        state.scored[option] = FoldResult(option, outcome="no score: the budget was used up")
    else:
        bench.desk.progress.update(candidate=option, folds=folds, seconds_each=round(each, 1))
        _score(bench, state, state.chosen, truth, each, probe, probe_rows)
        if each < LEAST_FOLD_S:
            state.notes.append(
                f"On each fold {option} was fitted in {each:.1f} s, so its dev score may be below "
                "its worth; a larger --budget would tell."
            )
    _keep(bench, state, oof, truth)


def _score(
    bench: Bench,
    state: State,
    candidate: CandidateFolder,
    truth: Truth,
    budget_s: float,
    probe: Path | None = None,
    probe_rows: int = 0,
) -> None:
    assert state.dev_file is not None
    known = load_folds(bench.run, candidate.name)
    if known is None and candidate.code != "B":
        known = score_apart(
            bench.desk,
            candidate,
            rows=table_of(state),
            dev=state.dev,
            folds=state.folds,
            budget_s=budget_s,
        )
        save_folds(bench.run, known)
    if known is None:
        known = score_on_folds(
            bench.desk,
            candidate,
            train=state.dev_file,
            folds=state.folds,
            truth=truth,
            budget_s=budget_s,
            into=bench.desk.folder(f"out/folds-{candidate.name}"),
            probe=probe,
            probe_rows=probe_rows,
            interruptible=candidate is not state.linear,
        )
        save_folds(bench.run, known)
    state.scored[candidate.name] = known


def _probe(bench: Bench, state: State) -> tuple[Path | None, int]:
    """Permuted copies of the first fold's held-out rows, for permutation importance."""
    table = table_of(state)
    held = np.flatnonzero(state.folds[0] == 2)
    frame = table.frame(state.dev[held])
    columns = [name for name in state.features if name not in (state.task.group,)][:PROBE_COLUMNS]
    if not columns or not len(held):
        return None, 0
    most = max(60, min(1_000, PROBE_STACK // (1 + REPEATS * len(columns))))
    stacked, index = permuted_copies(frame, columns, state.request.seed, most)
    path = bench.desk.scratch / "probe.parquet"
    write_frame(stacked, path)
    state.facts["probe"] = index
    return path, len(stacked)


def author(
    bench: Bench, state: State, name: CandidateName, budget_s: float, *, final: bool = False
) -> CandidateFolder:
    """Have the template author write a candidate folder for this task.

    `final`: for the fit on all dev rows, which follows the schedule of a replayed run.
    """
    folder = bench.run.path / "artifacts" / "ml-engineer" / name
    folder.mkdir(parents=True, exist_ok=True)
    if not (state.facts["resumed"] and (folder / "README.md").exists()):
        spec = candidate_spec(bench, state, name, budget_s)
        if final:
            spec = spec.model_copy(update={"replay": _replay(state, name)})
        render_candidate(bench.desk.content, name, spec, folder)
    return CandidateFolder(
        name, folder, bench.desk.shipped_class(f"templates/candidates/{name}.py.j2")
    )


def candidate_spec(bench: Bench, state: State, name: str, budget_s: float) -> CandidateSpec:
    """spec.json for one candidate: everything `fit` may know."""
    task = state.task
    assert state.exploration is not None
    assert task.kind is not None
    roles = state.exploration.roles.columns
    columns = {
        column: SpecColumn(
            role="id" if column == task.group else roles[column].role, dtype=roles[column].dtype
        )
        for column in state.features
    }
    members: tuple[dict[str, Any], ...] = ()
    if name == "option_c":
        members = tuple(default_members(task.kind, len(state.dev), len(columns), budget_s))
    monotone = {
        item.column: 1 if item.sign == "+" else -1
        for item in task.constraints
        if item.kind == "monotone" and item.column in columns
    }
    spec = spec_of(bench, state, columns, budget_s)
    return spec.model_copy(update={"members": members, "monotone": monotone})


def spec_of(
    bench: Bench, state: State, columns: dict[str, SpecColumn], budget_s: float
) -> CandidateSpec:
    """spec.json with what any candidate is told, whoever wrote it."""
    task, plan = state.task, state.validation
    assert plan is not None
    assert task.kind is not None
    return CandidateSpec(
        task=task.kind,
        target=task.target or "",
        classes=task.classes,
        metric=task.metric or "",
        direction=task.direction or "maximize",
        columns=columns,
        split=SpecSplit(kind=plan.kind, group=plan.group, time=plan.time, folds=5),
        seed=state.request.seed,
        budget_s=round(budget_s, 2),
        threads=bench.desk.cpus,
    )


def _replay(state: State, name: str) -> dict[str, Any] | None:
    schedules = state.facts.get("replay_schedules")
    return schedules.get(name) if isinstance(schedules, dict) else None


def fit_linear(bench: Bench, state: State) -> Fitted:
    """The linear baseline on all dev rows, for the verdict."""
    assert state.linear is not None
    assert state.dev_file is not None
    known = load_fitted(bench.run, "linear")
    if known is None:
        known = fit(
            bench.desk,
            state.linear,
            train=state.dev_file,
            budget_s=LINEAR_BUDGET_S,
            into=bench.desk.folder("out/model-linear"),
            interruptible=False,
        )
        save_fitted(bench.run, "linear", known)
    return known


def _keep(bench: Bench, state: State, oof: OutOfFold, truth: Truth) -> None:
    """Out-of-fold predictions go to disk, scores to the board."""
    metric = state.task.metric or ""
    options = {"cost": cost(bench, state), "quantile": bench.settings.quantile}
    layers = {"dummy": oof.dummy(truth, metric, **options)}
    for name, result in state.scored.items():
        if result.ok:
            layers[name] = oof.layers(result)
    thresholds: dict[str, float] = {}
    if state.task.kind == "binary":
        for name, array in layers.items():
            rows, first = oof.first_repeat(array)
            thresholds[name] = best_threshold(
                metric, truth.take(rows), first, cost=cost(bench, state)
            )
    state.facts |= {"oof": oof, "layers": layers, "thresholds": thresholds}
    option = state.request.selection["ml-engineer"]
    order = [name for name in (option, "linear", "dummy") if name in layers]
    judged = judge_many(
        metric,
        truth,
        {name: layers[name] for name in order},
        seed=state.request.seed,
        clusters=clusters_of(state, state.dev),
        folds=state.folds,
        thresholds=thresholds or None,
        cost=cost(bench, state),
        quantile=bench.settings.quantile,
    )
    state.facts["dev_judged"] = judged
    for name in dict.fromkeys((option, "linear", "dummy")):
        known = state.scored.get(name)
        values = [
            _fold_value(metric, truth, layers[name], index, thresholds.get(name), bench, state)
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


def _best_name(state: State) -> str:
    option = state.request.selection["ml-engineer"]
    return option if state.scored.get(option, FoldResult(option, outcome="absent")).ok else "linear"


def _fold_value(
    metric: str,
    truth: Truth,
    layers: np.ndarray,
    index: int,
    threshold: float | None,
    bench: Bench,
    state: State,
) -> float | None:
    rows = np.flatnonzero(state.folds[index] == 2)
    try:
        return compute(
            metric,
            truth.take(rows),
            layers[index, rows],
            threshold=threshold,
            cost=cost(bench, state),
            quantile=bench.settings.quantile,
        )
    except Undefined:
        return None


def clusters_of(state: State, rows: np.ndarray) -> np.ndarray | None:
    """Rows that intervals draw together: groups, blocks of time, or None for independent rows."""
    facts = state.facts["row_facts"]
    if facts.groups is not None:
        return np.asarray(facts.groups[rows])
    return None if facts.times is None else time_blocks(facts.times[rows])


def cost(bench: Bench, state: State) -> list[list[float]] | None:
    """The cost matrix of mlagent.yaml, rows truth, columns decision; None without one."""
    return cost_matrix(bench.settings, state.task.classes)


def choose_winner(bench: Bench, state: State) -> None:
    """The winner, from dev folds only; below linear there, linear ships."""
    option = state.request.selection["ml-engineer"]
    if not any(entry.score for entry in state.board if entry.name != "dummy"):
        why = "; ".join(f"{name}: {result.outcome}" for name, result in state.scored.items())
        raise MlagentError(f"No candidate has a score. {why}")
    choice = choose(state.board, state.task.metric or "", asked_for=option)
    replayed = state.request.replay
    if replayed is not None:
        shipped = str(replayed.manifest().model_name)
        if shipped in ("linear", option) and shipped != choice.name:
            why = f"{shipped} ships, as in the replayed run {replayed.id}."
            board = [row.model_copy(update={"chosen": row.name == shipped}) for row in choice.board]
            choice = Choice(shipped, tuple(board), why)
    state.winner, state.board = choice.name, list(choice.board)
    state.facts["chosen_over"] = choice.why
    bench.journal.append("chosen", candidate=choice.name, asked_for=option, why=choice.why)
    bench.desk.progress.say(choice.why or f"On the dev folds {choice.name} is chosen.")


def table_of(state: State) -> RunTable:
    assert state.table is not None
    return state.table
