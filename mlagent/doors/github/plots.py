"""Pictures that need no host: intervals and calibration as text, curves as Mermaid charts.

Guarantees: only numbers and names of our own registry go in, so that nothing of others stands in a
code fence, where it could not be escaped.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlagent.contracts.pr_report import Curve, MetricRow

from .markdown import Safe

WIDTH = 41
MIDDLE = WIDTH // 2
BLOCKS = 20


def intervals(rows: Sequence[MetricRow]) -> Safe:
    """One line for each difference, zero in the middle; each line has its own scale."""
    lines = []
    wide = max((len(row.metric) for row in rows), default=0)
    for row in rows:
        gap = row.difference
        if gap is None:
            continue
        reach = max(abs(gap.low), abs(gap.high)) or 1.0
        low, at, high = (
            MIDDLE + round(value / reach * MIDDLE) for value in (gap.low, gap.value, gap.high)
        )
        line = [" "] * WIDTH
        line[low : high + 1] = "─" * (high - low + 1)
        line[MIDDLE] = "┼" if low <= MIDDLE <= high else "│"
        line[at] = "●"
        lines.append(f"{row.metric:<{wide}}  {''.join(line)}  ±{reach:.3g}")
    return _fence("text", lines)


def calibration(curve: Curve) -> Safe:
    """Mean predicted against observed, bin by bin."""
    lines = ["predicted  observed  rows"]
    for predicted, observed, rows in curve.calibration:
        bar = "█" * round(max(0.0, min(1.0, observed)) * BLOCKS)
        lines.append(f"{predicted:>9.3f}  {observed:>8.3f}  {rows:>4}  {bar}")
    return _fence("text", lines if curve.calibration else [])


def roc(head: Curve, base: Curve | None) -> Safe:
    """The ROC curve of the pull request and, second line, of the base."""
    if not head.roc:
        return Safe("")
    lines = [
        "xychart-beta",
        '    title "ROC curve"',
        '    x-axis "false positive rate" 0 --> 1',
        '    y-axis "true positive rate" 0 --> 1',
        f"    line {_list(head.roc)}",
    ]
    if base is not None and len(base.roc) == len(head.roc):
        lines.append(f"    line {_list(base.roc)}")
    return _fence("mermaid", lines)


def residuals(head: Curve) -> Safe:
    """A histogram of truth minus predicted."""
    if not head.residuals:
        return Safe("")
    middles = ", ".join(f'"{middle:.3g}"' for middle, _ in head.residuals)
    counts = ", ".join(str(rows) for _, rows in head.residuals)
    lines = [
        "xychart-beta",
        '    title "Truth minus predicted"',
        f"    x-axis [{middles}]",
        '    y-axis "rows"',
        f"    bar [{counts}]",
    ]
    return _fence("mermaid", lines)


def _list(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:.3f}' for value in values)}]"


def _fence(language: str, lines: Sequence[str]) -> Safe:
    return Safe("\n".join([f"```{language}", *lines, "```"]) if lines else "")
