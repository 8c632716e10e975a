"""The composition root: chooses the sandbox, the clock, the templates' environment, and builds the
bench."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from mlagent.agents.jobs import Desk
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import PrerequisiteMissing
from mlagent.contracts.ports import CodeClass, Progress, Sandbox
from mlagent.sandbox.choose import choose_sandbox
from mlagent.sandbox.engine import connect, engine_line
from mlagent.sandbox.limits import default_memory_mb
from mlagent.settings import Settings
from mlagent.store.journal import FileJournal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder
from mlagent.templates.environment import render

from .planning import load_policies
from .signals import on_ctrl_c
from .state import Bench, StopFlag


def engine_name() -> str:
    """'Docker 20.10.24', or 'none' when no engine answers."""
    try:
        client = connect()
    except PrerequisiteMissing:
        return "none"
    try:
        return engine_line(client)
    finally:
        client.close()


SANDBOX_PACKAGES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "lightgbm",
    "catboost",
    "optuna",
    "duckdb",
)


def planned_packages() -> dict[str, str]:
    """Packages of the sandbox that `execute` would use: of the image's lock, else of this
    Python."""
    content = Content()
    locked = content.path("sandbox/requirements.lock")
    found: dict[str, str] = {}
    for line in locked.read_text(encoding="utf-8").splitlines():
        name, sign, rest = line.partition("==")
        if sign and not name.startswith((" ", "#")):
            found[name.strip().lower()] = rest.split()[0].rstrip("\\").strip()
    return found


def host_packages() -> dict[str, str]:
    """Versions on the host of the packages that matter for a score."""
    found = {}
    for name in (*SANDBOX_PACKAGES, "pydantic", "docker"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Opened(NamedTuple):
    """A sandbox and, below T3, why it is not a container."""

    sandbox: Sandbox
    reason: str


def open_sandbox(content: Content, need: CodeClass) -> Opened:
    """The strongest sandbox here for this class of code. Raises PrerequisiteMissing."""
    choice = choose_sandbox(content=content, need=need)
    return Opened(choice.sandbox, choice.reason)


STOPPING = "Stopping after the current step; the best model so far is kept."
AGAIN = "Press Ctrl-C again to stop now."


@contextmanager
def interruptible(
    stop: StopFlag, say: Callable[[str], None], first: str = STOPPING
) -> Iterator[None]:
    """First Ctrl-C (or SIGTERM) ends training, the second leaves.

    Args:
        say: shows a sentence at once.
        first: what the first one does.
    """

    def handle() -> None:
        if not stop():
            try:
                say(f"{first} {AGAIN}")
            except RuntimeError:  # it came in the middle of a print, which cannot be entered twice
                os.write(2, f"\n{first} {AGAIN}\n".encode())
        stop.press()

    with on_ctrl_c(handle):
        yield


def build_bench(
    *,
    content: Content,
    sandbox: Sandbox,
    project: Project,
    run: RunFolder,
    journal: FileJournal,
    settings: Settings,
    progress: Progress,
    scratch: Path,
    memory_mb: int | None,
    started: float,
    stop: StopFlag,
    clock: Callable[[], float] = time.monotonic,
) -> Bench:
    """Put everything on the table for one run."""
    contracts, policies = load_contracts(content), load_policies(content)
    cpus = settings.sandbox.cpus or len(os.sched_getaffinity(0))
    desk = Desk(
        content=content,
        sandbox=sandbox,
        journal=journal,
        progress=progress,
        scratch=scratch,
        clock=clock,
        memory_mb=memory_mb or settings.sandbox.memory_mb or default_memory_mb(),
        cpus=cpus,
        stop=stop,
        contracts=contracts,
        retries=policies.execution.retries.contract_error,
    )
    return Bench(
        desk=desk,
        project=project,
        run=run,
        journal=journal,
        settings=settings,
        contracts=contracts,
        policies=policies,
        render=lambda name, values: render(content, name, **values),
        clock=clock,
        now=lambda: datetime.now(UTC),
        started=started,
        stop=stop,
    )


def default_memory() -> int:
    """MB for one job when nobody says otherwise: 60 % of what is free."""
    return default_memory_mb()
