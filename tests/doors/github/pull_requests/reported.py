"""The report of a pull request's change, and what it says."""

from __future__ import annotations

from pull_projects import Heads

from mlagent.content import Content
from mlagent.contracts.pr_report import PrReport
from mlagent.doors.github.comment import Links, compose
from mlagent.doors.github.reporting import build_report
from mlagent.doors.github.workflow_event import Event


def report_of(heads: Heads, base: str | None = "main", event: Event | None = None) -> PrReport:
    return build_report(heads.folder, None, base, event)


def text_of(report: PrReport) -> str:
    return compose(report, Content(), "default", Links()).text


def gate(report: PrReport, name: str) -> str:
    (found,) = [one.outcome for one in report.gates if one.name == name]
    return found
