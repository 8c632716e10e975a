"""`try FOLDER`: any candidate, whoever wrote it, judged on the dev folds of the plan here.

Guarantees: code that is not shipped runs in a container only; each fold's fit sees that fold's
training rows, each predict sees features only, in an order that only the host knows; the vault is
not opened. The dummy is scored beside the candidate, on the host. A candidate that fails ends as a
sentence and no score, and stands on the board like that.
"""

from __future__ import annotations

import shutil
import time
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from mlagent import __version__
from mlagent.agents.job_outputs import width
from mlagent.agents.ml_engineer import CandidateFolder, FoldResult, score_apart
from mlagent.content import Content
from mlagent.contracts.candidate import CandidateSpec, SpecColumn
from mlagent.contracts.evaluation import CandidateScore, Difference, Score
from mlagent.contracts.findings import ColumnRoles, ValidationPlan
from mlagent.contracts.ports import CodeClass, Progress
from mlagent.contracts.run import Manifest
from mlagent.referee.intervals import judge_many
from mlagent.referee.metrics import Undefined
from mlagent.referee.scoring import scoring
from mlagent.referee.split import fold_count, make_folds
from mlagent.settings import read_settings
from mlagent.store.files import write_json
from mlagent.store.journal import FileJournal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .dev_scores import OutOfFold, clusters_of
from .execute_flow import begin
from .handed_in import name_of, read_source
from .plan_flow import PLAN_FILE
from .planning import read_plan
from .preparing import prepare_table, seal_rows
from .requesting import ExecuteFlags, check_data, make_request
from .saved import read_layers
from .specs import spec_of
from .state import Bench, Request, State, StopFlag
from .tries import DUMMY, LINEAR, board_rows, place_of, scored_on
from .wiring import build_bench, interruptible, open_sandbox


@dataclass(frozen=True)
class Tried:
    """What came of one try.

    Attributes:
        linear_known: whether a linear baseline was scored on these dev folds.
        place: among `of` tries by this metric; None without a score.
    """

    run: str
    metric: str
    entry: CandidateScore
    dummy: Score | None
    difference_to_linear: Difference | None
    difference_to_dummy: Difference | None
    linear_known: bool
    place: int | None
    of: int

    def as_json(self) -> dict[str, Any]:
        records = {
            "entry": self.entry,
            "dummy": self.dummy,
            "difference_to_linear": self.difference_to_linear,
            "difference_to_dummy": self.difference_to_dummy,
        }
        return {
            "run": self.run,
            "metric": self.metric,
            **{k: None if v is None else v.model_dump(mode="json") for k, v in records.items()},
            "linear_known": self.linear_known,
            "place": self.place,
            "of": self.of,
        }


def try_here(
    folder: Path,
    candidate: Path,
    *,
    mine: bool,
    budget_s: float,
    memory_mb: int | None,
    progress: Any,
) -> Tried:
    """Score one candidate folder.

    Raises:
        BadInput: no plan, no data, no solution.py.
        PrerequisiteMissing: no sandbox that is strong enough for a stranger's code.
    """
    started = time.monotonic()
    source = read_source(candidate)
    project, settings = Project(folder), read_settings(folder)
    plan = read_plan(folder / PLAN_FILE)
    request = make_request(project, plan, folder / PLAN_FILE, ExecuteFlags(budget_s=budget_s), None)
    check_data(folder, plan)
    code: CodeClass = "C" if mine else "D"
    content = Content()
    opened = open_sandbox(content, code)
    stop, now = StopFlag(), datetime.now(UTC)
    with (
        closing(cast(Any, opened.sandbox)),
        project.lock(),
        project.scratch() as scratch,
        cast(AbstractContextManager[Progress], progress),
        interruptible(stop, progress.say, "Stopping: the fit at work ends with what it has."),
    ):
        progress.say(f"Sandbox: {opened.sandbox.describe()}")
        run = project.runs.create(now)
        with FileJournal(run.path / "journal.jsonl") as journal:
            bench = build_bench(
                content=content,
                sandbox=opened.sandbox,
                project=project,
                run=run,
                journal=journal,
                settings=settings,
                progress=progress,
                scratch=scratch,
                memory_mb=memory_mb,
                started=started,
                stop=stop,
            )
            cpus = bench.desk.cpus
            created = begin(run, journal, plan, request, opened.sandbox, cpus, now, "try")
            return _try(bench, request, source, name_of(candidate), code, created)


def _try(
    bench: Bench, request: Request, source: bytes, name: str, code: CodeClass, created: str
) -> Tried:
    state = State(request=request, task=request.plan.task)
    bench.desk.progress.phase("table", "read the table")
    prepare_table(bench, state)
    seal_rows(bench, state)
    assert state.table is not None
    assert state.seal is not None
    latest = _latest_on(bench.project, state.seal.id)
    _narrow(state, latest)
    validation = _validation(state, latest)
    state.validation = validation
    state.folds = make_folds(
        state.facts["row_facts"].take(state.dev),
        validation,
        request.seed,
        group_duplicates=state.seal.grouped_duplicates,
    )
    bench.desk.progress.phase("folds", f"{name}: {len(state.folds)} folds")
    folder = bench.run.path / "candidate"
    folder.mkdir()
    (folder / "solution.py").write_bytes(source)
    each = max(1.0, request.budget_s / len(state.folds) - 3.0)
    write_json(folder / "spec.json", _spec(bench, state, each, latest))
    shutil.copyfile(folder / "spec.json", bench.run.file("artifacts/spec.json"))
    truth = state.table.truth(state.dev)
    scored = score_apart(
        bench.desk,
        CandidateFolder(name, folder, code),
        rows=state.table,
        dev=state.dev,
        folds=state.folds,
        budget_s=each,
    )
    return _book(bench, state, scored, OutOfFold(state.folds, width(truth)), latest, created)


