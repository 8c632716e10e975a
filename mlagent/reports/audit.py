"""The values of the report's later sections: checks, gates, ledger, plans, seal, environment.

Guarantees: what did not pass stands first. Does not read files.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.findings import Analysis

from . import charts, sparks
from .columns import sentence_case
from .numbers import count, metric_value, number, p_value, seconds, share
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


def gates(evaluation: Evaluation) -> list[dict[str, str]]:
    """Quality gates."""
    return [
        {
            "name": gate.name,
            "rule": f"{gate.metric} {gate.comparison} {number(gate.threshold)}"
            if gate.threshold is not None
            else f"{gate.metric} {gate.comparison}",
            "value": number(gate.value),
            "required": "required" if gate.required else "advisory",
            "outcome": gate.outcome,
            "tone": tone(gate.outcome) if gate.required or gate.outcome == "pass" else "warn",
            "evidence": gate.evidence,
        }
        for gate in evaluation.gates
    ]


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


def plans(data: ReportData) -> list[dict[str, str]]:
    """Which option each agent took, and why it was proposed."""
    found = []
    for role, plan in data.agent_plans.items():
        chosen = data.selection.get(role, plan.recommendation.selected)
        option = plan.implementation_options[chosen]
        found.append(
            {
                "agent": role,
                "option": chosen,
                "approach": option.approach,
                "recommended": "as recommended"
                if chosen == plan.recommendation.selected
                else f"{plan.recommendation.selected} was recommended",
                "rationale": plan.recommendation.rationale,
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


def fit_times(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Seconds of each candidate's fits, as bars."""
    rows = [e for e in evaluation.leaderboard if e.fit_seconds is not None]
    most = max((e.fit_seconds or 0.0 for e in rows), default=0.0)
    return [
        {
            "name": e.name,
            "seconds": seconds(e.fit_seconds),
            "bar": sparks.bar((e.fit_seconds or 0.0) / most if most else 0.0),
        }
        for e in rows
    ]


def environment(data: ReportData) -> dict[str, Any]:
    """What it ran on."""
    env = data.environment
    commit = env.git_commit[:12] if env.git_commit else ""
    return {
        "rows": [
            ("mlagent", env.mlagent),
            ("Python", env.python),
            ("platform", env.platform),
            ("sandbox", f"{env.tier}" + (f", {env.engine}" if env.engine else "")),
            ("image", env.image or "none"),
            ("seed, threads", f"{env.seed}, {env.threads}"),
            ("git", (commit + (" with changes" if env.git_dirty else "")) or "no repository"),
        ],
        "packages": sorted(env.packages.items()),
    }
