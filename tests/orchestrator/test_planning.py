"""plan.yaml is made from its inputs alone, checked before it is used, and never overwritten."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from planning_tables import CONTRACTS, POLICIES, churn, houses, plan_of, reference

from mlagent.contracts.base import ROLES
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.plan import Plan
from mlagent.contracts.profile import Profile
from mlagent.documents import dump_yaml, read_record
from mlagent.orchestrator.estimates import calibrate, past_runs
from mlagent.orchestrator.planning import (
    check_plan,
    plan_split,
    read_plan,
    review_again,
    task_with_split,
    write_plan,
)


def edited(plan: Plan, **parts: Any) -> Plan:
    return plan.model_copy(update=parts)


def test_the_same_inputs_give_the_same_plan() -> None:
    assert plan_of(churn()) == plan_of(churn())
    assert plan_of(churn()).created == "2026-03-04T05:06:07+00:00"


def test_the_plan_selects_what_the_agents_recommend_and_reviews_it() -> None:
    plan = plan_of(churn())
    assert tuple(plan.agent_plans) == ROLES
    for role, agent_plan in plan.agent_plans.items():
        assert plan.selection[role] == agent_plan.recommendation.selected
    assert plan.review.decision == "go"
    assert [phase.name for phase in plan.review.refined_execution_plan] == [
        "explore",
        "analyse",
        "engineer",
    ]
    assert plan.columns.found["customer"].role == "id"


def test_a_partial_sentence_gets_a_partial_plan() -> None:
    plan = plan_of(churn(), "just explore this table")
    assert tuple(plan.agent_plans) == ("data-explorer",)
    assert tuple(plan.selection) == ("data-explorer",)
    assert plan_split(plan) is None
    assert plan.review.decision == "go"


def test_a_sentence_of_which_nothing_is_left_makes_no_plan() -> None:
    with pytest.raises(BadInput, match="'build me a React page' is not done here.*frontend"):
        plan_of(churn(), "build me a React page")


def test_without_data_the_plan_still_comes() -> None:
    plan = plan_of()
    assert plan.data is None
    assert plan.review.decision == "conditional-go"
    assert all(a.recommendation.conditions for a in plan.agent_plans.values())
    assert all(a.questions_for_review for a in plan.agent_plans.values())


@pytest.mark.parametrize("profile", [churn(), houses(), None])
def test_a_written_plan_is_read_back_equal(tmp_path: Path, profile: Profile | None) -> None:
    plan = plan_of(profile)
    path = tmp_path / "plan.yaml"
    assert write_plan(plan, path, tmp_path / "plans") is None
    assert read_plan(path) == plan
    assert "selection:\n  data-explorer: option_" in path.read_text("utf-8")


def test_an_older_plan_moves_away_and_nothing_is_lost(tmp_path: Path) -> None:
    path, plans = tmp_path / "plan.yaml", tmp_path / "plans"
    write_plan(plan_of(churn()), path, plans)
    edits = ["edited by hand, once", "edited by hand, twice"]
    moved = []
    for text in edits:
        path.write_text(text, "utf-8")
        moved.append(write_plan(plan_of(churn()), path, plans))
    assert [file.read_text("utf-8") for file in moved if file] == edits
    assert all(file.parent == plans for file in moved if file)
    assert read_plan(path) == plan_of(churn())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan.yaml", "plans"]


def test_an_absent_plan_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no plan.*mlagent plan"):
        read_plan(tmp_path / "plan.yaml")


def test_a_typo_in_the_selection_is_met_with_line_field_and_allowed_values(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    text = dump_yaml(plan_of(churn())).replace("  ml-engineer: option_c", "  ml-engineer: optoin_c")
    path.write_text(text, "utf-8")
    line = text.splitlines().index("  ml-engineer: optoin_c") + 1
    with pytest.raises(BadInput) as caught:
        read_plan(path)
    said = str(caught.value)
    assert f"plan.yaml, line {line}, selection.ml-engineer: 'optoin_c'" in said
    assert "did you mean 'option_c'?" in said
    assert "allowed values: option_a, option_b, option_c" in said


def refused(plan: Plan, ref: Any) -> str:
    with pytest.raises(BadInput) as caught:
        check_plan(plan, ref)
    return str(caught.value)


def test_a_plan_on_its_own_data_may_run() -> None:
    check_plan(plan_of(churn()), reference(churn()))


def test_changed_data_is_refused_with_both_fingerprints_and_the_way_out() -> None:
    new = reference(churn()).model_copy(update={"sha256": "cd" * 32, "rows": 8000})
    said = refused(plan_of(churn()), new)
    assert "abababababab (7,043 rows)" in said
    assert "cdcdcdcdcdcd (8,000 rows)" in said
    assert "mlagent plan 'a task' --data table.csv" in said


def test_without_data_execution_is_refused_naming_the_flag() -> None:
    assert "--data" in refused(plan_of(), None)
    assert "--data" in refused(plan_of(churn()), None)
    assert "Plan again" in refused(plan_of(), reference(churn()))


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        (
            "selection",
            {"data-explorer": "option_a"},
            "nothing is selected for 'statistical-analyst'",
        ),
        ("exclude", ("tenur",), "no column 'tenur' (did you mean 'tenure'?)"),
        ("exclude", ("left",), "'left' is the target"),
        ("role", "nubmer", "did you mean 'number'?); allowed values: number, category"),
        ("dtype", "float", "allowed values: float64, int64"),
        ("found", "tenurr", "no column 'tenurr' (did you mean 'tenure'?)"),
    ],
)
def test_an_edit_that_names_nothing_is_refused(part: str, value: Any, said: str) -> None:
    plan = plan_of(churn())
    columns = plan.columns
    if part == "selection":
        plan = edited(plan, selection=value)
    elif part == "exclude":
        plan = edited(plan, columns=columns.model_copy(update={"exclude": value}))
    else:
        choice = columns.found["tenure"]
        found = (
            {value: choice}
            if part == "found"
            else {"tenure": choice.model_copy(update={part: value})}
        )
        plan = edited(plan, columns=columns.model_copy(update={"found": found}))
    assert said in refused(plan, reference(churn()))


def test_an_option_that_the_agent_did_not_propose_cannot_be_selected() -> None:
    plan = plan_of(churn())
    engineer = plan.agent_plans["ml-engineer"]
    two = {n: o for n, o in engineer.implementation_options.items() if n != "option_c"}
    smaller = engineer.model_copy(update={"implementation_options": two})
    plan = edited(plan, agent_plans={**plan.agent_plans, "ml-engineer": smaller})
    said = refused(plan, reference(churn()))
    assert "selection.ml-engineer: 'option_c'" in said
    assert "Allowed values: option_a, option_b." in said


def test_the_selected_analyst_option_decides_the_split() -> None:
    plan = plan_of(houses())
    assert plan.selection["statistical-analyst"] == "option_c"
    assert task_with_split(plan).group == "seller_id"
    plain = edited(plan, selection={**plan.selection, "statistical-analyst": "option_a"})
    assert task_with_split(plain).group is None


def test_the_review_is_made_again_after_an_edit() -> None:
    plan = plan_of(churn())
    cheap = edited(plan, budget=plan.budget.model_copy(update={"seconds": 2.0}))
    again = review_again(cheap, CONTRACTS, POLICIES, packages={})
    assert [conflict.kind for conflict in again.conflicts] == ["timeline_conflict"]
    assert again.decision == "conditional-go"


def test_a_contract_that_allows_fewer_options_stops_its_own_agent() -> None:
    contract = CONTRACTS["ml-engineer"]
    planning = contract.planning.model_copy(update={"max_options": 2})
    strict = {**CONTRACTS, "ml-engineer": contract.model_copy(update={"planning": planning})}
    with pytest.raises(MlagentError, match="proposed 3 options; its contract allows 2 to 2"):
        plan_of(churn(), contracts=strict)


class Clock:
    """Each look costs a tenth of a second."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks / 10


