"""model_card.md: the headings of Mitchell et al. (2019), filled from records.

Guarantees: every number comes from a record, and text of the data cannot become Markdown or HTML.
Does not invent an intended use: it repeats the user's sentence and names the limits that follow
from the split.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlagent.contracts.evaluation import A_TRY
from mlagent.contracts.metrics import METRICS

from . import audit
from .columns import all_findings, finding_rows
from .numbers import count, difference, interval, metric_value
from .report import Render, ReportData
from .sections import (
    JUDGED,
    calibration,
    importance_rows,
    metric_rows,
    slices,
    slices_caution,
    threshold,
    unsaid,
)

MOST_IMPORTANT = 10
SPECIAL = re.compile(r"([\\`*_\[\]|#~$])")


def render_model_card(render: Render, data: ReportData, into: Path) -> None:
    """Write model_card.md."""
    values = escaped(card_values(data))
    values["reproduce"] = " ".join(data.reproduce.split())
    into.write_text(render("report/model_card.md.j2", values), encoding="utf-8")


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: one line, no markup, no HTML, no link."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = SPECIAL.sub(r"\\\1", line)
    return line.replace("://", "\\://").replace("www.", "www\\.")


def escaped(value: Any) -> Any:
    """The same structure with every text made safe for Markdown."""
    if isinstance(value, str):
        return markdown(str(value))
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(item) for item in value]
    return value


def card_values(data: ReportData) -> dict[str, Any]:
    """Values of model_card.md.j2, not escaped yet."""
    evaluation, task, metric = data.evaluation, data.task, data.evaluation.metric
    info = METRICS.get(metric)
    found = finding_rows(all_findings(data.exploration, data.analysis))
    linear_ships = evaluation.model_name == "linear"
    baselines = [
        (n, evaluation.baselines[n])
        for n in ("linear", "dummy")
        if n in evaluation.baselines and n != evaluation.model_name
    ]
    plan = data.analysis.validation_plan if data.analysis else None
    return {
        "title": data.title,
        "run_id": data.run_id,
        "verdict": evaluation.verdict,
        "model": data.ran.get("ml-engineer", evaluation.model_name),
        "version": data.environment.mlagent,
        "kind": task.kind or "unknown",
        "target": task.target or "unknown",
        "classes": task.classes,
        "tier": evaluation.tier,
        "image": data.environment.image or "none",
        "seed": data.environment.seed,
        "threads": data.environment.threads,
        "plans": audit.plans(data),
        "data": audit.table(data),
        "slice_columns": [
            {"column": item.column, "why": item.why}
            for item in (data.analysis.slices if data.analysis else ())
        ],
        "metric": info.title if info else metric,
        "better": "higher" if evaluation.direction == "maximize" else "lower",
        "threshold": threshold(evaluation),
        "detectable": metric_value(plan.detectable_difference, metric)
        if plan and plan.detectable_difference is not None
        else "",
        "judged_rows": count(evaluation.model.n),
        "judged_on": JUDGED[evaluation.judged_on],
        "seal": audit.seal(data),
        "tries": count(evaluation.tries),
        "a_try": A_TRY,
        "excluded": [
            {"name": name, "why": why}
            for name, why in (data.exploration.roles.excluded if data.exploration else {}).items()
        ],
        "suspects": evaluation.suspects,
        "scores": [
            {
                "name": name,
                "value": metric_value(score.value, metric),
                "interval": interval(score, metric),
                "n": count(score.n),
            }
            for name, score in [(f"model: {evaluation.model_name}", evaluation.model), *baselines]
        ],
        "linear": "" if linear_ships else difference(evaluation.difference_to_linear, metric),
        "linear_verdict": evaluation.difference_to_linear.verdict,
        "dummy": difference(evaluation.difference_to_dummy, metric),
        "dummy_verdict": evaluation.difference_to_dummy.verdict,
        "metrics": metric_rows(evaluation),
        "calibration": calibration(evaluation),
        "slices": slices(evaluation),
        "slices_note": evaluation.slices_note,
        "slices_caution": slices_caution(evaluation),
        "importance": importance_rows(evaluation)[:MOST_IMPORTANT],
        "importance_note": evaluation.importance_note,
        "fairness": [item for item in found if item["code"].startswith("fairness.")],
        "warnings": [
            item
            for item in found
            if item["severity"] in ("critical", "high") and not item["code"].startswith("fairness.")
        ],
        "cannot_see": evaluation.cannot_see,
        "notes": unsaid(data),
        "gates": audit.gates(evaluation),
    }
