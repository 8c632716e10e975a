"""A report's numbers as words and cells. Every text of others stays a plain str, for `inline`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlagent.contracts.drift import DataDifference
from mlagent.contracts.evaluation import Score
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.pr_report import PrGate, PrReport
from mlagent.contracts.words import counted
from mlagent.data.drift import MODERATE, MOST_NAMES
from mlagent.reports import numbers

from . import plots
from .comparing import OTHER_BUDGETS
from .foreign import GATE, REMEDY, UNCHECKED, unchecked
from .markdown import Safe
from .reproducing import other_commit, reproduce

if TYPE_CHECKING:
    from .comment import Links

MARKS = {"better": "✅", "worse": "❌", "not distinguishable": "➖", "not compared": "⚠️"}
OUTCOMES = {
    "pass": "✅ pass",
    "fail": "❌ fail",
    "not measured": "⚠️ not measured",
    "not applicable": "➖ not applicable",
}
TITLES = {
    "better": "Better than the base",
    "worse": "Worse than the base",
    "not distinguishable": "Not distinguishable from the base",
    "base not evaluated": "Base not evaluated",
    "not comparable": "Not comparable with the base",
    "other budgets": "The budgets differ: no comparison with the base",
}
COMPARISONS = {
    "at_least": "at least",
    "at_most": "at most",
    "better_than_dummy": "interval of the difference to the dummy above 0",
    "better_than_linear": "interval of the difference to linear above 0",
    "not_worse_than_base": "interval of the difference to the base not below 0",
}
RAILS = {
    "worst_slice": "worst slice, task's metric",
    "calibration_error": "expected calibration error",
    "model_mb": "model file, MB",
    "predict_seconds": "predicting the judged rows, s",
    "latency_ms": "one row of a batch, ms",
    "leakage_suspects": "columns that may leak, kept",
}
SHOWN_COLUMNS = 10
ENGINEER, LINEAR = "ml-engineer", "linear"
NOTHING = Safe("–")


def values_of(report: PrReport, links: Links) -> dict[str, Any]:
    """What the templates of templates/pr/ may show."""
    return {
        "report": report,
        "links": links,
        "run_url": None if links.run is None else Safe(links.run),
        "mark": Safe(mark(report)),
        "title": title(report),
        "other_commit": other_commit(report),
        "notes": [note for note in report.notes if note != other_commit(report)],
        "sentence": headline(report),
        "ships": shipped(report),
        "suspects": [{"name": name, "new": new} for name, new in report.new_suspects.items()],
        "passed": passed(report),
        "unchecked": Safe(f"{UNCHECKED} {REMEDY}") if unchecked(report) else "",
        "commits": commits(report),
        "gates": [gate_row(gate) for gate in report.gates],
        "rails": rail_rows(report),
        "metrics": metric_rows(report),
        "compared": report.standing == "compared",
        "other_budgets": other_budgets(report),
        "slices": slice_rows(report),
        "data": data_values(report.data),
        "plan": plan_rows(report),
        "cost": cost_values(report),
        "reproduce": reproduce(report, links),
        "plots": plot_values(report),
    }


def mark(report: PrReport) -> str:
    """The sign before the verdict; none of success for gates that nobody checked."""
    if any(gate is not GATE for gate in report.failed):
        return "❌"
    return MARKS["not compared" if unchecked(report) else report.verdict]


def title(report: PrReport) -> Safe:
    """The verdict, and that it is of another commit where it is."""
    verdict = report.verdict
    why = "other budgets" if other_budgets(report) else report.standing
    said = TITLES[why if verdict == "not compared" else verdict]
    return Safe(f"{said}, but at another commit than the head" if other_commit(report) else said)


def other_budgets(report: PrReport) -> bool:
    """Whether both runs scored the same rows, but in another time."""
    return report.standing == "not comparable" and report.reason.startswith(OTHER_BUDGETS)


def passed(report: PrReport) -> Safe:
    """How many of the required gates passed."""
    if unchecked(report):
        return Safe("**The gates were not checked against the base commit.**")
    required, failed = sum(gate.required for gate in report.gates), len(report.failed)
    if required == 0:
        return Safe("No gate is required.")
    if failed == 0:
        one = "The required gate passed."
        return Safe(one if required == 1 else f"All {required} required gates passed.")
    if other_commit(report):
        return Safe("**No gate is measured.**")
    one = "**The required gate did not pass.**"
    return Safe(
        one if required == 1 else f"**{failed} of {required} required gates did not pass.**"
    )


def headline(report: PrReport) -> Safe:
    """One sentence with the numbers of the verdict, made here from the record."""
    row = report.metrics[0]
    info, name = METRICS[row.metric], row.metric
    mine = _number(row.head.value, name)
    if row.difference is None or row.base is None:
        low, high = (_number(value, name) for value in (row.head.low, row.head.high))
        return Safe(f"{info.title} {mine} (95 % interval {low} to {high}), on {_judged(report)}.")
    gap = row.difference
    said = [_signed(value, name) for value in (gap.value, gap.low, gap.high)]
    return Safe(
        f"{info.title} {mine} against {_number(row.base.value, name)} of the base: difference "
        f"**{said[0]}**, 95 % interval {said[1]} to {said[2]} (positive is better), paired on the "
        f"same {_judged(report)}."
    )


def shipped(report: PrReport) -> dict[str, Any]:
    """Which model it is, in the words of the plan where it is the planned one."""
    name = report.head.model_name
    own = [one.approach for one in report.plan if one.agent == ENGINEER and one.option == name]
    return {
        "name": name,
        "approach": own[0] if own else "",
        "linear": name == LINEAR,
        "base": None if report.base is None else report.base.model_name,
    }


def _judged(report: PrReport) -> str:
    kind = {
        "vault": ("vault row", "vault rows"),
        "test file": ("row of the test file", "rows of the test file"),
        "out-of-fold": ("row, out-of-fold", "rows, out-of-fold"),
    }[report.head.judged_on]
    return counted(report.rows, *kind)


def commits(report: PrReport) -> list[tuple[Safe, Safe]]:
    """Head, base, merge base and data hash, each with what it is; the run's own commit where it is
    another one."""
    head = report.head_commit
    found = [
        ("run at", report.head.commit if other_commit(report) else None),
        ("head", None if other_commit(report) and head == report.head.commit else head),
        ("base", report.base_commit),
        ("merge base", report.merge_base),
    ]
    shown = [(Safe(name), Safe(sha[:7])) for name, sha in found if sha is not None]
    return [*shown, (Safe("data"), Safe(report.head.data_sha256[:12]))]


def gate_row(gate: PrGate) -> dict[str, Any]:
    """One line of the table of gates."""
    wanted = COMPARISONS[gate.comparison]
    if gate.threshold is not None:
        wanted = f"{wanted} {numbers.number(gate.threshold)}"
    return {
        "name": gate.name,
        "metric": gate.metric,
        "wanted": Safe(wanted),
        "value": NOTHING if gate.value is None else Safe(f"{gate.value + 0.0:.4g}"),
        "outcome": Safe(OUTCOMES[gate.outcome]),
        "required": Safe("required" if gate.required else "advisory"),
        "source": gate.source,
        "evidence": gate.evidence,
    }


def rail_rows(report: PrReport) -> list[dict[str, Any]]:
    """Numbers that gates may guard, of both runs."""
    asked = {gate.metric for gate in report.gates}
    return [
        {
            "title": Safe(RAILS[one.name]),
            "base": Safe(numbers.number(one.base)),
            "head": Safe(numbers.number(one.head)),
            "gate": Safe("yes" if one.name in asked else "no"),
        }
        for one in report.rails
    ]


def metric_rows(report: PrReport) -> list[dict[str, Any]]:
    """One line for each metric, the task's own first."""
    rows = []
    for row in report.metrics:
        gap, name = row.difference, row.metric
        arrow = "▲" if row.direction == "maximize" else "▼"
        title = f"{METRICS[name].title} {arrow}"
        change, interval, verdict = NOTHING, NOTHING, NOTHING
        if gap is not None:
            change = Safe(_signed(gap.value, name))
            interval = Safe(f"{_signed(gap.low, name)} to {_signed(gap.high, name)}")
            verdict = Safe(f"{MARKS[gap.verdict]} {gap.verdict}")
        rows.append(
            {
                "title": Safe(f"**{title}**" if row.primary else title),
                "base": _score(row.base, name),
                "head": _score(row.head, name),
                "change": change,
                "interval": interval,
                "verdict": verdict,
            }
        )
    return rows