def test_the_machine_is_measured_once_and_then_remembered(tmp_path: Path) -> None:
    clock = Clock()
    first = calibrate(tmp_path / "cache", clock, engine="docker 20.10")
    looks = clock.looks
    assert looks > 0
    assert first.rows_columns_per_second > 0
    assert first.engine == "docker 20.10"
    assert calibrate(tmp_path / "cache", clock, engine="docker 20.10") == first
    assert clock.looks == looks


def test_a_damaged_or_closed_cache_costs_a_measurement_nothing_else(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    calibrate(cache, Clock())
    file = next(cache.iterdir())
    file.write_text("{broken", "utf-8")
    assert calibrate(cache, Clock()).rows_columns_per_second > 0
    (tmp_path / "file").write_text("", "utf-8")
    assert calibrate(tmp_path / "file" / "cache", Clock()).rows_columns_per_second > 0


def test_past_runs_teach_the_estimates(tmp_path: Path) -> None:
    from mlagent.contracts.run import Manifest

    assert past_runs(tmp_path / "runs") == ()
    plan = plan_of(churn())
    for number, wall in enumerate((100.0, 299.0, 101.0)):
        folder = tmp_path / "runs" / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "plan.yaml").write_text(dump_yaml(plan), "utf-8")
        manifest = Manifest.model_validate(
            {
                **dict.fromkeys(
                    ("run", "created", "finished", "mlagent", "task", "seal", "tier"), "x"
                ),
                **dict.fromkeys(("verdict", "journal_head"), "x"),
                **dict.fromkeys(("model_name", "model_sha256"), None),
                "kind": "execute",
                "wall_s": wall,
                "budget_s": 300.0,
                "data_sha256": "ab" * 32,
                "opening": 1,
                "journal_events": 3,
            }
        )
        (folder / "manifest.json").write_text(manifest.model_dump_json(), "utf-8")
        lines = []
        for at, kind, phase in (
            (1.0, "phase.start", "explore"),
            (9.0, "phase.done", "explore"),
            (9.0, "phase.start", "fit"),
            (80.0, "phase.done", "fit"),
        ):
            lines.append(f'{{"kind":"{kind}","elapsed_s":{at},"facts":{{"phase":"{phase}"}}}}')
        if number == 2:  # the engineer's time is not that of its option
            lines.append('{"kind":"search.done","elapsed_s":70.0,"facts":{}}')
        (folder / "journal.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "manifest.json").write_text("{", "utf-8")
    found = past_runs(tmp_path / "runs")
    explored = [past for past in found if past.agent == "data-explorer"]
    assert [past.actual_s for past in explored] == [8.0, 8.0, 8.0]
    assert [past.actual_s for past in found if past.agent == "ml-engineer"] == [71.0]
    later = plan_of(churn(), history=found).agent_plans["data-explorer"].implementation_options
    option = plan.selection["data-explorer"]
    assert later[option].time_estimate_hours * 3600 == pytest.approx(8.0, rel=0.02)


def test_a_plan_of_the_wrong_shape_is_refused_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a map with these keys is needed"):
        read_record(Plan, "- 1", "plan.yaml")
