"""A prediction that cannot be scored gets one sentence; nothing is repaired."""

from __future__ import annotations

import numpy as np
import pytest

from mlagent.referee.check import check_prediction

CLASSES = ("a", "b", "c")


def spoilt(value: float) -> np.ndarray:
    return np.array([0.1, value, 0.3])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(4), r"shape \(4,\), but \(3,\)"),
        (np.zeros((3, 1)), r"shape \(3, 1\)"),
        (spoilt(np.nan), "1 NaN among 3"),
        (spoilt(np.inf), "1 infinite"),
        (spoilt(1.01), "0.1 to 1.01, outside 0 to 1"),
        (spoilt(-1e-9), "outside 0 to 1"),
        (np.array([0, 1, 1]), "type int64"),
        (np.array(["0.1", "0.2", "0.3"]), "type str"),
        (np.array([0.1 + 1j, 0, 0]), "complex"),
    ],
)
def test_a_wrong_binary_prediction_is_named(array, words):
    import re

    assert re.search(words, check_prediction(array, 3, "binary", ("no", "yes")) or "")


def test_class_probabilities_must_sum_to_one_within_a_thousandth():
    good = np.full((4, 3), 1 / 3)
    assert check_prediction(good, 4, "multiclass", CLASSES) is None
    assert check_prediction(good + 0.0003, 4, "multiclass", CLASSES) is None
    said = check_prediction(good + 0.001, 4, "multiclass", CLASSES)
    assert said is not None
    assert "4 of 4 rows" in said
    assert "shape" in (check_prediction(good[:, :2], 4, "multiclass", CLASSES) or "")


def test_regression_takes_any_finite_number_whose_square_does_not_overflow():
    assert check_prediction(np.array([-1e9, 1e9]), 2, "regression") is None
    assert check_prediction(np.array([0.0, -1e200]), 2, "regression") is not None


def test_a_checked_array_is_left_as_it_is():
    array = np.array([0.2, 0.9])
    assert check_prediction(array, 2, "binary", ("no", "yes")) is None
    assert array.tolist() == [0.2, 0.9]
