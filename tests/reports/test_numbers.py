"""How numbers are written."""

from __future__ import annotations

import math

import pytest

from mlagent.contracts.evaluation import Difference, Score
from mlagent.reports import numbers


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.84534, "roc_auc", "0.8453"),
        (1.0, "roc_auc", "1.0000"),
        (41.7391, "rmse", "41.74"),
        (47176.3, "rmse", "47,176"),
        (0.05689, "log_loss", "0.0569"),
        (0.000123456, "rmse", "0.0001235"),
        (None, "rmse", "–"),
        (math.nan, "rmse", "–"),
    ],
)
def test_a_metric_is_written_with_four_sensible_digits(
    value: float | None, metric: str, text: str
) -> None:
    assert numbers.metric_value(value, metric) == text


def test_differences_carry_their_sign() -> None:
    found = Difference(value=0.0123, low=-0.0041, high=0.0205, verdict="not distinguishable")
    assert numbers.difference(found, "roc_auc") == "+0.0123 (−0.0041 to +0.0205)"
    assert numbers.interval(Score(value=0.5, low=0.4, high=0.6, n=9), "r2") == "0.4000 to 0.6000"


def test_shares_never_round_something_to_nothing() -> None:
    written = [numbers.share(x) for x in (0, 0.0001, 0.0312, 0.5, 0.9999, 1)]
    assert written == ["0 %", "under 0.1 %", "3.1 %", "50 %", "over 99.9 %", "100 %"]


def test_seconds_are_read_as_people_say_them() -> None:
    written = [numbers.seconds(x) for x in (0.42, 12.34, 60, 200, 3900)]
    assert written == ["0.42 s", "12.3 s", "1 min", "3 min 20 s", "1 h 05 min"]


def test_plain_numbers() -> None:
    written = [numbers.number(x) for x in (0, 3, 3.14159, 123.456, 999.96, 1234567, 0.00001)]
    assert written == ["0", "3", "3.142", "123.5", "1000.0", "1,234,567", "1e-05"]
