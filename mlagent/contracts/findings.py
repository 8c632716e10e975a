"""What the data-explorer and the statistical-analyst hand on. Both come from a sandbox: hostile
data, validated here before anybody reads it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import ColumnRole, Dtype, Finite, Level, Record


class Finding(Record):
    """One fact about the table with its consequence.

    `code` is stable (`leak.copy`, `missing.block`, `id.order`, ...): tests and reports rely on it.
    """

    code: str = Field(pattern=r"^[a-z]+(\.[a-z_]+)+$")
    severity: Literal["info", "low", "medium", "high", "critical"]
    columns: tuple[str, ...] = ()
    title: str
    evidence: str = Field(description="numbers, never raw cells")
    consequence: str = Field(description="what mlagent does about it, or what the user should do")


class RoleFound(Record):
    role: ColumnRole
    dtype: Dtype
    why: str
    suspect: bool = Field(False, description="kept, but named in the verdict (referee rule 10)")


class ColumnRoles(Record):
    """The artifact `column_roles`: explorer -> engineer."""

    schema_: Literal["mlagent/column-roles/v1"] = Field("mlagent/column-roles/v1", alias="schema")
    columns: dict[str, RoleFound]
    excluded: dict[str, str] = Field({}, description="column -> why it was taken out automatically")


class ColumnLook(Record):
    """One column as the report shows it. Histograms are aggregates over dev rows."""

    name: str
    role: ColumnRole
    missing: Finite = Field(description="fraction of dev rows")
    distinct: int
    single_score: Finite | None = Field(
        None, description="cross-fitted AUC or R2 of this column alone"
    )
    association: Finite | None = Field(None, description="with the target, 0..1")
    outliers: Finite | None = Field(None, description="fraction outside 3 IQR")
    edges: tuple[Finite, ...] = ()
    counts: tuple[int, ...] = ()
    labels: tuple[str, ...] = Field((), description="category values that occur at least 10 times")


class Exploration(Record):
    """result.json of the explorer."""

    schema_: Literal["mlagent/exploration/v1"] = Field("mlagent/exploration/v1", alias="schema")
    rows: int
    rows_used: int = Field(description="sampled when the table is large or the option is quick")
    roles: ColumnRoles
    looks: tuple[ColumnLook, ...]
    findings: tuple[Finding, ...]
    pairs: tuple[tuple[str, str, Finite], ...] = Field((), description="strongest feature pairs")
    group_column: str | None = Field(
        None, description="rows depend on each other through this column"
    )
    time_column: str | None = None


class Check(Record):
    """One assumption check. `not applicable` and `not enough data` are outcomes, not failures."""

    code: str = Field(pattern=r"^[a-z]+(\.[a-z_]+)+$")
    outcome: Literal["pass", "warn", "fail", "not applicable", "not enough data"]
    title: str
    statistic: Finite | None = None
    p_value: Finite | None = None
    evidence: str
    consequence: str


class Association(Record):
    """One feature and the target: effect size, p, and q after Benjamini-Hochberg."""

    column: str
    test: str
    effect: Finite
    effect_name: str = Field(description="Cramer's V, eta, |Spearman|, ...")
    p_value: Finite
    q_value: Finite
    n: int


class Slicing(Record):
    """A column whose values are worth a row of their own in the slice table."""

    column: str
    why: str


class ValidationPlan(Record):
    """The artifact `validation_plan`: analyst -> folds. Kind and columns were fixed in planning."""

    schema_: Literal["mlagent/validation-plan/v1"] = Field(
        "mlagent/validation-plan/v1", alias="schema"
    )
    kind: Literal["stratified", "random", "group", "time"]
    group: str | None = None
    time: str | None = None
    folds: int
    repeats: int = 1
    why: str
    detectable_difference: Finite | None = Field(
        None, description="smallest difference of the metric that these rows can show (80 % power)"
    )


class Analysis(Record):
    """result.json of the analyst."""

    schema_: Literal["mlagent/analysis/v1"] = Field("mlagent/analysis/v1", alias="schema")
    rows: int
    rows_used: int
    validation_plan: ValidationPlan
    checks: tuple[Check, ...]
    associations: tuple[Association, ...]
    imbalance: Finite | None = Field(None, description="share of the rarest class")
    slices: tuple[Slicing, ...] = ()
    concern: Level = "low"
    findings: tuple[Finding, ...] = ()
