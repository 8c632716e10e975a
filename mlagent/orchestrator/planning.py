"""plan.yaml: made from words, table facts and machine; checked before execution; never overwritten.

Guarantees: `make_plan` is a pure function of its arguments (tables are read in the caller);
`write_plan` moves an older plan away before it writes. Does not read data.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from mlagent import __version__
from mlagent.agents.planned_split import SplitChoice, split_of
from mlagent.agents.planning_context import PastRun, PlanningContext
from mlagent.agents.registry import PLANNERS
from mlagent.content import Content
from mlagent.contracts.base import ColumnRole, Dtype, Role
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.plan import (
    AgentPlan,
    Budget,
    Columns,
    Machine,
    OptionName,
    Plan,
    Review,
    Routing,
)
from mlagent.contracts.policy import ExecutionPolicy, Policies, ReviewPolicy, RoutingPolicy
from mlagent.contracts.ports import CodeClass, Tier
from mlagent.contracts.profile import Profile
from mlagent.contracts.task import DataRef, TaskSpec
from mlagent.data.wire import choices_of
from mlagent.documents import dump_yaml, read_record

from .review import Proposal, review
from .routing import check_routing, refusal_sentence

Consult = Callable[
    [PlanningContext, dict[Role, AgentPlan]], tuple[dict[Role, AgentPlan], tuple[str, ...]]
]
"""From the context and our own plans to the plans that stand, and what is to be said of them."""
HEADER = """\
# Written by `mlagent plan`; read by `mlagent execute`.
# Made to be edited: selection (agent: option), columns.exclude, columns.found.*.role,
# budget.seconds.
"""


def load_policies(content: Content) -> Policies:
    """orchestrator/{routing,review,execution}.yaml. Raises BadInput with file, line and field."""

    def read(name: str) -> str:
        return content.text(f"orchestrator/{name}.yaml")

    return Policies(
        routing=read_record(RoutingPolicy, read("routing"), "orchestrator/routing.yaml"),
        review=read_record(ReviewPolicy, read("review"), "orchestrator/review.yaml"),
        execution=read_record(ExecutionPolicy, read("execution"), "orchestrator/execution.yaml"),
    )


def make_plan(
    *,
    task: TaskSpec,
    data: DataRef | None,
    profile: Profile | None,
    routing: Routing,
    machine: Machine,
    budget_s: float,
    packages: Mapping[str, str],
    contracts: Mapping[Role, Contract],
    policies: Policies,
    now: datetime,
    exclude: Sequence[str] = (),
    vault: Literal["auto"] | float = "auto",
    max_usd: float = 0.0,
    history: Sequence[PastRun] = (),
    tier: Tier | None = None,
    code: CodeClass = "B",
    consult: Consult | None = None,
    share_rows: bool = False,
) -> Plan:
    """The plan: every routed agent's options, the recommendations selected, the review.

    Args:
        routing: from `routing.route`.
        packages: inside the sandbox; empty when no image is known.
        now: with a time zone.
        max_usd: what a language model may cost; 0 for the template author.
        history: past runs, to correct the estimates.
        consult: asks another author for each agent's plan, beside ours.
        share_rows: the user's word for `execute`; no row is needed, or shown, for a plan.

    Raises:
        BadInput: nothing of the sentence is done here, or policy and contracts do not fit.
    """
    check_routing(policies.routing, contracts)
    if not routing.agents:
        raise BadInput(refusal_sentence(routing), remedy="Ask for a prediction on one table.")
    budget = Budget(seconds=budget_s, max_usd=max_usd)
    context = PlanningContext(
        task,
        profile,
        data,
        machine,
        budget_s,
        history,
        packages,
        frozenset(exclude),
        policies.execution.budget_shares.explore,
        policies.execution.budget_shares.fit,
    )
    agent_plans: dict[Role, AgentPlan] = {}
    for routed in routing.agents:
        made = PLANNERS[routed.agent](context)
        _check_options(made, contracts[routed.agent])
        agent_plans[routed.agent] = made
    notes: tuple[str, ...] = ()
    if consult is not None:
        agent_plans, notes = consult(context, agent_plans)
        for role, made in agent_plans.items():
            _check_options(made, contracts[role])
    selection: dict[Role, OptionName] = {
        role: made.recommendation.selected for role, made in agent_plans.items()
    }
    found = {} if profile is None else choices_of(profile)
    columns = Columns(found=found, exclude=tuple(exclude))
    split = (
        split_of(selection["statistical-analyst"], context)
        if "statistical-analyst" in selection
        else None
    )
    proposal = Proposal(
        task, data, agent_plans, selection, columns, budget, split, packages, tier, code
    )
    return Plan(
        created=now.astimezone(UTC).isoformat(timespec="seconds"),
        mlagent=__version__,
        task=task,
        data=data,
        columns=columns,
        routing=routing,
        agent_plans=agent_plans,
        review=review(proposal, contracts, policies),
        selection=selection,
        vault=vault,
        budget=budget,
        machine=machine,
        profile=profile,
        author="template" if consult is None else "claude",
        notes=notes,
        share_rows=share_rows,
    )


def review_again(
    plan: Plan,
    contracts: Mapping[Role, Contract],
    policies: Policies,
    *,
    packages: Mapping[str, str],
    tier: Tier | None = None,
    code: CodeClass = "B",
) -> Review:
    """The review of a plan as it now stands, after edits; what `execute` decides by."""
    split = plan_split(plan)
    proposal = Proposal(
        plan.task,
        plan.data,
        plan.agent_plans,
        plan.selection,
        plan.columns,
        plan.budget,
        split,
        packages,
        tier,
        code,
    )
    return review(proposal, contracts, policies)


def refuse_no_go(review: Review, way_out: str, say: Callable[[str], str] = str) -> None:
    """Raises BadInput for a no-go.

    Args:
        way_out: what the user can do, in the words of the door: a flag, an argument.
        say: how the door shows text that stands in a plan, cut or on one line.
    """
    if review.decision == "no-go":
        found = "; ".join(f"{item.kind}: {item.what}" for item in review.conflicts)
        raise BadInput(
            say(f"The review says no-go: {found}"),
            remedy=way_out,
        )


def context_of(plan: Plan, *, packages: Mapping[str, str] | None = None) -> PlanningContext:
    """What the agents would see if they planned from this file again."""
    machine = plan.machine or Machine(
        cpus=1, memory_mb=1024, rows_columns_per_second=1e8, engine="none"
    )
    return PlanningContext(
        plan.task,
        plan.profile,
        plan.data,
        machine,
        plan.budget.seconds,
        (),
        packages or {},
        frozenset(plan.columns.exclude),
    )


def plan_split(plan: Plan) -> SplitChoice | None:
    """The split that the selected analyst option stands for; None without an analyst."""
    option = plan.selection.get("statistical-analyst")
    return split_of(option, context_of(plan)) if option else None


def task_with_split(plan: Plan) -> TaskSpec:
    """The task with group and time column of the selected analyst option: for the seal."""
    split = plan_split(plan)
    if split is None:
        return plan.task
    return plan.task.model_copy(update={"group": split.group, "time": split.time})


def check_plan(plan: Plan, ref: DataRef | None, *, source: str = "plan.yaml") -> None:
    """Whether this plan can be executed on this data.

    Args:
        ref: the table as it is now; None when none was given or found.

    Raises:
        BadInput: no data, other data than planned, a selection or column that does not exist.
    """
    if ref is None:
        raise BadInput(
            f"{source} has no table to work on.",
            remedy="Give one with --data FILE, or plan again where the table is.",
        )
    if plan.data is None:
        raise BadInput(
            f"{source} was made without data; nothing in it is about {ref.path!r}.",
            remedy=f"Plan again: mlagent plan {plan.task.description!r} --data {ref.path}",
        )
    if plan.data.sha256 != ref.sha256:
        raise BadInput(
            f"The data changed since {source} was made: {plan.data.path!r} had sha256 "
            f"{plan.data.sha256[:12]} ({plan.data.rows:,} rows), now it has {ref.sha256[:12]} "
            f"({ref.rows:,} rows).",
            remedy=f"Plan again (mlagent plan {plan.task.description!r} --data {ref.path}), "
            f"or bring the old file back.",
        )
    _check_selection(plan, source)
    _check_columns(plan, ref, source)


def read_plan(path: Path) -> Plan:
    """The plan in this file. Raises BadInput: absent, or wrong, with line and allowed values."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(
            f"There is no plan {str(path)!r}.", remedy='Make one first: mlagent plan "churn model"'
        ) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadInput(
            f"The plan {str(path)!r} is not UTF-8 text: line {line} has bytes that mean nothing "
            "in it.",
            remedy="Save it as UTF-8, or plan again.",
        ) from None
    except OSError as error:
        raise BadInput(
            f"The plan {str(path)!r} cannot be read: {error.strerror or type(error).__name__}.",
            remedy="Check the file and its permissions.",
        ) from None
    return read_record(Plan, text, path.name)


