"""What a run folder says about a run: its state, its phase, its events. Reads the journal only.

A run is "running" when a process holds its journal open. Where the system has no /proc, that is
known only of runs that this server started.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlagent.contracts.run import JournalEvent
from mlagent.orchestrator.execution import PHASES
from mlagent.store.journal import read_journal
from mlagent.store.runs import RunFolder

from .answers import RunState

PROC = Path("/proc")
JOURNAL = "journal.jsonl"
TITLES = {name: title for name, title, _ in PHASES}


@dataclass(frozen=True)
class RunFacts:
    """A run as its journal tells it.

    Attributes:
        phase: the phase at work or where it stopped; None before the first and in a `try`.
        seconds: time at work so far; of a finished run the wall clock.
        error: the sentence of the phase that failed.
        tier: of the sandbox, T3 a container, T0 a plain process; None before the first event.
    """

    run: RunFolder
    state: RunState
    phase: str | None
    done: tuple[str, ...]
    seconds: float
    budget_s: float | None
    verdict: str | None
    error: str | None
    events: tuple[JournalEvent, ...]
    tier: str | None


def facts_of(run: RunFolder, *, alive: bool) -> RunFacts:
    """Read one run.

    Args:
        alive: whether a process is at work on it.

    Raises:
        BadInput: the journal was edited or damaged.
    """
    events = tuple(read_journal(run.path / JOURNAL))
    started = [event for event in events if event.kind in ("run.start", "run.resumed")]
    budget = float(started[0].facts["budget_s"]) if started else None
    begun = [str(event.facts["phase"]) for event in events if event.kind == "phase.start"]
    done = tuple(str(event.facts["phase"]) for event in events if event.kind == "phase.done")
    seconds = events[-1].elapsed_s if events else 0.0
    state: RunState = "stopped"
    verdict = error = None
    if run.finished:
        manifest = run.manifest()
        state, seconds, verdict = "finished", manifest.wall_s, manifest.verdict
    elif alive:
        state = "running"
        if events:
            seconds += max(0.0, time.time() - datetime.fromisoformat(events[-1].at).timestamp())
    elif events and events[-1].kind == "phase.failed" and not _interrupted(events[-1]):
        state, error = "failed", str(events[-1].facts["message"])
    phase = None if state == "finished" or not begun else begun[-1]
    return RunFacts(
        run,
        state,
        phase,
        tuple(dict.fromkeys(done)),
        round(seconds, 1),
        budget,
        verdict,
        error,
        events,
        str(started[-1].facts["tier"]) if started and "tier" in started[-1].facts else None,
    )


def _interrupted(event: JournalEvent) -> bool:
    """A phase that was interrupted ends as failed with Interrupted: a stop, not a failure."""
    return bool(event.facts["error"] == "Interrupted")


def holders(run: RunFolder) -> Iterator[int]:
    """Processes of this user that hold the run's journal open: the ones at work on it."""
    wanted = str((run.path / JOURNAL).resolve())
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if (
            entry.name.isdigit()
            and int(entry.name) != os.getpid()
            and wanted in open_journals(entry)
        ):
            yield int(entry.name)


def open_journals(entry: Path) -> list[str]:
    """The journals that a process holds open for writing; none when it is another user's.

    A busy process closes files while its list is read: one that is gone takes no other with it.
    """
    found: list[str] = []
    try:
        links = list((entry / "fd").iterdir())
    except OSError:
        return found
    for link in links:
        with suppress(OSError):
            name = str(link.readlink())
            if name.endswith(JOURNAL) and _writes(entry / "fdinfo" / link.name):
                found.append(name)
    return found


def _writes(info: Path) -> bool:
    """Whether a descriptor was opened for writing: a reader of the journal is not its run."""
    flags = next((line for line in info.read_text().splitlines() if line.startswith("flags:")), "")
    return bool(flags) and bool(int(flags.split()[1], 8) & (os.O_WRONLY | os.O_RDWR))


def at_work(run: RunFolder) -> bool:
    """Whether some process works on this run. False where the system cannot say."""
    return not run.finished and any(True for _ in holders(run))


def run_of_process(pid: int, runs: Path, before: frozenset[str]) -> RunFolder | None:
    """The run that a process works on; without /proc the one folder that was not there `before`."""
    if PROC.is_dir():
        root = runs.resolve()
        for name in open_journals(PROC / str(pid)):
            path = Path(name)
            if path.name == JOURNAL and path.parent.parent == root:
                return RunFolder(runs / path.parent.name)
        return None
    fresh = [path for path in sorted(runs.glob("*/" + JOURNAL)) if path.parent.name not in before]
    return RunFolder(fresh[-1].parent) if fresh else None
