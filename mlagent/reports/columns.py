"""The explorer's findings as rows for a page: columns with small histograms, findings, pairs.

Guarantees: shows only what the record holds, which is aggregates. Does not sort findings anew:
most severe first is the explorer's order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlagent.contracts.findings import Analysis, ColumnLook, Exploration, Finding

from . import sparks
from .numbers import count, number, share

TONES = {"critical": "bad", "high": "bad", "medium": "warn", "low": "calm", "info": "calm"}
MOST_COLUMNS = 300
AS_PLANNED = "as planned"
"""The reason of a role that the explorer did not change; it is said once, above the table."""


def explore_values(exploration: Exploration) -> dict[str, object]:
    """Values of explore.html.j2."""
    looks = exploration.looks
    features = [look for look in looks if look.role not in ("target", "id", "constant", "excluded")]
    scored = [look for look in features if look.single_score is not None]
    return {
        "rows": count(exploration.rows),
        "rows_used": count(exploration.rows_used),
        "sampled": exploration.rows_used < exploration.rows,
        "columns_total": count(len(looks)),
        "features_total": count(len(features)),
        "worst": severity_counts(exploration.findings),
        "findings": finding_rows(exploration.findings),
        "columns": [column_row(look, exploration) for look in looks[:MOST_COLUMNS]],
        "columns_cut": max(0, len(looks) - MOST_COLUMNS),
        "has_scores": bool(scored),
        "pairs": [
            {"one": a, "other": b, "strength": f"{s:.2f}", "bar": sparks.bar(s)}
            for a, b, s in exploration.pairs
        ],
        "excluded": [{"name": n, "why": why} for n, why in exploration.roles.excluded.items()],
        "group_column": exploration.group_column,
        "time_column": exploration.time_column,
    }


def column_row(look: ColumnLook, exploration: Exploration) -> dict[str, Any]:
    """One line of the column table."""
    role = exploration.roles.columns.get(look.name)
    return {
        "name": look.name,
        "role": look.role,
        "suspect": bool(role and role.suspect),
        "why": role.why if role and role.why != AS_PLANNED else "",
        "missing": share(look.missing),
        "missing_bar": sparks.bar(look.missing),
        "distinct": count(look.distinct),
        "score": "–" if look.single_score is None else f"{look.single_score:.3f}",
        "association": "–" if look.association is None else f"{look.association:.3f}",
        "association_bar": "" if look.association is None else sparks.bar(look.association),
        "outliers": share(look.outliers),
        "spark": sparks.histogram(look.counts) if look.edges else "",
        "range": f"{number(look.edges[0])} … {number(look.edges[-1])}"
        if look.edges and look.role != "datetime"
        else "",
        "values": top_values(look),
    }


def top_values(look: ColumnLook) -> list[dict[str, str]]:
    """The most common values with their share of the counted cells."""
    total = sum(look.counts)
    if not look.labels or not total:
        return []
    rows = [
        {"label": text, "share": share(n / total)}
        for text, n in zip(look.labels, look.counts, strict=False)
    ][:4]
    rest = total - sum(look.counts[: len(rows)])
    if rest > 0:
        rows.append({"label": "", "share": share(rest / total)})
    return rows


def finding_rows(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings with the tone of their severity."""
    return [
        {
            "code": item.code,
            "severity": item.severity,
            "tone": TONES[item.severity],
            "title": sentence_case(item.title),
            "evidence": item.evidence,
            "consequence": item.consequence,
        }
        for item in findings
    ]


def sentence_case(text: str) -> str:
    """The first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def severity_counts(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """How many findings of each severity, the most severe first."""
    found = [item.severity for item in findings]
    return [
        {"severity": name, "tone": tone, "count": str(found.count(name))}
        for name, tone in TONES.items()
        if name in found
    ]


def all_findings(exploration: Exploration | None, analysis: Analysis | None) -> list[Finding]:
    """Findings of both agents, most severe first."""
    found = [
        *(exploration.findings if exploration else ()),
        *(analysis.findings if analysis else ()),
    ]
    order = list(TONES)
    return sorted(found, key=lambda item: order.index(item.severity))
