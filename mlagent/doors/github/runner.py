"""Work for the bot in a child process: `python -P -m mlagent ... --json` in a checkout.

Guarantees: the child imports nothing from the checkout (`-P`), holds neither the token nor the
webhook's secret, and ends with the time limit, with the bot, or, when the bot was killed, with the
bot's next start. Does not: contain what it runs; `mlagent` puts that into its sandbox.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from mlagent.contracts.errors import MlagentError

MARK = "MLAGENT_BOT_STATE"
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "DOCKER_HOST",
    "LD_LIBRARY_PATH",
)
"""What a child gets of the bot's environment; no secret is among it."""
MOST_OUTPUT = 64 * 2**20
POLL_S = 0.1
BETWEEN_SIGNALS_S = 0.5
GRACE_S = 10.0
PROC = Path("/proc")


class ChildFailed(MlagentError):
    """`mlagent` said no. `kind` is the name of its error, such as BadInput."""

    def __init__(self, kind: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.kind = kind


class Stopped(Exception):
    """The bot is going down; the job stays in the queue."""


class Runner:
    """Runs `mlagent` commands one at a time.

    Args:
        state: folder of the bot; marks its children.
        stop: set when the bot goes down.
    """

    def __init__(self, state: Path, stop: threading.Event) -> None:
        self._state, self._stop = str(state.resolve()), stop

    def run(
        self,
        words: Sequence[str],
        folder: Path,
        *,
        seconds: float,
        extra: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON document of `mlagent WORDS` in this folder.

        Args:
            words: with `--json` among them.
            seconds: after which it is ended.
            extra: further environment.

        Raises:
            ChildFailed: it ended with an error, or took longer than `seconds`.
            Stopped: the bot goes down.
        """
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {MARK: self._state, **(extra or {})}
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mlagent", *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                self._wait(process, words[0], seconds)
            finally:
                end(process)
            output.seek(0)
            return _answer(process.returncode, output.read(MOST_OUTPUT))

    def _wait(self, process: subprocess.Popen[bytes], verb: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while process.poll() is None:
            if self._stop.wait(POLL_S):
                raise Stopped
            if time.monotonic() > deadline:
                raise ChildFailed("Time", f"`mlagent {verb}` was ended after {seconds:.0f} s.")


def _answer(code: int, output: bytes) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        found = None
    document = cast("dict[str, Any]", found) if isinstance(found, dict) else None
    if code == 0 and document is not None:
        return document
    if document is not None and document.get("schema") == "mlagent/error/v1":
        raise ChildFailed(
            str(document["error"]), str(document["message"]), remedy=str(document["remedy"])
        )
    raise ChildFailed("Defect", f"`mlagent` ended with the code {code} and no answer.")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a child as two Ctrl-C do, which cleans up its containers; then by force."""
    for _ in range(2):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(BETWEEN_SIGNALS_S)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_leftovers(state: Path) -> int:
    """End children of an earlier bot with this state folder that was killed. How many.

    Where the system has no /proc, none is found.
    """
    wanted = f"{MARK}={state.resolve()}".encode()
    found = []
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(found)
