"""The hook's own YAML reader means what mlagent's reader means, or refuses."""

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import AgentPlanDocument
from mlagent.documents import dump_yaml, load_yaml
from mlagent.doors.claude_code.hook.plan_text import Refused, read_plan_text
from mlagent.doors.claude_code.hook.stopping import find_plans

GUIDE = Path(__file__).parents[3] / "docs" / "HYBRID_PLANNING_GUIDE.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
SHAPES = [
    "a: >\n  x y\n  z\n\n  w\n    more\n  end\nb: |-\n  x\n   y\n\nc: |+\n  q\n\n\n",
    "d: >+2\n   a\n\n",
    "a: \"x\n  y\n\n  z \\\n   w\\n\\u00e9\"\nb: 'it''s\n  fine'\n\"k e\": 'v'\n",
    'a: [x, y,\n  "z", # why\n]\nb: {c: 1, "d": [a b\n  c], e: }\nf: [[], {}]\n',
    '{"agent_plan": {"a": [1, 2.5, null, true], "b": "x", "c": {}}}',
    "a:\n- b: 1\n  c: 2\n- - x\n  - y\n-\n  z\n- >-\n  t\n",
    "a: text that\n  goes on - and\n\n  on # end\nb: c:d\nc:\n  begins below\n  and goes on\n",
    "---\n# c\na: -1\nb: .5\nc: 1e3\nd: 0123\ne: ~\nf: yes\ng: 1_000\nh: 2024-01-01\ni: NULL\n",
]
LETTERS = st.characters(exclude_categories=("Cs",))
TEXT = st.text(LETTERS, max_size=60) | st.sampled_from(
    [
        "a: b",
        "- x",
        "# c",
        'it\'s "so"',
        "yes",
        "1e5",
        "x\ny\n",
        " lead",
        "trail ",
        "\ttab",
        "|",
        "&a",
    ]
)
SENTENCE = st.lists(st.text(st.sampled_from("ab :#-'\"%"), min_size=1, max_size=9), max_size=40)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A plan that the record accepts, with any text in it."""
    texts = st.lists(TEXT | SENTENCE.map(" ".join), max_size=3)
    names = draw(st.sampled_from((["option_a", "option_b"], ["option_a", "option_b", "option_c"])))
    level = st.sampled_from(("low", "medium", "high"))

    def option() -> dict[str, Any]:
        return {
            "approach": draw(TEXT.filter(bool)),
            "description": draw(st.none() | TEXT),
            "pros": draw(texts),
            "cons": draw(texts),
            "time_estimate_hours": draw(st.integers(0, 99) | st.floats(0, 1e6)),
            "complexity": draw(level),
            "risks": draw(texts),
            "dependencies": draw(texts),
            "confidence": draw(st.none() | level),
        }

    return {
        "agent_plan": {
            "agent_name": "ml-engineer",
            "task": draw(TEXT),
            "implementation_options": {name: option() for name in names},
            "recommendation": {
                "selected": draw(st.sampled_from(names)),
                "rationale": draw(TEXT | SENTENCE.map(" ".join)),
                "conditions": draw(texts),
            },
            "questions_for_review": draw(texts),
        }
    }


@settings(max_examples=150, deadline=None)
@given(plans())
def test_what_mlagent_writes_is_read_as_the_same_plan(plan: dict[str, Any]) -> None:
    record = AgentPlanDocument.model_validate(plan)
    text = dump_yaml(record)
    assert read_plan_text(text) == load_yaml(text, "plan")
    assert AgentPlanDocument.model_validate(read_plan_text(text)) == record


@settings(max_examples=100, deadline=None)
@given(plans())
def test_what_another_yaml_writer_writes_is_read_or_refused_never_misread(
    plan: dict[str, Any],
) -> None:
    text = yaml.safe_dump(plan, allow_unicode=True, width=60)
    try:
        found = read_plan_text(text)
    except Refused:
        return
    assert found == load_yaml(text, "plan")


@pytest.mark.parametrize("text", [*BLOCKS, *SHAPES])
def test_the_shapes_that_people_write_are_read(text: str) -> None:
    assert read_plan_text(text) == load_yaml(text, "text")


PIECES = [
    *"ab: #-\n \"'[]{},|>&*!%@`?\\0~.",
    ": ",
    "- ",
    " #",
    "\n  ",
    "\n\n",
    "---",
    "...",
    "null",
]


def mutated(rng: random.Random, text: str) -> str:
    """`text`, or some lines of it, with a few characters changed."""
    lines = text.split("\n")
    if rng.random() < 0.7:
        start = rng.randrange(len(lines))
        lines = lines[start : start + rng.randrange(1, 8)]
        indent = min((len(x) - len(x.lstrip(" ")) for x in lines if x.strip()), default=0)
        lines = [line[indent:] for line in lines]
    characters = list("\n".join(lines))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        if characters:
            place = rng.randrange(len(characters))
            end = place + rng.choice((0, 1, 1, 3))
            characters[place:end] = [rng.choice([*PIECES, ""])]
    return "".join(characters)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_yaml_is_never_accepted_with_another_meaning(seed: int) -> None:
    rng = random.Random(seed)
    same = 0
    for _ in range(2_500):
        text = mutated(rng, rng.choice([*BLOCKS, *SHAPES]))
        try:
            found = read_plan_text(text)
        except Refused:
            continue
        assert repr(found) == repr(load_yaml(text, repr(text)))
        same += 1
    assert same > 200


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: &x 1", "cannot begin"),
        ("a: !!str 1", "cannot begin"),
        ("a: 1\na: 2", "twice"),
        ("a:\n\tb: 1", "line 2: a tab"),
        ("a: b: c", "quotes"),
        ("a: 1\n---\nb: 2", "line 2: a document marker"),
        ("? a\n: b", "needed here"),
        ("a: [b: c]", "quotes"),
        ('a: "b', "not closed"),
        ("a: [b", "not closed"),
        ("a: 99999999999999999999999", "too large"),
        ("just text", "a map such as"),
        ("a:" + "[" * 40 + "]" * 40, "nested deeper"),
        ("a: " + "x" * 300_000, "longer than"),
    ],
)
def test_a_refusal_says_what_and_where(text: str, what: str) -> None:
    with pytest.raises(Refused, match=re.escape(what)):
        read_plan_text(text if not text.startswith("a:[") else "a: " + text[2:])


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 90_000,
        "a: '" + "''" * 90_000,
        "- " * 90_000,
        "a: x\n" + "\n" * 190_000,
        "a: |\n" + " \n" * 90_000,
        "".join(f"k{n}: v\n" for n in range(18_000)),
        "a: " + "b\n  " * 45_000,
    ],
)
def test_hostile_text_takes_no_time(text: str) -> None:
    begun = time.process_time()
    with suppress(Refused):
        read_plan_text(text)
    assert time.process_time() - begun < 2


def test_a_hostile_message_takes_no_time() -> None:
    begun = time.process_time()
    for line in (" " * 100_000, " " * 50_000 + "{" + " " * 50_000, "`" * 100_000, "{'" * 50_000):
        assert find_plans(f"{line}x\n" * 2) == []
    assert time.process_time() - begun < 2


def test_both_readers_refuse_what_is_not_yaml() -> None:
    for text in ("a: [", "a: 'x", "a:\n  b\n c: d", "a: 1\n  b: 2"):
        with pytest.raises(BadInput):
            load_yaml(text, "text")
        with pytest.raises(Refused):
            read_plan_text(text)
