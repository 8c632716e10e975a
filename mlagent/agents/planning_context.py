"""What an agent sees in planning mode, and the facts of the table that its sentences are made of.

Guarantees: every number that `table_facts` gives is a count or share of the profile; nothing joins
features and target. Does not decide anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mlagent.contracts.base import Role
from mlagent.contracts.plan import AgentPlan, Machine, Option, OptionName, Recommendation
from mlagent.contracts.profile import ColumnProfile, Profile
from mlagent.contracts.task import DataRef, TaskSpec

FEATURE_ROLES = ("number", "category", "text", "datetime")
SAMPLE_ROWS: dict[OptionName, int] = {
    "option_a": 10_000,
    "option_b": 50_000,
    "option_c": 200_000,
}
"""Rows that explorer and analyst look at, at most."""
MIN_GROUPS = 20
"""Fewer distinct values are a category, not groups that a split could keep apart."""
LONE = 0.95
"""From this share of rows on, groups (a row without a value is one) are no groups but rows."""
_ID_WORDS = re.compile(
    r"(?:^|[_\W])(?:id|key|nr|no|number|code|uuid|guid)$|(?<=[a-z])(?:ID|Id)$|^(?:id|ID|Id)$"
)


class PastRun(NamedTuple):
    """One agent's share of a finished run. Times in seconds."""

    agent: Role
    option: OptionName
    rows: int
    columns: int
    estimated_s: float
    actual_s: float


@dataclass(frozen=True)
class PlanningContext:
    """Everything planning may use.

    Attributes:
        profile, data: None when there is no table yet.
        machine: with the calibration, see `estimates.py`.
        budget_s: wall clock that `execute` may take.
        history: past runs on this machine, to correct estimates.
        packages: name -> version inside the sandbox; empty when the image is unknown.
        excluded: columns that the user takes out.
        explore_share: of the budget, what the explorer may take.
        fit_share: of the budget, what is left for the fit after exploring, folds and packaging.
    """

    task: TaskSpec
    profile: Profile | None
    data: DataRef | None
    machine: Machine
    budget_s: float = 300.0
    history: Sequence[PastRun] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    explore_share: float = 0.1
    fit_share: float = 0.5


class Named(NamedTuple):
    """A column with one count or share."""

    name: str
    value: float


@dataclass(frozen=True)
class TableFacts:
    """Counts and shares of one profile; features only (no target, ids, constants, excluded).

    Attributes:
        missing: columns with missing cells and their share of rows, most first.
        widest: the category with the most distinct values.
        tailed: numbers whose maximum lies over 3 interquartile ranges above the 95 % quantile.
        groups: columns that may tie rows together (repeating ids), with their distinct values.
        dates: datetime columns.
        lone: the given group column with its values, where nearly each row has a value of its own.
        counts: rows of each class, fewest first; empty without classes.
        rare: the class with the fewest rows and its count.
        rest: rows outside the most common class; all rows without classes.
    """

    rows: int
    features: int
    numbers: int
    categories: int
    texts: tuple[str, ...]
    dates: tuple[str, ...]
    ids: tuple[str, ...]
    constants: tuple[str, ...]
    missing: tuple[Named, ...]
    widest: Named | None
    tailed: tuple[str, ...]
    failed: tuple[Named, ...]
    groups: tuple[Named, ...]
    duplicates: int
    sampled: int
    lone: Named | None
    classes: int
    counts: tuple[int, ...]
    rare: Named | None
    rest: int
    target_missing: int

    @property
    def rare_share(self) -> float:
        """Share of the rarest class, 0..1; 0 without classes."""
        return self.rare.value / self.rows if self.rare and self.rows else 0.0


