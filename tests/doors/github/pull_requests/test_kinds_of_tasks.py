"""Regression, where lower is better, and several classes: verdict, slices, plots of real numbers.

No model is fitted: the predictions of both runs are the truth with more or less noise.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from pull_projects import Heads, Judged, add_run
from reported import gate, text_of

from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.pr_report import PrReport
from mlagent.data.frames import read_frame
from mlagent.doors.github.reporting import build_report
from mlagent.doors.github.workflow_event import Event
from mlagent.referee.metrics import Truth
from mlagent.store.runs import RunFolder

CLASSES = ("gold", "silver", "tin")


def regression(rows: int, noise: float) -> Judged:
    """Predictions that miss by `noise`, one time in both directions."""
    rng = np.random.default_rng(3)
    y, unit = rng.normal(100, 20, rows), rng.normal(0, 1, rows)
    others = {"linear": y + 12 * rng.normal(0, 1, rows), "dummy": np.full(rows, y.mean())}
    return Judged("rmse", Truth("regression", y), {"model": y + noise * unit, **others})


def multiclass(rows: int, right: float) -> Judged:
    """Predictions that give the true class a share of `right` in the mean."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 3, rows)

    def shares(mean: float) -> np.ndarray:
        weights = rng.uniform(0.2, 0.8, (rows, 3)) * (1 - mean)
        weights[np.arange(rows), codes] += mean
        made: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
        return made

    predictions = {
        "model": shares(right),
        "linear": shares(0.1),
        "dummy": np.full((rows, 3), 1 / 3),
    }
    return Judged("log_loss", Truth("multiclass", codes, CLASSES), predictions)


class Pair:
    """A repository whose base run is weak and whose head run is strong."""

    def __init__(self, template: Heads, folder: Path, weak: Judged, strong: Judged) -> None:
        shutil.copytree(template.folder, folder)
        self.heads = Heads(folder, template.base, template.head, template.base_run)
        self.weak = add_run(self.heads, "m", commit=template.base, number=1, judged=weak)
        self.strong = add_run(self.heads, "m", number=2, judged=strong)

    @cached_property
    def report(self) -> PrReport:
        return build_report(self.heads.folder, None, "main", None)

    def reverse(self) -> PrReport:
        """Of a pull request that goes back to the weak one."""
        event = Event(7, self.heads.base, self.heads.head, None, 1, False)
        return build_report(self.heads.folder, self.weak, self.strong, event)

    def ran(self, run: str) -> Evaluation:
        return RunFolder(self.heads.folder / "runs" / run).read("evaluation.json", Evaluation)


@pytest.fixture(scope="module")
def rows(template: Heads) -> int:
    file = template.folder / "runs" / template.base_run / "predictions" / "vault.parquet"
    return len(read_frame(file))


@pytest.fixture(scope="module")
def prices(template: Heads, rows: int, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("prices") / "project"
    return Pair(template, folder, regression(rows, 10), regression(rows, 5))


def test_a_lower_error_is_better_and_a_higher_one_worse(prices: Pair) -> None:
    """The differences are oriented: the sign is that of the change for the better."""
    for report, verdict, sign, outcome in (
        (prices.report, "better", 1, "pass"),
        (prices.reverse(), "worse", -1, "fail"),
    ):
        row = report.metrics[0]
        assert (row.metric, row.direction) == ("rmse", "minimize")
        assert row.base is not None
        assert row.difference is not None
        assert sign * (row.base.value - row.head.value) > 4
        assert row.difference.value == pytest.approx(row.base.value - row.head.value)
        assert sign * row.difference.low > 0
        assert sign * row.difference.high > 0
        assert report.verdict == verdict
        assert gate(report, "not-worse-than-base") == outcome
        text = text_of(report)
        mark = {"better": "✅", "worse": "❌"}[verdict]
        assert f" {verdict.capitalize()} than the base\n" in text
        (line,) = [one for one in text.splitlines() if one.startswith("| **RMSE ▼**")]
        assert line.endswith(f"| {mark} {verdict} |")
        assert line.split(" | ")[3][0] == ("+" if sign > 0 else "−")
        (r2,) = [one for one in report.metrics if one.metric == "r2"]
        assert r2.direction == "maximize"
        assert r2.difference is not None
        assert sign * r2.difference.low > 0


def test_the_worst_slices_come_first_with_the_bases_score_of_the_same_rows(prices: Pair) -> None:
    report = prices.report
    mine, before = (
        {(one.column, one.value): one for one in prices.ran(run).slices}
        for run in (prices.strong, prices.weak)
    )
    assert len(report.slices) == 5
    heads = [row.head.value for row in report.slices]
    assert heads == sorted(heads, reverse=True), "of an error the highest is the worst"
    assert heads[0] == max(one.score.value for one in mine.values() if one.score is not None)
    for row in report.slices:
        assert row.head == mine[row.column, row.value].score
        assert row.base == before[row.column, row.value].score
        assert row.base is not None
        assert row.base.value == pytest.approx(2 * row.head.value, rel=1e-6)


def test_a_regression_shows_its_residuals_and_no_roc_curve(prices: Pair) -> None:
    report = prices.report
    text = text_of(report)
    assert sum(rows for _, rows in report.head_curve.residuals) > 100
    bars = ", ".join(str(rows) for _, rows in report.head_curve.residuals)
    assert '    title "Truth minus predicted"\n' in text
    assert f"    bar [{bars}]\n```" in text
    assert "ROC curve" not in text
    assert "predicted  observed" not in text


def test_several_classes_are_compared_by_a_metric_of_theirs(
    template: Heads, rows: int, tmp_path: Path
) -> None:
    pair = Pair(template, tmp_path / "project", multiclass(rows, 0.2), multiclass(rows, 0.6))
    report = pair.report
    row = report.metrics[0]
    assert (report.kind, row.metric, row.direction) == ("multiclass", "log_loss", "minimize")
    assert row.base is not None
    assert row.head.value == pair.ran(pair.strong).model.value
    assert row.base.value == pair.ran(pair.weak).model.value
    assert row.head.value < row.base.value
    assert report.verdict == "better"
    assert " Better than the base\n" in text_of(report)
