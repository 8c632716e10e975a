"""A report that another job wrote, and whether its gates were held against the base commit.

Guarantees: until they were, the report has a required gate that is not measured, whatever the file
says, so nobody reads it as passed: neither the comment nor the exit code of `--gates`. Does not:
check anything itself; `posting.check_gates` does.
"""

from __future__ import annotations

from pydantic import PrivateAttr

from mlagent.contracts.pr_report import PrGate, PrReport

UNCHECKED = (
    "The gates of this report were not checked against the base commit: the file of another job "
    "says what it likes."
)
REMEDY = "Post it from a clone that holds the pull request's base commit (fetch-depth: 0)."
GATE = PrGate(
    name="gates-of-the-base",
    metric="gates",
    comparison="at_least",
    required=True,
    outcome="not measured",
    source="base commit",
    evidence=f"{UNCHECKED} {REMEDY}",
)


class ForeignReport(PrReport):
    """As it was read from a file."""

    _checked: bool = PrivateAttr(default=False)

    @property
    def checked(self) -> bool:
        """Whether the gates are those of the base commit."""
        return self._checked

    def mark_checked(self) -> None:
        """The gates were held against the base commit's."""
        self._checked = True

    @property
    def failed(self) -> tuple[PrGate, ...]:
        """Required gates that did not pass; that they are unchecked is one, the first."""
        return super().failed if self._checked else (GATE, *super().failed)


def unchecked(report: PrReport) -> bool:
    """Whether the gates of this report are only what its file says."""
    return isinstance(report, ForeignReport) and not report.checked
