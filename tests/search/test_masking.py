"""No word of a text cell leaves in what a candidate printed; its own code and plain words do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlagent.data.frames import write_frame
from mlagent.orchestrator.masking import CELL, LARGEST, NUMBER, Mask

CODE = "def fit(train, spec):\n    return train['plan'].map(prices).astype(float)\n"


@pytest.fixture
def mask(tmp_path: Path) -> Mask:
    table = pd.DataFrame(
        {
            "plan": ["gold", "silver", "zq-canary-7731", None],
            "note": ["Call Mrs. Quigley back", "", "o'neill's order", "the value is not valid"],
            "fee": [1.0, 2.0, 918273.645, 4.0],
        }
    )
    path = tmp_path / "t.parquet"
    write_frame(table, path)
    return Mask(path, ["plan", "note"], ["plan", "note", "fee"])


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("ValueError: could not convert string to float: 'gold'", f"float: '{CELL}'"),
        ("KeyError: 'zq-canary-7731'", CELL),
        ("Quigley", CELL),
        ("QUIGLEY quigley", f"{CELL} {CELL}"),
        ("fee 918273.645 too large", f"fee {NUMBER} too large"),
        ("918,273.645", NUMBER),
        ("1.234e-05", NUMBER),
        ("0.0012345", NUMBER),
    ],
)
def test_cells_are_taken_out(mask: Mask, said: str, left: str) -> None:
    cleaned = mask.clean(said, CODE)
    assert left in cleaned
    assert "quigley" not in cleaned.lower()
    assert "canary" not in cleaned


def test_code_names_and_plain_words_stay(mask: Mask) -> None:
    said = (
        'File "/in/candidate/solution.py", line 12, in fit\n'
        "    return train['plan'].map(prices).astype(float)\n"
        "ValueError: the value is not valid: column 'plan' of the frame"
    )
    cleaned = mask.clean(said, CODE)
    assert "map(prices).astype(float)" in cleaned
    assert "the value is not valid: column 'plan'" in cleaned
    assert "line 12, in fit" in cleaned


def test_a_short_word_is_hidden_only_as_a_word_of_a_cell(mask: Mask) -> None:
    assert mask.clean("after 4 s", CODE) == "after 4 s", "'silver' holds an s, but no such word"
    assert mask.clean("Mrs.", CODE) == f"{CELL}."


@pytest.mark.parametrize("number", ["0.837", "0.00123", "-1.2e-05", "999", "1e6", "0.0"])
def test_a_number_of_three_digits_stays(mask: Mask, number: str) -> None:
    assert mask.clean(f"about {number}", CODE) == f"about {number}"


def test_a_word_that_no_cell_holds_stays(mask: Mask) -> None:
    assert "LinAlgWarning singular matrix" in mask.clean("LinAlgWarning singular matrix", CODE)


def test_long_output_keeps_its_ends(mask: Mask) -> None:
    text = "begin " + "x " * 50_000 + "end"
    cleaned = mask.clean(text, CODE)
    assert len(cleaned) < LARGEST + 100
    assert cleaned.startswith("begin")
    assert cleaned.endswith("end")


def test_very_many_unknown_words_are_all_taken_out(mask: Mask) -> None:
    text = " ".join(f"wq{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{i}" for i in range(900))
    assert "gold" not in mask.clean(text + " gold", CODE)


def test_an_empty_text_and_a_table_without_texts(tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    write_frame(pd.DataFrame({"a": [1.0]}), path)
    mask = Mask(path, [], ["a"])
    assert mask.clean("", "") == ""
    assert mask.clean("Quigley 1234567", "") == f"Quigley {NUMBER}"
