"""Asked for a quantile, a candidate is fitted to it: that share of new rows lies below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MANY = 1500


@pytest.mark.parametrize("quantile", [0.1, 0.9])
@pytest.mark.parametrize("name", ["linear", "option_a", "option_b", "option_c", "forest"])
def test_the_asked_share_of_new_rows_lies_below_the_prediction(
    name: str, quantile: float, load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn("regression", rows=MANY, metric="pinball", quantile=quantile)
    below = table.truth.to_numpy() <= load(name).run(table.train, table.spec, table.test)
    assert abs(below.mean() - quantile) < 0.06


def test_without_features_the_quantile_is_predicted(
    load: Callable[[str], Any], churn: Callable[..., Any]
) -> None:
    table = churn("regression", metric="pinball", quantile=0.8, columns={})
    found = load("option_b").run(table.train, table.spec, table.test)
    np.testing.assert_allclose(found, np.quantile(table.train["y"], 0.8))