def table_facts(context: PlanningContext) -> TableFacts:
    """The facts of this context's table. Raises ValueError without a profile."""
    profile, task = context.profile, context.task
    if profile is None:
        raise ValueError("there is no profile")
    out = {task.target, *context.excluded}
    columns = [column for column in profile.columns if column.name not in out]
    features = [
        c
        for c in columns
        if c.role in FEATURE_ROLES and c.name not in (*task.id_columns, task.group)
    ]
    missing = [Named(c.name, c.missing / max(profile.rows, 1)) for c in features if c.missing]
    categories = [c for c in features if c.role == "category"]
    counts = sorted(profile.target_counts, key=lambda item: item[1])
    target = next((c for c in profile.columns if c.name == task.target), None)
    return TableFacts(
        rows=profile.rows,
        features=len(features),
        numbers=sum(c.role == "number" for c in features),
        categories=len(categories),
        texts=tuple(c.name for c in features if c.role == "text"),
        dates=tuple(c.name for c in features if c.role == "datetime"),
        ids=tuple(c.name for c in columns if c.role == "id" or c.name in task.id_columns),
        constants=tuple(c.name for c in columns if c.role == "constant"),
        missing=tuple(sorted(missing, key=lambda item: -item.value)),
        widest=max(
            (Named(c.name, c.distinct) for c in categories),
            key=lambda item: item.value,
            default=None,
        ),
        tailed=tuple(c.name for c in features if c.role == "number" and _tailed(c)),
        failed=tuple(Named(c.name, c.failed) for c in features if c.failed),
        groups=tuple(
            sorted(
                (Named(c.name, c.distinct) for c in columns if _ties_rows(c, profile.rows)),
                key=lambda item: -item.value,
            )
        ),
        duplicates=profile.duplicate_rows or 0,
        sampled=profile.sampled_rows,
        lone=_lone(profile, task.group),
        classes=len(counts),
        counts=tuple(n for _, n in counts),
        rare=Named(counts[0][0], counts[0][1]) if counts else None,
        rest=sum(n for _, n in counts[:-1]) if counts else profile.rows,
        target_missing=target.missing if target else 0,
    )


def _tailed(column: ColumnProfile) -> bool:
    if column.maximum is None or len(column.quantiles) != 5:
        return False
    spread = column.quantiles[3] - column.quantiles[1]
    return spread > 0 and column.maximum > column.quantiles[4] + 3 * spread


def _ties_rows(column: ColumnProfile, rows: int) -> bool:
    """Whether several rows share a value of something that looks like an id."""
    if not MIN_GROUPS <= column.distinct <= rows / 2 or column.dtype == "float64":
        return False
    return column.role == "id" or bool(_ID_WORDS.search(column.name))


def _lone(profile: Profile, group: str | None) -> Named | None:
    """The group column when its groups are hardly more than single rows, else None."""
    column = next((c for c in profile.columns if c.name == group), None)
    if column is None or column.distinct + column.missing < LONE * profile.rows:
        return None
    return Named(column.name, column.distinct)


def percent(share: float) -> str:
    """0.2654 -> '26.5 %'."""
    return f"{100 * share:.1f} %"


def names(columns: Sequence[str], most: int = 3) -> str:
    """Column names in quotes, the rest counted: "'a', 'b', 'c' and 4 more"."""
    shown = ", ".join(repr(name) for name in columns[:most])
    rest = len(columns) - most
    return f"{shown} and {rest} more" if rest > 0 else shown


def some(*sentences: tuple[object, str], otherwise: str, most: int = 4) -> tuple[str, ...]:
    """The sentences whose condition holds, at most `most`; `otherwise` when there is none."""
    return tuple(text for holds, text in sentences if holds)[:most] or (otherwise,)


def agent_plan(
    agent: Role,
    context: PlanningContext,
    options: Mapping[OptionName, Option],
    selected: OptionName,
    rationale: str,
    conditions: Sequence[str],
    questions: Sequence[str],
) -> AgentPlan:
    """The record, from its parts."""
    return AgentPlan(
        agent_name=agent,
        task=context.task.description,
        implementation_options=dict(options),
        recommendation=Recommendation(
            selected=selected, rationale=rationale, conditions=tuple(conditions)
        ),
        questions_for_review=tuple(questions),
    )


ASSUMED = (
    "A table with one row for each case and the outcome in one column.",
    "The table is given with --data when the plan is executed, and the plan is made again from it.",
)
"""Conditions of every plan that is made without data."""
