"""The values of report.html.j2, section by section, from records.

Guarantees: every number is written by `numbers`, every figure by `charts`, and strings of the
data stay plain strings, which the template escapes. Does not read files.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from mlagent.contracts.evaluation import A_TRY, Evaluation, Score, SliceScore
from mlagent.contracts.metrics import METRICS, threshold_metric

from . import audit, charts, sparks
from .columns import all_findings, finding_rows
from .numbers import (
    count,
    difference,
    interval,
    metric_value,
    number,
    seconds,
    share,
    signed,
)
from .report import ReportData
from .search import bill_rows, search_rows

MOST_IMPORTANT, MOST_SLICES, MOST_CLASSES = 15, 40, 12
BASELINES = {"linear": "baseline: nothing is tuned", "dummy": "baseline: ignores every feature"}
JUDGED = {
    "vault": "rows that no candidate has seen (the vault)",
    "out-of-fold": "out-of-fold rows: a score of the recipe, the shipped model itself is unscored",
    "test file": "rows of the test file that was given",
}
"""What stands after a number of rows."""


def report_values(data: ReportData) -> dict[str, object]:
    """Everything the page shows."""
    evaluation, analysis = data.evaluation, data.analysis
    info = METRICS.get(evaluation.metric)
    title = info.title if info else evaluation.metric
    found = finding_rows(all_findings(data.exploration, analysis))
    return {
        "title": data.title,
        "run_id": data.run_id,
        "task": data.task,
        "data": audit.table(data),
        "metric": title,
        "better": "higher" if evaluation.direction == "maximize" else "lower",
        "badges": badges(evaluation),
        "verdict": headline(evaluation.verdict),
        "verdict_rest": evaluation.verdict.removeprefix(headline(evaluation.verdict)).strip(),
        "hero": hero(evaluation),
        "judged_on": JUDGED[evaluation.judged_on],
        "scores_chart": scores_chart(evaluation, title),
        "metrics": metric_rows(evaluation),
        "leaderboard": leaderboard(data),
        "search": search_rows(data.search) if data.search else [],
        "search_stopped": data.search.stopped if data.search else "",
        "bill": bill_rows(data.bill),
        "prices": data.bill.prices if data.bill else "",
        "figures": figures(evaluation),
        "confusion": confusion(evaluation, data.task.classes),
        "threshold": threshold(evaluation),
        "calibration": calibration(evaluation),
        "importance_chart": importance(evaluation, title),
        "importance": importance_rows(evaluation),
        "importance_note": evaluation.importance_note or "Not measured in this run.",
        "findings": [item for item in found if item["severity"] != "info"],
        "small_findings": [item for item in found if item["severity"] == "info"],
        "slices": slices(evaluation),
        "slices_note": evaluation.slices_note,
        "slices_caution": slices_caution(evaluation),
        "checks": audit.check_rows(analysis),
        "associations": audit.association_rows(analysis),
        "association_chart": audit.associations_chart(analysis),
        "validation_plan": audit.validation(analysis, evaluation.metric),
        "gates": audit.gates(evaluation),
        "ledger": audit.ledger(data),
        "cannot_see": evaluation.cannot_see,
        "notes": unsaid(data),
        "plans": audit.plans(data),
        "seal": audit.seal(data),
        "tries": count(evaluation.tries),
        "a_try": A_TRY,
        "suspects": evaluation.suspects,
        "time": audit.times(data),
        "environment": audit.environment(data),
        "reproduce": data.reproduce,
    }


def badges(evaluation: Evaluation) -> list[dict[str, str]]:
    """The verdict in a word or two, then what a reader must know beside it."""
    against_dummy = evaluation.difference_to_dummy.verdict
    against_linear = evaluation.difference_to_linear.verdict
    failed = [gate for gate in evaluation.gates if gate.required and gate.outcome != "pass"]
    if against_dummy != "better":
        first = ("no better than guessing", "bad")
    elif evaluation.model_name == "linear":
        first = ("the linear model ships", "calm")
    elif against_linear == "better":
        first = ("better than linear", "good")
    elif against_linear == "worse":
        first = ("worse than linear", "bad")
    else:
        first = ("on a par with linear", "calm")
    found = [first]
    if failed:
        found.append((f"{len(failed)} required gate{'s' * (len(failed) > 1)} not met", "bad"))
    if evaluation.suspects:
        found.append(("columns that may leak", "warn"))
    if evaluation.judged_on == "out-of-fold":
        found.append(("no hold-out", "warn"))
    if evaluation.tier != "T3":
        found.append((f"sandbox tier {evaluation.tier}", "warn"))
    return [{"text": text, "tone": colour} for text, colour in found]


def unsaid(data: ReportData) -> list[str]:
    """Notes that the verdict does not hold already."""
    return [note for note in data.notes if note not in data.evaluation.verdict]


def threshold(evaluation: Evaluation) -> dict[str, str] | None:
    """The frozen threshold and the metric that it serves best; None where there is none."""
    if evaluation.threshold is None:
        return None
    served = threshold_metric(evaluation.metric)
    when = "frozen before the judged rows were opened"
    if evaluation.judged_on == "out-of-fold":
        when = (
            "for the model that ships, for slices and for the confusion; scores use, in each fold, "
            "the one that is best on the other folds"
        )
    return {
        "value": number(evaluation.threshold),
        "serves": METRICS[served].title,
        "when": when,
    }


def headline(verdict: str) -> str:
    """The first sentence of the verdict, with its full stop."""
    end = verdict.find(". ")
    return verdict if end < 0 else verdict[: end + 1]


def hero(evaluation: Evaluation) -> dict[str, str]:
    """The score in large, with its interval and both differences."""
    metric = evaluation.metric
    return {
        "value": metric_value(evaluation.model.value, metric),
        "interval": interval(evaluation.model, metric),
        "rows": count(evaluation.model.n),
        "model": evaluation.model_name,
        "linear": ""
        if evaluation.model_name == "linear"
        else f"{difference(evaluation.difference_to_linear, metric)}, positive is better",
        "linear_verdict": "it is the linear model"
        if evaluation.model_name == "linear"
        else evaluation.difference_to_linear.verdict,
        "dummy": f"{difference(evaluation.difference_to_dummy, metric)}, positive is better",
        "dummy_verdict": evaluation.difference_to_dummy.verdict,
    }


def scores_chart(evaluation: Evaluation, title: str) -> Markup:
    """The model beside the linear and the dummy baseline."""
    rows = [(f"model: {evaluation.model_name}", evaluation.model)]
    for name in ("linear", "dummy"):
        if name in evaluation.baselines and name != evaluation.model_name:
            rows.append((name, evaluation.baselines[name]))
    return charts.scores_chart(rows, evaluation.metric, title)


def metric_rows(evaluation: Evaluation) -> list[dict[str, str]]:
    """Secondary metrics; the one that ruled the choice stands above them."""
    return [
        {
            "name": METRICS[name].title if name in METRICS else name,
            "value": metric_value(score.value, name),
            "interval": interval(score, name),
            "better": "higher"
            if name in METRICS and METRICS[name].direction == "maximize"
            else "lower",
        }
        for name, score in evaluation.metrics.items()
        if name != evaluation.metric
    ]


def span_of(scores: list[Score]) -> tuple[float, float]:
    """A common scale for small interval pictures."""
    if not scores:
        return (0.0, 0.0)
    return min(score.low for score in scores), max(score.high for score in scores)


def leaderboard(data: ReportData) -> list[dict[str, Any]]:
    """Candidates on the dev folds, in the order given; the dummy is too far off to draw."""
    evaluation = data.evaluation
    metric = evaluation.metric
    drawn = {e.name for e in evaluation.leaderboard if e.score and e.name != "dummy"}
    span = span_of([e.score for e in evaluation.leaderboard if e.score and e.name in drawn])
    return [
        {
            "name": entry.name,
            "about": about(entry.name, data),
            "score": metric_value(entry.score.value, metric) if entry.score else "no score",
            "interval": interval(entry.score, metric),
            "spark": sparks.interval(entry.score.value, entry.score.low, entry.score.high, span)
            if entry.score and entry.name in drawn
            else "",
            "folds": ", ".join(metric_value(fold, metric) for fold in entry.folds),
            "seconds": seconds(entry.fit_seconds),
            "outcome": entry.outcome,
            "chosen": entry.chosen,
        }
        for entry in evaluation.leaderboard
    ]


def about(name: str, data: ReportData) -> str:
    """What a row of the leaderboard is: a baseline, or the option in the words of the plan."""
    if name in BASELINES:
        return BASELINES[name]
    plan = data.agent_plans.get("ml-engineer")
    option = plan.implementation_options.get(name) if plan else None  # type: ignore[call-overload]
    return f"planned: {option.approach}" if option else ""


def figures(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The plots that apply to this kind of task."""
    curves, found = evaluation.curves, []
    cells = curves.confusion
    if curves.roc:
        found.append(("ROC", charts.roc_chart(curves), "The dashed line is guessing."))
    if curves.pr:
        total = sum(map(sum, cells))
        prevalence = sum(cells[-1]) / total if len(cells) == 2 and total else None
        found.append(("Precision and recall", charts.pr_chart(curves, prevalence),
                      "The dashed line is the share of positives."))  # fmt: skip
    if evaluation.calibration and evaluation.calibration.bins:
        found.append(("Calibration", charts.calibration_chart(evaluation.calibration),
                      "On the dashed line, probabilities mean what they say."))  # fmt: skip
    if curves.residuals:
        found.append(("Residuals", charts.residual_chart(curves), "A sample of judged rows."))
    if len(curves.predicted_histogram) > 1:
        name = "predicted value" if curves.residuals else "predicted probability"
        found.append(("Predictions", charts.histogram_chart(curves, name), "All judged rows."))
    return [{"title": title, "svg": svg, "note": note} for title, svg, note in found]


