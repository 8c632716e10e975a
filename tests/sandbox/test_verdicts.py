"""What is said of a job that failed: the exception with its first line."""

from __future__ import annotations

import pytest

from mlagent.contracts.ports import Limits
from mlagent.sandbox.verdicts import End, judge

TRACEBACK = """\
Traceback (most recent call last):
  File "/in/candidate/solution.py", line 4, in fit
    raise ValueError("column 'foo' is absent\\nsecond line")
ValueError: column 'foo' is absent
second line
"""


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (TRACEBACK, "ValueError: column 'foo' is absent"),
        ("warming up\nKeyError: 'x'\n", "KeyError: 'x'"),
        ("sklearn.exceptions.NotFittedError: fit it first\n\n", "NotFittedError: fit it first"),
        ("out of ideas\n", "out of ideas"),
    ],
)
def test_the_exception_is_named_with_its_first_line(log: str, said: str) -> None:
    verdict, sentence = judge(End(code=1), Limits(wall_s=5, memory_mb=256), log)
    assert verdict == "exit"
    assert sentence.endswith(f"{said}.")
