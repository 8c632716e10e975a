"""Profile: what the table looks like, from one streaming pass and a sample. Aggregates only.

`plan` fills it. The target's marginal is the only statistic that touches the target: nothing here
joins features and target. A cell's value stands in `top` only if it occurs at least 10 times in the
table and the column's role is category (or it is the target of a classification).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import ColumnRole, Dtype, Finite, Record


class ColumnProfile(Record):
    """One column. Fractions are of all rows; numeric quantiles are of parsed, finite values."""

    name: str
    role: ColumnRole
    dtype: Dtype
    why: str = Field(description="one sentence: why this role and dtype")
    missing: int = Field(description="empty cells and missing tokens")
    missing_tokens: tuple[str, ...] = Field((), description="texts read as missing: '', 'NA', '?'")
    distinct: int = Field(description="exact up to the sample, estimated (HLL) above it")
    failed: int = Field(
        0, description="sampled cells that did not parse as the dtype and count as missing"
    )
    datetime_format: str | None = Field(None, description="strptime format for datetime64 columns")
    thousands: bool = Field(False, description="numbers are written like 1,234")
    decimal_comma: bool = Field(False, description="numbers are written like 1.234,5")
    infinite: int = 0
    minimum: Finite | None = None
    maximum: Finite | None = None
    mean: Finite | None = None
    std: Finite | None = None
    quantiles: tuple[Finite, ...] = Field((), description="5, 25, 50, 75, 95 %")
    mean_length: Finite | None = Field(None, description="characters, for str columns")
    top: tuple[tuple[str, int], ...] = Field(
        (), description="most common values with counts (see above)"
    )


class Profile(Record):
    """The whole table."""

    schema_: Literal["mlagent/profile/v1"] = Field("mlagent/profile/v1", alias="schema")
    rows: int
    sampled_rows: int
    columns: tuple[ColumnProfile, ...]
    duplicate_rows: int | None = Field(None, description="exact duplicates in the sample")
    target_counts: tuple[tuple[str, int], ...] = Field(
        (), description="classification only, whole table"
    )
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> ColumnProfile:
        """The profile of one column. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
