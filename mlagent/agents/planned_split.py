"""The split that an analyst's option stands for, and about how many rows it leaves.

Guarantees: a group or time column that the user gave decides alone; sizes follow the referee's
rules 3 to 5 as far as the profile goes. They are not exact: equal rows, groups and moments stay
together, which only the seal sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from mlagent.contracts.plan import OptionName

from .planning_context import PlanningContext, TableFacts, table_facts

SplitKind = Literal["stratified", "random", "group", "time"]
VAULT_SHARE, VAULT_ROWS, VAULT_RARE = 0.2, 100, 25
"""Referee rule 3: a fifth of the rows, none when it would have fewer rows than this."""
TENTHS, TENTH_ROWS = 10, 20
"""A number is dealt out by tenths of its ranks, fewer where a tenth would have under 20 rows."""
FOLDS = ((20_000, 1), (2_000, 3), (0, 5))
"""Referee rule 5: dev rows from which on so many folds are enough."""


@dataclass(frozen=True)
class SplitChoice:
    """The split that an option stands for. `vault` is the share of rows held back (0: none)."""

    kind: SplitKind
    group: str | None
    time: str | None
    why: str
    vault: float = VAULT_SHARE


@dataclass(frozen=True)
class Sizes:
    """What the split leaves: rows and rows of the rarest class, near what the seal will hold.

    `dev` is exact without a vault. `error`: see `standard_error`.
    """

    vault: int
    vault_rare: int
    dev: int
    folds: int
    error: float

    @property
    def judged(self) -> str:
        """The rows that a score will be of: 'about 1,409', or '1,000' where all are judged."""
        return f"about {self.vault:,}" if self.vault else f"{self.dev:,}"


def split_of(option: OptionName, context: PlanningContext) -> SplitChoice:
    """The split that this analyst option stands for.

    A given group or time column decides alone. Otherwise option_a and option_b draw rows at random
    (stratified for classes); option_c keeps plausible groups together or cuts at a plausible time.
    """
    task = context.task
    share = VAULT_SHARE
    if context.profile is not None:
        share = VAULT_SHARE if sizes(table_facts(context)).vault else 0.0
    if task.time:
        return SplitChoice("time", task.group, task.time, "the time column was given", share)
    if task.group:
        return SplitChoice("group", task.group, None, "the group column was given", share)
    if option == "option_c" and context.profile is not None:
        facts = table_facts(context)
        if facts.groups:
            name, values = facts.groups[0]
            why = f"{name!r} has {values:,.0f} values in {facts.rows:,} rows, so rows repeat it"
            return SplitChoice("group", name, None, why, share)
        if facts.dates:
            why = f"{facts.dates[0]!r} orders the rows in time"
            return SplitChoice("time", None, facts.dates[0], why, share)
    if task.kind == "regression":
        return SplitChoice("random", None, None, "the target is a number", share)
    return SplitChoice("stratified", None, None, "each class keeps its share", share)


def sizes(facts: TableFacts) -> Sizes:
    """Rows of vault and dev: of each class, or of each tenth of a number, its fifth. No vault when
    it would be too small."""
    rows = facts.rows - facts.target_missing
    parts = min(TENTHS, max(1, rows // TENTH_ROWS))
    strata = facts.counts or [
        rows * (part + 1) // parts - rows * part // parts for part in range(parts)
    ]
    rare = int(facts.rare.value) if facts.rare else 0
    vault, vault_rare = sum(round(VAULT_SHARE * n) for n in strata), round(VAULT_SHARE * rare)
    if vault < VAULT_ROWS or (facts.classes == 2 and vault_rare < VAULT_RARE):
        vault = vault_rare = 0
    dev = rows - vault
    folds = next(number for start, number in FOLDS if dev >= start) if vault else FOLDS[-1][1]
    judged, judged_rare = (vault, vault_rare) if vault else (rows, rare)
    return Sizes(vault, vault_rare, dev, folds, standard_error(judged, judged_rare, facts.classes))


def standard_error(rows: int, rare: int, classes: int) -> float:
    """A score's standard error on so many rows, before any model is known.

    Two classes: of a ROC AUC without signal, sqrt((n+1) / (12 n1 n0)) (Mann-Whitney); more classes:
    of an accuracy of one half; numbers: of an RMSE as a share of itself, 1 / sqrt(2n).
    """
    if rows < 2:
        return 1.0
    if classes == 2:
        return sqrt((rows + 1) / (12 * rare * (rows - rare))) if 0 < rare < rows else 1.0
    return 0.5 / sqrt(rows) if classes else 1 / sqrt(2 * rows)