def write_plan(plan: Plan, path: Path, plans_dir: Path) -> Path | None:
    """Write plan.yaml; a plan that is already there moves to `plans_dir` first.

    Returns:
        Where the old plan now is, or None when there was none.
    """
    text = HEADER + dump_yaml(plan)
    moved = None
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.write_text(text, encoding="utf-8")
    if path.exists():
        plans_dir.mkdir(parents=True, exist_ok=True)
        stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%d-%H%M%S")
        number = 1
        while True:
            suffix = f"-{number}" if number > 1 else ""
            moved = plans_dir / f"{path.stem}-{stamp}{suffix}{path.suffix}"
            if not moved.exists():
                break
            number += 1
        path.rename(moved)
    fresh.replace(path)
    return moved


def _check_options(made: AgentPlan, contract: Contract) -> None:
    """The contract's planning clauses hold for our own agents as well."""
    options = made.implementation_options
    planning = contract.planning
    if not planning.min_options <= len(options) <= planning.max_options:
        raise MlagentError(
            f"{contract.name} proposed {len(options)} options; its contract allows "
            f"{planning.min_options} to {planning.max_options}."
        )
    if unknown := set(options) - set(planning.options):
        raise MlagentError(f"{contract.name} proposed {sorted(unknown)}, unknown to its contract.")


