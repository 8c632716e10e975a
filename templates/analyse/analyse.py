"""The statistical-analyst's work inside the sandbox: reads dev rows, writes result.json.

    python analyse.py IN OUT      IN: dev.parquet, request.json    OUT: result.json

Guarantees: aggregates only, strict JSON, the same request gives the same result unless the clock
cut it short (then it says so). A check that fails to run costs itself, never the run. Does not
change the planned split, and sees dev rows only. The modules beside this file must travel with
it.

Options: option_a does associations, events, folds and imbalance; option_b adds the assumptions of
the chosen model family; option_c adds bootstrap stability and a power curve, on up to 200,000
rows.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import assumption_checks as assume
import design_checks
import effects
import numpy as np
from assumption_checks import Check, check
from dev_rows import DevRows, Feature, finite, listed, quoted, read_dev_rows

LINEAR_OPTIONS, TREE_OPTIONS = ("option_a", "option_c"), ("option_b", "option_c")
"""The engineer's options: a is linear on splines, b is boosting, c mixes both."""
SENSITIVE = re.compile(
    r"(^|[_\W])(sex|gender|race|age|ages|aged)([_\W]|$)|gender|ethnic|nationalit|native|religio|"
    r"marital|"
    r"disab|birth|senior|foreign|pregnan|veteran|sexual",
    re.IGNORECASE,
)
OF_THINGS = re.compile(
    r"hous|build|car|vehicle|machine|account|device|average|storage|usage", re.IGNORECASE
)
"""Names whose `age` is not a person's."""
SLICE_LEVELS, SLICE_ROWS, MOST_SLICES = (2, 20), 50, 8


def main(in_dir: Path, out_dir: Path) -> None:
    """Analyse IN/dev.parquet as IN/request.json asks; write OUT/result.json (record `Analysis`)."""
    request = json.loads((in_dir / "request.json").read_text(encoding="utf-8"))
    result = analyse(in_dir / "dev.parquet", request)
    text = json.dumps(result, allow_nan=False, ensure_ascii=True)
    (out_dir / "result.json").write_text(text, encoding="utf-8")


