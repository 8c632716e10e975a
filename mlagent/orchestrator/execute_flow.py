"""`execute`, from flags to a finished run: load and check the plan, open the sandbox, run, always
clean up.

Guarantees: one run at a time in a folder; scratch space and sandbox objects are removed whatever
happens; a run that stops early can be resumed at a phase boundary.
"""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from mlagent import __version__
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.plan import Plan
from mlagent.contracts.ports import CodeClass, Progress, Sandbox
from mlagent.contracts.run import Environment
from mlagent.documents import dump_yaml
from mlagent.gateway.prices import load_prices
from mlagent.gateway.service import require_key
from mlagent.settings import Settings, read_settings
from mlagent.store.journal import FileJournal, ended_by_bad_input, read_journal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .consulting import model_of
from .execution import execute
from .handed_in import keep
from .plan_flow import PLAN_FILE
from .planning import load_policies, read_plan, refuse_no_go, review_again
from .preparing import check_test
from .replaying import schedules
from .requesting import ExecuteFlags, check_data, make_request
from .settings_check import changed_prices, check_prices, check_settings
from .state import Request, State, StopFlag
from .wiring import Opened, build_bench, host_packages, interruptible, open_sandbox

MakeProgress = Callable[[float], Any]


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
    earlier = _earlier(project, flags)
    plan_path = earlier.path / "plan.yaml" if earlier else (flags.plan or folder / PLAN_FILE)
    plan = read_plan(plan_path)
    check_settings(settings, plan.task)
    request = make_request(project, plan, plan_path, flags, earlier)
    check_data(folder, plan)
    check_test(State(request, request.plan.task))
    content = Content()
    if request.author != "template" and not request.ask_no_more:
        require_key()
        check_prices(settings)
        model_of(load_contracts(content)["ml-engineer"], load_prices(content, settings))
    opened = open_sandbox(content, _least_trusted(content, request))
    with closing(cast(Any, opened.sandbox)):
        if not flags.force:
            check_review(content, request, opened.sandbox)
        return _execute(project, settings, content, opened, request, flags, make_progress, started)


def check_review(content: Content, request: Request, sandbox: Sandbox) -> None:
    """Review the plan as it now stands, after edits. Raises BadInput for a no-go."""
    plan = request.plan.model_copy(update={"selection": dict(request.selection)})
    review = review_again(
        plan,
        load_contracts(content),
        load_policies(content),
        packages=sandbox.packages(),
        tier=sandbox.tier,
        code=_least_trusted(content, request),
    )
    refuse_no_go(review, "Mend the plan, or run it anyway with --force.")


def _least_trusted(content: Content, request: Request) -> CodeClass:
    """The class of the least trusted code that this run executes."""
    if request.author != "template":
        return "D"
    if request.handed_in is not None:
        return request.handed_in.code
    return "B" if content.override is None else "C"


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
    earlier = _earlier(project, flags)
    plan = request.plan
    progress = make_progress(request.budget_s)
    stop = StopFlag()
    with (
        project.lock(),
        project.scratch() as scratch,
        cast(AbstractContextManager[Progress], progress),
        interruptible(stop, progress.say),
    ):
        progress.say(
            f"{opened.reason} " if opened.reason else f"Sandbox: {opened.sandbox.describe()}"
        )
        if told := changed_prices(settings, plan.task):
            progress.say(told)
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
            if request.handed_in is not None and earlier is None:
                keep(run, request.handed_in)
            created = begin(bench.run, journal, plan, request, opened.sandbox, bench.desk.cpus, now)
            follow = None if request.replay is None else schedules(request.replay)
            state = execute(bench, request, created=created, schedules=follow)
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
    command: Literal["execute", "try"] = "execute",
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
        command=command,
        budget_s=request.budget_s,
        seed=request.seed,
        selection=dict(request.selection),
        vault=request.vault,
        refit=request.refit,
        test=None if request.test is None else str(request.test.resolve()),
        replay=None if request.replay is None else request.replay.id,
        author=request.author,
        caps=vars(request.caps),
        share_rows=request.share_rows,
        candidate=None if request.handed_in is None else request.handed_in.name,
        candidate_code=None if request.handed_in is None else request.handed_in.code,
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


def _earlier(project: Project, flags: ExecuteFlags) -> RunFolder | None:
    """The run that `--resume` goes on with: the named one, else the latest unfinished one."""
    if not flags.resume:
        return None
    return unfinished(project) if flags.run is None else resumable(project, flags.run)


def resumable(project: Project, name: str) -> RunFolder:
    """The unfinished run of this name; no other run is looked at.

    Raises:
        BadInput: no such run here, or one that cannot go on.
    """
    run = project.runs.find(name, finished=False)
    if run.path.resolve().parent != project.runs.root.resolve():
        why = f"is no run of {str(project.runs.root)!r}"
    elif run.finished:
        why = "is finished: there is nothing to go on with"
    elif not (run.path / "plan.yaml").exists() or not _resumable(run):
        why = "is a try, or what it was given cannot be used: going on would end the same way"
    else:
        return run
    raise BadInput(
        f"Run {run.id} {why}.",
        remedy="`mlagent runs` lists what is unfinished; a new one starts with: mlagent execute",
    )


def unfinished(project: Project) -> RunFolder:
    """The latest unfinished run. Raises BadInput when there is none."""
    runs = [
        run
        for run in project.runs.all()
        if not run.finished and (run.path / "plan.yaml").exists() and _resumable(run)
    ]
    if not runs:
        raise BadInput(
            f"There is no unfinished run in {str(project.runs.root)!r}.",
            remedy="Start a new one: mlagent execute",
        )
    return runs[-1]


def _resumable(run: RunFolder) -> bool:
    """A run of `execute` that did not end because its input cannot be used: going on with that
    would end the same way."""
    events = read_journal(run.path / "journal.jsonl")
    tried = any(event.facts.get("command") == "try" for event in events[:1])
    return not tried and not ended_by_bad_input(events)
