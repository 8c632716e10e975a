"""What the scripts that look at dev rows are told of the task: data in `request.json`, never code.

Explorer and analyst look at no more rows than the plan said (`SAMPLE_ROWS`), and stop by themselves
before their job is ended.
"""

from __future__ import annotations

from typing import Any

from mlagent.contracts.plan import OptionName
from mlagent.contracts.task import TaskSpec

from .planning_context import SAMPLE_ROWS

SHARE = 0.8
"""Of the job's wall clock: the rest is for starting Python and reading the rows."""


def look_request(task: TaskSpec, option: OptionName, wall_s: float) -> dict[str, Any]:
    """The part of a request that both scripts read."""
    return {
        "task": task.model_dump(mode="json"),
        "option": option,
        "target": task.target,
        "classes": list(task.classes),
        "seed": task.seed,
        "max_rows": SAMPLE_ROWS[option],
        "id_columns": list(task.id_columns),
        "group": task.group,
        "time": task.time,
        "budget_s": round(wall_s * SHARE, 1),
    }