def _check_selection(plan: Plan, source: str) -> None:
    for role in plan.agent_plans:
        if role not in plan.selection:
            raise BadInput(
                f"{source}, selection: nothing is selected for {role!r}.",
                remedy=f"Add a line such as `{role}: "
                f"{plan.agent_plans[role].recommendation.selected}`.",
            )
    for role, option in plan.selection.items():
        if role not in plan.agent_plans:
            raise BadInput(
                f"{source}, selection.{role}: this agent has no part in the plan.",
                remedy=f"Agents of this plan: {', '.join(plan.agent_plans)}.",
            )
        options = plan.agent_plans[role].implementation_options
        if option not in options:
            raise BadInput(
                f"{source}, selection.{role}: {option!r} is not among its options.",
                remedy=f"Allowed values: {', '.join(options)}.",
            )


def _check_columns(plan: Plan, ref: DataRef, source: str) -> None:
    for name in plan.columns.exclude:
        if name not in ref.columns:
            raise BadInput(f"{source}, columns.exclude: {_unknown(name, ref.columns)}")
        if name == plan.task.target:
            raise BadInput(f"{source}, columns.exclude: {name!r} is the target.")
    for name, choice in plan.columns.found.items():
        if name not in ref.columns:
            raise BadInput(f"{source}, columns.found: {_unknown(name, ref.columns)}")
        for field, given, allowed in (
            ("role", choice.role, get_args(ColumnRole)),
            ("dtype", choice.dtype, get_args(Dtype)),
        ):
            if given not in allowed:
                close = difflib.get_close_matches(given, allowed, n=1)
                meant = f" (did you mean {close[0]!r}?)" if close else ""
                raise BadInput(
                    f"{source}, columns.found.{name}.{field}: {given!r} is not allowed{meant}; "
                    f"allowed values: {', '.join(allowed)}."
                )
    if plan.task.target is not None and plan.task.target not in ref.columns:
        raise BadInput(f"{source}, task.target: {_unknown(plan.task.target, ref.columns)}")


def _unknown(name: str, columns: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, columns, n=1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    return f"the table has no column {name!r}{meant}."
