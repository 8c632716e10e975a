"""How a task is scored beyond its metric's name: prices of decisions and the quantile.

Both are part of the task, written into plan.yaml when the plan is made and kept in the run: a score
never depends on what mlagent.yaml says today.
"""

from __future__ import annotations

from typing import Any

from mlagent.contracts.errors import BadInput
from mlagent.contracts.task import TaskSpec

MIDDLE = 0.5


def scoring(task: TaskSpec) -> dict[str, Any]:
    """`cost` and `quantile` as `metrics.compute`, `judge_many` and the dummy take them."""
    return {
        "cost": cost_matrix(task),
        "quantile": MIDDLE if task.quantile is None else task.quantile,
    }


def yardstick(task: TaskSpec) -> str:
    """What two scores must share to be compared: the metric, with its prices or its quantile."""
    metric = task.metric or ""
    if metric == "pinball":
        return f"pinball at quantile {task.quantile or MIDDLE:g}"
    return f"cost with {_prices(task)}" if metric == "cost" else metric


def how_scored(task: TaskSpec) -> str:
    """A sentence on what the metric's name leaves open; '' for a metric that leaves nothing."""
    if task.metric == "pinball":
        return f"The pinball loss is that of the quantile {task.quantile or MIDDLE:g}."
    return f"Prices: {_prices(task)}." if task.metric == "cost" else ""


def _prices(task: TaskSpec) -> str:
    told = [
        f"{truth!r} taken for {decision!r} {price:g}"
        for truth, row in sorted(task.cost.items())
        for decision, price in sorted(row.items())
        if price
    ]
    return ", ".join(told) + ", all else 0"


def cost_matrix(task: TaskSpec, source: str = "plan.yaml: task.cost") -> list[list[float]] | None:
    """`task.cost` as rows of truth and columns of decision, in the order of the classes.

    None without prices, and for a regression. `source`: where the prices stand, for the error.

    Raises:
        BadInput: a price names a class that the target does not have.
    """
    cost, classes = task.cost, task.classes
    if not cost or not classes:
        return None
    named = set(cost) | {name for row in cost.values() for name in row}
    if strange := sorted(named - set(classes)):
        raise BadInput(
            f"{source} names {strange[0]!r}, which is no class of the target.",
            remedy=f"The classes are {', '.join(map(repr, classes))}.",
        )
    return [[cost.get(truth, {}).get(decision, 0.0) for decision in classes] for truth in classes]
