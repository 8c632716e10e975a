"""load_yaml keeps words as words, refuses what could blow up, and says where."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagent.contracts.base import Record
from mlagent.contracts.errors import BadInput
from mlagent.documents import MAX_YAML_CHARACTERS, dump_yaml, load_yaml


def refusal(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        load_yaml(text, "f.yaml")
    return str(caught.value)


def test_words_that_other_readers_turn_into_booleans_stay_words() -> None:
    found = load_yaml("a: yes\nb: no\nc: on\nd: off\ne: y\nno: 1", "f")
    assert found == {"a": "yes", "b": "no", "c": "on", "d": "off", "e": "y", "no": 1}


@pytest.mark.parametrize("text", ["0123", "1_000", "0x1F", "0o17", "2024-01-31", "12:30", "1.2.3"])
def test_codes_and_dates_stay_text(text: str) -> None:
    assert load_yaml(f"a: {text}", "f") == {"a": text}


def test_numbers_null_and_booleans_are_read() -> None:
    found = load_yaml("a: 5\nb: -1.5\nc: 1e5\nd: null\ne: true\nf:\ng: .5", "f")
    assert found == {"a": 5, "b": -1.5, "c": 1e5, "d": None, "e": True, "f": None, "g": 0.5}


def test_quoted_scalars_are_text() -> None:
    assert load_yaml("a: '5'\nb: \"true\"\nc: |\n  null\n", "f") == {
        "a": "5",
        "b": "true",
        "c": "null\n",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\nb: *x", "line 1, a: the anchor &x"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands twice (first on line 1)"),
        ("a:\n  b: !!python/object/apply:os.system ['true']", "line 2, a.b: the tag"),
        ("a: !x 1", "the tag '!x'"),
        ("? [a, b]\n: 1", "a key must be plain text"),
        ("a: 1\n---\nb: 2", "line 2: a second document"),
        ("a: 99999999999999999999999", "too large"),
        ("a: 1e999", "too large"),
        ("a: [1\nb: 2", "line 2: not valid YAML"),
        ("a: b: c", "line 1: not valid YAML"),
        ("[" * 40, "nested deeper than 30"),
        ("x: \x00", "not valid YAML"),
        ("x: \ud800", "surrogate"),
    ],
)
def test_a_construct_that_could_surprise_is_refused_with_its_line(text: str, said: str) -> None:
    assert said in refusal(text)


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert "line 1, a: the anchor" in refusal(bomb)


def test_a_document_beyond_the_limit_is_refused_unread() -> None:
    assert "too large" in refusal("#" * (MAX_YAML_CHARACTERS + 1))


class Words(Record):
    words: tuple[str, ...]
    by_name: dict[str, str]
    number: float


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=120)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(TEXT, max_size=5),
    st.dictionaries(TEXT, TEXT, max_size=4),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_is_dumped_is_read_back_equal(
    words: list[str], by_name: dict[str, str], number: float
) -> None:
    record = Words(words=tuple(words), by_name=by_name, number=number)
    assert Words.model_validate(load_yaml(dump_yaml(record), "f")) == record


BLANKS = "  ::' : " + " ".join([":" * 9] * 9) + " :"
"""Folded, its last blank would come back as a line break."""


@pytest.mark.parametrize(
    "word",
    ["yes", "no", "1.0", "1e5", "0123", "null", "~", "", "{{7*7}}", "a: b", "# x", "- x", BLANKS],
)
def test_words_that_look_like_something_else_survive_a_round_trip(word: str) -> None:
    record = Words(words=(word,), by_name={word: word}, number=1e-5)
    text = dump_yaml(record)
    assert Words.model_validate(load_yaml(text, "f")) == record
    assert "&" not in text
    assert "!!" not in text


def test_a_long_sentence_is_wrapped_and_a_short_list_stays_on_one_line() -> None:
    record = Words(words=("a", "b"), by_name={"why": "word " * 60 + "end"}, number=2)
    lines = dump_yaml(record).splitlines()
    assert "words: [a, b]" in lines
    assert max(map(len, lines)) <= 110
