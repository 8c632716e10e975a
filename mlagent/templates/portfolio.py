"""Which members the ensemble tries, in which order: the portfolio.

Guarantees: the list depends on the task, the size of the table and the budget only. The order is by what a
member usually adds per second; the candidate itself leaves out what the clock does not allow.
"""

from __future__ import annotations

from typing import Any

from mlagent.contracts.base import TaskKind

MEMBER_KINDS = ("lightgbm", "catboost", "extra_trees", "random_forest", "linear")


def default_members(
    task: TaskKind, rows: int, columns: int, budget_s: float
) -> tuple[dict[str, Any], ...]:
    """Entries for `spec.members`.

    Args:
        task: binary, multiclass or regression.
        rows, columns: of the training table.
        budget_s: seconds that `fit` may take.
    """
    logs: dict[str, Any] = {"log": "auto"} if task == "regression" else {}
    members: list[dict[str, Any]] = [
        {"name": "lightgbm", "kind": "lightgbm", "share": 1.0, "params": {}},
        {"name": "linear", "kind": "linear", "share": 0.6, "params": {"bins": 10, **logs}},
        {"name": "catboost", "kind": "catboost", "share": 2.0, "params": {"depth": 6, **logs}},
        {
            "name": "extra trees",
            "kind": "extra_trees",
            "share": 0.6,
            "params": {"min_samples_leaf": 1, **logs},
        },
        {
            "name": "lightgbm random",
            "kind": "lightgbm",
            "share": 0.8,
            "params": {"extra_trees": True, "num_leaves": 40, "min_data_in_leaf": 8, **logs},
        },
        {
            "name": "lightgbm large",
            "kind": "lightgbm",
            "share": 1.2,
            "params": {"num_leaves": 128, "min_data_in_leaf": 4, "feature_fraction": 0.7, **logs},
        },
        {
            "name": "lightgbm small",
            "kind": "lightgbm",
            "share": 0.6,
            "params": {
                "num_leaves": 8,
                "min_data_in_leaf": 40,
                "lambda_l2": 10.0,
                "native": False,
                "feature_fraction": 0.5,
                **logs,
            },
        },
        {
            "name": "catboost shallow",
            "kind": "catboost",
            "share": 1.0,
            "params": {"depth": 4, "l2_leaf_reg": 8, **logs},
        },
    ]
    if task == "regression":
        members.insert(
            1, {"name": "lightgbm log", "kind": "lightgbm", "share": 1.0, "params": {"log": True}}
        )
    return tuple(members)
