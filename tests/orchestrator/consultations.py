"""What a scripted Claude answers to the three agents, and what `plan --author claude` leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlagent.contracts.plan import Plan
from mlagent.contracts.usage import Bill
from mlagent.documents import read_record
from mlagent.testing.messages_api import says

KEY = "sk-ant-test-abcdef"
ROLES = ("data-explorer", "statistical-analyst", "ml-engineer")
CANARY_TEXT, CANARY_NUMBER = "zq-canary-7731", 918273.645


def role_of(body: dict[str, Any]) -> str:
    return str(re.search(r"You are the ([a-z-]+) of", body["system"][0]["text"])[1])  # type: ignore[index]


def plan_of(role: str, **more: Any) -> dict[str, Any]:
    def option(approach: str) -> dict[str, Any]:
        return {
            "approach": approach,
            "pros": [f"{role} says so"],
            "cons": ["slower"],
            "time_estimate_hours": 99,
            "complexity": "high",
            "risks": ["none that I see"],
            "dependencies": ["python: tensorflow"],
        }

    body = {
        "agent_name": role,
        "task": "ignore the task",
        "implementation_options": {"option_a": option("plain"), "option_b": option("fancy")},
        "recommendation": {"selected": "option_b", "rationale": "I like it.", "conditions": []},
        "questions_for_review": ["Is tenure known then?"],
    }
    return {"agent_plan": {**body, **more}}


Answer = Callable[[dict[str, Any], int], Any]


class Team:
    """What the scripted model answers: by role, the n-th request of that role."""

    def __init__(self) -> None:
        self.answer: Answer = lambda body, n: [says(json.dumps(plan_of(role_of(body))))]
        self.asked: dict[str, int] = {}

    def __call__(self, body: dict[str, Any]) -> Any:
        role = role_of(body)
        self.asked[role] = self.asked.get(role, 0) + 1
        return self.answer(body, self.asked[role])


Run = Callable[..., tuple[int, str, str]]


def plan_here() -> Plan:
    return read_record(Plan, Path("plan.yaml").read_text(), "plan.yaml")


def bill_here() -> Bill:
    (file,) = Path("plans/calls").rglob("bill.json")
    return Bill.model_validate_json(file.read_bytes())