def _narrow(state: State, latest: RunFolder | None) -> None:
    """Leave out the columns that the explorer took out in the latest run under this seal."""
    if latest is None or state.table is None:
        return
    roles = latest.read("artifacts/data-explorer/column_roles.json", ColumnRoles)
    kept = tuple(name for name in state.features if name not in roles.excluded)
    state.features = state.table.features = kept or state.features


def _latest_on(project: Project, seal: str) -> RunFolder | None:
    for run in reversed(list(project.runs.all())):
        if run.finished:
            manifest = run.manifest()
            if manifest.kind == "execute" and manifest.seal == seal:
                return run
    return None


def _validation(state: State, latest: RunFolder | None) -> ValidationPlan:
    """The folds of the latest run under this seal, or what the referee's rule gives."""
    if latest is not None:
        return latest.read("artifacts/statistical-analyst/validation_plan.json", ValidationPlan)
    assert state.seal is not None
    folds, repeats = fold_count(len(state.dev), state.seal.share, state.seal.kind)
    return ValidationPlan(
        kind=state.seal.kind,
        group=state.task.group,
        time=state.task.time,
        folds=folds,
        repeats=repeats,
        why="referee rule 5",
    )


def _spec(bench: Bench, state: State, budget_s: float, latest: RunFolder | None) -> CandidateSpec:
    """The host's spec: what a candidate's own spec.json says does not count."""
    found = state.request.plan.columns.found
    columns = {
        name: SpecColumn.model_validate({"role": found[name].role, "dtype": found[name].dtype})
        for name in state.features
    }
    return spec_of(bench, state, columns, budget_s)


def _book(
    bench: Bench,
    state: State,
    scored: FoldResult,
    oof: OutOfFold,
    latest: RunFolder | None,
    created: str,
) -> Tried:
    """Score, write board.json and the manifest, find the place on the board."""
    task, run = state.task, bench.run
    metric = task.metric or ""
    assert state.table is not None
    assert state.seal is not None
    assert state.request.plan.data is not None
    truth = state.table.truth(state.dev)
    options = scoring(task)
    layers = {DUMMY: oof.dummy(truth, metric, **options)}
    if scored.ok:
        layers = {scored.name: oof.layers(scored)} | layers
        linear = None
        if latest is not None:
            linear = read_layers(latest, LINEAR, state.folds, task, state.table, state.dev)
        if linear is not None:
            layers[LINEAR] = linear
    entry = CandidateScore(
        name=scored.name, outcome=scored.outcome, fit_seconds=round(scored.fit_seconds, 2)
    )
    scores: dict[str, Score] = {}
    gaps: dict[str, Difference] = {}
    try:
        judged = judge_many(
            metric,
            truth,
            layers,
            seed=state.request.seed,
            clusters=clusters_of(state, state.dev),
            folds=state.folds,
            **options,
        )
        scores, gaps = judged.scores, judged.differences
        entry = entry.model_copy(update={"score": scores.get(entry.name)})
    except Undefined as problem:
        if scored.ok:
            entry = entry.model_copy(update={"outcome": f"no score: {problem.message}"})
    dummy = CandidateScore(name=DUMMY, score=scores.get(DUMMY), outcome="ok")
    entries = [entry, dummy] if dummy.score is not None else [entry]
    write_json(run.file("board.json"), [one.model_dump(mode="json") for one in entries])
    bench.journal.append(
        "scored",
        candidate=entry.name,
        outcome=entry.outcome,
        on="dev folds",
        value=None if entry.score is None else entry.score.value,
    )
    bench.journal.append("run.finished", winner=None, verdict=entry.outcome)
    bench.journal.close()
    manifest = Manifest(
        run=run.id,
        kind="try",
        created=created,
        finished=bench.now().isoformat(timespec="seconds"),
        wall_s=round(bench.clock() - bench.started, 2),
        budget_s=state.request.budget_s,
        mlagent=__version__,
        task=task.description,
        data_sha256=state.request.plan.data.sha256,
        seal=state.seal.id,
        opening=0,
        tier=bench.desk.sandbox.tier,
        model_name=entry.name,
        model_sha256=None,
        verdict=entry.outcome,
        journal_head=bench.journal.head,
        journal_events=bench.journal.count,
        content=dict(sorted(bench.desk.content.used.items())),
        files=run.hashes(),
    )
    run.write("manifest.json", manifest)
    board = scored_on(bench.project, state.seal.id, task)
    own = board_rows(run, [entry], task)[0]
    place, of = place_of(own, board, maximize=task.direction == "maximize")
    return Tried(
        run.id,
        metric,
        entry,
        scores.get(DUMMY),
        gaps.get(LINEAR),
        gaps.get(DUMMY) if entry.score is not None else None,
        any(row.entry.name == LINEAR and row.entry.score is not None for row in board),
        place,
        of,
    )
