"""Independence of rows, enough events, classes for the folds, calibration, power: can the score
be trusted?

Guarantees: what planning fixed (kind of split, its columns) is never changed here; only the folds
are, and only downwards, when a class or the groups are too few. Does not look at the vault.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from assumption_checks import Check, check, design_matrix, ridge_residuals, some_rows
from dev_rows import DevRows, quoted
from effects import associate
from scipy.special import ndtr

Z_POWER = 2.802
"""1.96 + 0.842: two-sided 5 %, power 80 %."""
PAIRED_CORRELATION = 0.9
"""Assumed correlation of the errors of two models on the same rows, where the host gave no
estimate.
"""


def planned(data: DevRows) -> dict[str, Any]:
    """The split as planning fixed it."""
    request = data.request
    plan = dict(request.get("validation_plan") or request.get("split") or {})
    kind = "random" if data.kind == "regression" else "stratified"
    return {
        "kind": plan.get("kind") or kind,
        "group": plan.get("group") or request.get("group"),
        "time": plan.get("time") or request.get("time"),
        "folds": int(plan.get("folds") or request.get("folds") or 3),
        "repeats": int(plan.get("repeats") or request.get("repeats") or 1),
        "why": str(plan.get("why") or request.get("why") or "as planned"),
    }


def validation_plan(data: DevRows) -> dict[str, Any]:
    """The artifact `validation_plan`: the planned split with folds that these rows can fill."""
    plan = planned(data)
    why, folds = plan["why"].rstrip("."), plan["folds"]
    if folds > 1 and data.counts and plan["kind"] != "time" and data.rarest < folds:
        folds = max(2, data.rarest)
        why += f"; {folds} folds because the rarest class has {data.rarest} rows"
    groups = group_count(data, plan["group"])
    if folds > 1 and plan["kind"] == "group" and groups is not None and groups < folds:
        folds = max(2, groups)
        why += f"; {folds} folds because there are {groups} groups"
    return {
        "schema": "mlagent/validation-plan/v1",
        **plan,
        "folds": folds,
        "why": why + ".",
        "detectable_difference": detectable_difference(data),
    }


def group_count(data: DevRows, group: str | None) -> int | None:
    """Distinct values of the group column; None when it is no feature here."""
    found = next((f for f in data.features if f.name == group), None)
    return None if found is None else found.levels


def detectable_difference(data: DevRows) -> float | None:
    """The host's estimate; else AUC by Hanley and McNeil (1982) at 0.8, accuracy by McNemar."""
    given = data.request.get("detectable_difference")
    if given is not None:
        return float(given)
    metric = str((data.request.get("task") or {}).get("metric") or "")
    n = int(data.known.sum())
    if metric == "roc_auc" and len(data.counts) == 2 and min(data.counts) >= 5:
        a, pos, neg = 0.8, data.counts[1], data.counts[0]
        q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
        variance = (a * (1 - a) + (pos - 1) * (q1 - a * a) + (neg - 1) * (q2 - a * a)) / (pos * neg)
        return float(Z_POWER * np.sqrt(variance * 2 * (1 - PAIRED_CORRELATION)))
    if metric in ("accuracy", "balanced_accuracy") and n >= 20:
        return float(Z_POWER * np.sqrt(0.1 / n))
    return None


def design_checks(data: DevRows, *, thorough: bool) -> list[Check]:
    """All checks of the design."""
    checks = [
        duplicates(data),
        row_order(data),
        events_per_column(data),
        fold_classes(data),
        calibration(data),
    ]
    difference = detectable_difference(data)
    if difference is not None:
        given = data.request.get("detectable_difference") is not None
        where = "the rows that will be judged" if given else f"{int(data.known.sum()):,} dev rows"
        checks.append(
            check(
                "power.difference",
                "pass",
                "the smallest difference that can be shown",
                f"{difference:.4g} with 80 % power on {where}.",
                "Smaller differences will read 'not distinguishable', whichever model is better.",
                difference,
            )
        )
        if thorough:
            curve = ", ".join(
                f"{words} as many: {difference / np.sqrt(factor):.3g}"
                for words, factor in (("half", 0.5), ("twice", 2), ("four times", 4))
            )
            checks.append(
                check(
                    "power.curve",
                    "pass",
                    "what more rows would show",
                    curve + ".",
                    "The detectable difference falls with the square root of the rows.",
                    difference,
                )
            )
    return checks


def duplicates(data: DevRows) -> Check:
    """Rows with equal features."""
    title = "rows are different from each other"
    if not data.features or len(data) < 2:
        return check(
            "independence.duplicates",
            "not applicable",
            title,
            "No features.",
            "Nothing to compare.",
        )
    codes = np.ascontiguousarray(np.column_stack([f.codes for f in data.features]))
    keys = np.array([hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in codes])
    share = 1 - len(np.unique(keys)) / len(keys)
    outcome = "fail" if share > 0.5 else "warn" if share > 0.01 else "pass"
    return check(
        "independence.duplicates",
        outcome,
        title,
        f"{100 * share:.2f} % of rows repeat another row's features.",
        "Equal rows are kept on one side of the split where that is possible; the effective number "
        "of rows "
        "is smaller than it looks."
        if outcome != "pass"
        else "The number of rows is what it seems.",
        share,
    )


