"""TaskSpec: the sentence of the user, made exact. Every guess is kept with how it was made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Direction, Finite, Record, Sha256, TaskKind


class Inference(Record):
    """One thing that was inferred rather than given."""

    field: str
    value: str
    how: str = Field(description="one sentence: from which word or which fact of the data")
    confidence: Literal["given", "certain", "likely", "guess"]


class Constraint(Record):
    """One `--constraint`: interpretable, max_latency_ms=, max_model_mb=, monotone=COL:+"""

    kind: Literal["interpretable", "max_latency_ms", "max_model_mb", "monotone"]
    value: float | None = None
    column: str | None = None
    sign: Literal["+", "-"] | None = None


class TaskSpec(Record):
    """What is to be predicted, how it is scored, and how rows depend on each other.

    `kind`, `target`, `metric` and `direction` are None only in a plan made without data.
    """

    schema_: Literal["mlagent/task/v1"] = Field("mlagent/task/v1", alias="schema")
    description: str
    kind: TaskKind | None = None
    target: str | None = None
    metric: str | None = Field(None, description="name in the referee's metric registry")
    direction: Direction | None = None
    positive: str | None = Field(None, description="binary only; text as in the file")
    classes: tuple[str, ...] = Field((), description="binary: positive last; multiclass: sorted")
    id_columns: tuple[str, ...] = Field((), description="given by --id; found ids are in columns")
    group: str | None = None
    time: str | None = None
    constraints: tuple[Constraint, ...] = ()
    cost: dict[str, dict[str, Finite]] = Field(
        {}, description="truth -> decision -> price; absent pairs cost 0. From mlagent.yaml"
    )
    quantile: float | None = Field(
        None, gt=0, lt=1, description="for the metric pinball, from mlagent.yaml; None: 0.5"
    )
    seed: int = 0
    inferred: tuple[Inference, ...] = ()


class DataRef(Record):
    """Which table, exactly. `sha256` is of the file's bytes."""

    path: str = Field(description="relative to the plan's folder when it lies below it")
    format: Literal["csv", "parquet", "jsonl"]
    sha256: Sha256
    bytes: int
    rows: int
    columns: tuple[str, ...] = Field(description="names in file order")
    encoding: str = "utf-8"
    delimiter: str | None = None
    quote: str | None = None
    notes: tuple[str, ...] = Field((), description="what was guessed while reading, in sentences")
