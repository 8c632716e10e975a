"""`execute`, from flags to a finished run: load and check the plan, open the sandbox, run, always
clean up.

Guarantees: one run at a time in a folder; scratch space and sandbox objects are removed whatever
happens; a run that stops early can be resumed at a phase boundary.
"""

from __future__ import annotations

import difflib
import platform
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlagent import __version__
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES, ColumnRole, Dtype, Role
from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.plan import Budget, ColumnChoice, Columns, OptionName, Plan
from mlagent.contracts.ports import Progress, Sandbox
from mlagent.contracts.run import Environment
from mlagent.contracts.task import TaskSpec
from mlagent.data.door import open_table
from mlagent.documents import dump_yaml, load_json, read_record
from mlagent.settings import Settings, parse_vault, read_settings
from mlagent.store.files import sha256_of
from mlagent.store.journal import FileJournal, read_journal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .execution import execute
from .plan_flow import PLAN_FILE
from .planning import check_plan, load_policies, read_plan, review_again, task_with_split
from .state import Request, StopFlag
from .wiring import Opened, build_bench, host_packages, interruptible, open_sandbox

MakeProgress = Callable[[float], Any]


class EditedColumn(ColumnChoice):
    """One line of `columns.found` after edits."""

    role: ColumnRole
    dtype: Dtype


class EditedColumns(Columns):
    found: dict[str, EditedColumn] = {}  # type: ignore[assignment]  # a dict is never narrower


class EditedBudget(Budget):
    seconds: float = Field(300.0, ge=1, le=7 * 86400)