def confusion(evaluation: Evaluation, classes: tuple[str, ...]) -> dict[str, Any] | None:
    """The confusion matrix with row shares; None when there is none, or too many classes."""
    cells = evaluation.curves.confusion
    if not cells or len(cells) > MOST_CLASSES:
        return None
    names = classes if len(classes) == len(cells) else tuple(str(i) for i in range(len(cells)))
    rows = []
    for name, line in zip(names, cells, strict=True):
        total = sum(line)
        rows.append(
            {
                "name": name,
                "cells": [
                    {"n": count(n), "share": share(n / total if total else None),
                     "shade": f"{100 * n / total if total else 0:.0f}"}
                    for n in line
                ],
            }
        )  # fmt: skip
    return {"names": names, "rows": rows}


def calibration(evaluation: Evaluation) -> dict[str, str] | None:
    """Expected error, slope and intercept in words."""
    found = evaluation.calibration
    if found is None:
        return None
    return {
        "error": number(found.expected_error),
        "slope": number(found.slope),
        "intercept": number(found.intercept),
    }


def importance(evaluation: Evaluation, title: str) -> Markup:
    """The chart of the most important columns."""
    shown = evaluation.importance[:MOST_IMPORTANT]
    return charts.importance_chart(shown, title) if shown else Markup("")