def slice_rows(report: PrReport) -> list[dict[str, Any]]:
    """The worst groups of rows."""
    name = report.metrics[0].metric
    return [
        {
            "column": one.column,
            "value": one.value,
            "n": Safe(f"{one.n:,}"),
            "head": _score(one.head, name),
            "base": _score(one.base, name),
            "note": one.note,
        }
        for one in report.slices
    ]


def data_values(data: DataDifference) -> dict[str, Any]:
    """Schema, rows and the columns that moved most; what is cut is counted."""
    known = [one for one in data.columns if one.psi is not None]
    moved = sum(one.level in ("moderate", "large") for one in known)
    rest = data.compared - len(known)  # of less drift than each of these
    more = rest > 0 and known and (known[-1].psi or 0.0) >= MODERATE
    shown = known[:SHOWN_COLUMNS]
    return {
        "same": data.same_file,
        "why": data.not_measured,
        "rows_before": NOTHING if data.rows_before is None else Safe(f"{data.rows_before:,}"),
        "rows_after": Safe(f"{data.rows_after:,}"),
        "all_rows": Safe(counted(data.rows_after, "row")),
        "added": data.added,
        "removed": data.removed,
        "retyped": data.retyped,
        "most_names": MOST_NAMES,
        "compared": Safe(counted(data.compared, "column")),
        "moved": Safe(f"at least {moved}" if more else str(moved)),
        "shown": Safe(str(len(shown))),
        "all_shown": len(shown) == data.compared,
        "kept": Safe(f"the first {len(known)}" if rest > 0 else "all"),
        "columns": [
            {
                "column": one.column,
                "psi": Safe(f"{one.psi:.3f}"),
                "noise": NOTHING if one.noise is None else Safe(f"{one.noise:.3f}"),
                "level": Safe(one.level),
                "before": Safe(numbers.share(one.missing_before)),
                "after": Safe(numbers.share(one.missing_after)),
            }
            for one in shown
        ],
    }


