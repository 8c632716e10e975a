"""All practice tables: a natural sentence finds the target or asks; with `--target` a plan is made.

The sentences are a user's, written before the code was seen to answer them; a wrong answer is to be
mended in the code or become a question, never by changing a sentence.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Plan
from mlagent.documents import read_record
from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here

SENTENCES = {
    "adult": "who earns more than 50,000 a year?",
    "ames_housing": "predict what a house will sell for",
    "bank_churn": "which bank customers are about to leave us",
    "bike_sharing": "how many bikes will be rented in a given hour",
    "california_housing": "estimate the median house value of a district",
    "car_evaluation": "classify cars by how acceptable they are",
    "credit_default": "will this client default on the payment next month",
    "german_credit": "a model of the risk that a loan ends in default",
    "hpc_jobs": "predict the class of run time of a compute job",
    "hr_attrition": "attrition model: which employees quit",
    "insurance": "predict medical charges of the insured",
    "sms_spam": "a spam filter for text messages",
    "synth_churn": "churn model",
    "taxis_seaborn": "predict the taxi fare before the ride",
    "telco_churn": "which of our telephone customers will churn",
    "titanic": "who survived the sinking?",
    "wine_white": "rate the quality of white wines",
}
ENOUGH_RIGHT = 11


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")


def table(root: Path, name: str) -> Path:
    return root / name / f"{name}.csv"


def test_every_table_has_a_sentence(datasets_root: Path) -> None:
    assert {path.parent.name for path in datasets_root.glob("*/meta.json")} == set(SENTENCES)


def test_a_natural_sentence_finds_the_target_or_asks_and_is_never_wrong(
    datasets_root: Path, tmp_path: Path
) -> None:
    right, wrong, asked = [], [], {}
    for name, sentence in SENTENCES.items():
        target = json.loads((datasets_root / name / "meta.json").read_text())["target"]
        try:
            flags = PlanFlags(sentence, data=table(datasets_root, name))
            found = make_plan_here(tmp_path, flags, None).plan.task.target
        except BadInput as question:  # exit code 2
            asked[name] = question
        else:
            (right if found == target else wrong).append(f"{name}: {found!r}")
    assert wrong == []
    assert all("--target" in question.remedy for question in asked.values()), asked
    assert len(right) >= ENOUGH_RIGHT, f"asked for {list(asked)}"


@pytest.mark.parametrize("name", SENTENCES)
def test_with_target_given_a_plan_is_made_and_reviewed(
    datasets_root: Path, tmp_path: Path, name: str
) -> None:
    meta = json.loads((datasets_root / name / "meta.json").read_text())
    flags = PlanFlags(
        SENTENCES[name],
        data=table(datasets_root, name),
        target=meta["target"],
        positive=meta["positive"],
    )
    made = make_plan_here(tmp_path, flags, None)
    plan = read_record(Plan, made.path.read_text(encoding="utf-8"), "plan.yaml")
    assert plan.model_dump_json() == made.plan.model_dump_json()
    assert (plan.task.target, plan.task.kind) == (meta["target"], meta["task"])
    assert plan.task.positive == meta["positive"]
    assert plan.data is not None
    assert (plan.data.rows, len(plan.data.columns)) == (meta["rows"], meta["cols"])
    assert plan.review.decision in ("go", "conditional-go")
    assert plan.review.reasons
    assert set(plan.selection) == set(plan.agent_plans)
    for agent_plan in plan.agent_plans.values():
        assert 2 <= len(agent_plan.implementation_options) <= 3
