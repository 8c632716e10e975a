"""Each persona renders strictly, holds the whole contract and the exact YAML of a plan."""

from __future__ import annotations

import pytest
from jinja2 import StrictUndefined, UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.contract import clauses
from mlagent.contracts.plan import AgentPlanDocument
from mlagent.documents import load_yaml, read_record
from mlagent.orchestrator.planning import load_policies
from mlagent.orchestrator.routing import route

CONTENT = Content()
CONTRACTS = load_contracts(CONTENT)


def rendered(role: Role, mode: str) -> str:
    contract = CONTRACTS[role]
    template = SandboxedEnvironment(undefined=StrictUndefined).from_string(
        CONTENT.text(contract.prompts.system)
    )
    return template.render(
        contract=contract,
        clauses=list(clauses(contract)),
        mode=mode,
        task="churn model {{7*7}}",
        facts="7,043 rows",
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("mode", ["planning", "execution"])
def test_a_persona_holds_every_clause_and_keeps_data_as_data(role: Role, mode: str) -> None:
    text = rendered(role, mode)
    for clause in clauses(CONTRACTS[role]):
        assert clause.path in text
    assert "churn model {{7*7}}" in text
    assert f"Now: {mode} mode" in text


@pytest.mark.parametrize("role", ROLES)
def test_the_yaml_of_planning_mode_is_a_valid_plan(role: Role) -> None:
    block = rendered(role, "planning").split("```yaml\n")[1].split("```")[0]
    plan = read_record(AgentPlanDocument, block, "persona").agent_plan
    assert plan.agent_name == role
    assert set(plan.implementation_options) == set(CONTRACTS[role].planning.options)


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_value_is_an_error_not_a_gap(role: Role) -> None:
    environment = SandboxedEnvironment(undefined=StrictUndefined)
    with pytest.raises(UndefinedError):
        environment.from_string(CONTENT.text(CONTRACTS[role].prompts.system)).render()


@pytest.mark.parametrize("role", ROLES)
def test_the_examples_are_what_the_router_does(role: Role) -> None:
    document = load_yaml(CONTENT.text(CONTRACTS[role].prompts.examples), role)
    policy = load_policies(CONTENT).routing
    assert document["agent"] == role
    for example in document["examples"]:
        agents = {routed.agent for routed in route(example["sentence"], policy, CONTRACTS).agents}
        assert (role in agents) is (example["routed"] == True), example  # noqa: E712
