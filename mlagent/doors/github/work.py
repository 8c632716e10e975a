"""The work of a command: `mlagent plan`, `execute`, `try`, `pr-comment` in a checkout of the head.

Guarantees: settings, contracts and tables are the base's (`checkout.py`), and no plan reads a table
that the base does not have with the same content; candidates of the pull request go to `mlagent
try`, which runs a stranger's code in a container or not at all; no run takes more than the site's
budget; run folders and seals outlive the checkout. Does not: know GitHub.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mlagent.contracts.base import ROLES
from mlagent.contracts.errors import BadInput, MlagentError, PrerequisiteMissing
from mlagent.contracts.evaluation import CandidateScore, Difference, Evaluation
from mlagent.contracts.plan import Plan
from mlagent.contracts.pr_report import PrReport
from mlagent.contracts.run import Environment, Manifest
from mlagent.documents import read_record
from mlagent.reports import numbers
from mlagent.store.runs import RunFolder, Runs

from .checkout import PLAN, Mirror, Written
from .commands import ExecuteCommand, PlanCommand
from .queue import Job
from .runner import ChildFailed, Runner

PLAN_S = 300.0
REPORT_S = 300.0
TRY_BUDGET_S = 60.0
SLACK_S = 600.0
"""Beyond the budget a run may take this long: starting containers, packaging, the report."""
SCRATCH = "scratch"
"""Folder for checkouts, below the state folder; emptied when the bot starts."""
KEPT = ("runs", ".mlagent")
"""Folders of the project that outlive a checkout."""


@dataclass(frozen=True)
class PlanDone:
    """A plan. `notes`: what a reader must know of the checkout."""

    plan: Plan
    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CandidateDone:
    """A candidate of the pull request: its score, or why there is none."""

    folder: str
    entry: CandidateScore | None
    difference_to_linear: Difference | None
    why: str = ""


@dataclass(frozen=True)
class ExecuteDone:
    """A run of the plan, and the pull request's own candidates."""

    evaluation: Evaluation
    manifest: Manifest
    candidates: tuple[CandidateDone, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CompareDone:
    """The report of the head's latest run."""

    report: PrReport
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """A checkout at work. `environment`: for its children."""

    folder: Path
    written: Written
    environment: Mapping[str, str]

    @property
    def runs(self) -> Runs:
        return Runs(self.folder / "runs")


class Work:
    """Does the work of commands.

    Args:
        state: folder of the bot.
        mirror: opens the bare copy of a repository in a folder.
        max_budget_s: of one `execute`.
    """

    def __init__(
        self,
        state: Path,
        mirror: Callable[[Path, str], Mirror],
        runner: Runner,
        max_budget_s: float,
    ) -> None:
        self._state, self._mirror, self._runner = state, mirror, runner
        self._most = max_budget_s

    def plan(self, job: Job, command: PlanCommand) -> PlanDone:
        """`mlagent plan`; the plan is kept for `execute` of the same head. Raises MlagentError."""
        words = ["plan", "--json"]
        for flag, value in (
            ("--target", command.target),
            ("--metric", command.metric),
            ("--budget", None if command.budget_s is None else f"{command.budget_s:g}s"),
        ):
            words += [] if value is None else [f"{flag}={value}"]
        with self._checkout(job, _head(job)) as place:
            self._child(place, [*words, "--", command.task], PLAN_S)
            plan, text = _checked_plan(place)
            cut = self._cut("The plan", plan)
            kept = self._kept_plan(job)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(text, encoding="utf-8")
            return PlanDone(plan, text, (*cut, *place.written.notes))

    def execute(self, job: Job, command: ExecuteCommand) -> ExecuteDone:
        """`mlagent execute` and `mlagent try` of each candidate. Raises MlagentError."""
        with self._checkout(job, _head(job)) as place:
            if self._kept_plan(job).is_file():
                shutil.copyfile(self._kept_plan(job), place.folder / PLAN)
            if not (place.folder / PLAN).is_file():
                raise BadInput(
                    f"There is no plan for {_head(job)[:7]}: it holds no {PLAN}, and none was made "
                    "by a comment for this commit.",
                    remedy='Begin with: /mlagent plan "what you want"',
                )
            words = []
            if command.option is not None:
                words.append(f"--select=ml-engineer={command.option}")
            document, cut = self._execute(place, words, command.budget_s)
            return ExecuteDone(
                Evaluation.model_validate(document["evaluation"]),
                Manifest.model_validate(document["manifest"]),
                tuple(self._try(place, name) for name in place.written.candidates),
                (*cut, *place.written.notes),
            )

    def compare(self, job: Job) -> CompareDone:
        """The report of the head's latest run against a run of the base with the same budget, which
        is made when there is a plan for it. Raises MlagentError."""
        head, base = _head(job), _base(job)
        notes: list[str] = []
        runs = Runs(self._project(job) / "runs")
        latest = _latest_at(runs, head)
        if latest is None:
            raise BadInput(
                f"There is no finished run of {head[:7]} here.",
                remedy="Begin with: /mlagent execute",
            )
        budget = latest.manifest().budget_s
        other = _latest_at(runs, base, budget)
        if other is None:
            try:
                other, said = self._run_base(job, base, budget)
                notes += said
            except MlagentError as problem:
                notes.append(f"The base was not run: {problem.message}")
                other = _latest_at(runs, base)
        with self._checkout(job, head) as place:
            words = ["pr-comment", "--json", "-", "--dry-run", f"--run={latest.id}"]
            words += [] if other is None else [f"--base={other.id}"]
            event = place.folder.parent / "event.json"
            event.write_text(
                json.dumps(
                    {
                        "pull_request": {
                            "number": job.number,
                            "head": {"sha": head},
                            "base": {"sha": base},
                        }
                    }
                )
            )
            told = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
            document = self._child(place, words, REPORT_S, told)
            return CompareDone(PrReport.model_validate(document), (*notes, *place.written.notes))

    def _run_base(self, job: Job, base: str, budget_s: float) -> tuple[RunFolder, tuple[str, ...]]:
        """Execute the base's own plan, if it has one, in the time that the head had."""
        with self._checkout(job, base) as place:
            if not (place.folder / PLAN).is_file():
                raise BadInput(f"it holds no {PLAN}.")
            asked = _checked_plan(place)[0].budget.seconds
            document, _ = self._execute(place, [], budget_s)
        run = RunFolder(self._project(job) / "runs" / Path(str(document["run"])).name)
        if asked == budget_s:
            return run, ()
        times = numbers.seconds(budget_s), numbers.seconds(asked)
        return run, (
            f"The base was run with the head's budget, {times[0]}; its plan asks for {times[1]}.",
        )

    def _execute(
        self, place: _Place, words: list[str], budget_s: float | None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The document of a run, and a sentence when it got less time than its plan asks for."""
        plan, _ = _checked_plan(place)
        seconds = min(budget_s or plan.budget.seconds, self._most)
        words = ["execute", "--json", f"--budget={seconds:g}s", *words]
        document = self._child(place, words, seconds * 1.5 + SLACK_S)
        return document, self._cut("The plan", plan) if budget_s is None else ()

    def _cut(self, whose: str, plan: Plan) -> tuple[str, ...]:
        """A sentence when a plan asks for more time than the site gives to a run."""
        asked, most = plan.budget.seconds, self._most
        if asked <= most:
            return ()
        times = numbers.seconds(asked), numbers.seconds(most)
        return (f"{whose} asks for {times[0]}; a run here gets {times[1]} at most.",)

    def _try(self, place: _Place, name: str) -> CandidateDone:
        """One candidate on the dev folds; a sentence when it was not judged."""
        budget = min(TRY_BUDGET_S, self._most)
        try:
            words = ["try", "--json", f"--budget={budget:g}s", "--", f"./{name}"]
            document = self._child(place, words, budget * 2 + SLACK_S)
        except ChildFailed as problem:
            if problem.kind == PrerequisiteMissing.__name__:
                return CandidateDone(name, None, None, f"Not run. {problem.message}")
            return CandidateDone(name, None, None, problem.message)
        gap = document["difference_to_linear"]
        return CandidateDone(
            name,
            CandidateScore.model_validate(document["entry"]),
            None if gap is None else Difference.model_validate(gap),
        )

    def _child(
        self,
        place: _Place,
        words: list[str],
        seconds: float,
        extra: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """A command in the checkout; what it says names no folder of this machine."""
        try:
            return self._runner.run(
                words,
                place.folder,
                seconds=seconds,
                extra={**place.environment, **(extra or {})},
            )
        except ChildFailed as problem:
            raise ChildFailed(
                problem.kind,
                self._without_paths(problem.message, place.folder),
                remedy=self._without_paths(problem.remedy, place.folder),
            ) from None

    def _without_paths(self, text: str, folder: Path) -> str:
        for name in (folder, self._state.resolve(), Path.home()):
            text = text.replace(f"{name}/", "").replace(str(name), ".")
        return text

    @contextmanager
    def _checkout(self, job: Job, commit: str) -> Iterator[_Place]:
        """A commit of the pull request with what the base decides, and the project's runs."""
        repository = self._state / "repositories" / f"{job.repository.lower()}.git"
        mirror = self._mirror(repository, job.repository)
        scratch = self._state / SCRATCH
        scratch.mkdir(exist_ok=True)
        home = Path(tempfile.mkdtemp(dir=scratch)).resolve()
        try:
            mirror.fetch(commit, _base(job))
            with mirror.checkout(commit, _base(job), home / "checkout") as written:
                folder = home / "checkout"
                for name in KEPT:
                    kept = self._project(job) / name
                    kept.mkdir(parents=True, exist_ok=True)
                    (folder / name).symlink_to(kept.resolve(), target_is_directory=True)
                yield _Place(folder, written, _content(folder, home / "content"))
        finally:
            mirror.close()
            shutil.rmtree(home, ignore_errors=True)

    def _project(self, job: Job) -> Path:
        return self._state / "projects" / job.repository.lower()

    def _kept_plan(self, job: Job) -> Path:
        """Where the plan that a comment made for this head is kept."""
        return (
            self._state / "plans" / job.repository.lower() / str(job.number) / f"{_head(job)}.yaml"
        )


def _head(job: Job) -> str:
    if job.head is None:
        raise MlagentError("The command was not checked.")
    return job.head


def _base(job: Job) -> str:
    if job.base is None:
        raise MlagentError("The command was not checked.")
    return job.base


def _content(folder: Path, into: Path) -> dict[str, str]:
    """The base's own contracts, if it has some, as the content folder of children."""
    if not any((folder / "contracts" / f"{role}.yaml").is_file() for role in ROLES):
        return {}
    for kind in ("contracts", "agents"):
        if (folder / kind).is_dir():
            shutil.copytree(folder / kind, into / kind)
    return {"MLAGENT_CONTENT": str(into)}


def _checked_plan(place: _Place) -> tuple[Plan, str]:
    """plan.yaml of a checkout and its text. Raises BadInput when its table is not the base's."""
    file = place.folder / PLAN
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{PLAN} cannot be read.") from None
    plan = read_record(Plan, text, PLAN)
    if plan.data is not None and str(PurePosixPath(plan.data.path)) not in place.written.of_base:
        raise BadInput(
            f"The plan's table {plan.data.path!r} is not a file of the base commit, or another "
            "one there: a command judges no table that a pull request brings.",
            remedy="Commit the table to the base branch, and name it relative to the repository's "
            "top.",
        )
    return plan, text


def _latest_at(runs: Runs, commit: str, budget_s: float | None = None) -> RunFolder | None:
    """The latest finished run of `execute` that was made at this commit, with this budget."""
    for run in reversed(list(runs.all())):
        if not run.finished or run.manifest().kind != "execute":
            continue
        if budget_s is not None and run.manifest().budget_s != budget_s:
            continue
        if run.read("environment.json", Environment).git_commit == commit:
            return run
    return None
