"""spec.json: what a candidate is told of the task. The host's, whoever wrote the candidate."""

from __future__ import annotations

from typing import Any

from mlagent.contracts.candidate import CandidateSpec, SpecColumn, SpecSplit
from mlagent.templates.candidates import default_members

from .state import Bench, State


def candidate_spec(bench: Bench, state: State, name: str, budget_s: float) -> CandidateSpec:
    """spec.json for one candidate: everything `fit` may know."""
    task = state.task
    assert state.exploration is not None
    assert task.kind is not None
    roles = state.exploration.roles.columns
    columns = {
        column: SpecColumn(
            role="id" if column == task.group else roles[column].role, dtype=roles[column].dtype
        )
        for column in state.features
    }
    members: tuple[dict[str, Any], ...] = ()
    if name == "option_c":
        members = tuple(default_members(task.kind, len(state.dev), len(columns), budget_s))
    monotone = {
        item.column: 1 if item.sign == "+" else -1
        for item in task.constraints
        if item.kind == "monotone" and item.column in columns
    }
    spec = spec_of(bench, state, columns, budget_s)
    return spec.model_copy(update={"members": members, "monotone": monotone})


def spec_of(
    bench: Bench, state: State, columns: dict[str, SpecColumn], budget_s: float
) -> CandidateSpec:
    """spec.json with what any candidate is told, whoever wrote it."""
    task, plan = state.task, state.validation
    assert plan is not None
    assert task.kind is not None
    return CandidateSpec(
        task=task.kind,
        target=task.target or "",
        classes=task.classes,
        metric=task.metric or "",
        quantile=task.quantile,
        direction=task.direction or "maximize",
        columns=columns,
        split=SpecSplit(kind=plan.kind, group=plan.group, time=plan.time, folds=5),
        seed=state.request.seed,
        budget_s=round(budget_s, 2),
        threads=bench.desk.cpus,
    )
