"""From what the operating system or the engine said to a verdict and its sentence. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mlagent.contracts.errors import PrerequisiteMissing
from mlagent.contracts.ports import Job, Limits, Outcome, Verdict

from .collect import Collection
from .sanitize import clean_line

Killed = Literal["time", "output", "memory", "stopped"]
"""Why we killed a job ourselves. `stopped`: the user wanted the best so far."""
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class End:
    """The raw facts of a job's end.

    `code`: exit code as a shell shows it (128 + signal), None when the job is gone. `by_us`: why
    we killed it, if we did.
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


def outcome_of(job: Job, end: End, wall_s: float, log: str, taken: Collection) -> Outcome:
    """What a tier returns for a job that has ended. Raises PrerequisiteMissing for shipped code
    that failed for something absent here.
    """
    verdict, sentence = judge(end, job.limits, log)
    if missing := missing_prerequisite(job, verdict, log):
        raise missing
    if taken.overflow and verdict == "ok":
        verdict, sentence = "output", "The code left more output than it may."
    return Outcome(
        verdict=verdict,
        sentence=sentence,
        exit_code=end.code,
        wall_s=wall_s,
        log=log,
        files=taken.files,
        refused=tuple(taken.refused),
        child_oom=end.oom and verdict == "ok",
    )


def missing_prerequisite(job: Job, verdict: Verdict, log: str) -> PrerequisiteMissing | None:
    """The error to raise when shipped code failed for something absent here, else None.

    Only for class B: what other code prints proves nothing. In `folds` and `bundle` a child may
    have failed although the job ended well.
    """
    if job.code != "B" or (verdict == "ok" and job.command not in ("folds", "bundle")):
        return None
    if found := re.search(r"lib(?:gomp\.so\.1|omp\.dylib)", log):
        return PrerequisiteMissing(
            f"The system library {found[0]!r}, which LightGBM needs, is missing.",
            remedy="apt-get install libgomp1 (Debian), dnf install libgomp (Fedora), "
            "brew install libomp (macOS).",
        )
    if found := re.search(r"^ModuleNotFoundError: No module named '([\w.]{1,80})'", log, re.M):
        return PrerequisiteMissing(
            f"The package {found[1]!r} is absent where the code runs ({job.name}).",
            remedy="With Docker: `mlagent sandbox build`. Without: `pip install` it.",
        )
    return None


_EXCEPTION = re.compile(
    r"[A-Za-z_][\w.]*(Error|Exception|Warning|Interrupt|Exit|Iteration|Undefined)\b"
)


def _last_line(log: str) -> str:
    """What the code died of: the exception with its first line, else the last line of all."""
    lines = [line for line in log.splitlines() if line.strip()]
    named = [line for line in lines if _EXCEPTION.match(line)]
    last = (named or lines)[-1:]
    return f": {clean_line(last[0], 300).rstrip('.')}" if last else ""


def refuse_class(job: Job, tier: str) -> str:
    """The sentence for a job whose code is too little trusted for `tier`."""
    whose = {"C": "edited by hand", "D": "from a model or a stranger"}.get(job.code, "shipped")
    return f"{job.name!r} runs code that is {whose}; the {tier} cannot hold it."
