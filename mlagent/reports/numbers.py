"""One way to write each kind of number: scores, counts, shares, seconds.

Guarantees: four sensible digits (0.8453, 41.74, 47,176), never NaN, a dash for nothing. Does not
round what is stored: only what is shown.
"""

from __future__ import annotations

import math

from mlagent.contracts.evaluation import Difference, Score
from mlagent.contracts.metrics import METRICS

NOTHING = "–"
BOUNDED = frozenset(
    name for name, info in METRICS.items() if info.direction == "maximize" or name == "brier"
)
"""Metrics that live in -1..1 and always get four decimals."""


def number(value: float | None) -> str:
    """Four significant digits; thousands are separated: 0.8453, 41.74, 47,176."""
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1 or size == 0:
        digits = 4 - len(str(int(size))) if size else 0
        text = f"{value:.{digits}f}"
        return text if size != int(size) else f"{value:.0f}"
    return f"{value:.4f}" if size >= 0.01 else f"{value:.3g}"


def metric_value(value: float | None, metric: str) -> str:
    """A value of a metric: four decimals where the metric is bounded, else four digits."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if metric in BOUNDED and abs(value) <= 1:
        return f"{value:.4f}"
    if 0.01 <= abs(value) < 1:
        return f"{value:.4f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}"


def signed(value: float | None, metric: str) -> str:
    """A difference with its sign: +0.0123."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = metric_value(abs(value), metric)
    return f"{'+' if value >= 0 else '−'}{text}"


def interval(score: Score | None, metric: str) -> str:
    """'0.8312 to 0.8590'."""
    if score is None:
        return NOTHING
    return f"{metric_value(score.low, metric)} to {metric_value(score.high, metric)}"


def difference(found: Difference, metric: str) -> str:
    """'+0.0123 (+0.0041 to +0.0205)'."""
    low, high = signed(found.low, metric), signed(found.high, metric)
    return f"{signed(found.value, metric)} ({low} to {high})"


def count(value: int | None) -> str:
    """47,176."""
    return NOTHING if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """0.0312 -> '3.1 %'; never '0 %' for something, nor '100 %' for not quite all."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if 0 < value < 0.001:
        return "under 0.1 %"
    if 0.999 < value < 1:
        return "over 99.9 %"
    return f"{100 * value:.1f} %".replace(".0 %", " %")


def seconds(value: float | None) -> str:
    """0.42 s, 12.3 s, 1 min, 3 min 20 s, 1 h 05 min."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value < 60:
        return f"{value:.2g} s" if value < 1 else f"{value:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def p_value(value: float | None) -> str:
    """0.034, '< 0.0001'."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"