def row_order(data: DevRows) -> Check:
    """Lag-one autocorrelation in file order: of ridge residuals (regression), of the class
    otherwise.
    """
    title = "neighbouring rows are independent"
    if not data.usable or data.known.sum() < 200:
        return check(
            "independence.order",
            "not enough data",
            title,
            f"{int(data.known.sum()):,} rows.",
            "Not tested.",
        )
    rows = np.flatnonzero(data.known)[:20_000]
    values = data.event[rows]
    what = "the target"
    if data.kind == "regression":
        x = design_matrix(data, rows, 60)
        if x.shape[1] and len(rows) > 3 * x.shape[1]:
            values, _ = ridge_residuals(x, values, data.seed)
            what = "ridge residuals"
    values = values - values.mean()
    lag = float((values[1:] * values[:-1]).sum() / max((values**2).sum(), 1e-300))
    p = float(2 * ndtr(-abs(lag) * np.sqrt(len(values))))
    kept = planned(data)["kind"] in ("time", "group")
    strong = abs(lag) > 0.1 and p < 0.001
    return check(
        "independence.order",
        "warn" if strong and not kept else "pass",
        title,
        f"Lag-one autocorrelation of {what} in file order "
        f"{lag + 0.0 if abs(lag) >= 0.005 else 0.0:.2f}.",
        (
            "The split keeps such rows together."
            if kept
            else "Rows next to each other resemble each other: "
            "if the order is time, re-plan with --time; if the "
            "file is sorted, no harm is done."
        )
        if strong
        else "File order tells nothing.",
        lag,
        p,
    )


def events_per_column(data: DevRows) -> Check:
    """Rows of the rarest class (or rows) per column of the design matrix; 10 and 20 are the usual
    marks (Harrell).
    """
    title = "enough rows for each parameter"
    if not data.usable:
        return check(
            "sample.events", "not enough data", title, "No usable target.", "Nothing can be fitted."
        )
    columns = max(1, design_matrix(data, some_rows(data)).shape[1])
    ratio = data.rarest / columns
    outcome = "pass" if ratio >= 20 else "warn" if ratio >= 10 else "fail"
    what = "rows" if data.kind == "regression" else "rows of the rarest class"
    return check(
        "sample.events",
        outcome,
        title,
        f"{data.rarest:,} {what} for {columns} encoded columns: {ratio:,.1f} per column.",
        "Room for a flexible model."
        if outcome == "pass"
        else "Strong penalties and few splits are called for; a simple model may win.",
        ratio,
    )


def fold_classes(data: DevRows) -> Check:
    """Does every fold get every class?"""
    title = "each fold holds each class"
    plan = validation_plan(data)
    if data.kind == "regression":
        return check(
            "folds.classes", "not applicable", title, "Regression.", "Concerns classes only."
        )
    parts = max(plan["folds"], 2)
    each = data.rarest / parts
    absent = sum(count == 0 for count in data.counts)
    outcome = "fail" if each < 1 or absent else "warn" if each < 10 else "pass"
    return check(
        "folds.classes",
        outcome,
        title,
        f"The rarest class has {data.rarest:,} rows, {each:,.1f} per fold of {parts}"
        + (f"; {absent} class(es) do not occur." if absent else "."),
        "Fold scores are steady."
        if outcome == "pass"
        else "Scores for that class are rough; read their intervals.",
        each,
    )


def calibration(data: DevRows) -> Check:
    """Can calibration be measured? About 100 rows of the rarer class, better 200 (Van Calster
    2019).
    """
    title = "enough rows to judge probabilities"
    if data.kind == "regression":
        return check(
            "calibration.rows",
            "not applicable",
            title,
            "Regression.",
            "Concerns probabilities only.",
        )
    n = data.rarest
    outcome = "pass" if n >= 200 else "warn" if n >= 50 else "not enough data"
    return check(
        "calibration.rows",
        outcome,
        title,
        f"{n:,} rows of the rarest class.",
        "A calibration curve is meaningful."
        if outcome == "pass"
        else "Read probabilities as ranks; the calibration curve has few rows per bin.",
        float(n),
    )


def stability(data: DevRows, tested: list[dict[str, Any]], enough_time: Any) -> Check | None:
    """Bootstrap of the strongest associations: how often each of the top five stays among the top
    five.
    """
    top = [test["column"] for test in tested[:15]]
    if len(top) < 6 or not data.usable:
        return None
    features = [f for f in data.features if f.name in top]
    rng = np.random.default_rng(data.seed)
    rows = some_rows(data, 3_000)
    stays: dict[str, int] = dict.fromkeys(top[:5], 0)
    rounds = 0
    while rounds < 40 and enough_time():
        drawn = rng.choice(rows, len(rows))
        effects = {
            f.name: (t["effect"] if (t := associate(f, data, drawn)) else 0.0) for f in features
        }
        for name in sorted(effects, key=lambda n: -effects[n])[:5]:
            if name in stays:
                stays[name] += 1
        rounds += 1
    if rounds < 10:
        return None
    share = {name: count / rounds for name, count in stays.items()}
    least = min(share.values())
    return check(
        "stability.associations",
        "pass" if least >= 0.8 else "warn",
        "the strongest columns stay the strongest",
        f"{rounds} bootstrap draws of {len(rows):,} rows; top five kept: "
        + ", ".join(f"{quoted(name)} {100 * s:.0f} %" for name, s in share.items())
        + ".",
        "The ranking can be trusted."
        if least >= 0.8
        else "Do not read much into the order of these columns.",
        least,
    )
