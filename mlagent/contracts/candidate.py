"""The candidate seam: `spec.json`, what `fit` and `predict` are told. Data, never code."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .base import ColumnRole, Direction, Dtype, Record, TaskKind


class SpecColumn(Record):
    role: ColumnRole
    dtype: Dtype


class SpecSplit(Record):
    """How rows depend on each other, so that a candidate's inner validation respects it too."""

    kind: Literal["stratified", "random", "group", "time"]
    group: str | None = None
    time: str | None = None
    folds: int = 5


class CandidateSpec(Record):
    """spec.json.

    `classes`: binary: positive last; every class of the data, whether or not a fold has it; empty
    for regression. `budget_s`: seconds of wall clock that `fit` may take. `replay`: a schedule.json
    of an earlier fit, to be followed instead of the clock.
    """

    schema_: Literal["mlagent/spec/v1"] = Field("mlagent/spec/v1", alias="schema")
    task: TaskKind
    target: str
    classes: tuple[str, ...] = ()
    metric: str
    direction: Direction
    columns: dict[str, SpecColumn] = Field(
        description="features only; the target is not among them"
    )
    split: SpecSplit
    seed: int = 0
    budget_s: float
    threads: int = 1
    quantile: float | None = Field(None, description="for the metric pinball; None: 0.5")
    members: tuple[dict[str, Any], ...] = ()
    monotone: dict[str, Literal[1, -1]] = {}
    replay: dict[str, Any] | None = None
