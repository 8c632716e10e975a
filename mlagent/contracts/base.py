"""What every record shares: frozen, no unknown keys, a `schema` tag, no NaN in JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["ml-engineer", "data-explorer", "statistical-analyst"]
ROLES: tuple[Role, ...] = ("data-explorer", "statistical-analyst", "ml-engineer")
TaskKind = Literal["binary", "multiclass", "regression"]
Direction = Literal["maximize", "minimize"]
Level = Literal["low", "medium", "high"]
ColumnRole = Literal[
    "number", "category", "text", "datetime", "id", "constant", "target", "excluded"
]
"""What a column is for. `id`, `constant` and `excluded` columns never become features."""
Dtype = Literal["float64", "int64", "bool", "str", "datetime64"]
"""How a column travels on the wire (Parquet). Classification targets are `str`, as in the file."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """A value that crosses a disk or a process. Unknown keys are refused, values never change."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )
