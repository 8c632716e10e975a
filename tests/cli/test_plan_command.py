"""`mlagent plan`: what it makes of no table, of two, of a mixed sentence; what it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run, edit, rows

from mlagent.contracts.plan import Plan
from mlagent.testing.tables import build_tree, churn_frame, write_csv

# --- no data, two tables, older plans ---


def test_a_plan_without_data_states_its_assumptions_and_execute_asks_for_data(
    tmp_path: Path, mlagent: Run
) -> None:
    done = mlagent("plan", "churn model", "--json")
    assert done.code == 0
    plan = Plan.model_validate_json(done.out)
    assert plan.data is None
    assert len(plan.agent_plans) == 3
    for made in plan.agent_plans.values():
        assert made.recommendation.conditions
        assert made.questions_for_review
    shown = mlagent("plan", "churn model").out
    assert "condition: " in shown
    assert "question: " in shown
    refused = mlagent("execute")
    assert refused.code == 2
    assert "--data" in refused.err


def test_without_a_table_the_files_that_are_not_read_are_named(
    tmp_path: Path, mlagent: Run
) -> None:
    build_tree(tmp_path, {"t.csv.gz": b"", "book.xlsx": b""})
    done = mlagent("plan", "churn model")
    assert done.code == 0
    assert "No table here" in done.out
    assert "Seen and not read: 'book.xlsx', 't.csv.gz'. Give a CSV" in done.out


def test_two_plausible_tables_are_a_question_not_a_guess(tmp_path: Path, mlagent: Run) -> None:
    build_tree(tmp_path, {"a.csv": "x,y,z,churned\n" + rows(), "b.csv": "x,y\n1,2\n3,4\n"})
    done = mlagent("plan", "churn model")
    assert done.code == 2
    assert "'a.csv'" in done.err
    assert "'b.csv'" in done.err
    assert "--data" in done.err
    assert mlagent("plan", "churn model", "--data", "a.csv").code == 0


def test_planning_again_moves_the_older_plan_and_keeps_its_every_byte(
    planned: Path, mlagent: Run
) -> None:
    edit(planned, "  seconds: 300.0", "  seconds: 77.0")
    edited = (planned / "plan.yaml").read_bytes()
    done = mlagent("plan", "churn model")
    assert done.code == 0
    (kept,) = (planned / "plans").iterdir()
    assert kept.read_bytes() == edited
    assert f"plans/{kept.name}" in done.out.replace("\n", "")


# --- routing ---


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("build me a React page", "frontend-architect"),
        ("forecast the sales of next month", "out of scope"),
        ("   ", "empty"),
    ],
)
def test_work_of_others_is_refused_with_a_sentence(
    tmp_path: Path, mlagent: Run, sentence: str, said: str
) -> None:
    build_tree(tmp_path, {"t.csv": "x,y,z,churned\n" + rows(), "plan.yaml": "# older\n"})
    done = mlagent("plan", sentence)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("sentence", "delegate"),
    [
        ("churn model and a React page", "frontend-architect"),
        ("churn model, and forecast the sales", None),
        ("forecast the sales, then a model of who churned", None),
    ],
)
def test_of_a_mixed_sentence_one_part_is_done_and_the_other_said_not_to_be(
    tmp_path: Path, mlagent: Run, sentence: str, delegate: str | None
) -> None:
    build_tree(tmp_path, {"t.csv": "sales,page,react,churned\n" + rows()})
    done = mlagent("plan", sentence, "--json")
    assert done.code == 0
    plan = Plan.model_validate_json(done.out)
    assert plan.task.target == "churned"
    assert plan.task.description == sentence
    assert [refused.delegate_to for refused in plan.routing.refused] == [delegate]
    shown = mlagent("plan", sentence).out
    assert "Not done here: " in shown


def test_a_column_that_only_the_refused_part_names_is_not_the_target(
    tmp_path: Path, mlagent: Run
) -> None:
    build_tree(tmp_path, {"t.csv": "a,b,sales,left\n" + rows()})
    done = mlagent("plan", "forecast sales, and a model of who left", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["task"]["target"] == "left"


# --- constraints, names of outputs ---


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (("monotone=contract:+",), "no number"),
        (("monotone=tenure:-", "interpretable"), "cannot both hold"),
        (("monotone=tenure:-", "monotone=tenure:+"), "twice"),
    ],
)
def test_a_monotone_constraint_that_no_model_can_keep_is_refused_at_once(
    mlagent: Run, tmp_path: Path, constraints: tuple[str, ...], words: str
) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    flags = [word for text in constraints for word in ("--constraint", text)]
    done = mlagent("plan", "churn model", *flags)
    assert done.code == 2
    assert words in done.err


def test_a_monotone_constraint_on_a_number_is_planned(mlagent: Run, tmp_path: Path) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    assert mlagent("plan", "churn model", "--constraint", "monotone=tenure:-").code == 0


@pytest.mark.parametrize("name", ["prediction", "p_yes"])
def test_a_feature_with_the_name_of_an_output_is_refused_before_training(
    mlagent: Run, tmp_path: Path, name: str
) -> None:
    write_csv(churn_frame(300).rename(columns={"fee": name}), tmp_path / "churn.csv")
    done = mlagent("plan", "churn model")
    assert done.code == 2
    assert name in done.err
    assert mlagent("plan", "churn model", "--exclude", name).code == 0
