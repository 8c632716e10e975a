"""report.html and explore.html: one self-contained page each, made from records.

Guarantees: no resource of another machine is named, whatever comes from data is escaped, every
number comes from a record through `numbers`. Does not compute a score, and does not decide
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlagent.contracts.base import Role
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.findings import Analysis, Exploration
from mlagent.contracts.plan import AgentPlan, OptionName
from mlagent.contracts.run import Environment, Ledger, Seal
from mlagent.contracts.search import SearchTree
from mlagent.contracts.task import DataRef, TaskSpec
from mlagent.contracts.usage import Bill

Render = Callable[[str, Mapping[str, object]], str]
"""`render(template name, values)`: a sandboxed Jinja environment, strict, escaping `.html.j2`."""


@dataclass(frozen=True)
class ReportData:
    """Everything a page may show.

    Attributes:
        title: the user's sentence.
        selection: the chosen option of each agent.
        ran: what each agent's turn really was, in a sentence; the plan's options say what was
            expected.
        notes: sentences about this run (a sample was used, the clock decided, ...).
        reproduce: the command line that repeats the run.
        until_report_s: seconds of wall clock until this page was written; the total is known to
            the manifest only.
        phases: name and seconds of each phase before this page.
        search, bill: what Claude wrote and what that cost; None without it.
    """

    title: str
    run_id: str
    task: TaskSpec
    data: DataRef
    evaluation: Evaluation
    exploration: Exploration | None
    analysis: Analysis | None
    ledger: Ledger
    environment: Environment
    seal: Seal | None
    agent_plans: Mapping[Role, AgentPlan]
    selection: Mapping[Role, OptionName]
    reproduce: str
    until_report_s: float
    budget_s: float
    notes: tuple[str, ...] = ()
    ran: Mapping[Role, str] = field(default_factory=dict)
    phases: tuple[tuple[str, float], ...] = ()
    search: SearchTree | None = None
    bill: Bill | None = None


def render_report(render: Render, data: ReportData, into: Path) -> None:
    """Write report.html."""
    from .sections import report_values

    into.write_text(render("report/report.html.j2", report_values(data)), encoding="utf-8")


def render_explore(render: Render, exploration: Exploration, into: Path) -> None:
    """Write explore.html."""
    from .columns import explore_values

    into.write_text(render("report/explore.html.j2", explore_values(exploration)), encoding="utf-8")
