"""`execute`: the phases in order, each on disk before the next, resumable at their boundaries.

explore -> analyse -> baselines and folds -> fit -> verdict -> package -> report -> manifest

Guarantees: the budget is wall clock from the start to the manifest; labels of the vault stay in
this process; what a candidate says of itself is never stored as a score; the manifest is written
last. Does not guarantee that two runs without `--replay` give the same model: the clock decides how
far a fit gets.
"""

from __future__ import annotations

from collections.abc import Callable

from mlagent.contracts.errors import MlagentError
from mlagent.store.journal import read_journal

from .engineering import choose_winner, score_candidates
from .finishing import finish, package, write_reports
from .fitting import fit_winner
from .judging import judge
from .preparing import analyse_rows, explore_rows, prepare_table, seal_rows
from .state import Bench, Request, State

PHASES: tuple[tuple[str, str, Callable[[Bench, State], None]], ...] = (
    ("table", "read the table", prepare_table),
    ("seal", "seal the vault", seal_rows),
    ("explore", "data-explorer", explore_rows),
    ("analyse", "statistical-analyst", analyse_rows),
    ("folds", "ml-engineer: baselines and folds", score_candidates),
    ("choose", "ml-engineer: choice", choose_winner),
    ("fit", "ml-engineer: fit", fit_winner),
    ("judge", "verdict", judge),
    ("package", "package and verify", package),
    ("report", "report", write_reports),
)


def execute(
    bench: Bench, request: Request, *, created: str, schedules: dict[str, object] | None
) -> State:
    """Run every phase, then write the manifest.

    Args:
        created: when the run began, ISO 8601; a resumed run keeps it.
        schedules: of the run that is replayed.

    Raises:
        MlagentError: the run failed; the journal says where, `--resume` goes on with it.
    """
    state = State(request=request, task=request.plan.task)
    state.facts |= {"created": created, "replay_schedules": schedules}
    done = {
        str(event.facts["phase"])
        for event in read_journal(bench.run.path / "journal.jsonl")
        if event.kind == "phase.done"
    }
    try:
        _work(bench, state, done)
    finally:
        if state.table is not None:
            state.table.typed.close()
    finish(bench, state)
    return state


def _work(bench: Bench, state: State, done: set[str]) -> None:
    for name, title, work in PHASES:
        bench.desk.progress.phase(name, title)
        bench.journal.append("phase.start", phase=name)
        state.facts["resumed"] = name in done
        try:
            work(bench, state)
        except MlagentError as error:
            kind = "Interrupted" if bench.stop() else type(error).__name__  # a job was cut by it
            bench.journal.append("phase.failed", phase=name, error=kind, message=error.message)
            raise
        bench.journal.append("phase.done", phase=name)
