"""Long work in a child process: `python -P -m mlagent execute|try ... --json`, in the project.

Guarantees: the child imports nothing from the project folder (`-P`); its output never reaches the
server's stdout; it leads a session of its own, so that a client that goes away does not tear it; a
child that is ended gets what two Ctrl-C give, which keeps the journal resumable. Does not end a
background run when the server ends: it goes on, and any later server can stop it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import anyio

from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.store.runs import RunFolder, Runs

from .runs import holders, run_of_process

POLL_S = 0.2
SECOND_SIGNAL_S = 0.4
"""Between the two Ctrl-C: the first ends training, the second leaves within 2 s, resumable."""
GRACE_S = 10.0
"""After the second Ctrl-C; then the child is killed, which the journal survives as well."""


@dataclass
class Child:
    """One `mlagent execute` or `mlagent try` at work.

    Attributes:
        before: run folders that were there when it started.
        told_to_end: it was asked to stop, so that whatever it says at the end is no failure.
    """

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    log: IO[bytes]
    runs: Path
    before: frozenset[str]
    told_to_end: bool = False

    @property
    def alive(self) -> bool:
        """Whether it is still at work."""
        return self.process.poll() is None

    def run(self) -> RunFolder | None:
        """The run that it works on; None before it has made one."""
        return run_of_process(self.process.pid, self.runs, self.before)

    def answer(self) -> dict[str, Any]:
        """The JSON document of a child that has ended well.

        Raises:
            MlagentError: it failed; with the sentence that it wrote.
        """
        document = self._document()
        if self.process.returncode == 0 and document is not None:
            return document
        if document is not None and document.get("schema") == "mlagent/error/v1":
            raise MlagentError(str(document["message"]), remedy=str(document["remedy"]))
        raise MlagentError(
            f"mlagent ended with the code {self.process.returncode} and said no more than: "
            f"{self.last_words()!r}.",
            remedy="`mlagent doctor` checks this machine.",
        )

    def _document(self) -> dict[str, Any] | None:
        self.output.seek(0)
        try:
            found = json.loads(self.output.read())
        except ValueError:
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    def last_words(self) -> str:
        """The last line of its progress or of its stderr."""
        size = os.fstat(self.log.fileno()).st_size
        text = os.pread(self.log.fileno(), 2000, max(0, size - 2000)).decode("utf-8", "replace")
        return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def start(folder: Path, words: Sequence[str]) -> Child:
    """Start `mlagent WORDS --json` in this folder."""
    runs = Runs(folder / "runs")
    before = frozenset(run.id for run in runs.all())
    # Unnamed files: nothing is left behind, and the child may outlive the server.
    output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlagent", *words, "--json"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=log,
        start_new_session=True,
    )
    return Child(process, output, log, runs.root, before)


async def wait_for_run(child: Child) -> RunFolder:
    """The run folder of a fresh child. Raises MlagentError when it ends without one."""
    while True:
        alive = child.alive
        found = child.run()
        if found is not None:
            return found
        if not alive:
            document = child.answer()
            return RunFolder(child.runs / str(document["run"]))
        await anyio.sleep(POLL_S)


async def end(child: Child) -> None:
    """End a child as two Ctrl-C do."""
    child.told_to_end = True
    for _ in range(2):
        child.process.send_signal(signal.SIGINT)  # does nothing when it has ended
        await anyio.sleep(SECOND_SIGNAL_S)
    with anyio.move_on_after(GRACE_S):
        while child.alive:
            await anyio.sleep(POLL_S)
    if child.alive:
        child.process.kill()
        await anyio.to_thread.run_sync(child.process.wait)


async def stop_run(run: RunFolder, mine: Child | None) -> None:
    """End whatever works on this run, here or started elsewhere, as two Ctrl-C do.

    Args:
        mine: the child of this server that works on it, or did.

    Raises:
        BadInput: nothing is at work on it.
    """
    if mine is not None and mine.alive:
        await end(mine)
        return
    if not any(True for _ in holders(run)):
        raise BadInput(
            f"Nothing is at work on the run {run.id}.",
            remedy="mlagent_run_status says how it stands.",
        )
    for number in (signal.SIGINT, signal.SIGINT):
        _send(run, number)
        await anyio.sleep(SECOND_SIGNAL_S)
    if not await _left(run):
        _send(run, signal.SIGKILL)
        await _left(run)


def _send(run: RunFolder, number: signal.Signals) -> None:
    for pid in list(holders(run)):
        with suppress(ProcessLookupError):  # it has ended since it was listed
            os.kill(pid, number)


async def _left(run: RunFolder) -> bool:
    """Whether nobody works on the run any more, after GRACE_S at most."""
    with anyio.move_on_after(GRACE_S):
        while any(True for _ in holders(run)):
            await anyio.sleep(POLL_S)
        return True
    return False