def plan_rows(report: PrReport) -> list[dict[str, Any]]:
    """Option chosen, estimated against actual."""
    rows = []
    for one in report.plan:
        option = one.option
        changed = one.base_option is not None and one.base_option != option
        rows.append(
            {
                "agent": Safe(one.agent),
                "option": Safe(f"{option} (base: {one.base_option})" if changed else option),
                "approach": one.approach,
                "estimated": Safe(numbers.seconds(one.estimated_s)),
                "actual": Safe(
                    "did not run" if one.actual_s is None else numbers.seconds(one.actual_s)
                ),
            }
        )
    return rows


def cost_values(report: PrReport) -> dict[str, Any]:
    """Time, size and money."""
    cost = report.cost
    return {
        "wall": Safe(numbers.seconds(cost.wall_s)),
        "budget": Safe(numbers.seconds(cost.budget_s)),
        "base_wall": None if cost.base_wall_s is None else Safe(numbers.seconds(cost.base_wall_s)),
        "threads": Safe(counted(cost.threads, "thread")),
        "model_mb": Safe(numbers.number(cost.model_mb)),
        "predict": Safe(numbers.seconds(cost.predict_seconds)),
        "language_model": cost.language_model,
        "tier": report.head.tier,
    }


def plot_values(report: PrReport) -> dict[str, Safe]:
    """Pictures; empty ones are left out."""
    compared = [row for row in report.metrics if row.difference is not None]
    base = report.base_curve if report.standing == "compared" else None
    return {
        "intervals": plots.intervals(compared) if compared else Safe(""),
        "roc": plots.roc(report.head_curve, base),
        "calibration": plots.calibration(report.head_curve),
        "residuals": plots.residuals(report.head_curve),
    }


def _number(value: float, metric: str) -> str:
    return numbers.metric_value(value, metric)


def _signed(value: float, metric: str) -> str:
    return numbers.signed(value, metric)


def _score(score: Score | None, metric: str) -> Safe:
    return NOTHING if score is None else Safe(_number(score.value, metric))
