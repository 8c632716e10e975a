"""What counts as a leak (rule 10). The one place for these numbers.

Guarantees: a column goes out automatically only for a copy of the target or a single-column score
of 0.9999 and more. Does not: find leakage that needs two columns together, or that is spread
thinly.
"""

from __future__ import annotations

EXCLUDE_FROM = 0.9999
"""Single-column AUC or R2, cross-fitted, from which a column is taken out without asking."""
SUSPECT_FROM = 0.95
"""Single-column AUC or R2 from which a column is kept and named in the verdict. Honest single
columns seldom reach it; strong but honest ones exist, so it is a question to the user and not a
decision."""


def exclude_automatically(single_score: float | None, is_copy: bool = False) -> bool:
    """True when a column may be taken out without asking. `single_score`: AUC or R2; None: not
    measured."""
    return is_copy or (single_score is not None and single_score >= EXCLUDE_FROM)


def is_suspect(single_score: float | None, is_copy: bool = False) -> bool:
    """True when a column is kept but named in the verdict."""
    if exclude_automatically(single_score, is_copy):
        return False
    return single_score is not None and single_score >= SUSPECT_FROM
