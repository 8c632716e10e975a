"""Which members the ensemble tries, in which order: the portfolio.

Guarantees: the list depends on the task, the size of the table and the budget only. The order is
by what a member usually adds per second; the candidate itself leaves out what time does not allow.
"""

from __future__ import annotations

from typing import Any

from mlagent.contracts.base import TaskKind

MEMBER_KINDS = ("lightgbm", "catboost", "extra_trees", "random_forest", "linear")

MONOTONE_KINDS = ("lightgbm", "catboost")

_LATE = ("extra trees", "lightgbm random", "catboost shallow")


def default_members(
    task: TaskKind, rows: int, columns: int, budget_s: float, monotone: bool = False
) -> tuple[dict[str, Any], ...]:
    """Entries for `spec.members`.

    Args:
        task: binary, multiclass or regression.
        rows, columns: of the training table.
        budget_s: seconds that `fit` may take.
        monotone: leave out the kinds that cannot keep a prediction monotone in a column.
    """
    logs: dict[str, Any] = {"log": "auto"} if task == "regression" else {}
    large = {"num_leaves": 96, "min_data_in_leaf": 4, "feature_fraction": 0.7, "lambda_l2": 0.0}
    large |= {"native": False, "bagging_fraction": 1.0}
    small = {"num_leaves": 8, "min_data_in_leaf": 40, "lambda_l2": 10.0, "feature_fraction": 0.5}
    random = {"extra_trees": True, "num_leaves": 40, "min_data_in_leaf": 8, "native": False}
    leaf = 1 if task != "regression" else 2
    members = [
        _member("lightgbm", "lightgbm", 1.0, native=False),
        _member("lightgbm log", "lightgbm", 1.0, log=True) if task == "regression" else None,
        _member("linear", "linear", 0.5, bins=10, **logs),
        _member("catboost", "catboost", 2.0, depth=6, **logs),
        _member("extra trees", "extra_trees", 0.6, min_samples_leaf=leaf, **logs),
        _member("lightgbm large", "lightgbm", 1.2, **large, **logs),
        _member("lightgbm small", "lightgbm", 0.6, **small, **logs),
        _member("lightgbm random", "lightgbm", 0.8, **random, **logs),
        _member("catboost shallow", "catboost", 1.0, depth=4, l2_leaf_reg=8, **logs),
    ]
    found = [member for member in members if member is not None]
    if monotone:
        found = [member for member in found if member["kind"] in MONOTONE_KINDS]
    crowded = rows * max(columns, 10) > 20_000 * budget_s
    if crowded:  # fewer members, each with more time
        found = [member for member in found if member["name"] not in _LATE]
    return tuple(found)


def _member(name: str, kind: str, share: float, **params: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "share": share, "params": params}
