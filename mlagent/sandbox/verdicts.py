"""From what the operating system or the engine said to a verdict and its sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlagent.contracts.ports import Job, Limits, Verdict

from .sanitize import clean_line

Killed = Literal["time", "output", "memory", "stopped"]
"""Why we killed a job ourselves. `stopped`: the user wanted the best so far."""
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class End:
    """The raw facts of a job's end.

    `code`: exit code as a shell shows it (128 + signal), None when the job is gone. `by_us`: why we killed it, if we did.
    """

    code: int | None
    by_us: Killed | None = None
    oom: bool = False
    inner_timeout: bool = True


def judge(end: End, limits: Limits, log: str) -> tuple[Verdict, str]:
    """The verdict and one sentence for people. `log` gives the last line of a traceback."""
    if end.by_us == "memory" or (end.oom and end.code not in (0, None)):
        return (
            "memory",
            f"The code used more than its {limits.memory_mb} MB of memory and was killed.",
        )
    if end.by_us in ("time", "stopped") or (end.code == 124 and end.inner_timeout):
        if end.by_us == "stopped":
            return "stopped", "The code was stopped before its time was over, on request."
        return "time", f"The code was stopped at its time limit of {limits.wall_s:g} s."
    if end.by_us == "output":
        return "output", "The code wrote more than it may and was killed."
    if end.code is None:
        return "vanished", "The container was removed from outside while the code ran."
    if end.code == 0:
        child = " A child process was killed for using too much memory." if end.oom else ""
        return "ok", f"The code ended by itself.{child}"
    if end.code == 159:
        return "forbidden", "The code was killed for a system call that the sandbox forbids."
    if end.code in (137, 143):
        return "killed", "The code was killed from outside the sandbox."
    if end.code == 153:
        return "output", f"The code wrote a file of more than {limits.output_mb} MB and was killed."
    return "exit", f"The code failed (exit code {end.code}){_last_line(log)}."


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return f": {clean_line(lines[-1], 300).rstrip('.')}" if lines else ""


def refuse_class(job: Job, tier: str) -> str:
    """The sentence for a job whose code is too little trusted for `tier`."""
    whose = {"C": "edited by hand", "D": "from a model or a stranger"}.get(job.code, "shipped")
    return f"{job.name!r} runs code that is {whose}; the {tier} cannot hold it."
