"""A number beside its noun, the same on every screen, in every report and error.

Imports nothing. The words of other numbers (scores, shares, seconds) are in `reports.numbers`.
"""

from __future__ import annotations


def counted(number: float, noun: str, plural: str = "") -> str:
    """'1 row', '2,000 rows', '3 tries'; a number that is not whole is rounded for the eye."""
    return f"{round(number):,} {noun if number == 1 else plural or noun + 's'}"
