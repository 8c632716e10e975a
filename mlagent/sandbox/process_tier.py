"""T0: a plain process with limits, for class B code (shipped with mlagent) where no container
engine exists.

Guarantees: wall time, printed output, an allow-listed environment, a fresh working folder, and on
Linux the memory of the whole session, watched four times a second. Does not guarantee: network,
file system, number of processes, system
calls: the code runs as the user and could read every file of the user. `enforced()` says so and
the ledger repeats it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mlagent.content import Content
from mlagent.contracts.errors import PrerequisiteMissing, SandboxBroken
from mlagent.contracts.ports import Job, Limits, OnLine, Outcome, Tier

from .collect import Collection, collect_folder
from .drain import Drain
from .environment import thread_environment
from .openmp import library_path
from .session import Session
from .staging import cache_root, run_folder, stage
from .verdicts import GRACE_S, End, Killed, outcome_of, refuse_class

_LAUNCH = 'ulimit -c 0; ulimit -n 1024; ulimit -f "$0"; exec "$@"'
"""POSIX sh counts files in blocks of 512 bytes. A launcher instead of preexec_fn: safe beside
threads.
"""
_WATCH_S = 0.25


class ProcessSandbox:
    """Runs class B jobs as subprocesses of this interpreter. See the module's first lines for
    what it cannot do.
    """

    tier: Tier = "T0"
    image: str | None = None

    def __init__(
        self,
        content: Content,
        *,
        python: str = sys.executable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = content.path("sandbox/runner.py")
        self._python = python
        self._clock = clock

    def run(
        self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
    ) -> Outcome:
        """See the port. Raises PrerequisiteMissing for code that is not class B."""
        if job.code != "B":
            raise PrerequisiteMissing(
                refuse_class(job, "plain process (T0)"),
                remedy="Install Docker, start it, and run `mlagent sandbox build`.",
            )
        with run_folder() as folder:
            stage(job.inputs, self._runner, folder / "in")
            for name in ("out", "home"):
                (folder / name).mkdir()
            drain = Drain(job.limits.stdout_kb, on_line)
            started = self._clock()
            end = self._execute(job, folder, drain, stop or (lambda: False))
            wall_s = self._clock() - started
            taken = Collection()
            if end.by_us is None or job.keep_on_deadline:
                taken = collect_folder(
                    folder / "out",
                    job.outputs,
                    job.into,
                    total_bytes=job.limits.output_mb << 20,
                    entries=job.limits.output_files,
                )
        return outcome_of(job, end, wall_s, drain.text(), taken)

    def _execute(self, job: Job, folder: Path, drain: Drain, stop: Callable[[], bool]) -> End:
        words = [self._python, "-u", "-B", "-P", "-s", str(folder / "in" / "runner.py")]
        words += [job.command, "--in", str(folder / "in"), "--out", str(folder / "out"), *job.args]
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _LAUNCH, str(job.limits.output_mb * 2048), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder / "out",
                env=self._environment(job.limits, folder / "home"),
                start_new_session=True,
            )
        except OSError as problem:
            raise SandboxBroken(f"The process could not be started: {problem}.") from problem
        session = Session(process.pid)
        try:
            why = self._watch(process, session, job.limits, folder / "out", drain, stop)
            code = process.wait()
        finally:
            session.kill(signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        drain.close()
        return End(code=code if code >= 0 else 128 - code, by_us=why, inner_timeout=False)

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        session: Session,
        limits: Limits,
        out: Path,
        drain: Drain,
        stop: Callable[[], bool],
    ) -> Killed | None:
        """Read both streams until the process ends; kill it for time, memory or output. Why, if
        we killed it.
        """
        deadline = self._clock() + limits.wall_s
        why: Killed | None = None
        hard_at = float("inf")
        next_look = self._clock() + _WATCH_S
        with selectors.DefaultSelector() as selector:
            for stream, stdout in ((process.stdout, True), (process.stderr, False)):
                assert stream is not None
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, stdout)
            while process.poll() is None:
                for key, _ in selector.select(0.05):
                    if not self._read(key, drain):
                        selector.unregister(key.fileobj)
                if not selector.get_map():
                    time.sleep(0.01)
                now = self._clock()
                reason: Killed | None = None
                if drain.flooded:
                    reason = "output"
                elif why is None and stop():
                    reason = "stopped"
                elif now >= deadline:
                    reason = "time"
                elif now >= next_look:
                    next_look = now + _WATCH_S
                    if session.memory_mb(limits.memory_mb) > limits.memory_mb:
                        reason = "memory"
                    elif folder_bytes(out) > limits.output_mb << 20:
                        reason = "output"
                if reason and why is None:
                    why = reason
                    soft = reason in ("time", "stopped")
                    session.kill(signal.SIGTERM if soft else signal.SIGKILL)
                    hard_at = now + GRACE_S
                if now >= hard_at:
                    session.kill(signal.SIGKILL)
            for key in list(selector.get_map().values()):
                while self._read(key, drain) and not drain.flooded:
                    pass
        return why

    @staticmethod
    def _read(key: selectors.SelectorKey, drain: Drain) -> bool:
        """Feed what is there. False at the end of the stream, or when nothing is there."""
        try:
            data = os.read(key.fd, 65536)
        except BlockingIOError:
            return False
        drain.feed(data, stdout=key.data)
        return bool(data)

    def _environment(self, limits: Limits, home: Path) -> dict[str, str]:
        environment = thread_environment(limits.cpus) | {
            "PATH": f"{Path(self._python).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(home),
            "MLAGENT_DIE_WITH_PARENT": "1",
        }
        if path := library_path(cache_root()):
            environment["LD_LIBRARY_PATH"] = path
        return environment

    def packages(self) -> dict[str, str]:
        """Distributions of this interpreter."""
        from importlib.metadata import distributions

        found = {(d.metadata["Name"] or "").lower(): d.version for d in distributions()}
        return found | {"python": ".".join(map(str, sys.version_info[:3]))}

    def describe(self) -> str:
        """One line for the top of the output."""
        return (
            "plain process on this machine (T0): time, memory and output are limited; "
            "network and files are not closed off"
        )

    def enforced(self) -> frozenset[str]:
        """The promises kept here; memory only where /proc exists."""
        memory = {"memory"} if Path("/proc/self/stat").exists() else set()
        return frozenset({"wall", "stdout", "environment"} | memory)

    def close(self) -> None:
        """Nothing outlives a job."""


def folder_bytes(folder: Path) -> int:
    """Bytes of the regular files below `folder`, as allocated or as sized, whichever is less;
    links not followed.
    """
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                found = os.lstat(Path(parent, name))
                total += min(found.st_size, found.st_blocks * 512)
    return total
