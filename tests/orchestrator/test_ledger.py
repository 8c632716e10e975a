"""Each clause gets one entry; a promise that the tier does not keep is never a pass."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from planning_tables import churn, plan_of

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.contract import ContractRouting, Handles, clauses
from mlagent.contracts.evaluation import Gate
from mlagent.contracts.findings import (
    Analysis,
    Check,
    ColumnLook,
    ColumnRoles,
    Exploration,
    RoleFound,
    ValidationPlan,
)
from mlagent.contracts.ports import Limits, Tier
from mlagent.contracts.run import Ledger, LedgerEntry
from mlagent.contracts.usage import Spent
from mlagent.orchestrator.ledger import JobEvidence, LedgerEvidence, ToolEvidence, build_ledger
from mlagent.orchestrator.planning import load_policies

CONTENT = Content()
CONTRACTS = load_contracts(CONTENT)
POLICIES = load_policies(CONTENT)
EVERYTHING = frozenset(
    [
        "network",
        "memory",
        "pids",
        "disk",
        "wall",
        "stdout",
        "filesystem",
        "user",
        "syscalls",
        "environment",
    ]
)
LIMITS = Limits(wall_s=60, memory_mb=2048)


def job(
    agent: Role, command: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> JobEvidence:
    return JobEvidence(agent, command, "ok", LIMITS, command, inputs, outputs)


def look(name: str, role: Any, **more: Any) -> ColumnLook:
    return ColumnLook.model_validate(
        {"name": name, "role": role, "missing": 0, "distinct": 3, **more}
    )


EXPLORATION = Exploration(
    rows=100,
    rows_used=100,
    roles=ColumnRoles(columns={"region": RoleFound(role="category", dtype="str", why="few")}),
    looks=(look("region", "category", labels=("north",)),),
    findings=(),
)
ANALYSIS = Analysis(
    rows=100,
    rows_used=100,
    validation_plan=ValidationPlan(kind="stratified", folds=3, why="classes"),
    checks=(
        Check(
            code="sample.events",
            outcome="pass",
            title="x",
            evidence="10 events",
            consequence="none",
        ),
    ),
    associations=(),
)


def gate(name: str, outcome: Any = "pass", required: bool = True) -> Gate:
    return Gate(
        name=name,
        metric="primary",
        comparison="better_than_dummy",
        threshold=None,
        value=0.1,
        required=required,
        outcome=outcome,
        evidence="difference +0.1",
    )


def evidence(words: str = "churn model", **more: Any) -> LedgerEvidence:
    plan = plan_of(churn(), words)
    script = ("script.py", "dev.parquet", "request.json")
    whole = LedgerEvidence(
        plan=plan,
        policies=POLICIES,
        jobs=(
            job("data-explorer", "script", script, ("result.json",)),
            job("statistical-analyst", "script", script, ("result.json",)),
            job(
                "ml-engineer", "folds", ("candidate", "train.parquet", "folds.npy"), ("oof_0.npy",)
            ),
            job("ml-engineer", "fit", ("candidate", "train.parquet"), ("model.pkl",)),
            job("ml-engineer", "predict", ("model", "features.parquet"), ("predictions.npy",)),
        ),
        artifacts=dict.fromkeys(
            ("exploration", "column_roles", "validation_plan", "analysis", "candidate", "model"),
            True,
        ),
        gates=(gate("better-than-dummy"), gate("better-than-linear", required=False)),
        exploration=EXPLORATION,
        analysis=ANALYSIS,
        seed=0,
        image="sha256:" + "ab" * 32,
        packages={"numpy": "2.0"},
        content=CONTENT.used,
        vault_rows=1409,
        package_verified=True,
        budget_s=300.0,
        wall_s=200.0,
    )
    return replace(whole, **more)


WHOLE = evidence()


def ledger(
    seen: LedgerEvidence | None = None, tier: Tier = "T3", enforced: frozenset[str] = EVERYTHING
) -> Ledger:
    return build_ledger(CONTRACTS, seen or WHOLE, tier, enforced)


def entry(found: Ledger, agent: str, start: str) -> LedgerEntry:
    entries = [e for e in found.entries if e.agent == agent and e.clause.startswith(start)]
    assert entries, (agent, start)
    return entries[0]


def said(start: str, agent: str = "ml-engineer", **more: Any) -> str:
    return entry(ledger(replace(WHOLE, **more)), agent, start).outcome


def test_every_clause_of_every_routed_contract_has_one_entry() -> None:
    found = ledger()
    for role in ROLES:
        wanted = [f"{clause.path}: {clause.value}" for clause in clauses(CONTRACTS[role])]
        assert [e.clause for e in found.entries if e.agent == role] == wanted


def test_a_clean_run_in_a_container_fails_nothing_and_leaves_nothing_unenforced() -> None:
    found = ledger()
    assert [e for e in found.entries if e.outcome in ("fail", "not enforced")] == []
    assert sum(e.outcome == "pass" for e in found.entries) > 60
    assert all(e.evidence for e in found.entries)


def test_agents_that_were_not_routed_have_no_entries() -> None:
    found = ledger(evidence("just explore this table"))
    assert {e.agent for e in found.entries} == {"data-explorer"}


@pytest.mark.parametrize("role", ROLES)
def test_a_promise_that_the_tier_lacks_reads_not_enforced_and_never_pass(role: Role) -> None:
    found = ledger(evidence(image=None), "T0", frozenset({"wall", "stdout"}))
    for start in ("memory_mb", "cpus", "pids", "disk_mb", "network"):
        line = entry(found, role, f"resources.{start}")
        assert line.outcome == "not enforced"
        assert "T0" in line.evidence
    for start in ("guardrails.labels", "guardrails.environment", "reads[", "writes["):
        assert entry(found, role, start).outcome == "not enforced"
    assert entry(found, role, "resources.wall_s").outcome == "pass"


def test_limits_above_the_contract_fail() -> None:
    greedy = JobEvidence("ml-engineer", "fit", "ok", Limits(wall_s=1e9, memory_mb=10**9), "fit")
    found = ledger(evidence(jobs=(greedy,)))
    assert entry(found, "ml-engineer", "resources.memory_mb").outcome == "fail"
    assert entry(found, "ml-engineer", "resources.wall_s").outcome == "fail"
    assert entry(found, "ml-engineer", "resources.pids").outcome == "pass"
    assert entry(found, "data-explorer", "resources.memory_mb").outcome == "not applicable"


def test_a_path_or_command_outside_the_contract_fails() -> None:
    stray = job("ml-engineer", "probe-packages", ("secrets.txt",), ("metrics.json",))
    found = ledger(evidence(jobs=(stray,)))
    for start, shown in (
        ("reads[", "/in/secrets.txt"),
        ("writes[", "/out/metrics.json"),
        ("tools[", "'probe-packages'"),
    ):
        line = entry(found, "ml-engineer", start)
        assert line.outcome == "fail"
        assert shown in line.evidence


def test_tools_of_a_language_model_are_held_to_the_contract() -> None:
    path = "/run/artifacts/data-explorer/exploration.json"
    used = (
        ToolEvidence("ml-engineer", "read_artifact", path, refused=False),
        ToolEvidence("ml-engineer", "ask_user", "", refused=True),
    )
    assert said("tools[read_artifact]", tools=used) == "pass"
    assert said("tools[ask_user]", tools=used) == "not applicable", "a refused one was not used"
    assert said("reads[/run/artifacts/data", tools=used) == "pass"
    assert said("reads[/run/artifacts/data") == "not applicable"
    stray = ToolEvidence("ml-engineer", "read_artifact", "/run/seal.json", refused=False)
    assert said("reads[/run/artifacts/data", tools=(stray,)) == "fail"
    strange = ToolEvidence("data-explorer", "run_analysis", "", refused=False)
    assert said("tools[script]", "data-explorer", tools=(strange,)) == "fail"
    found = ledger(replace(WHOLE, tools=used), "T0", frozenset())
    assert entry(found, "ml-engineer", "reads[/run/artifacts/data").outcome == "pass", "our own"


def test_rows_that_were_shown_are_no_aggregates() -> None:
    assert said("guardrails.privacy") == "advisory"
    assert said("guardrails.privacy", shared_rows=5) == "not enforced"


def test_paths_that_were_not_recorded_are_no_pass() -> None:
    blind = JobEvidence("ml-engineer", "fit", "ok", LIMITS, "fit")
    assert said("reads[", jobs=(blind,)) == "not applicable"


def test_artifacts_that_are_absent_or_invalid_fail() -> None:
    assert said("outputs[model]", artifacts={}) == "fail"
    assert said("outputs[model]", artifacts={"model": False}) == "fail"
    assert said("outputs[schedule]", artifacts={}) == "not applicable"
    assert said("handoffs[model -> referee]", artifacts={}) == "fail"
    assert said("inputs[column_roles]", artifacts={"column_roles": False}) == "fail"
    assert said("success_criteria[artifact: column_roles]", "data-explorer", artifacts={}) == "fail"


def test_gates_pass_fail_or_stay_advisory() -> None:
    failed = (gate("better-than-dummy", "fail"), gate("better-than-linear", "fail", False))
    assert said("quality_gates[better-than-dummy]") == "pass"
    assert said("quality_gates[better-than-dummy]", gates=failed) == "fail"
    assert said("quality_gates[better-than-linear]", gates=failed) == "advisory"
    assert said("quality_gates[better-than-dummy]", gates=()) == "not applicable"
    assert said("success_criteria[gate: better-than-dummy]", gates=failed) == "fail"
    itself = (gate("better-than-linear", "not applicable", False),)
    assert said("quality_gates[better-than-linear]", gates=itself) == "not applicable"


def test_the_agents_own_gates_are_measured_on_their_artifacts() -> None:
    assert said("quality_gates[every-column", "data-explorer") == "pass"
    roleless = EXPLORATION.model_copy(update={"roles": ColumnRoles(columns={})})
    assert said("quality_gates[every-column", "data-explorer", exploration=roleless) == "fail"
    assert said("quality_gates[assumptions", "statistical-analyst") == "pass"
    unchecked = ANALYSIS.model_copy(update={"checks": ()})
    assert said("quality_gates[assumptions", "statistical-analyst", analysis=unchecked) == "fail"


def test_values_shown_for_anything_but_a_category_break_privacy() -> None:
    leaky = EXPLORATION.model_copy(update={"looks": (look("note", "text", labels=("Ann",)),)})
    assert said("guardrails.privacy", "data-explorer") == "pass"
    assert said("guardrails.privacy", "data-explorer", exploration=leaky) == "fail"


def test_facts_of_the_run_decide_the_other_clauses() -> None:
    assert said("guardrails.seeds", seed=None) == "fail"
    assert said("guardrails.labels", vault_rows=0) == "not applicable"
    assert said("guardrails.environment", packages={}) == "fail"
    assert said("guardrails.max_usd") == "not applicable"
    assert said("guardrails.max_usd", tokens=10, usd=99.0) == "fail"
    assert said("guardrails.max_tokens", tokens=10, usd=1.0) == "pass"
    dear = {"ml-engineer": Spent(calls=1, usd=4.0)}
    assert said("guardrails.max_usd", "data-explorer", tokens=10, usd=4.0, by_agent=dear) == "pass"
    silent = CONTRACTS["data-explorer"].model_copy(update={"model_tier": "none"})
    contracts = {**CONTRACTS, "data-explorer": silent}
    found = build_ledger(contracts, replace(WHOLE, tokens=10), "T3", EVERYTHING)
    assert entry(found, "data-explorer", "model_tier").outcome == "fail"
    assert said("prompts.system", content={}) == "fail"
    assert said("version", content={}) == "fail"
    assert said("success_criteria[package verified]", package_verified=False) == "fail"
    assert said("success_criteria[package verified]", package_verified=None) == "not applicable"
    assert said("success_criteria[advisory]") == "advisory"
    assert said("role") == "advisory"


def test_the_budget_is_held_with_the_overrun_of_the_policy() -> None:
    start = "success_criteria[within budget]"
    assert said(start, wall_s=332.9) == "pass"
    assert said(start, wall_s=333.1) == "fail"
    assert said(start, budget_s=20.0, wall_s=99.0) == "not applicable"
    line = entry(ledger(replace(WHOLE, wall_s=200.0)), "ml-engineer", start)
    assert line.evidence == "200.0 s until the report, of at most 333.0 s"


def test_a_refusal_is_the_evidence_of_its_boundary() -> None:
    seen = evidence("churn model and a React dashboard")
    line = entry(ledger(seen), "ml-engineer", "boundaries[user-interface]")
    assert line.outcome == "pass"
    assert "a React dashboard" in line.evidence
    assert entry(ledger(seen), "ml-engineer", "boundaries[images]").outcome == "not applicable"


def test_an_example_that_is_no_longer_routed_here_fails() -> None:
    assert said("routing.handles[predict]") == "pass"
    wrong = ContractRouting(handles=(Handles(topic="predict", examples=("a React page",)),))
    contract = CONTRACTS["ml-engineer"].model_copy(update={"routing": wrong})
    found = build_ledger({**CONTRACTS, "ml-engineer": contract}, WHOLE, "T3", EVERYTHING)
    assert entry(found, "ml-engineer", "routing.handles[predict]").outcome == "fail"


def test_the_number_of_options_is_checked_against_the_contract() -> None:
    seen = evidence()
    engineer = seen.plan.agent_plans["ml-engineer"]
    options = dict(list(engineer.implementation_options.items())[:1])
    one = engineer.model_copy(update={"implementation_options": options})
    plan = seen.plan.model_copy(
        update={"agent_plans": {**seen.plan.agent_plans, "ml-engineer": one}}
    )
    found = ledger(replace(seen, plan=plan))
    assert entry(found, "ml-engineer", "planning.min_options").outcome == "fail"
    assert entry(found, "ml-engineer", "planning.options[option_c]").outcome == "not applicable"
    assert entry(found, "ml-engineer", "planning.max_options").outcome == "pass"


@pytest.mark.parametrize("role", ROLES)
def test_taking_any_clause_out_of_a_contract_changes_the_ledger(role: Role) -> None:
    whole = ledger()
    contract = CONTRACTS[role]
    for name in ("boundaries", "reads", "writes", "tools", "inputs", "handoffs"):
        items = getattr(contract, name)
        for index in range(len(items)):
            fewer = items[:index] + items[index + 1 :]
            smaller = {**CONTRACTS, role: contract.model_copy(update={name: fewer})}
            assert build_ledger(smaller, WHOLE, "T3", EVERYTHING) != whole, (name, index)
