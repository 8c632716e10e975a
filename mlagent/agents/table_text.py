"""What a language model is told of a table: aggregates only.

Guarantees: no text of a cell stands in it, but categories and classes that at least `COMMON` rows
share; of numbers, no minimum and no maximum, and quantiles to three digits; a marker that would end
the block in which it stands is taken out of every name. Does not hide the names of columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlagent.contracts.profile import ColumnProfile, Profile
from mlagent.contracts.task import TaskSpec

from .planning_context import PlanningContext

COMMON = 10
MOST_COLUMNS = 200
MOST_VALUES = 8
LONGEST = 80


def facts_text(context: PlanningContext) -> str:
    """The table and the machine as short lines."""
    machine = context.machine
    lines = [
        f"machine: {machine.cpus} cores, {machine.memory_mb} MB, container engine "
        f"{machine.engine or 'none'}",
        f"budget of `execute`: {context.budget_s:g} s of wall clock",
    ]
    profile = context.profile
    if profile is None:
        return "\n".join(["table: none yet, so every statement on data is an assumption", *lines])
    lines += _about_table(profile, context.task)
    features = [c for c in profile.columns if c.name != context.task.target]
    lines += [column_line(column, context) for column in features[:MOST_COLUMNS]]
    if len(features) > MOST_COLUMNS:
        lines.append(f"and {len(features) - MOST_COLUMNS} further columns of the same kinds")
    return "\n".join(lines)


def _about_table(profile: Profile, task: TaskSpec) -> list[str]:
    lines = [
        f"table: {profile.rows} rows, {len(profile.columns)} columns, "
        f"{profile.duplicate_rows or 0} duplicate rows among {profile.sampled_rows} sampled",
        f"task: {task.kind}, target {shown(task.target or '')}, metric {task.metric}",
    ]
    common = [(name, n) for name, n in profile.target_counts if n >= COMMON]
    rare = len(profile.target_counts) - len(common)
    if profile.target_counts:
        counts = dict(common)
        parts = [f"{shown(name)} {counts[name]}" for name in classes_told(profile)]
        parts += [f"{rare} classes with under {COMMON} rows"] if rare else []
        lines.append(f"classes: {', '.join(parts)}")
    for kind, name in (("group", task.group), ("time", task.time)):
        if name:
            lines.append(f"{kind} column: {shown(name)}")
    return lines


def classes_told(profile: Profile) -> tuple[str, ...]:
    """The classes of the target that a model is told of."""
    return tuple(name for name, n in profile.target_counts if n >= COMMON)[:MOST_VALUES]


def column_line(column: ColumnProfile, context: PlanningContext) -> str:
    """One column on one line."""
    rows = max(1, context.profile.rows if context.profile else 1)
    parts = [f"column {shown(column.name)}: {column.role}, {column.dtype}"]
    parts.append(f"{column.distinct} distinct")
    if column.missing:
        parts.append(f"missing {100 * column.missing / rows:.1f} %")
    if column.failed:
        parts.append(f"{column.failed} cells that do not parse")
    if column.role == "number" and len(column.quantiles) == 5 and column.distinct >= COMMON:
        parts.append(f"quantiles 5 to 95 %: {_numbers(column.quantiles)}")
    if column.role == "category":
        top = [f"{shown(value)} {n}" for value, n in column.top if n >= COMMON]
        parts += [f"common: {', '.join(top[:MOST_VALUES])}"] if top else []
    if column.role == "text" and column.mean_length is not None:
        parts.append(f"{column.mean_length:.0f} characters on average")
    if column.name in context.excluded:
        parts.append("left out by the user")
    return "; ".join(parts)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def shown(text: str) -> str:
    """A name of others in quotes: one line, cut, and without angle brackets, which mark blocks."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = line.replace("<", "‹").replace(">", "›")
    return repr(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")
