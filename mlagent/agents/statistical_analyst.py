"""The statistical-analyst at work: assumptions, associations, folds, on dev rows in the sandbox.

Its planning option fixed the split before sealing; here it sets the folds inside dev and checks
whether the planned split can be trusted. After the vault the referee's numbers are worded in
`referee/verdict.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlagent.contracts.findings import Analysis, Exploration, ValidationPlan
from mlagent.contracts.plan import OptionName
from mlagent.contracts.task import TaskSpec

from .jobs import Desk
from .look_request import look_request

SCRIPT = "templates/analyse/analyse.py"


def analyse(
    desk: Desk,
    *,
    dev: Path,
    task: TaskSpec,
    exploration: Exploration,
    proposed: ValidationPlan,
    engineer_option: OptionName,
    option: OptionName,
    into: Path,
    wall_s: float,
) -> Analysis:
    """Run the chosen option on dev rows.

    Args:
        proposed: split kind and columns from planning, folds and repeats by the referee's rule 5.
        engineer_option: which model family the assumption checks are for.
        into: run folder's artifacts/statistical-analyst.
    """
    request: dict[str, Any] = {
        **look_request(task, option, wall_s),
        "columns": {
            name: {"role": found.role, "dtype": found.dtype, "why": found.why}
            for name, found in exploration.roles.columns.items()
        },
        "roles": exploration.roles.model_dump(mode="json"),
        "engineer_option": engineer_option,
        "validation_plan": proposed.model_dump(mode="json"),
        "detectable_difference": proposed.detectable_difference,
    }
    return desk.script(
        "statistical-analyst",
        "analyse",
        SCRIPT,
        Analysis,
        table=dev,
        request=request,
        into=into,
        wall_s=wall_s,
    )
