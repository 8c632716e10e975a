"""The three agents: their contracts, loaded and explained; their planning functions, by role.

Guarantees: a contract that is returned stands under its own name, its prompts exist, and its inputs
come from somebody. Does not route and does not check examples: `orchestrator/routing.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlagent.content import Content
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.contract import Contract, clauses
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.plan import AgentPlan
from mlagent.contracts.ports import Limits
from mlagent.documents import read_record

from .data_explorer_planning import plan as plan_explorer
from .ml_engineer_planning import plan as plan_engineer
from .planning_context import PlanningContext
from .statistical_analyst_planning import plan as plan_analyst

GIVERS = ("user", "planning", "referee")
"""Who besides the agents hands artifacts to them."""
PLANNERS: Mapping[Role, Callable[[PlanningContext], AgentPlan]] = {
    "data-explorer": plan_explorer,
    "statistical-analyst": plan_analyst,
    "ml-engineer": plan_engineer,
}


def load_contract(content: Content, role: Role) -> Contract:
    """contracts/<role>.yaml. Raises BadInput with file, line and field."""
    relative = f"contracts/{role}.yaml"
    contract = read_record(Contract, content.text(relative), relative, format="yaml")
    if contract.name != role:
        raise BadInput(
            f"{relative}: name is {contract.name!r}, but this file is the contract of {role!r}.",
            remedy="Give each agent its own file.",
        )
    for prompt in (contract.prompts.system, contract.prompts.examples):
        try:
            content.text(prompt)
        except MlagentError as error:
            raise BadInput(f"{relative}: prompts names {prompt!r}: {error}") from error
    return contract


def load_contracts(content: Content) -> dict[Role, Contract]:
    """All contracts, checked against each other.

    Raises:
        BadInput: a file is wrong, an input comes from nobody, or an artifact has two producers.
    """
    contracts = {role: load_contract(content, role) for role in ROLES}
    made: dict[str, tuple[Role, str]] = {}
    for role, contract in contracts.items():
        for output in contract.outputs:
            if output.artifact in made:
                raise BadInput(
                    f"contracts/{role}.yaml: {output.artifact!r} is also an output of "
                    f"{made[output.artifact][0]}.",
                    remedy="An artifact has one producer.",
                )
            made[output.artifact] = (role, output.schema_)
    for role, contract in contracts.items():
        for item in contract.inputs:
            if item.from_ in GIVERS:
                continue
            if made.get(item.artifact) != (item.from_, item.schema_):
                raise BadInput(
                    f"contracts/{role}.yaml: the input {item.artifact!r} ({item.schema_}) is no "
                    f"output of {item.from_!r}.",
                    remedy="Name the agent and schema that stand in its producer's outputs.",
                )
    return contracts


def explain(contract: Contract) -> list[tuple[str, str, str]]:
    """(clause, value, enforced by) for every clause of the contract."""
    return [(clause.path, clause.value, clause.enforced_by) for clause in clauses(contract)]


def capped(limits: Limits, contract: Contract) -> Limits:
    """`limits`, each at most what the contract's `resources` allow."""
    allowed = contract.resources
    ceilings: dict[str, Any] = {
        "wall_s": allowed.wall_s,
        "memory_mb": allowed.memory_mb,
        "cpus": allowed.cpus,
        "pids": allowed.pids,
        "output_mb": allowed.disk_mb,
    }
    return replace(
        limits, **{name: min(getattr(limits, name), most) for name, most in ceilings.items()}
    )
