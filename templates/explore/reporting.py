"""Findings as plain dictionaries, and the clock that decides which probes still fit.

Guarantees: names of columns are quoted as data and shortened, numbers are finite. Does not decide
what is worth a finding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

SEVERITIES = ("info", "low", "medium", "high", "critical")
MOST_COLUMNS = 50


class Clock:
    """Seconds since the start against the budget of the request; no budget means 60 s."""

    def __init__(self, budget_s: float | None) -> None:
        self.started = time.monotonic()
        self.budget_s = float(budget_s) if budget_s else 60.0
        self.skipped: list[str] = []

    def over(self, share: float = 0.8) -> bool:
        """True when more than `share` of the budget is gone."""
        return time.monotonic() - self.started > share * self.budget_s


def finding(
    code: str, severity: str, columns: Iterable[str], title: str, evidence: str, consequence: str
) -> dict[str, Any]:
    """One finding in the shape of the record `Finding`."""
    return {
        "code": code,
        "severity": severity,
        "columns": list(columns)[:MOST_COLUMNS],
        "title": title,
        "evidence": evidence,
        "consequence": consequence,
    }


def quoted(name: str) -> str:
    """A column name inside a sentence: quoted, one line, at most 40 characters."""
    text = name if len(name) <= 40 else name[:37] + "..."
    return repr(text)


def listed(names: Iterable[str], most: int = 4) -> str:
    """'a', 'b' and 3 more."""
    names = list(names)
    shown = ", ".join(quoted(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def verb(names: Iterable[Any], one: str, many: str) -> str:
    """The form of a verb that agrees with how many names there are."""
    return one if len(list(names)) == 1 else many


def percent(fraction: float) -> str:
    """0.0312 -> '3.1 %'; small but not nothing -> 'under 0.1 %'."""
    if 0 < fraction < 0.001:
        return "under 0.1 %"
    if 0.99 < fraction < 1:
        return f"{math.floor(1000 * fraction) / 10:.1f} %"
    return f"{100 * fraction:.3g} %" if fraction < 0.1 else f"{100 * fraction:.0f} %"


def number(value: float) -> str:
    """Four significant digits, thousands separated."""
    if value == 0 or not math.isfinite(value):
        return "0"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def finite(value: float | None) -> float | None:
    """None instead of NaN or infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def sorted_findings(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Most severe first, then in the order they were found."""
    return sorted(findings, key=lambda item: -SEVERITIES.index(item["severity"]))