def importance_rows(evaluation: Evaluation) -> list[dict[str, str]]:
    """The same as a table, for readers and printers."""
    metric = evaluation.metric
    return [
        {
            "column": item.column,
            "drop": signed(item.drop, metric),
            "interval": f"{signed(item.low, metric)} to {signed(item.high, metric)}",
        }
        for item in evaluation.importance
    ]


def slices(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Groups of rows beside the whole."""
    metric, rows = evaluation.metric, evaluation.slices[:MOST_SLICES]
    span = span_of([item.score for item in rows if item.score])
    return [slice_row(item, metric, span, evaluation.model.value) for item in rows]


def slices_caution(evaluation: Evaluation) -> str:
    """What a ranking metric does inside a group; '' for other metrics."""
    info = METRICS.get(evaluation.metric)
    if info is None or info.needs != "score":
        return ""
    return (
        f"{info.title} within a group misses the differences between groups, so every group of a "
        "strong column can lie below the whole."
    )


def slice_row(
    item: SliceScore, metric: str, span: tuple[float, float], whole: float
) -> dict[str, Any]:
    """One group; the thin line in its picture is the score of all rows."""
    score = item.score
    return {
        "column": item.column,
        "value": item.value,
        "n": count(item.n),
        "positives": count(item.positives),
        "score": metric_value(score.value, metric) if score else "–",
        "interval": interval(score, metric),
        "spark": sparks.interval(score.value, score.low, score.high, span, whole) if score else "",
        "note": item.note,
    }
