"""plan.yaml as `execute` and `try` accept it: what an edit by hand may say.

Guarantees: fields that belong together fit each other, and names are columns of the planned table;
what does not is an error with file, line, field and the allowed values (`documents.read_record`).
Does not read the table.
"""

from __future__ import annotations

import difflib
from typing import Any, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlagent.contracts.base import ColumnRole, Dtype
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.plan import Budget, ColumnChoice, Columns, Plan
from mlagent.contracts.task import TaskSpec
from mlagent.record_errors import RefusedAt

ORDERED: tuple[Dtype, ...] = ("datetime64", "int64", "float64")
DTYPES_OF: dict[ColumnRole, tuple[Dtype, ...]] = {
    "number": ("float64", "int64", "bool"),
    "datetime": ("datetime64",),
    "text": ("str",),
}
"""What a role can be read from; the others take any dtype."""
SHOWN = 12


class EditedColumn(ColumnChoice):
    """One line of `columns.found` after edits."""

    role: ColumnRole
    dtype: Dtype

    @model_validator(mode="after")
    def _role_can_be_read(self) -> Self:
        allowed = DTYPES_OF.get(self.role)
        if allowed is not None and self.dtype not in allowed:
            raise RefusedAt(
                f"the role {self.role} needs {' or '.join(allowed)}, not {self.dtype}: its cells "
                "would all be missing",
                "dtype",
            )
        if self.dtype == "datetime64" and not self.datetime_format:
            raise RefusedAt(
                "datetime64 needs a datetime_format beside it, such as '%Y-%m-%d'", "dtype"
            )
        return self


class EditedColumns(Columns):
    found: dict[str, EditedColumn] = {}  # type: ignore[assignment]  # a dict is never narrower


class EditedBudget(Budget):
    seconds: float = Field(300.0, ge=1, le=7 * 86400)


class EditedTask(TaskSpec):
    """The task after edits: its fields still fit each other."""

    seed: int = Field(0, ge=0)

    @field_validator("metric")
    @classmethod
    def _metric_fits(cls, metric: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        allowed = [name for name, info in METRICS.items() if kind is None or kind in info.tasks]
        if metric is not None and metric not in allowed:
            task = f" for a {kind} task" if kind else ""
            raise ValueError(
                f"{metric!r} is not allowed{task}; allowed values: {', '.join(allowed)}"
            )
        return metric

    @field_validator("direction")
    @classmethod
    def _direction_is_the_metrics(cls, direction: Any, info: ValidationInfo) -> Any:
        metric = info.data.get("metric")
        if metric is not None and direction != METRICS[metric].direction:
            raise ValueError(f"{metric} has the direction {METRICS[metric].direction!r}")
        return direction

    @field_validator("classes")
    @classmethod
    def _classes_fit(cls, classes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind, positive = info.data.get("kind"), info.data.get("positive")
        if kind == "regression" and classes:
            raise ValueError("a regression has no classes; plan again to change the kind of task")
        if kind == "binary" and (len(set(classes)) != 2 or classes[1:] != (positive,)):
            raise ValueError(
                f"a binary task has two classes, the positive one ({positive!r}) last; "
                "to change it, plan again with --positive"
            )
        if kind == "multiclass" and len(set(classes)) < 3:
            raise ValueError("a multiclass task has at least three different classes")
        return classes


class EditedPlan(Plan):
    """plan.yaml as `execute` and `try` accept it: stricter than what any plan must be."""

    task: EditedTask
    columns: EditedColumns = EditedColumns()
    budget: EditedBudget = EditedBudget()

    @field_validator("vault")
    @classmethod
    def _vault_is_a_share(cls, vault: Any) -> Any:
        if vault != "auto" and not (vault == 0 or 0.02 <= vault <= 0.5):
            raise ValueError(f"{vault!r} is neither auto, 0 nor a share from 0.02 to 0.5")
        return vault

    def _columns_are_of_the_table(self, columns: tuple[str, ...]) -> None:
        """Only columns of the table are left out, never the target; one column is the target."""
        others = [name for name in columns if name != self.task.target]
        listed = ", ".join(others[:SHOWN]) + (" ..." if len(others) > SHOWN else "")
        for place, name in enumerate(self.columns.exclude):
            if name == self.task.target:
                why = f"{name!r} is the target"
            elif name not in columns:
                meant = difflib.get_close_matches(name, others, n=1)
                hint = f" (did you mean {meant[0]!r}?)" if meant else ""
                why = f"the table has no column {name!r}{hint}"
            else:
                continue
            raise RefusedAt(f"{why}; allowed values: {listed}", "columns", "exclude", place)
        for name, choice in self.columns.found.items():
            if choice.role == "target" and name != self.task.target:
                allowed = ", ".join(role for role in get_args(ColumnRole) if role != "target")
                raise RefusedAt(
                    f"{name!r} cannot be the target: task.target is {self.task.target!r}; "
                    f"allowed values: {allowed}",
                    *("columns", "found", name, "role"),
                )

    @model_validator(mode="after")
    def _task_is_about_the_table(self) -> Self:
        if self.data is None:
            return self
        task = self.task
        for field in ("kind", "target", "metric", "direction"):
            if getattr(task, field) is None:
                raise ValueError(f"task.{field} is missing; plan again to find it")
        named = {"target": task.target, "group": task.group, "time": task.time}
        for field, name in (*named.items(), *(("id_columns", name) for name in task.id_columns)):
            if name is not None and name not in self.data.columns:
                meant = difflib.get_close_matches(name, self.data.columns, n=1)
                hint = f" (did you mean {meant[0]!r}?)" if meant else ""
                raise RefusedAt(f"the table has no column {name!r}{hint}", "task", field)
        if task.target not in self.columns.found:
            raise ValueError(f"columns.found has no line for the target {task.target!r}")
        if task.group is not None and task.time is not None:
            raise ValueError(
                f"task.group ({task.group!r}) and task.time ({task.time!r}): a split by both at "
                "once is not built; remove one of them"
            )
        ordered = self.columns.found.get(task.time or "")
        if ordered is not None and ordered.dtype not in ORDERED:
            raise ValueError(
                f"task.time: {task.time!r} is read as {ordered.dtype}, which has no order in time; "
                f"allowed dtypes: {', '.join(ORDERED)}"
            )
        self._columns_are_of_the_table(self.data.columns)
        return self
