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

from mlagent.agents.job_outputs import width
from mlagent.agents.ml_engineer import (
    CandidateFolder,
    Fitted,
    FoldResult,
    fit,
    score_apart,
    score_on_folds,
)
from mlagent.contracts.errors import MlagentError
from mlagent.data.frames import write_frame
from mlagent.referee.importance import REPEATS, permuted_copies
from mlagent.referee.leaderboard import Choice, choose
from mlagent.referee.metrics import Truth
from mlagent.store.files import write_json
from mlagent.templates.candidates import CandidateName, render_candidate

from .dev_scores import OutOfFold, keep_scores
from .handed_in import home_of
from .preparing import LEAST_FOLD_S, fold_seconds
from .resuming import load_fitted, load_folds, save_fitted, save_folds
from .searching import search
from .specs import candidate_spec
from .state import Bench, State, table_of

LINEAR_BUDGET_S = 10.0
APART_SHARE = 0.5
"""Of the budget, for the folds of a candidate that was handed in: its folds are fitted one after
the other, each in a container of its own."""
APART_BESIDE_S = 3.0
"""Seconds of each such fold beside its fit: two containers with their imports."""
PROBE_STACK = 8_000
"""Rows that the first fold's model predicts for permutation importance, all copies together."""
PROBE_COLUMNS = 30


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
    option = state.request.engineer

    state.linear = author(bench, state, "linear", LINEAR_BUDGET_S, final=True)
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
    if state.request.handed_in is not None:
        each = max(1.0, (budget * APART_SHARE - spent) / folds - APART_BESIDE_S)
    state.facts["fold_budget_s"] = each
    state.chosen = engineer_candidate(bench, state, each)
    if bench.stop():
        state.scored[option] = FoldResult(option, outcome="no score: stopped by the user")
    elif left(bench, state) < 8 and budget < 30 and state.request.replay is None:
        state.notes.append(
            "The budget was too small for the chosen option; only linear was fitted."
        )
        state.scored[option] = FoldResult(option, outcome="no score: the budget was used up")
    else:
        bench.desk.progress.update(candidate=option, folds=folds, seconds_each=round(each, 1))
        if state.request.handed_in is not None:
            state.notes.append(
                f"{option} was handed in (code of class {state.chosen.code}) and stands in the "
                f"place of {state.request.selection['ml-engineer']}, which the plan selects."
            )
        _score(bench, state, state.chosen, truth, each, probe, probe_rows)
        took = state.scored[option].fit_seconds / max(1, folds)
        hurried = each < LEAST_FOLD_S and took > 0.7 * each
        if hurried and state.request.replay is None:  # a replay does not follow the clock
            state.notes.append(
                f"On each fold {option} was fitted in {each:.1f} s, so its dev score may be below "
                "its worth; a larger --budget would tell."
            )
    if state.request.author != "template" and not bench.stop():
        bench.desk.progress.phase("search", "ml-engineer: search with Claude")
        search(bench, state, truth, oof)
    keep_scores(bench, state, oof, truth)


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
        keep_folds(bench, known)
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
            schedules=_replayed(state).get("folds", {}).get(candidate.name),
        )
        keep_folds(bench, known)
    state.scored[candidate.name] = known


def keep_folds(bench: Bench, result: FoldResult) -> None:
    """For a resumed run; not what Ctrl-C cut, which is then scored again."""
    if result.ok or not bench.stop():
        save_folds(bench.run, result)


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
            spec = spec.model_copy(update={"replay": _replayed(state).get(name)})
        render_candidate(bench.desk.content, name, spec, folder)
    return CandidateFolder(
        name, folder, bench.desk.shipped_class(f"templates/candidates/{name}.py.j2")
    )


def engineer_candidate(
    bench: Bench, state: State, budget_s: float, *, final: bool = False
) -> CandidateFolder:
    """The candidate beside linear: the chosen option, or what was handed in; with its spec.json.

    `final`: as in `author`.
    """
    handed = state.request.handed_in
    if handed is None:
        option = state.request.selection["ml-engineer"]
        return author(bench, state, option, budget_s, final=final)
    home = home_of(bench.run, handed.name)
    if final or not (state.facts["resumed"] and (home / "spec.json").exists()):
        write_json(home / "spec.json", candidate_spec(bench, state, handed.name, budget_s))
    return CandidateFolder(handed.name, home, handed.code)


def _replayed(state: State) -> dict[str, Any]:
    """schedules.json of the replayed run: that of each fit on all dev rows by the candidate's
    name, and under `folds` those of its folds; empty where nothing is replayed."""
    return state.facts.get("replay_schedules") or {}


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


def choose_winner(bench: Bench, state: State) -> None:
    """The winner, from dev folds only; below linear there, linear ships."""
    option = state.request.engineer
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
