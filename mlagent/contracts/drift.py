"""How a column's values are spread, and how that differs between two tables. Aggregates only.

`distributions.json` stands in every run folder: the reference that another table is held against.
A category value is named only if it occurs at least 10 times.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import ColumnRole, Dtype, Finite, Record, Sha256

Name = Annotated[str, Field(max_length=300)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
DriftLevel = Literal["stable", "moderate", "large", "not compared"]


class ColumnSpread(Record):
    """Counts of one column.

    Numbers and dates: `counts` has one entry more than `edges`; entry i counts the values in
    (edges[i-1], edges[i]]. Categories: one count for each label; `other` is the rest of the filled
    cells. Dates are seconds since 1970 in UTC.
    """

    name: str
    role: ColumnRole
    dtype: Dtype
    missing: int = Field(ge=0, description="empty cells, missing tokens and cells that failed")
    edges: tuple[Finite, ...] = ()
    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = Field((), description="empty: ids and text are not counted")
    other: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _counts_fit(self) -> ColumnSpread:
        wanted = len(self.labels) if self.labels or not self.counts else len(self.edges) + 1
        if len(self.counts) != wanted:
            raise ValueError(f"{len(self.counts)} counts, but {wanted} bins")
        return self


class Distributions(Record):
    """Every column of one table."""

    schema_: Literal["mlagent/distributions/v1"] = Field("mlagent/distributions/v1", alias="schema")
    data_sha256: Sha256
    rows: int = Field(ge=0)
    counted_rows: int = Field(ge=0, description="a fixed sample of a large table")
    columns: tuple[ColumnSpread, ...]


class ColumnDrift(Record):
    """One column, before and after.

    `psi` is the population stability index; `noise` is what two samples of these sizes from one
    distribution stay below in 95 of 100 cases.
    """

    column: Name
    psi: Finite | None = None
    noise: Finite | None = None
    level: DriftLevel
    missing_before: Share
    missing_after: Share


class Retyped(Record):
    """A column that is read otherwise than before, such as 'number float64' and 'category str'."""

    column: Name
    before: Name
    after: Name


class DataDifference(Record):
    """What is different between two tables. Lists are cut; the counts beside them are not."""

    same_file: bool = Field(description="equal sha256: nothing is different")
    rows_before: int | None = Field(None, ge=0)
    rows_after: int = Field(ge=0)
    added: tuple[Name, ...] = Field((), max_length=100)
    removed: tuple[Name, ...] = Field((), max_length=100)
    retyped: tuple[Retyped, ...] = Field((), max_length=100)
    columns: tuple[ColumnDrift, ...] = Field((), max_length=50, description="most drift first")
    compared: int = Field(0, ge=0, description="columns that have a PSI")
    not_measured: str = Field("", max_length=1000, description="why there is no PSI; else empty")
