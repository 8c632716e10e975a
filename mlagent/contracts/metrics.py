"""The names of the metrics, their tasks and directions. The functions live in `referee/metrics.py`.

`needs`: what a prediction must be for the metric: `score` (any ranking or probability),
`probability`, `label` (made from probabilities with a frozen threshold or the arg max), `value`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .base import Direction, TaskKind

Needs = Literal["score", "probability", "label", "value"]


class MetricInfo(NamedTuple):
    """What is known of a metric without importing numpy. No score lies outside low and high."""

    name: str
    title: str
    tasks: tuple[TaskKind, ...]
    direction: Direction
    needs: Needs
    words: tuple[str, ...]
    low: float = float("-inf")
    high: float = float("inf")


METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        MetricInfo(
            "roc_auc",
            "ROC AUC",
            ("binary",),
            "maximize",
            "score",
            ("roc auc", "auc", "roc", "auroc"),
            low=0,
            high=1,
        ),
        MetricInfo(
            "pr_auc",
            "PR AUC (average precision)",
            ("binary",),
            "maximize",
            "score",
            ("pr auc", "average precision", "auprc", "precision recall"),
            low=0,
            high=1,
        ),
        MetricInfo(
            "log_loss",
            "log loss",
            ("binary", "multiclass"),
            "minimize",
            "probability",
            ("log loss", "logloss", "cross entropy"),
            low=0,
        ),
        MetricInfo(
            "brier",
            "Brier score",
            ("binary",),
            "minimize",
            "probability",
            ("brier",),
            low=0,
            high=1,
        ),
        MetricInfo("f1", "F1", ("binary",), "maximize", "label", ("f1",), low=0, high=1),
        MetricInfo(
            "accuracy",
            "accuracy",
            ("binary", "multiclass"),
            "maximize",
            "label",
            ("accuracy",),
            low=0,
            high=1,
        ),
        MetricInfo(
            "balanced_accuracy",
            "balanced accuracy",
            ("binary", "multiclass"),
            "maximize",
            "label",
            ("balanced accuracy",),
            low=0,
            high=1,
        ),
        MetricInfo(
            "mcc",
            "Matthews correlation",
            ("binary",),
            "maximize",
            "label",
            ("mcc", "matthews"),
            low=-1,
            high=1,
        ),
        MetricInfo("cost", "mean cost", ("binary", "multiclass"), "minimize", "label", ("cost",)),
        MetricInfo(
            "macro_f1",
            "macro F1",
            ("multiclass",),
            "maximize",
            "label",
            ("macro f1",),
            low=0,
            high=1,
        ),
        MetricInfo(
            "ovr_auc",
            "one-vs-rest AUC",
            ("multiclass",),
            "maximize",
            "score",
            ("ovr auc", "one vs rest"),
            low=0,
            high=1,
        ),
        MetricInfo(
            "kappa",
            "Cohen's kappa (quadratic)",
            ("multiclass",),
            "maximize",
            "label",
            ("kappa",),
            low=-1,
            high=1,
        ),
        MetricInfo(
            "rmse",
            "RMSE",
            ("regression",),
            "minimize",
            "value",
            ("rmse", "root mean squared error"),
            low=0,
        ),
        MetricInfo(
            "mae",
            "MAE",
            ("regression",),
            "minimize",
            "value",
            ("mae", "mean absolute error"),
            low=0,
        ),
        MetricInfo("r2", "R2", ("regression",), "maximize", "value", ("r2", "r squared"), high=1),
        MetricInfo(
            "mape",
            "MAPE",
            ("regression",),
            "minimize",
            "value",
            ("mape", "percentage error"),
            low=0,
        ),
        MetricInfo("rmsle", "RMSLE", ("regression",), "minimize", "value", ("rmsle",), low=0),
        MetricInfo(
            "pinball",
            "pinball loss",
            ("regression",),
            "minimize",
            "value",
            ("pinball", "quantile"),
            low=0,
        ),
    )
}
DEFAULT_METRIC: dict[TaskKind, str] = {
    "binary": "roc_auc",
    "multiclass": "log_loss",
    "regression": "rmse",
}
LABELS_BY = "f1"
"""Labels of a binary task whose metric needs none (AUC, log loss) are made for this metric: unlike
accuracy it is not served by never calling anybody positive, and, unlike balanced accuracy, it does
not drown a rare class in false alarms."""


def threshold_metric(metric: str) -> str:
    """The label metric that a threshold is chosen for, given the task's metric."""
    return metric if METRICS[metric].needs == "label" else LABELS_BY
