"""Two small profiles that differ in everything a planning sentence may be about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mlagent.agents.planning_context import PlanningContext
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.plan import Machine, Plan
from mlagent.contracts.profile import ColumnProfile, Profile
from mlagent.contracts.task import DataRef, TaskSpec
from mlagent.orchestrator.planning import load_policies, make_plan
from mlagent.orchestrator.routing import route

MACHINE = Machine(cpus=6, memory_mb=16_384, rows_columns_per_second=2.5e8, engine="none")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CONTRACTS = load_contracts(Content())
POLICIES = load_policies(Content())


def column(name: str, role: Any, **facts: Any) -> ColumnProfile:
    dtype = {"number": "float64", "datetime": "datetime64"}.get(role, "str")
    given = {"dtype": dtype, "why": "as made", "missing": 0, "distinct": 7, **facts}
    return ColumnProfile.model_validate({"name": name, "role": role, **given})


def churn(rows: int = 7043, rare: int = 1869) -> Profile:
    """Two classes, an id, few missing cells."""
    return Profile(
        rows=rows,
        sampled_rows=rows,
        columns=(
            column("customer", "id", distinct=rows),
            column("tenure", "number", missing=11, quantiles=(1, 9, 29, 55, 72), maximum=72),
            column("charges", "number", quantiles=(20, 35, 70, 90, 107), maximum=999),
            column("contract", "category", distinct=3),
            column("region", "category", distinct=47),
            column("left", "target", distinct=2),
        ),
        duplicate_rows=13,
        target_counts=(("No", rows - rare), ("Yes", rare)),
    )


def houses(rows: int = 1460) -> Profile:
    """A number to predict, many missing cells, text, a date, an id whose values repeat."""
    return Profile(
        rows=rows,
        sampled_rows=rows,
        columns=(
            column("seller_id", "id", distinct=rows // 5, dtype="int64"),
            column("area", "number", missing=259, quantiles=(5, 6, 7, 8, 9), maximum=500),
            column("pool", "category", distinct=4, missing=1453),
            column("fence", "category", distinct=5, missing=1179),
            column("remarks", "text", distinct=1400),
            column("sold", "datetime", distinct=55),
            column("price", "target", dtype="float64", distinct=663),
        ),
        duplicate_rows=0,
    )


def reference(profile: Profile) -> DataRef:
    return DataRef(
        path="table.csv",
        format="csv",
        sha256="ab" * 32,
        bytes=1000,
        rows=profile.rows,
        columns=tuple(c.name for c in profile.columns),
    )


def task(profile: Profile, **more: Any) -> TaskSpec:
    target = next(c.name for c in profile.columns if c.role == "target")
    kinds: dict[str, Any] = (
        {
            "kind": "binary",
            "metric": "roc_auc",
            "direction": "maximize",
            "classes": [name for name, _ in profile.target_counts],
        }
        if profile.target_counts
        else {"kind": "regression", "metric": "rmse", "direction": "minimize"}
    )
    return TaskSpec.model_validate({"description": "a task", "target": target, **kinds, **more})


def context(profile: Profile | None, budget_s: float = 300.0, **more: Any) -> PlanningContext:
    spec = TaskSpec(description="a task") if profile is None else task(profile, **more)
    ref = None if profile is None else reference(profile)
    return PlanningContext(spec, profile, ref, MACHINE, budget_s)


def plan_of(profile: Profile | None = None, words: str = "churn model", **more: Any) -> Plan:
    """The plan that this repository's own contracts and policies make of a profile."""
    given: dict[str, Any] = {
        "task": TaskSpec(description=words) if profile is None else task(profile),
        "data": None if profile is None else reference(profile),
        "profile": profile,
        "routing": route(words, POLICIES.routing, CONTRACTS),
        "machine": MACHINE,
        "budget_s": 300.0,
        "packages": {},
        "contracts": CONTRACTS,
        "policies": POLICIES,
        "now": NOW,
        **more,
    }
    return make_plan(**given)