def analyse(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Everything the chosen option looks at, as one record."""
    started = time.monotonic()
    budget = float(request.get("budget_s") or 60.0)

    def enough_time() -> bool:
        return time.monotonic() - started < 0.8 * budget

    data = read_dev_rows(path, request)
    runner = Checks(enough_time)
    tested = effects.associations(data)
    thorough = data.option == "option_c"
    runner.run("design", lambda: design_checks.design_checks(data, thorough=thorough))
    if data.option != "option_a" and data.usable:
        family_checks(data, runner)
    if thorough:
        runner.run("stability", lambda: design_checks.stability(data, tested, enough_time))
    slices = slice_columns(data, tested)
    imbalance = min(data.counts) / max(sum(data.counts), 1) if data.counts else None
    return {
        "schema": "mlagent/analysis/v1",
        "rows": data.rows,
        "rows_used": len(data),
        "validation_plan": design_checks.validation_plan(data),
        "checks": runner.checks,
        "associations": tested,
        "imbalance": finite(imbalance),
        "slices": slices,
        "concern": concern(runner.checks),
        "findings": findings(data, tested, imbalance) + runner.findings(),
    }


class Checks:
    """Runs checks one after another while there is time; one that breaks is listed, not raised."""

    def __init__(self, enough_time: Callable[[], bool]) -> None:
        self.enough_time = enough_time
        self.checks: list[Check] = []
        self.skipped: list[str] = []
        self.broken: list[str] = []

    def run(self, name: str, work: Callable[[], list[Check] | Check | None]) -> None:
        if not self.enough_time():
            self.skipped.append(name)
            return
        try:
            found = work()
        except Exception as problem:  # one odd column must not cost the user the other checks
            self.broken.append(f"{name} ({type(problem).__name__})")
            return
        self.checks += found if isinstance(found, list) else [found] if found else []

    def findings(self) -> list[dict[str, Any]]:
        found = []
        if self.skipped:
            found.append(
                finding(
                    "budget.cut",
                    "low",
                    [],
                    "the time was too short for all checks",
                    f"Skipped: {', '.join(self.skipped)}.",
                    "Give the run a larger --budget.",
                )
            )
        if self.broken:
            found.append(
                finding(
                    "check.failed",
                    "low",
                    [],
                    "some checks did not finish",
                    f"{', '.join(self.broken)}.",
                    "Their outcome is unknown; the others stand.",
                )
            )
        return found


def finding(
    code: str, severity: str, columns: list[str], title: str, evidence: str, consequence: str
) -> dict[str, Any]:
    """One finding in the shape of the record `Finding`."""
    return {
        "code": code,
        "severity": severity,
        "columns": columns[:50],
        "title": title,
        "evidence": evidence,
        "consequence": consequence,
    }


def family_checks(data: DevRows, runner: Checks) -> None:
    """The assumptions that matter for the engineer's option; the others are listed as not
    applicable.
    """
    chosen = str(data.request.get("engineer_option") or "option_b")
    linear, trees = chosen in LINEAR_OPTIONS, chosen in TREE_OPTIONS
    runner.run("linearity", lambda: assume.linearity(data, linear_model=linear))
    if linear:
        runner.run("collinearity", lambda: assume.collinearity(data))
        runner.run("separation", lambda: assume.separation(data))
    else:
        runner.run(
            "collinearity",
            lambda: check(
                "linear.collinearity",
                "not applicable",
                "no column is a combination of the others",
                "The planned option grows trees, and the linear baseline is regularised.",
                "Neither needs it; importances are shared between copies.",
            ),
        )
    if trees:
        runner.run("extrapolation", lambda: assume.extrapolation(data))
    else:
        runner.run(
            "extrapolation",
            lambda: check(
                "trees.extrapolation",
                "not applicable",
                "later rows stay inside the range of earlier ones",
                "The planned option is linear on splines.",
                "Splines go on as straight lines beyond the last knot.",
            ),
        )
    if data.kind == "regression":
        runner.run("residuals", lambda: assume.residual_checks(data))


def slice_columns(data: DevRows, tested: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Columns with 2 to 20 values, at least two of them on 50 rows and more; sensitive names
    first.
    """
    strength = {test["column"]: test["effect"] for test in tested}
    found = []
    for feature in data.features:
        if not sliceable(feature):
            continue
        counts = np.bincount(feature.codes[feature.known], minlength=feature.levels)
        large = int((counts >= SLICE_ROWS).sum())
        if large < 2:
            continue
        sensitive = is_sensitive(feature.name)
        effect = strength.get(feature.name, 0.0)
        why = f"{large} groups of {SLICE_ROWS} rows and more; "
        why += f"association with the target {effect:.2f}"
        if sensitive:
            why = f"fairness: the name suggests a protected attribute; {why}"
        found.append((not sensitive, -effect, feature.name, why))
    return [{"column": name, "why": why} for _, _, name, why in sorted(found)[:MOST_SLICES]]


def is_sensitive(name: str) -> bool:
    """Does the name of a column suggest a protected attribute of a person?"""
    return bool(SENSITIVE.search(name)) and not OF_THINGS.search(name)


def sliceable(feature: Feature) -> bool:
    """Categories; whole numbers only with two values, or few values and a sensitive name."""
    low, high = SLICE_LEVELS
    if feature.role == "category":
        return low <= feature.levels <= high
    if feature.role != "number" or not feature.whole:
        return False
    return feature.levels == 2 or (feature.levels <= 10 and is_sensitive(feature.name))


def concern(checks: list[Check]) -> str:
    """How worried the analyst is, from the outcomes alone."""
    outcomes = [item["outcome"] for item in checks]
    if outcomes.count("fail") >= 2:
        return "high"
    return "medium" if "fail" in outcomes or outcomes.count("warn") >= 3 else "low"


def findings(
    data: DevRows, tested: list[dict[str, Any]], imbalance: float | None
) -> list[dict[str, Any]]:
    """What a reader should know beyond single checks."""
    found = []
    if imbalance is not None and imbalance < 0.1:
        found.append(
            finding(
                "target.imbalance",
                "high" if imbalance < 0.01 else "medium",
                [],
                "the classes are unbalanced",
                f"The rarest class holds {100 * imbalance:.3g} % of rows ({min(data.counts):,}).",
                "Accuracy flatters here; read PR AUC and the confusion matrix, and choose the "
                "threshold by cost.",
            )
        )
    protected = [f.name for f in data.features if is_sensitive(f.name)]
    if protected:
        unequal = [t for t in tested if t["column"] in protected and t["q_value"] < 0.05]
        found.append(
            finding(
                "fairness.columns",
                "medium" if unequal else "low",
                protected,
                f"{listed(protected)} may describe protected attributes",
                f"{len(unequal)} of {len(protected)} are associated with the target (q < 0.05)"
                + (
                    ": "
                    + "; ".join(f"{quoted(t['column'])} {t['effect']:.2f}" for t in unequal[:4])
                    if unequal
                    else ""
                )
                + ".",
                "Groups get rows of their own in the slice table. Whether they may be used is a "
                "question of law and purpose.",
            )
        )
    strong = [t for t in tested if t["q_value"] < 0.05]
    if tested and not strong:
        found.append(
            finding(
                "association.none",
                "medium",
                [],
                "no single column is associated with the target",
                f"{len(tested)} tests, smallest q {min(t['q_value'] for t in tested):.2f}.",
                "Only interactions could help; a score near the dummy's is to be expected.",
            )
        )
    elif strong:
        found.append(
            finding(
                "association.found",
                "info",
                [t["column"] for t in strong[:5]],
                f"{len(strong)} of {len(tested)} columns are associated with the target",
                "Strongest: "
                + "; ".join(
                    f"{quoted(t['column'])} {t['effect_name']} {t['effect']:.2f}"
                    for t in strong[:3]
                )
                + " (q < 0.05).",
                "Associations are not causes; each column was looked at alone.",
            )
        )
    return found


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: analyse.py IN OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
