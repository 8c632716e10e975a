"""The values of the report's later sections: checks, gates, ledger, plans, seal, environment.

Guarantees: what did not pass stands first. Does not read files.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from mlagent.contracts.evaluation import Evaluation, Gate
from mlagent.contracts.findings import Analysis
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.run import Environment

from . import charts, sparks
from .columns import sentence_case
from .numbers import count, metric_value, p_value, seconds, share
from .report import ReportData

OUTCOME_TONES = {
    "pass": "good",
    "warn": "warn",
    "fail": "bad",
    "not enforced": "warn",
    "not measured": "warn",
    "not enough data": "warn",
}
MOST_ASSOCIATIONS = 15
SHORTEST_S = 0.05
"""Phases below are no row of the time table."""


def tone(outcome: str) -> str:
    """The colour of an outcome: good, warn, bad or calm."""
    return OUTCOME_TONES.get(outcome, "calm")


def check_rows(analysis: Analysis | None) -> list[dict[str, str]]:
    """Assumption checks, those that need attention first."""
    if analysis is None:
        return []
    order = ["fail", "warn", "not enough data", "pass", "not applicable"]
    return [
        {
            "outcome": item.outcome,
            "tone": tone(item.outcome),
            "title": sentence_case(item.title),
            "evidence": item.evidence,
            "consequence": item.consequence,
            "code": item.code,
        }
        for item in sorted(analysis.checks, key=lambda check: order.index(check.outcome))
    ]


def association_rows(analysis: Analysis | None) -> list[dict[str, str]]:
    """Every tested column."""
    if analysis is None:
        return []
    return [
        {
            "column": item.column,
            "effect": f"{item.effect:.2f}",
            "effect_name": item.effect_name,
            "test": item.test,
            "p": p_value(item.p_value),
            "q": p_value(item.q_value),
            "n": count(item.n),
        }
        for item in analysis.associations
    ]


def associations_chart(analysis: Analysis | None) -> Markup:
    """The strongest associations."""
    if analysis is None or not analysis.associations:
        return Markup("")
    shown = analysis.associations[:MOST_ASSOCIATIONS]
    return charts.association_chart([(a.column, a.effect, a.q_value < 0.05) for a in shown])


def validation(analysis: Analysis | None, metric: str) -> dict[str, str] | None:
    """How the folds were made, and what they can show."""
    if analysis is None:
        return None
    plan = analysis.validation_plan
    by = f" by {plan.group or plan.time}" if plan.group or plan.time else ""
    return {
        "kind": plan.kind + by,
        "folds": f"{plan.folds}" + (f" x {plan.repeats}" if plan.repeats > 1 else ""),
        "why": plan.why,
        "detectable": metric_value(plan.detectable_difference, metric),
        "imbalance": share(analysis.imbalance),
        "concern": analysis.concern,
    }


MEASURES = {
    "primary": "{metric}",
    "worst_slice": "{metric} of the worst group",
    "calibration_error": "expected calibration error",
    "predict_seconds": "seconds to predict the judged rows",
    "latency_ms": "milliseconds for a row",
    "model_mb": "size of the model in MB",
    "columns_with_role": "share of columns with a role",
    "checks_done": "assumption checks that were done",
}
COMPARISONS = {"at_least": "at least", "at_most": "at most"}


def rule(gate: Gate, metric: str) -> str:
    """A gate in words: 'ROC AUC better than linear', 'expected calibration error at most 0.1'."""
    info = METRICS.get(gate.metric)
    plain = info.title if info else gate.metric.replace("_", " ")
    subject = MEASURES.get(gate.metric, plain).format(metric=metric)
    words = COMPARISONS.get(gate.comparison, gate.comparison.replace("_", " "))
    limit = "" if gate.threshold is None else f" {gate.threshold:g}"
    return f"{subject} {words}{limit}"


def gates(evaluation: Evaluation) -> list[dict[str, str]]:
    """Quality gates."""
    info = METRICS.get(evaluation.metric)
    title = info.title if info else evaluation.metric
    return [
        {
            "name": gate.name,
            "rule": rule(gate, title),
            "required": "required" if gate.required else "advisory",
            "outcome": gate.outcome,
            "tone": gate_tone(gate),
            "evidence": sentence_case(gate.evidence),
        }
        for gate in evaluation.gates
    ]


def gate_tone(gate: Gate) -> str:
    """Red for a required gate that is not a pass, whatever the reason."""
    if gate.outcome == "pass":
        return "good"
    if gate.required:
        return "bad"
    return "calm" if gate.outcome == "not applicable" else "warn"


def ledger(data: ReportData) -> dict[str, Any]:
    """Every clause of the contracts and what came of it; what did not pass stands first."""
    order = ["fail", "not enforced", "pass", "advisory", "not applicable"]
    entries = sorted(data.ledger.entries, key=lambda entry: order.index(entry.outcome))
    found = [entry.outcome for entry in entries]
    return {
        "tier": data.ledger.tier,
        "counts": [
            {"outcome": name, "tone": tone(name), "count": count(found.count(name))}
            for name in order
            if name in found
        ],
        "rows": [
            {
                "agent": entry.agent,
                "clause": entry.clause,
                "enforced_by": entry.enforced_by,
                "outcome": entry.outcome,
                "tone": tone(entry.outcome),
                "evidence": entry.evidence,
            }
            for entry in entries
        ],
    }


def table(data: ReportData) -> dict[str, Any]:
    """Which table it was, and what was noted when it was read."""
    return {
        "path": data.data.path,
        "rows": count(data.data.rows),
        "columns": count(len(data.data.columns)),
        "sha": data.data.sha256[:12],
        "notes": data.data.notes,
    }


def plans(data: ReportData) -> list[dict[str, str]]:
    """What each agent's option was planned to be, why, and what ran."""
    found = []
    for role, plan in data.agent_plans.items():
        chosen = data.selection.get(role, plan.recommendation.selected)
        option = plan.implementation_options[chosen]
        found.append(
            {
                "agent": role,
                "option": chosen,
                "planned": option.approach,
                "recommended": "as recommended"
                if chosen == plan.recommendation.selected
                else f"{plan.recommendation.selected} was recommended",
                "rationale": plan.recommendation.rationale,
                "ran": data.ran.get(role, ""),
            }
        )
    return found