class EditedTask(TaskSpec):
    """The task after edits: its fields still fit each other."""

    seed: int = Field(0, ge=0)

    @field_validator("metric")
    @classmethod
    def _metric_fits(cls, metric: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        allowed = [name for name, info in METRICS.items() if kind is None or kind in info.tasks]
        if metric is not None and metric not in allowed:
            task = f" for a {kind} task" if kind else ""
            raise ValueError(
                f"{metric!r} is not allowed{task}; allowed values: {', '.join(allowed)}"
            )
        return metric

    @field_validator("direction")
    @classmethod
    def _direction_is_the_metrics(cls, direction: Any, info: ValidationInfo) -> Any:
        metric = info.data.get("metric")
        if metric is not None and direction != METRICS[metric].direction:
            raise ValueError(f"{metric} has the direction {METRICS[metric].direction!r}")
        return direction

    @field_validator("classes")
    @classmethod
    def _classes_fit(cls, classes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind, positive = info.data.get("kind"), info.data.get("positive")
        if kind == "regression" and classes:
            raise ValueError("a regression has no classes; plan again to change the kind of task")
        if kind == "binary" and (len(set(classes)) != 2 or classes[1:] != (positive,)):
            raise ValueError(
                f"a binary task has two classes, the positive one ({positive!r}) last; "
                "to change it, plan again with --positive"
            )
        if kind == "multiclass" and len(set(classes)) < 3:
            raise ValueError("a multiclass task has at least three different classes")
        return classes


class EditedPlan(Plan):
    """plan.yaml as `execute` and `try` accept it: stricter than what any plan must be."""

    task: EditedTask
    columns: EditedColumns = EditedColumns()
    budget: EditedBudget = EditedBudget()

    @field_validator("vault")
    @classmethod
    def _vault_is_a_share(cls, vault: Any) -> Any:
        if vault != "auto" and not (vault == 0 or 0.02 <= vault <= 0.5):
            raise ValueError(f"{vault!r} is neither auto, 0 nor a share from 0.02 to 0.5")
        return vault

    @model_validator(mode="after")
    def _task_is_about_the_table(self) -> Self:
        if self.data is None:
            return self
        task = self.task
        for field in ("kind", "target", "metric", "direction"):
            if getattr(task, field) is None:
                raise ValueError(f"task.{field} is missing; plan again to find it")
        named = {"target": task.target, "group": task.group, "time": task.time}
        for field, name in (*named.items(), *(("id_columns", name) for name in task.id_columns)):
            if name is not None and name not in self.data.columns:
                meant = difflib.get_close_matches(name, self.data.columns, n=1)
                hint = f" (did you mean {meant[0]!r}?)" if meant else ""
                raise ValueError(f"task.{field}: the table has no column {name!r}{hint}")
        if task.target not in self.columns.found:
            raise ValueError(f"columns.found has no line for the target {task.target!r}")
        return self


@dataclass(frozen=True)
class ExecuteFlags:
    """`mlagent execute` with its flags as typed."""

    plan: Path | None = None
    select: tuple[str, ...] = ()
    budget_s: float | None = None
    vault: str | None = None
    refit: str | None = None
    test: Path | None = None
    memory_mb: int | None = None
    seed: int | None = None
    replay: str | None = None
    resume: bool = False
    force: bool = False


@dataclass(frozen=True)
class Finished:
    """A finished run with what the last lines show."""

    run: RunFolder
    evaluation: Evaluation
    notes: tuple[str, ...]


def execute_here(
    folder: Path, flags: ExecuteFlags, make_progress: MakeProgress, started: float | None = None
) -> Finished:
    """Run a plan in this folder.

    Raises:
        MlagentError: with the exit code of its class.
    """
    started = time.monotonic() if started is None else started
    project, settings = Project(folder), read_settings(folder)
    earlier = unfinished(project) if flags.resume else None
    plan_path = earlier.path / "plan.yaml" if earlier else (flags.plan or folder / PLAN_FILE)
    plan = read_plan(plan_path)
    request = make_request(project, plan, plan_path, flags, earlier)
    check_data(folder, plan)
    content = Content()
    opened = open_sandbox(content, "B" if content.override is None else "C")
    with closing(cast(Any, opened.sandbox)):
        check_review(content, request, opened.sandbox, force=flags.force)
        return _execute(project, settings, content, opened, request, flags, make_progress, started)


def check_review(content: Content, request: Request, sandbox: Sandbox, *, force: bool) -> None:
    """Review the plan as it now stands, after edits. Raises BadInput for a no-go without
    `force`."""
    plan = request.plan.model_copy(update={"selection": dict(request.selection)})
    review = review_again(
        plan,
        load_contracts(content),
        load_policies(content),
        packages=sandbox.packages(),
        tier=sandbox.tier,
        code="B" if content.override is None else "C",
    )
    if review.decision == "no-go" and not force:
        found = "; ".join(f"{item.kind}: {item.what}" for item in review.conflicts)
        raise BadInput(
            f"The review says no-go: {' '.join(review.reasons)} {found}".rstrip(),
            remedy="Mend the plan, or run it anyway with --force.",
        )


def _execute(
    project: Project,
    settings: Settings,
    content: Content,
    opened: Opened,
    request: Request,
    flags: ExecuteFlags,
    make_progress: MakeProgress,
    started: float,
) -> Finished:
    earlier = unfinished(project) if flags.resume else None
    plan = request.plan
    progress = make_progress(request.budget_s)
    stop = StopFlag()
    with (
        project.lock(),
        project.scratch() as scratch,
        cast(AbstractContextManager[Progress], progress),
        interruptible(stop),
    ):
        progress.say(
            f"{opened.reason} " if opened.reason else f"Sandbox: {opened.sandbox.describe()}"
        )
        now = datetime.now(UTC)
        run = earlier or project.runs.create(now)
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
                memory_mb=flags.memory_mb,
                started=started,
                stop=stop,
            )
            bench.started -= spent_before(run)
            created = begin(bench.run, journal, plan, request, opened.sandbox, bench.desk.cpus, now)
            state = execute(bench, request, created=created, schedules=schedules(request.replay))
    assert state.evaluation is not None
    return Finished(run, state.evaluation, tuple(state.notes))


def spent_before(run: RunFolder) -> float:
    """Seconds that the finished phases of a resumed run took; 0 for a new run."""
    events = read_journal(run.path / "journal.jsonl")
    return max((event.elapsed_s for event in events if event.kind == "phase.done"), default=0.0)


def begin(
    run: RunFolder,
    journal: FileJournal,
    plan: Plan,
    request: Request,
    sandbox: Sandbox,
    threads: int,
    now: datetime,
) -> str:
    """Write what a run starts with: task, plan, environment, first event. Returns its start."""
    first = [event for event in read_journal(run.path / "journal.jsonl") if event.n == 0]
    run.write("task.json", plan.task)
    (run.path / "plan.yaml").write_text(dump_yaml(plan), encoding="utf-8")
    commit, dirty = git_state(request.plan_path.parent)
    run.write(
        "environment.json",
        Environment(
            mlagent=__version__,
            python=platform.python_version(),
            platform=platform.platform(),
            tier=sandbox.tier,
            image=sandbox.image,
            engine=sandbox.describe(),
            packages=sandbox.packages(),
            host_packages=host_packages(),
            seed=request.seed,
            threads=threads,
            git_commit=commit,
            git_dirty=dirty,
        ),
    )
    journal.append(
        "run.resumed" if first else "run.start",
        budget_s=request.budget_s,
        seed=request.seed,
        selection=dict(request.selection),
        vault=request.vault,
        refit=request.refit,
        test=None if request.test is None else str(request.test.resolve()),
        replay=None if request.replay is None else request.replay.id,
        tier=sandbox.tier,
        image=sandbox.image,
        git_commit=commit,
        git_dirty=dirty,
    )
    return first[0].at if first else now.isoformat(timespec="seconds")


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty state of the repository around `folder`; None outside one."""
    try:
        from git import Repo
        from git.exc import GitError
    except ImportError:  # gitpython refuses to import without a git executable
        return None, None
    try:
        with Repo(folder, search_parent_directories=True) as repo:
            return repo.head.commit.hexsha, repo.is_dirty()
    except (GitError, ValueError, OSError, subprocess.SubprocessError):
        return None, None


def unfinished(project: Project) -> RunFolder:
    """The latest unfinished run. Raises BadInput when there is none."""
    runs = [
        run
        for run in project.runs.all()
        if not run.finished and (run.path / "plan.yaml").exists() and not _refused(run)
    ]
    if not runs:
        raise BadInput(
            f"There is no unfinished run in {str(project.runs.root)!r}.",
            remedy="Start a new one: mlagent execute",
        )
    return runs[-1]


def _refused(run: RunFolder) -> bool:
    """The run ended because its input cannot be used: going on would end the same way."""
    last = read_journal(run.path / "journal.jsonl")[-1:]
    return any(e.kind == "phase.failed" and e.facts["error"] == "BadInput" for e in last)


def make_request(
    project: Project, plan: Plan, plan_path: Path, flags: ExecuteFlags, earlier: RunFolder | None
) -> Request:
    """Flags over plan over defaults; a resumed run keeps what it was started with.

    Raises:
        BadInput: a flag that cannot be used, or an edit of the plan that makes no sense.
    """
    read_record(EditedPlan, plan_path.read_text(encoding="utf-8"), plan_path.name)
    selection = dict(plan.selection)
    budget = flags.budget_s or plan.budget.seconds
    seed = plan.task.seed if flags.seed is None else flags.seed
    vault: float | None = None if plan.vault == "auto" else float(plan.vault)
    if flags.vault is not None:
        vault = parse_vault(flags.vault)
    if earlier is not None:
        start = read_journal(earlier.path / "journal.jsonl")[0].facts
        budget, seed, vault = float(start["budget_s"]), int(start["seed"]), start["vault"]
        selection = dict(start["selection"])
        flags = replace(
            flags,
            refit="all" if start["refit"] else None,
            test=None if start["test"] is None else Path(start["test"]),
            replay=start["replay"],
        )
    for text in flags.select:
        agent, _, option = text.partition("=")
        if agent not in selection:
            raise BadInput(
                f"--select {text!r}: {agent!r} is not an agent of this plan.",
                remedy=f"Its agents: {', '.join(selection)}.",
            )
        options = plan.agent_plans[agent].implementation_options
        if option not in options:
            raise BadInput(
                f"--select {text!r}: {agent} has no {option!r}.",
                remedy=f"Its options: {', '.join(options)}.",
            )
        selection[agent] = option
    if flags.refit not in (None, "all"):
        raise BadInput(f"--refit {flags.refit!r} is not known.", remedy="Write --refit all.")
    if flags.memory_mb is not None and flags.memory_mb < 256:
        raise BadInput(
            f"--memory {flags.memory_mb} is too small.", remedy="Give at least 256 (MB)."
        )
    if flags.test is not None and not flags.test.is_file():
        raise BadInput(f"There is no test file {str(flags.test)!r}.")
    replay = project.runs.find(flags.replay) if flags.replay else None
    _check_roles(plan, selection)
    chosen = plan.model_copy(update={"selection": selection})
    task = task_with_split(chosen).model_copy(update={"seed": seed})
    return Request(
        plan=plan.model_copy(update={"task": task}),
        plan_path=plan_path,
        budget_s=budget,
        vault=vault,
        selection=selection,
        seed=seed,
        refit=flags.refit == "all",
        test=flags.test,
        replay=replay,
    )


def _check_roles(plan: Plan, selection: dict[Role, OptionName]) -> None:
    missing = [role for role in ROLES if role not in selection]
    if planned := [role for role in missing if role in plan.agent_plans]:
        options = plan.agent_plans[planned[0]].implementation_options
        raise BadInput(
            f"The plan's selection names no option for {planned[0]!r}.",
            remedy=f"Allowed values: {', '.join(options)}.",
        )
    if missing:
        raise BadInput(
            f"The plan selects no option for {', '.join(missing)}: nothing to train.",
            remedy='Plan a prediction task: mlagent plan "predict ..."',
        )


def check_data(folder: Path, plan: Plan) -> None:
    """The plan has data, and the data is what was planned with."""
    if plan.data is None:
        raise BadInput(
            "The plan was made without a table, so there is nothing to train on.",
            remedy=f"Plan again: mlagent plan {plan.task.description!r} --data FILE",
        )
    path = folder / plan.data.path
    if not path.is_file():
        raise BadInput(
            f"The table {plan.data.path!r} of the plan is not here.",
            remedy="Put it back, or plan again with --data FILE.",
        )
    if path.stat().st_size == plan.data.bytes and sha256_of(path) == plan.data.sha256:
        check_plan(plan, plan.data)
        return
    with open_table(path) as table:
        check_plan(plan, table.ref)


def schedules(run: RunFolder | None) -> dict[str, Any] | None:
    """What `--replay RUN` follows."""
    if run is None:
        return None
    path = run.path / "artifacts" / "ml-engineer" / "schedules.json"
    if not path.exists():
        raise BadInput(f"Run {run.id} has no schedules.json to replay.")
    value = load_json(path.read_text(encoding="utf-8"), str(path))
    return dict(value)
