"""Phase 3: do the selected options fit together, into the budget, and under the contracts?

Guarantees: computed from the plan alone, so a plan edited by hand is judged anew; each conflict has
the severity and resolution of orchestrator/review.yaml; parallel tasks take the maximum, sequential
ones the sum. Does not judge how good an option is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlagent.agents.planned_split import SplitChoice
from mlagent.agents.registry import GIVERS
from mlagent.contracts.base import Role
from mlagent.contracts.contract import Contract
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.plan import (
    AgentPlan,
    Budget,
    Columns,
    Conflict,
    ConflictKind,
    Option,
    OptionName,
    Phase,
    PlannedTask,
    Review,
    Timeline,
)
from mlagent.contracts.policy import Policies
from mlagent.contracts.ports import CodeClass, Tier
from mlagent.contracts.task import DataRef, TaskSpec

KINDS = ("python", "agent", "artifact", "data", "user")
FORBIDDEN: Mapping[str, tuple[str, ...]] = {
    "the network": ("network", "internet", "http:", "https:", "download", "s3:"),
    "rows or labels of the vault": ("vault",),
    "raw rows outside the sandbox": ("raw rows", "raw cells"),
}
"""What no contract allows, and the words in a dependency that ask for it."""
SHORT_S = 30.0
"""A budget below which boosting and ensembles seldom get enough time to beat a straight line."""
NEEDED_TIER: Mapping[CodeClass, Tier] = {"B": "T0", "C": "T1", "D": "T3"}


@dataclass(frozen=True)
class Proposal:
    """What is reviewed: the parts of a plan, and what the sandbox has.

    Attributes:
        split: what the selected analyst option stands for; None without an analyst.
        packages: inside the sandbox; empty when unknown.
        tier: of the sandbox; None when unknown.
        code: whose code the engineer's option runs.
    """

    task: TaskSpec
    data: DataRef | None
    agent_plans: Mapping[Role, AgentPlan]
    selection: Mapping[Role, OptionName]
    columns: Columns
    budget: Budget
    split: SplitChoice | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    tier: Tier | None = None
    code: CodeClass = "B"

    def selected(self) -> dict[Role, tuple[OptionName, Option]]:
        """The chosen option of each agent; names that do not exist are left out."""
        chosen: dict[Role, tuple[OptionName, Option]] = {}
        for role, plan in self.agent_plans.items():
            name = self.selection.get(role, plan.recommendation.selected)
            if name in plan.implementation_options:
                chosen[role] = name, plan.implementation_options[name]
        return chosen


def review(proposal: Proposal, contracts: Mapping[Role, Contract], policies: Policies) -> Review:
    """All conflicts, the refined execution plan, the timeline and the decision."""
    phases = _phases(proposal, policies)
    found = [
        *_technology(proposal),
        *_dependencies(proposal, contracts, phases),
        *_timeline(proposal, phases, policies),
        *_architecture(proposal),
        *_security(proposal, contracts),
    ]
    conflicts = tuple(_conflict(*item, proposal, policies) for item in found)
    timeline = _summary(proposal, phases, conflicts, policies)
    decision, reasons = _decide(proposal, conflicts, timeline, policies)
    return Review(
        decision=decision,
        reasons=reasons,
        conflicts=conflicts,
        warnings=_warnings(proposal),
        refined_execution_plan=phases,
        timeline_summary=timeline,
    )


Decision = Literal["go", "no-go", "conditional-go"]
Found = tuple[ConflictKind, tuple[Role, ...], str]


def _conflict(
    kind: ConflictKind, agents: tuple[Role, ...], what: str, proposal: Proposal, policies: Policies
) -> Conflict:
    rule = policies.review.conflicts[kind]
    agent = agents[0] if agents else "the team"
    option = proposal.selection.get(agents[0], "") if agents else ""
    resolution = (
        rule.resolution.replace("{agent}", agent)
        .replace("{option}", option)
        .replace("{what}", what)
    )
    return Conflict(
        kind=kind, severity=rule.severity, agents=agents, what=what, resolution=resolution
    )


def split_dependency(text: str) -> tuple[str, str]:
    """'python: lightgbm>=4' -> ('python', 'lightgbm>=4'); no colon -> ('', text)."""
    kind, colon, name = text.partition(":")
    return (kind.strip().lower(), name.strip()) if colon else ("", text.strip())


def _technology(proposal: Proposal) -> list[Found]:
    if not proposal.packages:
        return []
    have = {_canonical(name) for name in proposal.packages}
    found: list[Found] = []
    for role, (name, option) in proposal.selected().items():
        for text in option.dependencies:
            kind, package = split_dependency(text)
            if kind == "python" and _canonical(package) not in have:
                what = f"{role} {name} needs the package {package!r}, which the sandbox lacks."
                found.append(("technology_mismatch", (role,), what))
    return found


def _canonical(package: str) -> str:
    """The name as package indexes compare it, without a version."""
    name = package
    for mark in "<>=!~[ ;":
        name = name.split(mark, 1)[0]
    return name.strip().lower().replace("_", "-").replace(".", "-")


def _dependencies(
    proposal: Proposal, contracts: Mapping[Role, Contract], phases: Sequence[Phase]
) -> list[Found]:
    chosen = proposal.selected()
    makers = {
        output.artifact: role
        for role in chosen
        if role in contracts
        for output in contracts[role].outputs
    }
    given = {item.artifact for c in contracts.values() for item in c.inputs if item.from_ in GIVERS}
    order = {task.agent: n for n, phase in enumerate(phases) for task in phase.tasks}
    edges: dict[Role, set[Role]] = {role: set() for role in chosen}
    found: list[Found] = []
    for role, (name, option) in chosen.items():
        needed = [
            item.artifact
            for item in (contracts[role].inputs if role in contracts else ())
            if item.required and item.from_ not in GIVERS
        ]
        for text in option.dependencies:
            kind, thing = split_dependency(text)
            if kind == "artifact" and thing not in needed:
                needed.append(thing)
            if kind == "agent":
                other = next((r for r in chosen if r == thing), None)
                if other is None:
                    what = (
                        f"{role} {name} needs the agent {thing!r}, which is not part of this plan."
                    )
                    found.append(("dependency_contradiction", (role,), what))
                elif other != role:
                    edges[role].add(other)
        for artifact in needed:
            if artifact in given:
                continue
            maker = makers.get(artifact)
            if maker is None:
                what = f"{role} {name} needs the artifact {artifact!r}, which nobody here produces."
                found.append(("dependency_contradiction", (role,), what))
            elif maker != role:
                edges[role].add(maker)
    if cycle := _cycle(edges):
        what = f"Each waits for the next: {' -> '.join(cycle)}."
        found.append(("dependency_contradiction", tuple(dict.fromkeys(cycle)), what))
        return found
    for role, makers_of in edges.items():
        for maker in sorted(makers_of):
            if order.get(maker, -1) >= order.get(role, 0):
                what = f"{role} needs what {maker} makes, but its phase does not come after."
                found.append(("dependency_contradiction", (role, maker), what))
    return found


def _cycle(edges: Mapping[Role, set[Role]]) -> list[Role]:
    """Agents along one cycle, first and last the same; empty when there is none."""

    def walk(role: Role, path: list[Role]) -> list[Role]:
        if role in path:
            return [*path[path.index(role) :], role]
        for other in sorted(edges.get(role, ())):
            if cycle := walk(other, [*path, role]):
                return cycle
        return []

    for role in edges:
        if cycle := walk(role, []):
            return cycle
    return []


def _timeline(proposal: Proposal, phases: Sequence[Phase], policies: Policies) -> list[Found]:
    allowed = proposal.budget.seconds * policies.review.thresholds.budget_share
    seconds = _total_hours(phases) * 3600
    if seconds <= allowed or not phases:
        return []
    longest = max((t for p in phases for t in p.tasks), key=lambda task: task.estimated_hours)
    what = (
        f"The selected options are estimated at {seconds:.0f} s, the budget is "
        f"{proposal.budget.seconds:.0f} s; {longest.agent} {longest.option} takes "
        f"{longest.estimated_hours * 3600:.0f} s of it."
    )
    return [("timeline_conflict", (longest.agent,), what)]


def _architecture(proposal: Proposal) -> list[Found]:
    found: list[Found] = []
    task, split = proposal.task, proposal.split
    info = METRICS.get(task.metric or "")
    if info is not None and task.kind is not None and task.kind not in info.tasks:
        what = (
            f"The metric {task.metric!r} is for {' or '.join(info.tasks)}, the task is {task.kind}."
        )
        found.append(("architectural_mismatch", ("statistical-analyst",), what))
    known = set(proposal.data.columns) if proposal.data else None
    chosen = proposal.selected()
    if split is not None:
        if split.kind == "stratified" and task.kind == "regression":
            what = "The split is stratified on classes, but the target is a number."
            found.append(("architectural_mismatch", ("statistical-analyst",), what))
        for column in filter(None, (split.group, split.time)):
            if known is not None and column not in known:
                what = f"The split is by {column!r}, which is not a column of the table."
                found.append(("architectural_mismatch", ("statistical-analyst",), what))
            elif column in proposal.columns.exclude:
                what = f"The split is by {column!r}, but columns.exclude takes that column out."
                found.append(("architectural_mismatch", ("statistical-analyst",), what))
    for role, (name, option) in chosen.items():
        for text in option.dependencies:
            kind, thing = split_dependency(text)
            if kind != "data":
                continue
            if thing.startswith("split ") and split is not None and thing[6:] != split.kind:
                what = f"{role} {name} needs a {thing[6:]} split, the analyst chose {split.kind}."
                found.append(("architectural_mismatch", (role, "statistical-analyst"), what))
            column = thing.removeprefix("column ")
            if thing != column and known is not None and column not in known:
                what = f"{role} {name} needs the column {column!r}, which the table does not have."
                found.append(("architectural_mismatch", (role,), what))
    return list(dict.fromkeys(found))


def _security(proposal: Proposal, contracts: Mapping[Role, Contract]) -> list[Found]:
    found: list[Found] = []
    for role, (name, option) in proposal.selected().items():
        for text in option.dependencies:
            kind, thing = split_dependency(text)
            if kind == "tier" and proposal.tier is not None and thing.upper() > proposal.tier:
                what = (
                    f"{role} {name} needs tier {thing.upper()}, this machine has {proposal.tier}."
                )
                found.append(("security_requirements", (role,), what))
            for forbidden, words in FORBIDDEN.items():
                if kind != "python" and any(word in text.lower() for word in words):
                    what = (
                        f"{role} {name} asks for {forbidden} ({text!r}); its contract forbids that."
                    )
                    found.append(("security_requirements", (role,), what))
    if proposal.tier is not None and proposal.tier < NEEDED_TIER[proposal.code]:
        what = (
            f"Code of class {proposal.code} needs tier {NEEDED_TIER[proposal.code]}, "
            f"this machine has {proposal.tier}."
        )
        found.append(("security_requirements", ("ml-engineer",), what))
    for role in proposal.selected():
        if role in contracts and role == "ml-engineer":
            most = contracts[role].guardrails.max_usd
            if proposal.budget.max_usd > most:
                what = f"budget.max_usd is {proposal.budget.max_usd:g}, {role} may spend {most:g}."
                found.append(("security_requirements", (role,), what))
    return found


def _phases(proposal: Proposal, policies: Policies) -> tuple[Phase, ...]:
    chosen = proposal.selected()
    phases = []
    for rule in policies.execution.phases:
        tasks = tuple(
            PlannedTask(
                agent=role,
                option=chosen[role][0],
                estimated_hours=chosen[role][1].time_estimate_hours,
            )
            for role in rule.agents
            if role in chosen
        )
        if tasks:
            phases.append(Phase(name=rule.name, mode=rule.mode, tasks=tasks))
    return tuple(phases)


def _total_hours(phases: Sequence[Phase]) -> float:
    return sum(
        (max if phase.mode == "parallel" else sum)(task.estimated_hours for task in phase.tasks)
        for phase in phases
    )


def _summary(
    proposal: Proposal,
    phases: Sequence[Phase],
    conflicts: Sequence[Conflict],
    policies: Policies,
) -> Timeline:
    options = [option for _, option in proposal.selected().values()]
    risks = sum(len(option.risks) for option in options)
    buffers = policies.review.buffers
    serious = any(conflict.severity != "medium" for conflict in conflicts)
    unsure = any(option.confidence == "low" for option in options)
    if serious or unsure or risks >= policies.review.thresholds.high_risk_risks:
        buffer = buffers.high_risk
    elif any(option.complexity == "high" for option in options):
        buffer = buffers.complex
    else:
        buffer = buffers.simple
    total = _total_hours(phases)
    return Timeline(
        total_hours=float(f"{total:.4g}"),
        buffer_percent=buffer,
        total_with_buffer_hours=float(f"{total * (1 + buffer / 100):.4g}"),
    )


def _decide(
    proposal: Proposal, conflicts: Sequence[Conflict], timeline: Timeline, policies: Policies
) -> tuple[Decision, tuple[str, ...]]:
    rules = policies.review.decision
    stop = [c for c in conflicts if c.severity in rules.no_go]
    hold = [c for c in conflicts if c.severity in rules.conditional_go and c not in stop]
    if stop:
        return "no-go", tuple(c.what for c in [*stop, *hold])
    reasons = [c.what for c in hold]
    if proposal.data is None:
        reasons.append("There is no table yet; the assumptions of each agent are conditions.")
    if reasons:
        return "conditional-go", tuple(reasons)
    seconds = timeline.total_with_buffer_hours * 3600
    return "go", (
        f"No conflicts; estimated {seconds:.0f} s with a buffer of {timeline.buffer_percent} %, "
        f"budget {proposal.budget.seconds:.0f} s.",
    )


def _warnings(proposal: Proposal) -> tuple[str, ...]:
    warnings = []
    for role, (name, option) in proposal.selected().items():
        for text in option.dependencies:
            kind, _ = split_dependency(text)
            if kind not in KINDS:
                warnings.append(
                    f"{role} {name}: the dependency {text!r} is of an unknown kind "
                    f"(known: {', '.join(KINDS)})."
                )
            elif kind == "user":
                warnings.append(f"{role} {name} needs something from you: {text!r}.")
    engineer = proposal.selected().get("ml-engineer")
    if engineer and engineer[0] != "option_a" and proposal.budget.seconds < SHORT_S:
        warnings.append(
            f"{proposal.budget.seconds:g} s is short: containers, folds and the linear baseline "
            f"come first, so {engineer[0]} may have seconds only and the linear model may ship. "
            f"From {2 * SHORT_S:g} s on it has most of the budget."
        )
    if not proposal.packages:
        warnings.append("The sandbox's packages are not known yet, so they were not compared.")
    return tuple(warnings)
