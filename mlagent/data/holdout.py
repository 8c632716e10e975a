"""The user's own hold-out (`execute --test FILE`), looked at before a run begins.

Guarantees: a file that cannot judge this table's models is refused with a sentence: unreadable, the
training table itself, without a feature or the target, or with classes that the plan does not know.
Does not: find rows that both files hold (the seal counts them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import ColumnChoice
from mlagent.contracts.task import DataRef, TaskSpec

from .door import open_table
from .wire import target_choice, typed_sql

SHOWN = 5


def check_holdout(
    path: Path,
    training: DataRef,
    columns: Mapping[str, ColumnChoice],
    features: Sequence[str],
    task: TaskSpec,
) -> None:
    """Raise BadInput when the file cannot be the vault.

    Args:
        path: the test file.
        training: the table that is trained on.
        columns: how columns are read; the target among them.
        features: columns that the test file must have beside the target.
    """
    target = str(task.target)
    with open_table(path, minimum_rows=1) as table:
        if table.ref.sha256 == training.sha256:
            raise BadInput(
                f"The test file {str(path)!r} is the training table itself: a score on rows that "
                "were trained on says nothing.",
                remedy="Give rows that the training table does not hold, or leave --test out: "
                "rows are then held back by themselves.",
            )
        absent = [name for name in (*features, target) if name not in table.names]
        if absent:
            raise BadInput(
                f"The test file {str(path)!r} lacks the columns {', '.join(map(repr, absent))}.",
                remedy="It needs every feature and the target of the training table.",
            )
        cell = typed_sql(table.sql_name(target), target_choice(columns[target], task))
        known = f"SELECT DISTINCT {cell} AS v FROM {table.relation} WHERE {cell} IS NOT NULL"
        if task.kind == "regression":
            known += " LIMIT 1"
        values = [row[0] for row in table.engine.rows(known)]
    if not values:
        raise BadInput(
            f"The test file {str(path)!r} has no value in the target {target!r}.",
            remedy="Give rows whose outcome is known.",
        )
    strange = sorted(set(values) - set(task.classes)) if task.kind != "regression" else []
    if strange:
        raise BadInput(
            f"The test file {str(path)!r} has values of {target!r} that are none of the classes "
            f"{', '.join(map(repr, task.classes[:SHOWN]))}: "
            f"{', '.join(map(repr, strange[:SHOWN]))}.",
            remedy="Remove those rows, or plan again with a table that holds these classes.",
        )
    if task.kind != "regression" and len(set(values)) < 2:
        raise BadInput(
            f"Every row of the test file {str(path)!r} is of class {values[0]!r}: nothing there "
            "tells a good model from a bad one.",
            remedy="Give rows of at least two classes.",
        )
