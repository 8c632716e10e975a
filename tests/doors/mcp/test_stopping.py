"""How a stop is seen: by the processes that hold a journal, and by what they leave behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp", reason="the extra mlagent[mcp] is not installed")

from mlagent.doors.mcp.calls import Desk
from mlagent.doors.mcp.children import Child, stop_run
from mlagent.doors.mcp.roots import Place, Roots
from mlagent.doors.mcp.run_answers import run_answer
from mlagent.doors.mcp.runs import open_journals
from mlagent.store.journal import FileJournal
from mlagent.store.runs import RunFolder, Runs

BUSY = """
import os, sys
low = [os.open(os.devnull, os.O_RDONLY) for _ in range(6)]
journal = open(sys.argv[1], "ab", buffering=0)
for each in low:
    os.close(each)
print("ready", flush=True)
while True:
    for each in [os.open(os.devnull, os.O_RDONLY) for _ in range(6)]:
        os.close(each)
"""
"""Holds a journal behind descriptors that come and go."""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
journal = open(sys.argv[1], "ab", buffering=0)
print("ready", flush=True)
time.sleep(600)
"""


def new_run(folder: Path) -> RunFolder:
    return Runs(folder / "runs").create(datetime(2026, 1, 1, tzinfo=UTC))


def started(code: str, run: RunFolder) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, str(run.path / "journal.jsonl")],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"ready\n"
    return process


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_busy_process_is_seen_each_time(tmp_path: Path) -> None:
    """Else the second of two signals is lost, and a run that was told to stop goes to its end."""
    process = started(BUSY, new_run(tmp_path))
    try:
        entry = Path("/proc") / str(process.pid)
        assert all(open_journals(entry) for _ in range(3000))
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_what_another_server_started_is_killed_when_it_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlagent.doors.mcp.children.GRACE_S", 0.3)
    run = new_run(tmp_path)
    process = started(DEAF, run)
    anyio.run(stop_run, run, None)
    assert process.wait(5) == -9


@pytest.mark.parametrize(
    ("events", "code", "told", "state"),
    [
        (("Interrupted",), 1, False, "stopped"),  # the phase that was cut left with its own code
        (("Interrupted",), 2, True, "stopped"),
        ((), 1, True, "stopped"),  # cut between two phases, or before Python handles signals
        ((), -15, True, "stopped"),
        ((), 130, False, "stopped"),
        ((), -9, False, "stopped"),
        ((), 1, False, "failed"),
        (("SandboxBroken",), 1, False, "failed"),
    ],
)
def test_what_was_told_to_stop_has_not_failed(
    tmp_path: Path, events: tuple[str, ...], code: int, told: bool, state: str
) -> None:
    run = new_run(tmp_path)
    with FileJournal(run.path / "journal.jsonl") as journal:
        journal.append("run.start", command="execute", budget_s=60.0)
        journal.append("phase.start", phase="read")
        for error in events:
            journal.append("phase.failed", phase="read", error=error, message="Cut.")
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", f"import os; os.{ending(code)}"])
    process.wait()
    assert process.returncode == code
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        child = Child(process, output, log, tmp_path / "runs", frozenset(), told_to_end=told)
        place = Place(tmp_path, Roots((tmp_path,), "client"))
        said: Any = run_answer(place, Desk(children={run.id: child}), run)
    assert said.structured_content["state"] == state, said


def ending(code: int) -> str:
    return f"_exit({code})" if code >= 0 else f"kill(os.getpid(), {-code})"
