"""The ml-engineer's last phase: the fit of the winner on all dev rows, inside what the budget
leaves.

Guarantees: a fit gets a fifth of the budget even when everything before it was slow; a model that
did not even learn its own rows does not ship. Does not promise the best model that the data allows:
the clock decides how far a fit gets.
"""

from __future__ import annotations

import numpy as np

from mlagent.agents.ml_engineer import Fitted, fit, predict
from mlagent.contracts.errors import MlagentError
from mlagent.referee.metrics import Undefined, compute, sign
from mlagent.referee.scoring import scoring
from mlagent.reports import charts
from mlagent.store.files import write_json

from .engineering import engineer_candidate, left
from .resuming import load_fitted, save_fitted
from .state import Bench, Request, State, table_of

LEAST_FIT_SHARE = 0.2
"""The fit on all dev rows gets this share of the budget even when everything before it was slow."""
LAST_FIT_S = 15.0
"""The most that a fit gets which begins after Ctrl-C ended a search; another Ctrl-C leaves."""
REPLAY_OVER = 1.0
"""By how much of the budget a replayed fit, which ends with its schedule, may overrun."""
CHECKED_ROWS = 1_000


def start_seconds(state: State) -> float:
    """What a fit costs beside itself here: container, imports, reading; measured on linear."""
    linear = state.fitted["linear"]
    return min(15.0, max(0.5, linear.wall_s - linear.fit_seconds))


def overrun(request: Request) -> float:
    """Seconds by which the last fit may overrun before it is cut."""
    return request.budget_s * (0.04 if request.replay is None else REPLAY_OVER)


def reserve(bench: Bench, state: State) -> float:
    """Seconds kept for verdict, package and report."""
    result = state.scored.get(state.winner)
    held = max(1, int((state.folds == 2).sum()))
    per_row = (result.predict_seconds if result else 0.0) / held
    rows = len(state.judged) or 1_000
    jobs = 2 * start_seconds(state)
    work = 3.0 + jobs + min(20.0, 2 * per_row * rows) + min(10.0, len(state.judged) / 20_000)
    share = bench.policies.execution.budget_shares.package
    return max(work, min(60.0, share * state.request.budget_s))


def fit_winner(bench: Bench, state: State) -> None:
    """Fit the winner on all dev rows with what the budget leaves."""
    assert state.dev_file is not None
    if state.winner != "linear":
        start = start_seconds(state)
        seconds = left(bench, state) - reserve(bench, state) - start
        if state.request.refit:
            seconds *= 0.5
        least = max(LEAST_FIT_SHARE * state.request.budget_s, state.facts["fold_budget_s"])
        seconds = max(1.0, seconds, least)
        found_before_stop = bench.stop() and state.request.author != "template"
        if found_before_stop:  # the search was ended, and what it found still needs a model
            result = state.scored[state.winner]
            took = result.fit_seconds / max(1, len(state.folds))
            seconds = min(seconds, LAST_FIT_S, max(2.0, 1.5 * took))
        fitted = load_fitted(bench.run, state.winner)
        if fitted is None:
            state.chosen = engineer_candidate(bench, state, seconds, final=True)
            bench.desk.progress.update(candidate=state.winner, fit_seconds=round(seconds))
            charts.warm()
            fitted = fit(
                bench.desk,
                state.chosen,
                train=state.dev_file,
                budget_s=seconds,
                into=bench.desk.folder("out/model"),
                grace_s=start + 2.0 + overrun(state.request),
                interruptible=not found_before_stop,
            )
            keep_fit(bench, state.winner, fitted)
        state.fitted[state.winner] = fitted
        if not fitted.ok:
            _ship_linear(
                bench,
                state,
                f"{state.winner} left no model ({fitted.outcome}); the linear model ships.",
            )
        elif fitted.outcome != "ok":
            state.notes.append(f"The fit was cut: {fitted.outcome}.")
        hurried = fitted.outcome != "ok" or fitted.fit_seconds < state.facts["fold_budget_s"]
        if state.winner != "linear" and hurried and not _learned(bench, state):
            _ship_linear(
                bench,
                state,
                f"{state.winner}, fitted on all dev rows, is worse on those very rows than linear "
                "is on rows it has not seen: its fit ended too early. The linear model ships.",
            )
    winner = state.fitted[state.winner]
    if not winner.ok:
        raise MlagentError(f"No candidate left a model: {winner.outcome}.")
    if winner.schedule is not None:
        folds = {name: one.schedules for name, one in state.scored.items() if one.schedules}
        write_json(
            bench.run.file("artifacts/ml-engineer/schedules.json"),
            {
                "linear": state.fitted["linear"].schedule,
                state.winner: winner.schedule,
                "folds": folds,
            },
        )
    bench.journal.append(
        "fitted",
        candidate=state.winner,
        outcome=winner.outcome,
        fit_seconds=round(winner.fit_seconds, 2),
        rows=len(state.dev),
    )


def keep_fit(bench: Bench, name: str, fitted: Fitted) -> None:
    """For a resumed run; not what Ctrl-C cut, which is then fitted again."""
    if fitted.outcome == "ok" or not bench.stop():
        save_fitted(bench.run, name, fitted)


def _ship_linear(bench: Bench, state: State, why: str) -> None:
    """The chosen option cannot ship; linear does, and the verdict says why."""
    state.notes.append(why)
    bench.desk.progress.say(why)
    bench.journal.append("chosen", candidate="linear", asked_for=state.winner, why=why)
    state.winner = "linear"
    state.board = [
        entry.model_copy(update={"chosen": entry.name == "linear"}) for entry in state.board
    ]


def _learned(bench: Bench, state: State) -> bool:
    """Whether a hurried fit does at least as well on its own rows as linear on unseen ones.

    Looks at up to 1,000 dev rows that were held out in some fold. No vault row is touched.
    """
    metric, table = state.task.metric or "", table_of(state)
    layers, oof = state.facts["layers"], state.facts["oof"]
    if "linear" not in layers:
        return True
    rows, linear = oof.first_repeat(layers["linear"])
    picked = np.random.default_rng(state.request.seed).permutation(len(rows))[:CHECKED_ROWS]
    picked.sort()
    positions = state.dev[rows[picked]]
    handed = table.write_features(positions, bench.desk.scratch / "learned.parquet")
    truth = table.truth(positions)
    assert state.chosen is not None
    array, outcome, *_ = predict(
        bench.desk,
        state.chosen,
        state.fitted[state.winner].folder,
        features=handed.path,
        rows=len(positions),
        truth=truth,
        into=bench.desk.folder("out/learned"),
        name="fit check",
    )
    if array is None:
        bench.desk.progress.say(f"{state.winner}: {outcome}")
        return False
    options = scoring(state.task)
    cuts = state.facts["thresholds"]
    try:
        fitted = compute(
            metric, truth, handed.restore(array), threshold=cuts.get(state.winner), **options
        )
        unseen = compute(metric, truth, linear[picked], threshold=cuts.get("linear"), **options)
    except Undefined:
        return True
    return sign(metric) * (fitted - unseen) >= 0
