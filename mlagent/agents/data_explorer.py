"""The data-explorer at work: looks at dev rows in the sandbox, hands on column roles and findings.

Guarantees that a column is taken out automatically only under the referee's leak rule; everything
else that looks like a leak stays and is named suspect.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlagent.contracts.findings import Exploration
from mlagent.contracts.plan import ColumnChoice, OptionName
from mlagent.contracts.task import TaskSpec

from .jobs import Desk
from .look_request import look_request

SCRIPT = "templates/explore/explore.py"


def explore(
    desk: Desk,
    *,
    dev: Path,
    task: TaskSpec,
    columns: Mapping[str, ColumnChoice],
    option: OptionName,
    into: Path,
    wall_s: float,
) -> Exploration:
    """Run the chosen option on dev rows.

    Args:
        dev: Parquet with the features and the target of dev rows, no vault row among them.
        columns: what planning found, features only.
        into: run folder's artifacts/data-explorer.
        wall_s: seconds until the job is ended.
    """
    request: dict[str, Any] = {
        **look_request(task, option, wall_s),
        "columns": {
            name: {"role": choice.role, "dtype": choice.dtype, "why": "as planned"}
            for name, choice in columns.items()
        },
    }
    return desk.script(
        "data-explorer",
        "explore",
        SCRIPT,
        Exploration,
        table=dev,
        request=request,
        into=into,
        wall_s=wall_s,
    )
