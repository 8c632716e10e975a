"""mlagent.yaml against the task: what the file asks for must exist, before anything is fitted.

Guarantees: a refusal names the file when the file said it, and the flag when a flag did. Does not
read the file; that is `mlagent.settings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlagent.contracts.errors import BadInput
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.task import TaskSpec
from mlagent.gateway.prices import check_price
from mlagent.referee.scoring import MIDDLE, cost_matrix
from mlagent.settings import FILE, Settings


def check_settings(settings: Settings, task: TaskSpec) -> None:
    """Costs and gates of mlagent.yaml fit this task.

    Raises:
        BadInput: costs without their classes, the metric `cost` without costs, or a gate on a
            metric that this task does not have.
    """
    if task.classes:
        cost_matrix(task.model_copy(update={"cost": settings.cost}), f"{FILE}: cost")
        cost_matrix(task)
    if task.cost and not any(price for row in task.cost.values() for price in row.values()):
        raise BadInput(
            f"Every price under cost in {FILE} is 0: nothing tells a good decision from a bad one.",
            remedy="Give the wrong decisions a price.",
        )
    priced = any(gate.metric == "cost" for gate in settings.gates)
    if (task.metric == "cost" or priced) and not task.cost and len(task.classes) > 1:
        first, second = task.classes[:2]
        what = "The metric" if task.metric == "cost" else "A gate on"
        raise BadInput(
            f"{what} 'cost' needs what each wrong decision costs.",
            remedy=f"Write it into {FILE} as cost: {{truth: {{predicted: price}}}}, here for "
            f"example cost: {{{first!r}: {{{second!r}: 1}}, {second!r}: {{{first!r}: 5}}}}, and "
            "plan (again).",
        )
    for gate in settings.gates:
        known = METRICS.get(gate.metric)
        if known is not None and task.kind is not None and task.kind not in known.tasks:
            allowed = ", ".join(name for name, one in METRICS.items() if task.kind in one.tasks)
            raise BadInput(
                f"{FILE}: the gate {gate.name!r} asks for {gate.metric}, which a {task.kind} task "
                "does not have.",
                remedy=f"Take a metric of this task: {allowed}.",
            )


def check_prices(settings: Settings) -> None:
    """No price of a model in mlagent.yaml is beyond what a service takes, used here or not; asked
    before anything is fitted or sent. Raises BadInput."""
    for model, rates in settings.prices.items():
        check_price(model, rates)


def changed_prices(settings: Settings, task: TaskSpec) -> str:
    """A sentence when mlagent.yaml says other prices or another quantile than the plan, which
    count; '' when it does not."""
    changed = []
    if settings.cost and settings.cost != task.cost:
        changed.append("cost")
    said = "quantile" in settings.model_fields_set
    if said and task.metric == "pinball" and settings.quantile != (task.quantile or MIDDLE):
        changed.append("quantile")
    if not changed:
        return ""
    verb = "differs" if len(changed) == 1 else "differ"
    return (
        f"{' and '.join(changed)} in {FILE} {verb} from the plan; the plan's counts. Plan again to "
        "use the new one."
    )


def without_effect(settings: Settings, task: TaskSpec) -> list[str]:
    """Sentences on what mlagent.yaml says and this task does not use."""
    said = []
    if "quantile" in settings.model_fields_set and task.metric not in ("pinball", None):
        said.append(
            f"quantile in {FILE} has no effect: it is for the metric pinball, and this task has "
            f"{task.metric}."
        )
    if settings.cost and task.kind == "regression":
        said.append(f"cost in {FILE} has no effect: a regression has no wrong decisions.")
    return said


@contextmanager
def named_by_file(flags: Mapping[str, object], settings: Settings) -> Iterator[None]:
    """Inside, a refusal of `--target` and the like says mlagent.yaml when the flag was not given.

    Args:
        flags: name of the flag without dashes -> what was given; empty for nothing.
    """
    try:
        yield
    except BadInput as refusal:
        found = re.match(r"--([a-z]+)\b", refusal.message)
        name = found[1] if found else ""
        if name not in flags or flags[name] or not getattr(settings, name, None):
            raise
        raise BadInput(
            f"{FILE}: {name}{refusal.message.removeprefix('--' + name)}", remedy=refusal.remedy
        ) from None
