"""The data-explorer's work inside the sandbox: reads dev rows, writes result.json.

    python explore.py IN OUT      IN: dev.parquet, request.json    OUT: result.json

Guarantees: aggregates only (a value is shown if it occurs at least 10 times in a category column,
never for ids or text), strict JSON, the same request gives the same result unless the clock cut
probes short (then it says so). A probe that fails costs its own findings, never the run. Does not
change the table, and sees dev rows only.

The modules beside this file must travel with it.

Options: option_a looks at 10,000 rows with the marginal probes; option_b at 50,000 with all of
them; option_c at 200,000, and adds pairs of categories, the dependence of missing cells, drift
over the rows.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import leak_probes
import numpy as np
import quality_probes
import structure_probes
import type_probes
from reporting import Clock, finding, finite, quoted, sorted_findings
from single_scores import single_score
from table_columns import Column, Table, Target, order_codes, quantile_bins, read_table

ROWS = {"option_a": 10_000, "option_b": 50_000, "option_c": 200_000}
SHOWN_FROM = 10
"""A category's value is shown only if it occurs at least so often."""
MOST_LABELS, HISTOGRAM_BINS = 12, 20


def main(in_dir: Path, out_dir: Path) -> None:
    """Explore IN/dev.parquet as IN/request.json asks; write OUT/result.json (record
    `Exploration`).
    """
    request = json.loads((in_dir / "request.json").read_text(encoding="utf-8"))
    result = explore(in_dir / "dev.parquet", request)
    text = json.dumps(result, allow_nan=False, ensure_ascii=True)
    (out_dir / "result.json").write_text(text, encoding="utf-8")


def explore(data: Path, request: dict[str, Any]) -> dict[str, Any]:
    """All probes of the chosen option, as one record."""
    clock = Clock(request.get("budget_s"))
    option = str(request.get("option") or "option_b")
    most = min(int(request.get("max_rows") or 50_000), ROWS.get(option, 50_000))
    table = read_table(data, request, max(most, 1))
    probes = Probes(clock)
    probes.add("types", lambda: type_probes.settle_roles(table))
    scores = probes.get("single-column scores", lambda: single_scores(table, clock), {})
    leaks, excluded = probes.get(
        "leaks", lambda: leak_probes.leak_findings(table, scores), ([], {})
    )
    probes.findings += leaks
    strength = probes.get("associations", lambda: quality_probes.associations(table), {})
    outliers = {c.name: quality_probes.outlier_share(c) for c in table.features}
    probes.add("missing cells", lambda: quality_probes.missing_findings(table))
    probes.add("values", lambda: quality_probes.value_findings(table, outliers))
    group = when = None
    pairs: list[tuple[str, str, float]] = []
    if option != "option_a":
        probes.add("sums", lambda: leak_probes.sum_leak(table, excluded))
        probes.add("duplicates", lambda: quality_probes.duplicate_findings(table))
        probes.add("order", lambda: leak_probes.order_findings(table, row_score(table)))
        group, found = probes.get("groups", lambda: leak_probes.group_column(table), (None, []))
        probes.findings += found
        when, found = probes.get("time", lambda: leak_probes.time_column(table), (None, []))
        probes.findings += found
        deep = option == "option_c"
        pairs = probes.get("pairs", lambda: structure_probes.strongest_pairs(table, deep=deep), [])
        probes.add("redundancy", lambda: structure_probes.redundancy_findings(pairs))
        if deep:
            probes.add(
                "dependence of missing cells", lambda: structure_probes.missing_dependence(table)
            )
            probes.add("drift", lambda: structure_probes.drift_findings(table))
    suspects = {
        name
        for item in probes.findings
        if item["code"] in ("leak.suspect", "leak.sum")
        for name in item["columns"]
        if name not in excluded
    }
    return {
        "schema": "mlagent/exploration/v1",
        "rows": table.rows,
        "rows_used": len(table.frame),
        "roles": column_roles(table, excluded, suspects),
        "looks": looks(table, scores, strength, outliers, excluded),
        "findings": sorted_findings(probes.findings + probes.unfinished()),
        "pairs": pairs,
        "group_column": group,
        "time_column": when,
    }


class Probes:
    """Runs probes one after another, within the budget; a failing probe leaves a finding about
    itself.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.findings: list[dict[str, Any]] = []

    def get(self, name: str, probe: Callable[[], Any], otherwise: Any) -> Any:
        if self.clock.over():
            self.clock.skipped.append(name)
            return otherwise
        try:
            return probe()
        except Exception as problem:  # one odd column must not cost the user the other findings
            self.findings.append(
                finding(
                    "probe.failed",
                    "low",
                    [],
                    f"the probe of {name} did not finish",
                    f"{type(problem).__name__}.",
                    "Its findings are absent; the others stand.",
                )
            )
            return otherwise

    def add(self, name: str, probe: Callable[[], list[dict[str, Any]]]) -> None:
        self.findings += self.get(name, probe, [])

    def unfinished(self) -> list[dict[str, Any]]:
        if not self.clock.skipped:
            return []
        return [
            finding(
                "budget.cut",
                "low",
                [],
                "the time was too short for all probes",
                f"Skipped after {self.clock.budget_s:.3g} s of budget: "
                f"{', '.join(self.clock.skipped)}.",
                "Give the run a larger --budget to have them.",
            )
        ]


def single_scores(table: Table, clock: Clock) -> dict[str, float]:
    """Cross-fitted score of each column that could be a feature; ids and near-unique words get
    none.
    """
    if table.target is None or not table.target.usable:
        return {}
    half = np.random.default_rng(table.seed).random(len(table.frame)) < 0.5
    scores = {}
    for column in table.features:
        if column.near_unique:
            continue
        if clock.over(0.6):
            clock.skipped.append("some single-column scores")
            break
        score = single_score(column, table.target, half)
        if score is not None and math.isfinite(score):
            scores[column.name] = score
    return scores


def row_score(table: Table) -> float | None:
    """Cross-fitted score of the row's position."""
    if table.target is None or not table.target.usable:
        return None
    position = np.arange(len(table.frame), dtype=float)
    codes, levels = order_codes(position)
    column = Column(
        "",
        "number",
        "int64",
        "",
        np.zeros(len(position), dtype=bool),
        position,
        codes,
        levels,
        quantile_bins(codes, levels, 20),
    )
    half = np.random.default_rng(table.seed).random(len(position)) < 0.5
    return single_score(column, table.target, half)


