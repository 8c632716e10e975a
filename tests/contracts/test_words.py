"""Numbers beside their nouns."""

from __future__ import annotations

import pytest

from mlagent.contracts.words import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "said"),
    [
        (0, "row", "", "0 rows"),
        (1, "row", "", "1 row"),
        (2_000, "row", "", "2,000 rows"),
        (1, "try", "tries", "1 try"),
        (3, "try", "tries", "3 tries"),
        (2_345.6, "value", "", "2,346 values"),
    ],
)
def test_one_is_singular_and_all_else_plural(
    number: float, noun: str, plural: str, said: str
) -> None:
    assert counted(number, noun, plural) == said


def test_a_number_beyond_a_float_is_written_out() -> None:
    assert counted(10**400, "trial").startswith("10,000,")
