"""Reading what happened: runs, the board, comparisons, reports. Starts nothing, changes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Difference, Evaluation, Score
from mlagent.contracts.run import Seal
from mlagent.contracts.search import TREE, SearchTree
from mlagent.contracts.task import TaskSpec
from mlagent.contracts.usage import Call
from mlagent.gateway.call_log import ANSWER, CALLS, COUNTS, PLAN_CALLS, REQUEST, CallLog
from mlagent.referee.scoring import scoring, yardstick
from mlagent.store.journal import ended_by_bad_input, read_journal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .planning import load_policies
from .saved import Saved, read_predictions
from .timing import over_budget
from .tries import LINEAR, BoardRow, count_tries, latest_of_each, scored_on


class RunRow(NamedTuple):
    """One line of `mlagent runs`. `state`: finished, unfinished, or refused (its input cannot be
    used, so `execute --resume` passes it over)."""

    run: str
    kind: str
    state: str
    model: str
    score: str
    tier: str
    seconds: str
    verdict: str


def list_runs(folder: Path) -> list[RunRow]:
    """Every run of a folder, oldest first."""
    rows = []
    for run in Project(folder).runs.all():
        if not run.finished:
            rows.append(RunRow(run.id, "", _stopped(run), "", "", "", "", ""))
            continue
        manifest = run.manifest()
        score = ""
        if (run.path / "evaluation.json").exists():
            evaluation = run.read("evaluation.json", Evaluation)
            score = f"{evaluation.metric} {evaluation.model.value:.4g}"
        rows.append(
            RunRow(
                run.id,
                manifest.kind,
                "finished",
                manifest.model_name or "",
                score,
                manifest.tier,
                f"{manifest.wall_s:.1f}",
                manifest.verdict,
            )
        )
    return rows


def _stopped(run: RunFolder) -> str:
    """`unfinished`, or `refused` when bad input ended it; a journal that cannot be read says no
    more than that the run is unfinished."""
    try:
        refused = ended_by_bad_input(read_journal(run.path / "journal.jsonl"))
    except (OSError, BadInput):
        return "unfinished"
    return "refused" if refused else "unfinished"


def why_late(run: RunFolder) -> str:
    """Where the time of a run went that was over its budget; '' for one that was not."""
    overrun = load_policies(Content()).execution.overrun
    return over_budget(run.manifest(), read_journal(run.path / "journal.jsonl"), overrun)


def prunable(project: Project, keep: int) -> list[RunFolder]:
    """Unfinished runs, and finished ones older than the latest `keep`."""
    runs = list(project.runs.all())
    finished = [run for run in runs if run.finished]
    old = finished[: max(0, len(finished) - keep)]
    return [run for run in runs if not run.finished or run in old]


@dataclass(frozen=True)
class Board:
    """Candidates that were scored on the dev folds of one seal by one metric: one row for each
    distinct candidate (its latest run), best first, failures last.

    Attributes:
        tries: as `tries.count_tries` counts, of every metric.
        runs: look -> how often it ran.
        note: what is not on the board and how to get it, or ''.
    """

    seal: str
    metric: str
    rows: tuple[BoardRow, ...]
    tries: int
    runs: dict[str, int]
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "seal": self.seal,
            "metric": self.metric,
            "tries": self.tries,
            "note": self.note,
            "rows": [
                {"run": r.run, "runs": self.runs[r.look], **r.entry.model_dump(mode="json")}
                for r in self.rows
            ],
        }


NO_LINEAR = "There is no linear baseline on these folds yet; `mlagent execute` scores one."


def read_board(folder: Path) -> Board:
    """The board of the latest run's seal. Raises BadInput when there is no run."""
    project = Project(folder)
    judged = [run for run in project.runs.all() if (run.path / "board.json").exists()]
    if not judged:
        raise BadInput(
            f"No candidate was scored in {str(folder)!r} yet.",
            remedy='Start with `mlagent plan "..."`, then `mlagent execute` or `mlagent try`.',
        )
    latest = judged[-1]
    seal = latest.read("seal.json", Seal)
    task = latest.read("task.json", TaskSpec)
    every = scored_on(project, seal.id, task)
    here = [row for row in every if row.yardstick == yardstick(task)]
    sign = -1.0 if task.direction == "maximize" else 1.0

    def order(row: BoardRow) -> tuple[bool, float]:
        score = row.entry.score
        return (score is None, 0.0 if score is None else sign * score.value)

    said = [] if any(row.entry.name == LINEAR for row in here) else [NO_LINEAR]
    tries = count_tries(every)
    if elsewhere := tries - count_tries(here):
        said.append(f"{elsewhere} of the tries were scored by another metric, quantile or price.")
    return Board(
        seal.id,
        task.metric or "",
        tuple(sorted(latest_of_each(here), key=order)),
        tries,
        dict(Counter(row.look for row in here)),
        " ".join(said),
    )


