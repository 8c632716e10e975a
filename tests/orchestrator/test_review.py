"""Each kind of conflict is found on a plan edited by hand, with its severity and a way out."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from planning_tables import CONTRACTS, POLICIES, churn, houses, plan_of

from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import SEVERITY, Plan, Review
from mlagent.contracts.policy import ExecutionPolicy, Policies, ReviewPolicy
from mlagent.documents import dump_yaml, load_yaml, validate_record
from mlagent.orchestrator.planning import refuse_no_go, review_again

PACKAGES = dict.fromkeys(
    ["pandas", "numpy", "scipy", "scikit-learn", "lightgbm", "optuna", "catboost"], "1"
)


def made(profile: Any = None) -> Plan:
    return plan_of(profile or churn(), packages=PACKAGES)


def by_hand(plan: Plan, *edits: tuple[str, str]) -> Plan:
    """The plan as a person edits it: as text."""
    text = dump_yaml(plan)
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return validate_record(Plan, load_yaml(text, "plan.yaml"), "plan.yaml")


def needs(plan: Plan, role: str, dependency: str, instead_of: str = "") -> Plan:
    """A dependency added to the selected option of one agent."""
    document = load_yaml(dump_yaml(plan), "plan.yaml")
    option = document["agent_plans"][role]["implementation_options"][document["selection"][role]]
    option["dependencies"] = [d for d in option["dependencies"] if d != instead_of] + [dependency]
    return validate_record(Plan, document, "plan.yaml")


def reviewed(plan: Plan, policies: Policies = POLICIES, **more: Any) -> Review:
    return review_again(plan, CONTRACTS, policies, **{"packages": PACKAGES, **more})


def kinds(review: Review) -> list[str]:
    return [conflict.kind for conflict in review.conflicts]


def test_the_plan_as_made_has_no_conflict() -> None:
    review = reviewed(made())
    assert review.decision == "go"
    assert review.conflicts == ()
    assert review.warnings == ()


def test_a_package_that_the_image_lacks_is_a_technology_mismatch() -> None:
    review = reviewed(needs(made(), "ml-engineer", "python: tensorflow>=2"))
    assert kinds(review) == ["technology_mismatch"]
    assert "'tensorflow>=2'" in review.conflicts[0].what
    assert review.decision == "conditional-go"
    assert kinds(reviewed(needs(made(), "ml-engineer", "python: Scikit_Learn>=1.2"))) == []


def test_unknown_packages_are_a_warning_not_a_conflict() -> None:
    review = reviewed(needs(made(), "ml-engineer", "python: tensorflow"), packages={})
    assert kinds(review) == []
    assert any("packages are not known" in warning for warning in review.warnings)


def test_a_budget_too_short_for_the_chosen_option_is_a_warning() -> None:
    plan = made()
    assert plan.selection["ml-engineer"] != "option_a"
    short = reviewed(by_hand(plan, ("seconds: 300.0", "seconds: 20")))
    assert any(warning.startswith("20 s is short") for warning in short.warnings)
    simple = f"ml-engineer: {plan.selection['ml-engineer']}", "ml-engineer: option_a"
    plain = reviewed(by_hand(plan, ("seconds: 300.0", "seconds: 20"), simple))
    assert plain.warnings == ()


def test_an_artifact_that_nobody_makes_is_a_dependency_contradiction() -> None:
    review = reviewed(needs(made(), "ml-engineer", "artifact: embeddings"))
    assert kinds(review) == ["dependency_contradiction"]
    assert "'embeddings', which nobody here produces" in review.conflicts[0].what
    assert review.decision == "no-go"


def test_taking_an_agent_out_leaves_its_artifacts_unmade() -> None:
    plan = made()
    smaller = plan.model_copy(
        update={
            "agent_plans": {r: p for r, p in plan.agent_plans.items() if r != "data-explorer"},
            "selection": {r: s for r, s in plan.selection.items() if r != "data-explorer"},
        }
    )
    found = reviewed(smaller)
    assert set(kinds(found)) == {"dependency_contradiction"}
    assert any("'column_roles'" in conflict.what for conflict in found.conflicts)


def test_agents_that_wait_for_each_other_are_a_contradiction() -> None:
    review = reviewed(needs(made(), "data-explorer", "artifact: validation_plan"))
    assert kinds(review) == ["dependency_contradiction"]
    assert "data-explorer -> statistical-analyst -> data-explorer" in review.conflicts[0].what
    again = reviewed(needs(made(), "data-explorer", "agent: ml-engineer"))
    assert kinds(again) == ["dependency_contradiction"]


def test_an_agent_outside_the_plan_is_a_contradiction() -> None:
    review = reviewed(needs(made(), "ml-engineer", "agent: data-engineer"))
    assert "'data-engineer', which is not part of this plan" in review.conflicts[0].what


def test_estimates_over_the_budget_are_a_timeline_conflict() -> None:
    review = reviewed(by_hand(made(), ("seconds: 300.0", "seconds: 5")))
    assert kinds(review) == ["timeline_conflict"]
    assert review.conflicts[0].severity == "medium"
    assert "the budget is 5 s" in review.conflicts[0].what
    assert review.decision == "conditional-go"


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ((("kind: binary", "kind: regression"),), "The metric 'roc_auc' is for binary"),
        ((("metric: roc_auc", "metric: rmse"),), "The metric 'rmse' is for regression"),
        (
            (("  target: left", "  target: left\n  group: regoin"),),
            "The split is by 'regoin', which is not a column",
        ),
        (
            (
                ("  target: left", "  target: left\n  group: region"),
                ("exclude: []", "exclude: [region]"),
            ),
            "columns.exclude takes that column out",
        ),
    ],
)
def test_a_task_or_split_that_the_analyst_excludes_is_an_architectural_mismatch(
    edits: tuple[tuple[str, str], ...], said: str
) -> None:
    review = reviewed(by_hand(made(), *edits))
    assert set(kinds(review)) == {"architectural_mismatch"}
    assert any(said in conflict.what for conflict in review.conflicts)
    assert review.decision == "conditional-go"


def test_an_option_that_needs_another_split_is_an_architectural_mismatch() -> None:
    review = reviewed(needs(made(), "ml-engineer", "data: split time"))
    assert kinds(review) == ["architectural_mismatch"]
    assert "needs a time split, the analyst chose stratified" in review.conflicts[0].what
    assert kinds(reviewed(needs(made(), "ml-engineer", "data: split stratified"))) == []
    assert kinds(reviewed(needs(made(), "ml-engineer", "data: column gone"))) == [
        "architectural_mismatch"
    ]
    assert reviewed(made(houses())).conflicts == ()


@pytest.mark.parametrize(
    ("dependency", "said"),
    [
        ("data: https://example.org/more.csv", "the network"),
        ("user: a network connection", "the network"),
        ("data: vault labels", "rows or labels of the vault"),
        ("data: raw rows for the prompt", "raw rows outside the sandbox"),
    ],
)
def test_what_every_contract_forbids_is_a_security_conflict(dependency: str, said: str) -> None:
    review = reviewed(needs(made(), "ml-engineer", dependency))
    assert "security_requirements" in kinds(review)
    assert any(said in conflict.what for conflict in review.conflicts)
    assert review.decision == "no-go"


def test_a_tier_too_weak_for_the_code_is_a_security_conflict() -> None:
    assert kinds(reviewed(made(), tier="T0")) == []
    assert kinds(reviewed(made(), tier="T0", code="D")) == ["security_requirements"]
    assert kinds(reviewed(made(), tier="T3", code="D")) == []
    wants = needs(made(), "ml-engineer", "tier: T3")
    assert kinds(reviewed(wants, tier="T0")) == ["security_requirements"]


def test_more_money_than_the_contract_allows_is_a_security_conflict() -> None:
    review = reviewed(by_hand(made(), ("max_usd: 0.0", "max_usd: 50")))
    assert kinds(review) == ["security_requirements"]
    assert "50" in review.conflicts[0].what


def test_severities_are_those_of_the_format() -> None:
    for kind, rule in POLICIES.review.conflicts.items():
        assert rule.severity == SEVERITY[kind]


def test_a_dependency_of_an_unknown_kind_is_a_warning() -> None:
    review = reviewed(needs(made(), "ml-engineer", "npm: left-pad"))
    assert review.decision == "go"
    assert any("'npm: left-pad' is of an unknown kind" in text for text in review.warnings)


def test_a_resolution_names_the_agent_and_stays_text() -> None:
    review = reviewed(needs(made(), "ml-engineer", "python: {0.__class__}"))
    assert "ml-engineer" in review.conflicts[0].resolution
    assert "{0.__class__}" in review.conflicts[0].what


def execution(**phases: Any) -> Policies:
    raw = load_yaml(Content().text("orchestrator/execution.yaml"), "x")
    raw = {**raw, **phases}
    return POLICIES.model_copy(update={"execution": validate_record(ExecutionPolicy, raw, "x")})


def test_sequential_phases_add_up_and_parallel_tasks_take_the_longest() -> None:
    plan = made()
    hours = {
        role: plan.agent_plans[role].implementation_options[option].time_estimate_hours
        for role, option in plan.selection.items()
    }
    summary = reviewed(plan).timeline_summary
    assert summary is not None
    assert summary.total_hours == pytest.approx(sum(hours.values()), rel=1e-3)
    both = {"name": "look", "agents": ["data-explorer", "statistical-analyst"], "mode": "parallel"}
    last = {"name": "engineer", "agents": ["ml-engineer"], "mode": "sequential"}
    at_once = reviewed(plan, execution(phases=[both, last])).timeline_summary
    assert at_once is not None
    longest = max(hours["data-explorer"], hours["statistical-analyst"])
    assert at_once.total_hours == pytest.approx(longest + hours["ml-engineer"], rel=1e-3)


def test_a_phase_order_against_the_dependencies_is_a_contradiction() -> None:
    raw = load_yaml(Content().text("orchestrator/execution.yaml"), "x")["phases"]
    review = reviewed(made(), execution(phases=raw[::-1]))
    assert set(kinds(review)) == {"dependency_contradiction"}


def test_the_buffer_follows_complexity_and_risk() -> None:
    def buffer(plan: Plan) -> int:
        summary = reviewed(plan).timeline_summary
        assert summary is not None
        assert summary.total_with_buffer_hours == pytest.approx(
            summary.total_hours * (1 + summary.buffer_percent / 100), rel=1e-3
        )
        return summary.buffer_percent

    plan = made()
    simple = by_hand(plan, ("  ml-engineer: option_c", "  ml-engineer: option_a"))
    assert plan.selection["ml-engineer"] == "option_c"
    assert buffer(simple) == 10
    assert buffer(plan) == 25
    assert buffer(needs(plan, "ml-engineer", "python: tensorflow")) == 50


def changed(*path: str, value: Any) -> Policies:
    raw = copy.deepcopy(load_yaml(Content().text("orchestrator/review.yaml"), "x"))
    at = raw
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return POLICIES.model_copy(update={"review": validate_record(ReviewPolicy, raw, "x")})


def test_every_key_of_the_policy_is_used() -> None:
    plan = made()
    lacking = needs(plan, "ml-engineer", "python: tensorflow")
    simple = by_hand(plan, ("  ml-engineer: option_c", "  ml-engineer: option_a"))
    for subject, path, value in (
        (lacking, ("conflicts", "technology_mismatch", "severity"), "critical"),
        (lacking, ("conflicts", "technology_mismatch", "resolution"), "Leave it."),
        (lacking, ("decision", "no_go"), ["high", "critical"]),
        (plan, ("thresholds", "budget_share"), 0.0001),
        (plan, ("thresholds", "high_risk_risks"), 1),
        (simple, ("buffers", "simple"), 50),
        (plan, ("buffers", "complex"), 10),
        (lacking, ("buffers", "high_risk"), 10),
    ):
        assert reviewed(subject, changed(*path, value=value)) != reviewed(subject), path


def test_a_no_go_is_refused_with_the_way_out_and_the_words_of_the_door() -> None:
    stopped = reviewed(needs(made(), "ml-engineer", "artifact: embeddings"))
    with pytest.raises(BadInput) as refused:
        refuse_no_go(stopped, "Use the back door.", say=lambda text: text[:21])
    assert str(refused.value) == "The review says no-go Use the back door."
    with pytest.raises(BadInput) as whole:
        refuse_no_go(stopped, "")
    (conflict,) = (one for one in stopped.conflicts if one.severity == "critical")
    assert str(whole.value).count(conflict.what) == 1
    refuse_no_go(reviewed(made()), "There is none to use.")
