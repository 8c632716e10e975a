"""The hook and mlagent's own record agree on which plans are valid."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import AgentPlanDocument
from mlagent.documents import read_record
from mlagent.doors.claude_code.hook.plan_check import (
    BrokenSchema,
    check_schema,
    contract_problems,
    plan_problems,
)
from mlagent.doors.claude_code.hook.plan_text import Refused, read_plan_text
from mlagent.doors.claude_code.policy import plan_schema

SCHEMA = plan_schema()
GUIDE = (Path(__file__).parents[3] / "docs" / "HYBRID_PLANNING_GUIDE.md").read_text("utf-8")
GOOD = next(b.split("```")[0] for b in GUIDE.split("```yaml\n") if b.startswith("agent_plan:"))


def edited(old: str, new: str) -> str:
    assert old in GOOD, old
    return GOOD.replace(old, new, 1)


FLOW = json.dumps(read_plan_text(GOOD), ensure_ascii=False)
VALID = {
    "as the guide has it": GOOD,
    "as JSON": FLOW,
    "as indented JSON": json.dumps(read_plan_text(GOOD), indent=2),
    "without what may be left out": edited("      confidence: medium", "      # none"),
    "description empty": edited('description: "one or two sentences"', "description: "),
    "three options": edited(
        "  recommendation:",
        "    option_c: {approach: x, pros: [], cons: [], time_estimate_hours: 0, complexity: low,"
        " risks: [], dependencies: []}\n  recommendation:",
    ),
    "hours in quotes": edited("time_estimate_hours: 0.05", 'time_estimate_hours: "0.05"'),
    "hours are true": edited("time_estimate_hours: 0.05", "time_estimate_hours: true"),
    "hours are zero": edited("time_estimate_hours: 0.05", "time_estimate_hours: 0"),
    "a list below its key": edited('pros: ["about this table"]', "pros:\n      - a\n      - b"),
    "a folded text": edited('rationale: "why, here"', "rationale: >-\n      why,\n      here"),
    "text over two lines": edited('rationale: "why, here"', "rationale: why,\n      here"),
    "an empty text": edited('rationale: "why, here"', 'rationale: ""'),
    "a comment at the end": GOOD + "# end\n",
    "Windows line ends": GOOD.replace("\n", "\r\n"),
    "empty lines": GOOD.replace("\n", "\n\n"),
}
INVALID = {
    "nothing": "",
    "a text": "agent_plan",
    "null": "agent_plan:",
    "a list": "agent_plan: []",
    "no outer key": "\n".join(line[2:] for line in GOOD.splitlines()[1:]),
    "another outer key": GOOD.replace("agent_plan", "plan"),
    "two outer keys": GOOD + "more: 1\n",
    "an unknown key": edited("  task:", "  goal: x\n  task:"),
    "an unknown key of an option": edited("      cons:", "      contra: []\n      cons:"),
    "a missing key": edited('      cons: ["about this table"]\n', ""),
    "an unknown option": edited("option_b:", "option_d:"),
    "one option": edited("    option_b:", "    option_a2:"),
    "selected is none of them": edited("selected: option_a", "selected: option_c"),
    "selected is no option": edited("selected: option_a", "selected: the first"),
    "another level": edited("complexity: low", "complexity: easy"),
    "level in capitals": edited("complexity: low", "complexity: Low"),
    "hours are words": edited("time_estimate_hours: 0.05", "time_estimate_hours: an hour"),
    "hours are negative": edited("time_estimate_hours: 0.05", "time_estimate_hours: -1"),
    "hours are null": edited("time_estimate_hours: 0.05", "time_estimate_hours: null"),
    "hours are infinite": edited("time_estimate_hours: 0.05", "time_estimate_hours: inf"),
    "hours are a list": edited("time_estimate_hours: 0.05", "time_estimate_hours: [1]"),
    "approach is empty": edited('approach: "one line"', 'approach: ""'),
    "approach is a number": edited('approach: "one line"', "approach: 12"),
    "approach is a map": edited('approach: "one line"', "approach: {a: b}"),
    "pros are one text": edited('pros: ["about this table"]', "pros: about this table"),
    "pros are null": edited('pros: ["about this table"]', "pros:"),
    "pros hold a number": edited('pros: ["about this table"]', "pros: [1]"),
    "a dependency without quotes": edited(
        '["python: lightgbm", "artifact: column_roles"]', "\n      - python: lightgbm"
    ),
    "options are a list": "agent_plan: {agent_name: a, task: b, implementation_options: [], "
    "recommendation: {selected: option_a, rationale: x, conditions: []}}",
    "a key twice": edited("  task:", '  task: "x"\n  task:'),
    "an anchor": edited("option_a:", "option_a: &x"),
    "a colon in plain text": edited('approach: "one line"', "approach: a: b"),
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "indentation off": edited("      cons:", "     cons:"),
    "two documents": GOOD + "---\n" + GOOD,
}


def mlagent_accepts(text: str) -> bool:
    try:
        read_record(AgentPlanDocument, text, "plan")
    except BadInput:
        return False
    return True


def problems(text: str) -> list[str]:
    try:
        return plan_problems(SCHEMA, read_plan_text(text))
    except Refused as error:
        return [str(error)]


@pytest.mark.parametrize("case", VALID)
def test_what_mlagent_accepts_passes_the_hook(case: str) -> None:
    assert mlagent_accepts(VALID[case])
    assert problems(VALID[case]) == []


@pytest.mark.parametrize("case", INVALID)
def test_what_mlagent_refuses_goes_back(case: str) -> None:
    assert not mlagent_accepts(INVALID[case])
    assert problems(INVALID[case])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside `value`."""
    inner: Any = ()
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for key, item in inner:
        found += places(item, (*path, key))
    return found


