"""Options come from this table and machine: texts differ, numbers are the profile's."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from planning_tables import MACHINE, churn, column, context, houses

from mlagent.agents.ml_engineer_planning import plan as plan_engineer
from mlagent.agents.planned_split import sizes, split_of
from mlagent.agents.planning_context import SAMPLE_ROWS, PlanningContext, table_facts
from mlagent.agents.planning_estimates import PastRun, estimate_hours
from mlagent.agents.registry import PLANNERS
from mlagent.agents.statistical_analyst_planning import plan as plan_analyst
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.plan import AgentPlan, Option
from mlagent.contracts.profile import Profile
from mlagent.referee.seal import draw_seal
from mlagent.referee.units import RowFacts

TABLES = {"churn": churn(), "small": churn(240, 60), "rare": churn(90_000, 450), "houses": houses()}


def texts(option: Option) -> list[str]:
    return [
        option.approach,
        option.description or "",
        *option.pros,
        *option.cons,
        *option.risks,
    ]


def all_texts(plan: AgentPlan) -> Iterator[str]:
    for option in plan.implementation_options.values():
        yield from texts(option)
    yield plan.recommendation.rationale
    yield from plan.recommendation.conditions
    yield from plan.questions_for_review


def numbers_of(profile: Profile, budget_s: float) -> set[str]:
    """Every number a sentence may hold: counts and shares of the profile, machine, budget."""
    rows = profile.rows
    features = [c for c in profile.columns if c.role in ("number", "category", "text", "datetime")]
    counts = {rows, len(features), MACHINE.cpus, round(budget_s), profile.sampled_rows}
    counts |= {
        sum(c.role == r for c in features) for r in ("number", "category", "text", "datetime")
    }
    counts |= {sum(c.missing > 0 for c in features), profile.duplicate_rows or 0}
    counts |= {c.distinct for c in profile.columns} | {len(profile.target_counts)}
    counts |= {n for _, n in profile.target_counts}
    for most in SAMPLE_ROWS.values():
        counts |= {min(rows, most), rows - min(rows, most)}
    rare = min((n for _, n in profile.target_counts), default=0)
    tenths = [rows * (part + 1) // 10 - rows * part // 10 for part in range(10)]
    strata = [n for _, n in profile.target_counts] or tenths
    vault, vault_rare = sum(round(0.2 * n) for n in strata), round(0.2 * rare)
    if vault < 100 or (len(profile.target_counts) == 2 and vault_rare < 25):
        vault = vault_rare = 0
    counts |= {vault, vault_rare, rows - vault, 5}
    found = {f"{n:,}" for n in counts}
    found |= {f"{100 * c.missing / rows:.1f}" for c in features} | {f"{100 * rare / rows:.1f}"}
    n, r = (vault, vault_rare) if vault else (rows, rare)
    error = sqrt((n + 1) / (12 * r * (n - r))) if r else 1 / sqrt(2 * n)
    return found | {f"{error:.3f}", f"{100 * error:.1f}"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("budget_s", [20.0, 300.0])
def test_every_number_in_a_text_is_in_the_profile(role: Role, table: str, budget_s: float) -> None:
    profile = TABLES[table]
    known = numbers_of(profile, budget_s)
    for text in all_texts(PLANNERS[role](context(profile, budget_s))):
        bare = re.sub(r"'[^']*'", "", text).replace("option_", "")
        for number in re.findall(r"\d[\d,.]*\d|\d", bare):
            assert number in known, (number, text)


@pytest.mark.parametrize("role", ROLES)
def test_the_same_option_differs_between_two_tables(role: Role) -> None:
    first, second = (PLANNERS[role](context(TABLES[name])) for name in ("churn", "houses"))
    for name, option in first.implementation_options.items():
        other = second.implementation_options[name]
        for field in ("approach", "pros", "cons", "risks"):
            assert getattr(option, field) != getattr(other, field), (name, field)
        assert option.time_estimate_hours != other.time_estimate_hours


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", TABLES)
def test_options_are_distinct_complete_and_ordered_from_simple_to_complex(
    role: Role, table: str
) -> None:
    plan = PLANNERS[role](context(TABLES[table]))
    options = list(plan.implementation_options.values())
    assert 2 <= len(options) <= 3
    assert len({option.approach for option in options}) == len(options)
    hours = [option.time_estimate_hours for option in options]
    assert hours == sorted(hours)
    assert hours[0] > 0
    for text in all_texts(plan):
        assert not re.search(r"\bnone\b(?! of)", text), text
        assert "  " not in text
    for option in options:
        assert option.pros
        assert option.cons
        assert option.risks
        assert all(all(group) for group in (option.pros, option.cons, option.risks))


@pytest.mark.parametrize("role", ROLES)
def test_without_data_the_plan_comes_with_assumptions_and_questions(role: Role) -> None:
    plan = PLANNERS[role](context(None))
    assert plan.recommendation.conditions
    assert plan.questions_for_review
    for option in plan.implementation_options.values():
        assert option.confidence == "low"
        assert "data: a table" in option.dependencies


def test_what_the_table_lacks_is_not_talked_about() -> None:
    said = " ".join(all_texts(plan_engineer(context(churn()))))
    assert "remarks" not in said
    assert "'tenure'" in said
    assert "'remarks'" in " ".join(all_texts(plan_engineer(context(houses()))))


def split(option: str, place: PlanningContext) -> tuple[str, str | None, str | None]:
    choice = split_of(option, place)  # type: ignore[arg-type]
    return choice.kind, choice.group, choice.time


def test_each_analyst_option_stands_for_one_split() -> None:
    assert split("option_a", context(churn())) == ("stratified", None, None)
    assert split("option_c", context(churn())) == ("stratified", None, None)
    assert split("option_b", context(houses())) == ("random", None, None)
    assert split("option_c", context(houses())) == ("group", "seller_id", None)


def test_a_given_group_or_time_column_is_in_every_option() -> None:
    for option in ("option_a", "option_b", "option_c"):
        assert split(option, context(churn(), group="region")) == ("group", "region", None)
        assert split(option, context(houses(), time="sold")) == ("time", None, "sold")


def test_a_date_alone_makes_option_c_a_split_by_time() -> None:
    profile = houses()
    dated = profile.model_copy(
        update={"columns": tuple(c for c in profile.columns if c.name != "seller_id")}
    )
    assert split("option_c", context(dated)) == ("time", None, "sold")
    assert split("option_a", context(dated)) == ("random", None, None)


def test_an_id_whose_values_repeat_is_recommended_as_group() -> None:
    plan = plan_analyst(context(houses()))
    assert plan.recommendation.selected == "option_c"
    assert "'seller_id'" in plan.recommendation.rationale
    assert plan_analyst(context(churn())).recommendation.selected == "option_b"


def test_the_vault_follows_the_referees_rule() -> None:
    assert split_of("option_a", context(churn())).vault == 0.2
    assert split_of("option_a", context(churn(499, 200))).vault == 0.2
    assert split_of("option_a", context(churn(480, 200))).vault == 0.0
    assert split_of("option_a", context(churn(5000, 110))).vault == 0.0


def selected(place: PlanningContext) -> str:
    return plan_engineer(place).recommendation.selected


def test_the_engineer_recommends_by_constraint_size_budget_and_packages() -> None:
    assert selected(context(churn(), constraints=[{"kind": "interpretable"}])) == "option_a"
    assert (
        selected(context(churn(), constraints=[{"kind": "max_model_mb", "value": 5}])) == "option_b"
    )
    assert selected(context(churn(240, 60))) == "option_a"
    assert selected(context(churn(7043, 20))) == "option_a"
    several = churn().model_copy(update={"target_counts": (("a", 4000), ("b", 3038), ("c", 5))})
    assert selected(context(several)) == "option_c"
    assert selected(context(churn())) == "option_c"
    assert selected(context(churn(), budget_s=20)) == "option_b"
    lacking = replace(context(churn()), packages={"scikit-learn": "1.6", "lightgbm": "4.6"})
    assert selected(lacking) == "option_b"
    assert "catboost" in plan_engineer(lacking).recommendation.rationale


def test_excluded_columns_are_out_of_every_text() -> None:
    place = replace(context(houses()), excluded=frozenset({"remarks", "pool"}))
    for planner in PLANNERS.values():
        said = " ".join(all_texts(planner(place)))
        assert "remarks" not in said
        assert "'pool'" not in said


def test_a_hostile_column_name_stays_data() -> None:
    hostile = '"); import os #{{7*7}}'
    profile = churn()
    columns = (*profile.columns, column(hostile, "category", distinct=900, missing=5000))
    for planner in PLANNERS.values():
        plan = planner(context(profile.model_copy(update={"columns": columns})))
        assert "49" not in " ".join(all_texts(plan)).replace("49.", "")


def test_estimates_grow_with_rows_and_shrink_with_speed_and_follow_the_past() -> None:
    def hours(rows: int = 10_000, speed: float = 1.0, past: tuple[PastRun, ...] = ()) -> float:
        machine = MACHINE.model_copy(update={"rows_columns_per_second": 2.5e8 * speed})
        return estimate_hours("ml-engineer", "option_b", rows, 20, machine, past)

    assert hours(1000) < hours() < hours(100_000)
    assert hours(speed=2) == pytest.approx(hours() / 2, rel=0.01)
    past = tuple(
        PastRun("ml-engineer", "option_b", 1, 1, 10.0, actual) for actual in (20.0, 30.0, 90.0)
    )
    assert hours(past=past) == pytest.approx(3 * hours(), rel=0.01)
    others = (PastRun("ml-engineer", "option_a", 1, 1, 10.0, 90.0),)
    assert hours(past=others) == hours()
    absurd = (PastRun("ml-engineer", "option_b", 1, 1, 0.001, 9e9),)
    assert hours(past=absurd) == pytest.approx(20 * hours(), rel=0.01)


def test_explorer_and_analyst_pay_for_the_rows_they_look_at_only() -> None:
    for role in ("data-explorer", "statistical-analyst"):
        at_cap = estimate_hours(role, "option_a", 10_000, 20, MACHINE)  # type: ignore[arg-type]
        assert estimate_hours(role, "option_a", 9_000_000, 20, MACHINE) == at_cap  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [520, 613, 1460, 7043])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_planned_sizes_are_those_of_the_seal_where_no_two_rows_are_alike(n: int, kind: str) -> None:
    generator = np.random.default_rng(n)
    y = generator.normal(size=n)
    if kind != "regression":
        y = generator.choice(4 if kind == "multiclass" else 2, n).astype(np.int64)
    keys = np.arange(n, dtype=np.uint64)
    seal = draw_seal(
        RowFacts(kind, y, keys, keys),  # type: ignore[arg-type]
        kind="random" if kind == "regression" else "stratified",
        seed=0,
        data_sha256="ab" * 32,
    )
    columns = (column("x", "number", distinct=n), column("y", "target", distinct=n))
    found = zip(*np.unique(y, return_counts=True), strict=True) if kind != "regression" else ()
    profile = Profile(
        rows=n,
        sampled_rows=n,
        columns=columns,
        target_counts=tuple((str(label), int(rows)) for label, rows in found),
    )
    planned = sizes(table_facts(context(profile)))
    assert (planned.vault, planned.dev) == (len(seal.vault_rows), seal.dev_rows)


def test_a_group_that_is_another_one_in_each_row_is_said_to_be_no_group() -> None:
    lone = plan_analyst(context(churn(), group="customer"))
    assert any("7,043 values in 7,043 rows" in text for text in lone.recommendation.conditions)
    for option in lone.implementation_options.values():
        assert any("the same as a split at random" in text for text in option.cons)
    real = " ".join(all_texts(plan_analyst(context(churn(), group="region"))))
    assert "at random" not in real


LIMITS = ("model's size", "answer time")


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (["max_latency_ms"], ["read why", "model's size"]),
        (["max_model_mb"], ["read why", "answer time"]),
        (["max_latency_ms", "max_model_mb"], ["read why"]),
        (["interpretable"], ["model's size", "answer time"]),
        (["interpretable", "max_latency_ms", "max_model_mb"], []),
        ([], ["read why"]),
    ],
)
def test_what_a_constraint_answers_is_not_asked(given: list[str], asked: list[str]) -> None:
    made = [{"kind": kind, "value": None if kind == "interpretable" else 5} for kind in given]
    questions = plan_engineer(context(churn(), constraints=made)).questions_for_review
    assert questions
    for what in ("read why", *LIMITS):
        assert (what in " ".join(questions)) == (what in asked), (what, questions)


def test_what_a_flag_answers_is_not_asked() -> None:
    asked = " ".join(PLANNERS["data-explorer"](context(churn())).questions_for_review)
    assert "May 'customer' be left out" in asked
    for flag in ({"id_columns": ["customer"]}, {"group": "customer"}):
        given = PLANNERS["data-explorer"](context(churn(), **flag))
        assert "left out" not in " ".join(given.questions_for_review)
    rare = context(churn(90_000, 450))
    assert "--metric cost" in " ".join(plan_analyst(rare).questions_for_review)
    priced = replace(rare, task=rare.task.model_copy(update={"metric": "cost"}))
    assert "--metric cost" not in " ".join(plan_analyst(priced).questions_for_review)
    empty = context(None)
    named = replace(empty, task=empty.task.model_copy(update={"target": "y", "group": "g"}))
    for planner in PLANNERS.values():
        said = " ".join(planner(named).questions_for_review)
        assert said
        assert "the outcome" not in said
        assert "belong to one case" not in said
