"""A plan that was recorded is played again to the same words; a key makes a new cassette."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from mlagent.cli.main import main
from mlagent.contracts.plan import Plan
from mlagent.documents import read_record
from mlagent.testing.cassette import played
from mlagent.testing.messages_api import Fails, Says, Script, messages_api, says
from mlagent.testing.tables import churn_frame, write_csv

KEY = "sk-ant-test-cassette"


def plan_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["mlagent", "plan", "churn model", "--author", "claude"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    return read_record(Plan, Path("plan.yaml").read_text(), "plan.yaml")


def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan in the name of whoever is asked, with words of its own."""
    role = str(re.search(r"You are the ([a-z-]+) of", body["system"][0]["text"])[1])  # type: ignore[index]
    option = {
        "approach": f"the way of {role}",
        "pros": ["short"],
        "cons": ["long"],
        "time_estimate_hours": 1,
        "complexity": "low",
        "risks": ["few"],
        "dependencies": [],
    }
    plan = {
        "agent_name": role,
        "task": "churn",
        "implementation_options": {"option_a": option, "option_b": option},
        "recommendation": {"selected": "option_a", "rationale": "so", "conditions": []},
    }
    return [says(json.dumps({"agent_plan": plan}))]


def hesitant(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The same, but each agent's first answer is none, so that a conversation goes on."""
    return [says("Let me think.")] if len(body["messages"]) == 1 else answer(body)


@pytest.mark.parametrize(("script", "asked"), [(answer, 3), (hesitant, 6)])
def test_a_recorded_plan_is_played_again(
    script: Script, asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, again = tmp_path / "recorded", tmp_path / "again"
    for folder, rows in ((recorded, 500), (again, 504)):  # other numbers, other signatures
        folder.mkdir()
        write_csv(churn_frame(rows), folder / "churn.csv")
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with messages_api(script) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        first = plan_in(recorded, monkeypatch)
    with messages_api(played(recorded / "plans" / "calls")) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        second = plan_in(again, monkeypatch)
        assert len(server.kept) == asked
    assert first.notes == second.notes == ()
    for role, plan in first.agent_plans.items():
        assert second.agent_plans[role].recommendation == plan.recommendation
        option = second.agent_plans[role].implementation_options["option_a"]
        assert option.approach == f"the way of {role}"
    assert not any(KEY.encode() in p.read_bytes() for p in recorded.rglob("*") if p.is_file())


def test_what_was_never_asked_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "0000"
    place.mkdir()
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "a 1"}]}
    (place / "request.json").write_text(json.dumps(body))
    (place / "answer.json").write_text(json.dumps({"content": [], "stop_reason": "end_turn"}))
    script = played(tmp_path)
    assert isinstance(script({**body, "max_tokens": 7}), Says), "numbers do not count"
    other = {**body, "messages": [{"role": "user", "content": "b"}]}
    assert isinstance(script(other), Fails)


def test_a_folder_without_answers_is_no_cassette(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no call that was answered"):
        played(tmp_path)


@pytest.mark.live
def test_the_real_service_plans_for_a_few_cents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs money: run it with MLAGENT_LIVE=1 and ANTHROPIC_API_KEY; calls/ is then a cassette."""
    write_csv(churn_frame(500), tmp_path / "churn.csv")
    made = plan_in(tmp_path, monkeypatch)
    assert made.author == "claude"
    assert made.notes == ()