def column_roles(table: Table, excluded: dict[str, str], suspects: set[str]) -> dict[str, Any]:
    """The artifact `column_roles`; columns that did not travel keep the role they were given."""
    found: dict[str, Any] = {}
    for column in table.columns:
        role, why = column.role, column.why
        if column.name in excluded:
            role, why = "excluded", excluded[column.name]
        found[column.name] = {
            "role": role,
            "dtype": column.dtype,
            "why": why[:300],
            "suspect": column.name in suspects,
        }
    for name, asked in (table.request.get("columns") or {}).items():
        if name not in found and isinstance(asked, dict) and {"role", "dtype"} <= set(asked):
            found[name] = {
                "role": asked["role"],
                "dtype": asked["dtype"],
                "why": str(asked.get("why") or "")[:300],
                "suspect": False,
            }
    return {"schema": "mlagent/column-roles/v1", "columns": found, "excluded": excluded}


def looks(
    table: Table,
    scores: dict[str, float],
    strength: dict[str, float],
    outliers: dict[str, float | None],
    excluded: dict[str, str],
) -> list[dict[str, Any]]:
    """One line per column for the report: shares, scores and a small histogram."""
    found = [] if table.target is None else [_target_look(table.target)]
    for column in table.columns:
        look: dict[str, Any] = {
            "name": column.name,
            "role": "excluded" if column.name in excluded else column.role,
            "missing": round(float(column.missing.mean()), 6) if len(column.missing) else 0.0,
            "distinct": column.levels,
            "single_score": finite(scores.get(column.name)),
            "association": finite(strength.get(column.name)),
            "outliers": finite(outliers.get(column.name)),
        }
        if column.role in ("number", "datetime") and column.numbers is not None:
            look |= histogram(column.numbers, whole=column.dtype == "int64")
        elif column.role == "category":
            look |= top_values(column)
        found.append(look)
    return found


def _target_look(target: Target) -> dict[str, Any]:
    look: dict[str, Any] = {
        "name": target.name,
        "role": "target",
        "missing": round(float(1 - target.known.mean()), 6) if len(target.known) else 0.0,
        "distinct": len(np.unique(target.values[target.known])),
    }
    if target.kind == "regression":
        return look | histogram(target.values, whole=False)
    shown = [(c, n) for c, n in zip(target.classes, target.counts, strict=True) if n >= SHOWN_FROM][
        :MOST_LABELS
    ]
    return look | {"labels": [c for c, _ in shown], "counts": [n for _, n in shown]}


def histogram(numbers: np.ndarray, *, whole: bool) -> dict[str, Any]:
    """Counts in equal steps over the middle 98 %; the tails fall into the first and last step.

    Edges are rounded to three digits of the range, so that no edge is anybody's cell.
    """
    known = numbers[~np.isnan(numbers)]
    if len(known) < SHOWN_FROM:
        return {}
    low, high = np.quantile(known, (0.01, 0.99))
    if high <= low:
        low, high = float(known.min()), float(known.max())
    with np.errstate(over="ignore"):
        width = high - low
    if not 0 < width < np.inf:  # a range too wide for a number has no steps
        return {}
    digits = int(np.ceil(2 - np.log10(width)))
    steps = int(min(HISTOGRAM_BINS, width + 1)) if whole else HISTOGRAM_BINS
    edges = np.unique(np.round(np.linspace(low, high, max(steps, 2) + 1), digits))
    if len(edges) < 2:
        return {}
    place = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    return {"edges": [float(edge) for edge in edges], "counts": [int(count) for count in counts]}


def top_values(column: Column) -> dict[str, Any]:
    """Values that occur often enough to be shown; one more count, without a label, holds all
    others.
    """
    counts = np.bincount(column.codes[column.codes >= 0], minlength=column.levels)
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] >= SHOWN_FROM][
        :MOST_LABELS
    ]
    labels = [_label(column, i) for i in order]
    shown = [int(counts[i]) for i in order]
    others = int(counts.sum()) - sum(shown)
    return {"labels": labels, "counts": [*shown, others] if others else shown}


def _label(column: Column, position: int) -> str:
    if column.texts is not None:
        return str(column.texts[position])[:80]
    value = float(np.unique(column.numbers[~column.missing])[position])
    if column.dtype == "bool":
        return "true" if value else "false"
    return f"{value:g}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {quoted('explore.py')} IN OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
