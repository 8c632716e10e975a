"""The doors between rooms: the sandbox, the journal, the progress display.

Implementations live on floor 2 and do not know each other; `orchestrator/wiring.py` chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

CodeClass = Literal["B", "C", "D"]
"""Whose code runs: B shipped template, C edited by the user, D written by a model or a stranger."""
Tier = Literal["T0", "T1", "T2", "T3"]
Verdict = Literal[
    "ok",  # exit code 0
    "exit",  # the code ended by itself with another exit code
    "time",  # killed at the deadline
    "memory",  # killed by the memory limit
    "output",  # killed, or refused, for too much output
    "forbidden",  # killed for a system call that the profile forbids
    "killed",  # killed from outside
    "vanished",  # removed from outside while it ran
    "stopped",  # `stop` said so (Ctrl-C); outputs are collected as at the deadline
]
"""How a job ended. A broken sandbox is not a verdict: it raises SandboxBroken."""


def never() -> bool:
    """For what no Ctrl-C ends."""
    return False


@dataclass(frozen=True)
class Limits:
    """What a job may use. `wall_s` ends in SIGTERM, 5 s later SIGKILL."""

    wall_s: float
    memory_mb: int
    cpus: float = 2.0
    pids: int = 256
    output_mb: int = 512
    output_files: int = 200
    tmp_mb: int = 256
    stdout_kb: int = 256


@dataclass(frozen=True)
class Job:
    """One command of the runner (`sandbox/runner.py`), its inputs and what may come out.

    Attributes:
        name: for people and labels: "fit option_b".
        command: runner command: fit, predict, folds, script ...
        args: further words for the runner; never a secret, never data.
        inputs: name below /in -> file or folder on the host. Copied or mounted read-only.
        outputs: file names (or `*.npy` patterns) allowed out of /out -> largest size in bytes.
        into: existing host folder where collected files land.
        limits: see Limits.
        code: whose code it is; a tier that is too weak for it refuses (PrerequisiteMissing).
        keep_on_deadline: collect outputs after a kill at the deadline as well (anytime `fit`).
    """

    name: str
    command: str
    inputs: Mapping[str, Path]
    outputs: Mapping[str, int]
    into: Path
    limits: Limits
    args: tuple[str, ...] = ()
    code: CodeClass = "D"
    keep_on_deadline: bool = True


@dataclass(frozen=True)
class Collected:
    """A file that came out, already on the host, size-checked, a regular file."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `sentence` is for people; `log`: sanitised head and tail of the output."""

    verdict: Verdict
    sentence: str
    exit_code: int | None
    wall_s: float
    log: str
    files: Mapping[str, Collected] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    child_oom: bool = False

    @property
    def ok(self) -> bool:
        """True when the job ended by itself with exit code 0."""
        return self.verdict == "ok"


OnLine = Callable[[str], None]


class Sandbox(Protocol):
    """Runs jobs. Not an error: any way in which the code inside ends (that is a Verdict).

    Raises:
        SandboxBroken: the engine failed; says nothing about the code.
        PrerequisiteMissing: no engine, no image, a package absent from the image, or the tier is
            too weak for the job's code class.
    """

    tier: Tier
    image: str | None

    def run(
        self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
    ) -> Outcome:
        """Run one job to its end.

        `on_line` gets each sanitised stdout line while it runs. `stop` is asked a few times a
        second: True ends the job like the deadline does (verdict `stopped`).
        """
        ...

    def packages(self) -> dict[str, str]:
        """Versions of the packages inside: name (as on PyPI, lower case) -> version."""
        ...

    def describe(self) -> str:
        """One line for the top of the output: 'Docker 20.10.24, image ab12..., network none'."""
        ...

    def enforced(self) -> frozenset[str]:
        """Which promises this tier keeps, of: network, memory, pids, disk, wall, stdout,
        filesystem, user, syscalls, environment. The ledger reads it."""
        ...

    def close(self) -> None:
        """Remove everything this sandbox made. Idempotent."""
        ...


class Journal(Protocol):
    """Append-only, hash-chained events of one run."""

    def append(self, kind: str, /, **facts: Any) -> None:
        """Write one event, flushed before returning."""
        ...


class Progress(Protocol):
    """What the user sees while it runs. Never gets raw cells."""

    def phase(self, name: str, detail: str = "") -> None: ...

    def update(self, /, **facts: Any) -> None:
        """Known facts: candidate, trials, best, seconds_left."""
        ...

    def say(self, sentence: str) -> None: ...

    def ask(self, question: str, stop: Callable[[], bool] = never) -> str | None:
        """The user's answer; None when nobody is at a terminal, or nobody answers in time.

        Args:
            stop: asked while it waits; True ends it.
        """
        ...