def read_tree(folder: Path) -> tuple[str, SearchTree]:
    """(run, tree) of the latest search with Claude. Raises BadInput when there is none."""
    for run in reversed(list(Project(folder).runs.all())):
        if (run.path / TREE).is_file():
            return run.id, run.read(TREE, SearchTree)
    raise BadInput(
        f"No search was made in {str(folder)!r} yet.",
        remedy="Start one: mlagent execute --author both",
    )


@dataclass(frozen=True)
class Asked:
    """One call with the bytes that were sent and the answer, as text; '' where there is none."""

    call: Call
    request: str
    answer: str

    def as_json(self) -> dict[str, Any]:
        return {
            **self.call.model_dump(mode="json"),
            "request": self.request,
            "answer": self.answer,
        }


@dataclass(frozen=True)
class Conversation:
    """What was asked of a language model in a run, or for a plan.

    Attributes:
        name: of the run or of the plan's folder of calls.
        counted: bytes, as text, of prompts of which only the tokens were asked for.
    """

    name: str
    calls: tuple[Asked, ...]
    counted: tuple[str, ...]


def read_calls(folder: Path, name: str | None, *, plan: bool = False) -> Conversation:
    """Its calls, with every byte. Raises BadInput when nothing was asked of a language model.

    Args:
        name: of a run, or of a plan's folder in plans/calls; None: the latest.
    """
    if plan:
        what, home = _plan_calls(folder, name)
    else:
        run = Project(folder).runs.find(name, finished=False)
        what, home = run.id, run.path / CALLS
    made = CallLog(home).calls()
    counted = tuple(map(_text, sorted((home / COUNTS).glob("*.json"))))
    if not made and not counted:
        raise BadInput(
            f"Nothing was asked of a language model in {'plan' if plan else 'run'} {what}.",
            remedy="`mlagent execute --author both` does; what a plan asked: add --plan.",
        )

    def asked(call: Call) -> Asked:
        place = home / f"{call.n:04d}"
        return Asked(call, _text(place / REQUEST), _text(place / ANSWER))

    return Conversation(what, tuple(map(asked, made)), counted)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _plan_calls(folder: Path, name: str | None) -> tuple[str, Path]:
    """(name, folder) of a plan's calls. Raises BadInput when there are none of that name."""
    known = {place.name: place for place in sorted((folder / PLAN_CALLS).glob("[0-9]*"))}
    if name is None and known:
        name = max(known)
    if name is None:
        raise BadInput(
            f"No plan in {str(folder)!r} was made with Claude.",
            remedy="Make one: mlagent plan --author claude",
        )
    if name not in known:
        near = f"; there are {', '.join(sorted(known)[-3:])}" if known else ""
        raise BadInput(f"There is no plan {name!r} in {PLAN_CALLS}/{near}.")
    return name, known[name]


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same rows."""

    first: str
    second: str
    metric: str
    seal: str
    rows: int
    scores: dict[str, Score]
    difference: Difference

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "second": self.second,
            "metric": self.metric,
            "seal": self.seal,
            "rows": self.rows,
            "scores": {k: v.model_dump(mode="json") for k, v in self.scores.items()},
            "difference": self.difference.model_dump(mode="json"),
        }


class Paired(NamedTuple):
    """Two runs that were judged on the same rows, by the same metric."""

    task: TaskSpec
    seal: Seal
    saved: tuple[Saved, Saved]


def paired(first: RunFolder, second: RunFolder) -> Paired:
    """The judged predictions of two runs, row by row.

    Raises:
        BadInput: different seals, metrics or classes, or a run without judged predictions.
    """
    seals = [run.read("seal.json", Seal) for run in (first, second)]
    if seals[0].id != seals[1].id or seals[0].vault_rows != seals[1].vault_rows:
        raise BadInput(
            f"{first.id} was judged under seal {seals[0].id}, {second.id} under {seals[1].id}: "
            "their scores are of different rows.",
            remedy="Compare runs of the same data, split and seed.",
        )
    tasks = [run.read("task.json", TaskSpec) for run in (first, second)]
    if tasks[0].metric != tasks[1].metric or tasks[0].classes != tasks[1].classes:
        raise BadInput(
            f"{first.id} is scored by {tasks[0].metric}, {second.id} by {tasks[1].metric}.",
            remedy="Compare runs with the same metric and classes.",
        )
    saved = read_predictions(first, tasks[0]), read_predictions(second, tasks[0])
    if not np.array_equal(saved[0].rows, saved[1].rows):  # of the file
        raise BadInput(f"{first.id} and {second.id} were not judged on the same rows.")
    if not np.array_equal(saved[0].truth.y, saved[1].truth.y):
        raise BadInput(f"{first.id} and {second.id} disagree on the truth of the judged rows.")
    if not np.array_equal(_folds(saved[0]), _folds(saved[1])):
        raise BadInput(f"{first.id} and {second.id} were scored on different folds.")
    return Paired(tasks[0], seals[0], saved)


def _folds(saved: Saved) -> np.ndarray:
    return np.zeros(0, dtype=np.int8) if saved.folds is None else saved.folds


def compare_runs(folder: Path, a: str, b: str | None) -> Comparison:
    """Paired comparison of two runs.

    Raises:
        BadInput: different seals, metrics or classes, or a run without judged predictions.
    """
    from mlagent.referee.intervals import judge_many

    project = Project(folder)
    first, second = project.runs.find(a), project.runs.find(b)
    pair = paired(first, second)
    saved, task = pair.saved, pair.task
    rulers = [yardstick(run.read("task.json", TaskSpec)) for run in (first, second)]
    if rulers[0] != rulers[1]:
        raise BadInput(
            f"{first.id} is scored by {rulers[0]}, {second.id} by {rulers[1]}.",
            remedy="Compare runs that were planned with the same prices and quantile.",
        )
    metric = task.metric or ""
    evaluations = [run.read("evaluation.json", Evaluation) for run in (first, second)]
    judged = judge_many(
        metric,
        saved[0].truth,
        {"first": saved[0].model, "second": saved[1].model},
        seed=0,
        clusters=saved[0].clusters,
        thresholds={
            name: one.threshold
            for name, one in zip(("first", "second"), evaluations, strict=True)
            if one.threshold is not None
        },
        folds=saved[0].folds,
        **scoring(task),
    )
    return Comparison(
        first=first.id,
        second=second.id,
        metric=metric,
        seal=pair.seal.id,
        rows=len(saved[0].rows),
        scores={name: judged.scores[name] for name in ("first", "second")},
        difference=judged.differences["second"],
    )


def find_report(folder: Path, run: str | None) -> Path:
    """report.html of a run. Raises BadInput when there is none."""
    found = Project(folder).runs.find(run)
    path = found.path / "report.html"
    if not path.exists():
        raise BadInput(
            f"Run {found.id} has no report.html.", remedy="`mlagent runs` lists the runs."
        )
    return path