STRANGE = [None, True, 0, -1, 2.5, "", "x", "0.5", "low", "option_a", [], ["x"], [1], {}, {"a": 1}]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_changed_in_a_plan_both_say_the_same(seed: int) -> None:
    rng = random.Random(seed)
    whole = read_plan_text(GOOD)
    outcomes = []
    for _ in range(700):
        value = copy.deepcopy(whole)
        for _ in range(rng.choice((1, 1, 2))):
            *way, last = rng.choice(places(value) or [("agent_plan",)])
            holder = value
            for step in way:
                holder = holder[step]
            if rng.random() < 0.25 and holder:
                del holder[last]
            elif isinstance(holder, dict) and rng.random() < 0.2:
                holder[rng.choice(["x", "option_c", "confidence", "task"])] = rng.choice(STRANGE)
            else:
                holder[last] = rng.choice(STRANGE)
        try:
            AgentPlanDocument.model_validate(value)
            valid = True
        except ValidationError:
            valid = False
        assert (plan_problems(SCHEMA, value) == []) is valid, value
        outcomes.append(valid)
    assert 50 < sum(outcomes) < 650


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("complexity: low", "complexity: lo", "option_a.complexity is 'lo' (did you mean 'low'?)"),
        ("      cons:", "      con:", "option_a.con is no known key (did you mean 'cons'?)"),
        ("selected: option_a", "selected: option_c", "but the options are option_a, option_b"),
        ("0.05", "-1", "time_estimate_hours is -1; it must be at least 0"),
        ('"one line"', "12", "approach is 12; a text is needed; put it in quotes"),
    ],
)
def test_a_refusal_names_field_value_and_what_is_allowed(old: str, new: str, sentence: str) -> None:
    assert sentence in " ".join(problems(edited(old, new)))


def test_a_valid_plan_of_another_agent_or_with_too_few_options_goes_back() -> None:
    value = read_plan_text(GOOD)
    assert contract_problems("ml-engineer", {"min_options": 2, "max_options": 3}, value) == []
    assert "you are 'data-explorer'" in " ".join(
        contract_problems("data-explorer", {"min_options": 2, "max_options": 3}, value)
    )
    assert "asks for 3 to 3 options" in " ".join(
        contract_problems("ml-engineer", {"min_options": 3, "max_options": 3}, value)
    )


@pytest.mark.parametrize("schema", [None, {"pattern": "x"}, {"type": "integer"}, {"items": 1}])
def test_a_schema_with_a_word_that_the_hook_does_not_know_is_broken(schema: Any) -> None:
    with pytest.raises(BrokenSchema):
        check_schema(schema)


@pytest.mark.parametrize("role", ROLES)
def test_the_yaml_that_the_personas_show_passes_the_hook(role: str) -> None:
    from mlagent.doors.claude_code.files import export_files

    page = export_files(Content(), "project")[f".claude/agents/{role}.md"]
    plan = page.split("## Planning mode")[1].split("```yaml\n")[1].split("```")[0]
    value = read_plan_text(plan)
    planning = load_contracts(Content())[role].planning  # type: ignore[index]
    limits = {"min_options": planning.min_options, "max_options": planning.max_options}
    assert plan_problems(SCHEMA, value) == []
    assert contract_problems(role, limits, value) == []
