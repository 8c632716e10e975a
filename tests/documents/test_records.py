"""read_record says file, line, field, what was given and what is allowed; load_json is strict."""

from __future__ import annotations

from typing import Literal

import pytest

from mlagent.contracts.base import Record
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import AgentPlanDocument, Budget
from mlagent.documents import dump_yaml, load_json, read_record

MINIMAL = """\
agent_plan:
  agent_name: "[this-agent]"
  task: "[assigned task]"
  implementation_options:
    option_a:
      approach: simple
      pros: [quick]
      cons: [rough]
      time_estimate_hours: 1
      complexity: low
      risks: []
      dependencies: ["npm: x"]
    option_b:
      approach: better
      pros: [good]
      cons: [slow]
      time_estimate_hours: 2.5
      complexity: high
      risks: [late]
      dependencies: []
  recommendation: {selected: option_a, rationale: enough, conditions: []}
"""
THIRD = """\
    option_c:
      {approach: c, pros: [], cons: [], time_estimate_hours: 9, complexity: high,
       risks: [], dependencies: []}
"""


def refusal(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        read_record(AgentPlanDocument, text, "plan.yaml")
    return str(caught.value)


def with_third() -> str:
    return MINIMAL.replace("  recommendation:", THIRD + "  recommendation:")


def test_a_document_with_just_the_required_keys_loads_with_or_without_option_c() -> None:
    two = read_record(AgentPlanDocument, MINIMAL, "x").agent_plan
    three = read_record(AgentPlanDocument, with_third(), "x").agent_plan
    assert list(two.implementation_options) == ["option_a", "option_b"]
    assert list(three.implementation_options) == ["option_a", "option_b", "option_c"]
    assert two.implementation_options["option_b"].time_estimate_hours == 2.5
    assert two.recommendation.conditions == ()


@pytest.mark.parametrize("text", [MINIMAL, with_third()])
def test_the_document_survives_a_round_trip(text: str) -> None:
    found = read_record(AgentPlanDocument, text, "x")
    assert read_record(AgentPlanDocument, dump_yaml(found), "y") == found


def test_a_value_with_a_typo_is_met_with_line_field_and_allowed_values() -> None:
    said = refusal(MINIMAL.replace("complexity: high", "complexity: hgih"))
    assert "plan.yaml, line 18, agent_plan.implementation_options.option_b.complexity" in said
    assert "'hgih' is not allowed (did you mean 'high'?); allowed values: low, medium, high" in said


def test_a_key_with_a_typo_is_met_with_line_and_allowed_keys() -> None:
    said = refusal(MINIMAL.replace("rationale:", "rationalle:"))
    assert "line 21, agent_plan.recommendation.rationalle" in said
    assert "did you mean 'rationale'?" in said
    assert "allowed keys: selected, rationale, conditions" in said


def test_an_option_that_does_not_exist_is_met_with_the_allowed_names() -> None:
    said = refusal(MINIMAL.replace("option_b:", "option_bb:"))
    assert "'option_bb'" in said
    assert "option_a, option_b, option_c" in said


def test_a_missing_key_is_named_with_the_line_of_its_parent() -> None:
    said = refusal(MINIMAL.replace("      risks: [late]\n", ""))
    assert "line 13, agent_plan.implementation_options.option_b.risks: the key 'risks'" in said


def test_a_number_where_text_belongs_says_to_quote_it() -> None:
    said = refusal(MINIMAL.replace("rationale: enough", "rationale: 12"))
    assert "12 is not text here; write '12' in quotes" in said


def test_one_option_alone_is_refused_in_words() -> None:
    start, end = MINIMAL.index("    option_b:"), MINIMAL.index("  recommendation:")
    assert "needs option_a and option_b" in refusal(MINIMAL[:start] + MINIMAL[end:])


def test_several_errors_come_at_once_and_are_capped() -> None:
    said = refusal(MINIMAL.replace("approach", "aproach"))
    assert said.count("did you mean 'approach'?") == 2


def test_an_empty_document_says_which_keys_are_needed() -> None:
    assert "agent_plan" in refusal("")


def test_a_union_names_every_way_out() -> None:
    class Share(Record):
        vault: Literal["auto"] | float

    with pytest.raises(BadInput, match="line 1, vault: 'outo'.*'auto'.*, or .*number"):
        read_record(Share, "vault: outo\n", "plan.yaml")


def test_json_errors_name_the_field() -> None:
    with pytest.raises(BadInput, match=r"x\.json, seconds"):
        read_record(Budget, '{"seconds": "soon"}', "x.json", format="json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("[" * 31 + "]" * 31, "nested deeper"),
        ('{"a": ' + "1" * 25 + "}", "more than 19 digits"),
        ('{"a": 1e400}', "too large"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a":\n 1,\n}', "line 3: not valid JSON"),
        ("", "not valid JSON"),
    ],
)
def test_json_is_read_strictly(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_json(text, "f.json")
    assert said in str(caught.value)


def test_brackets_inside_json_text_are_no_depth() -> None:
    assert load_json('{"a": "' + "[" * 100 + '\\"{"}', "f") == {"a": "[" * 100 + '"{'}