def seal(data: ReportData) -> dict[str, str]:
    """The vault and how often it was opened."""
    found = {"id": data.evaluation.seal.id, "opening": count(data.evaluation.seal.opening)}
    if data.seal is None:
        return found | {"kind": "", "dev_rows": "", "vault_rows": "", "share": ""}
    return found | {
        "kind": data.seal.kind,
        "dev_rows": count(data.seal.dev_rows),
        "vault_rows": count(len(data.seal.vault_rows)),
        "share": share(data.seal.share),
    }


def times(data: ReportData) -> dict[str, Any]:
    """Seconds until this page, and of each phase that was over by then, as bars."""
    phases = [(name, took) for name, took in data.phases if took >= SHORTEST_S]
    rest = data.until_report_s - sum(took for _, took in phases)
    if phases and rest >= SHORTEST_S:
        phases.append(("everything else", rest))
    most = max((took for _, took in phases), default=0.0)
    spent, budget = data.until_report_s, data.budget_s
    return {
        "spent": seconds(spent),
        "budget": seconds(budget),
        "bar": sparks.bar(spent / budget if budget > 0 else 0.0),
        "rows": [
            {"name": name, "seconds": seconds(round(took, 1)), "bar": sparks.bar(took / most)}
            for name, took in phases
        ],
    }


def sandbox_line(env: Environment) -> str:
    """The engine's own line, which names the tier; else the tier."""
    if not env.engine:
        return env.tier
    return env.engine if env.tier in env.engine else f"{env.tier}, {env.engine}"


def environment(data: ReportData) -> dict[str, Any]:
    """What it ran on."""
    env = data.environment
    commit = env.git_commit[:12] if env.git_commit else ""
    return {
        "rows": [
            ("mlagent", env.mlagent),
            ("Python", env.python),
            ("platform", env.platform),
            ("sandbox", sandbox_line(env)),
            ("image", env.image or "none"),
            ("seed, threads", f"{env.seed}, {env.threads}"),
            ("git", (commit + (" with changes" if env.git_dirty else "")) or "no repository"),
        ],
        "packages": sorted(env.packages.items()),
    }
