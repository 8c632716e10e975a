"""The error tree. One place (`cli/`) turns an error into an exit code.

    MlagentError            1  the run failed
    ├── BadInput            2  usage, a file, a plan, a table: the user can mend it
    ├── GatesNotMet         3  `--check` and a required gate failed
    ├── PrerequisiteMissing 4  an engine, a package or a library is absent
    ├── SandboxBroken       1  the sandbox itself failed (never a score of 0)
    └── Interrupted       130  stopped by the user; resumable

Every error is a sentence: what was wrong, where, and (in `remedy`) what to do. Imports nothing, so
the command line can show an error without loading pydantic.
"""

from __future__ import annotations


class MlagentError(Exception):
    """Base of every error that mlagent raises on purpose.

    Args:
        message: one sentence: what was wrong and where, values as `!r`.
        remedy: what the user can do about it; empty when there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class BadInput(MlagentError):
    """The user gave something that cannot be used: a flag, a file, a plan, a table."""

    exit_code = 2


class GatesNotMet(MlagentError):
    """`--check` was given and a required quality gate was not met."""

    exit_code = 3


class PrerequisiteMissing(MlagentError):
    """Something that mlagent needs is absent from this machine or image."""

    exit_code = 4


class SandboxBroken(MlagentError):
    """The sandbox itself failed: engine gone, connection cut. No verdict about the code inside."""


class Interrupted(MlagentError):
    """The user stopped the run; it can be resumed."""

    exit_code = 130
