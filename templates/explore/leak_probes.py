"""Does a column give the target away, and do rows hang together?

Guarantees: a column is taken out only as a copy of the target or with a cross-fitted score of
EXCLUDE_AT and more, on enough rows; from SUSPECT_AT on it is kept and named. Does not see a leak
that is spread over many columns other than by a sum, nor one that only knowledge of the process
reveals.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from reporting import finding, listed, number, percent, quoted
from single_scores import ranks, spearman
from table_columns import Column, Table, Target

EXCLUDE_AT = 0.9999
SUSPECT_AT = 0.95
ENOUGH_ROWS, ENOUGH_RARE = 30, 10
"""Below so many rows, or rows of the rarer class, a perfect score may be chance: suspect, not
excluded.
"""
ENTITY = re.compile(
    r"(?i:(^|[_\W])(id|ids|uuid|guid|user|customer|client|patient|subject|person|member|account|"
    r"household|"
    r"session|device|machine|vehicle|driver|employee|student|loan|policy|cust|acct)([_\W]|$))|"
    r"[a-z]I[dD]$"
)
PLACE = re.compile(
    r"location|zone|region|city|state|country|type|status|code|category|product|store", re.I
)
FUTURE = re.compile(r"\b(future|next|tomorrow|upcoming|forecast\w*|ahead|coming)\b", re.I)


def enough(target: Target) -> bool:
    """Are there rows enough to take a column out on a score alone?"""
    rows = int(target.known.sum())
    if target.kind == "regression":
        return rows >= ENOUGH_ROWS
    present = [count for count in target.counts if count]
    return rows >= ENOUGH_ROWS and min(present) >= min(ENOUGH_RARE, rows // 5)


def copy_of_target(column: Column, target: Target) -> str | None:
    """A sentence when the column is the target in another dress, else None."""
    use = target.known & ~column.missing
    n = int(use.sum())
    if n < 0.5 * target.known.sum() or n < 10 or column.near_unique:
        return None
    y, codes = target.values[use], column.codes[use]
    if target.kind != "regression":
        levels, classes = len(np.unique(codes)), len(np.unique(y))
        if levels != classes or classes < 2:
            return None
        together = len(np.unique(codes * (len(target.classes) + 1) + y.astype(np.int64)))
        return (
            f"each of its {levels} values stands for one class, in all {n:,} rows"
            if together == levels
            else None
        )
    if column.numbers is None or len(np.unique(y)) < 5:
        return None
    x = column.numbers[use]
    same = np.abs(x - y) <= 1e-9 * np.maximum(1.0, np.abs(y))
    if same.mean() >= 0.999:
        return f"equal to the target in {percent(float(same.mean()))} of {n:,} rows"
    if np.ptp(x) == 0:
        return None
    if abs(float(np.corrcoef(x, y)[0, 1])) >= 1 - 1e-10:
        return f"a straight line of the target in all {n:,} rows"
    distinct = len(np.unique(y))
    if distinct >= 20 and len(np.unique(x)) == distinct and (spearman(x, y) or 0.0) >= 1 - 1e-12:
        return f"rises or falls with the target without exception in all {n:,} rows"
    return None


def leak_findings(
    table: Table, scores: dict[str, float]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Findings about single columns, and the columns to exclude with the reason."""
    target, found, excluded = table.target, [], {}
    if target is None or not target.usable:
        return found, excluded
    name = "R2" if target.kind == "regression" else "AUC"
    sure = enough(target)
    for column in table.columns:
        if column.role in ("constant", "excluded", "id"):
            continue
        copy = copy_of_target(column, target)
        score = scores.get(column.name)
        if copy and sure:
            excluded[column.name] = f"copy of the target: {copy}"
            found.append(
                finding(
                    "leak.copy",
                    "critical",
                    [column.name],
                    f"{quoted(column.name)} is a copy of the target",
                    copy[0].upper() + copy[1:] + ".",
                    "Taken out: a model would only read the answer. It would not be known at "
                    "prediction time.",
                )
            )
        elif score is not None and score >= EXCLUDE_AT and sure:
            excluded[column.name] = f"alone it predicts the target with {name} {score:.5f}"
            found.append(
                finding(
                    "leak.score",
                    "critical",
                    [column.name],
                    f"{quoted(column.name)} alone predicts the target",
                    f"Cross-fitted {name} of this column alone is {score:.5f} (limit "
                    f"{EXCLUDE_AT}).",
                    "Taken out. If it is truly known before the outcome, put it back by hand in "
                    "the plan.",
                )
            )
        elif copy or (score is not None and score >= SUSPECT_AT):
            shown = (
                f"Cross-fitted {name} of this column alone is {score:.4f}."
                if score is not None
                else copy
            )
            found.append(
                finding(
                    "leak.suspect",
                    "high",
                    [column.name],
                    f"{quoted(column.name)} may leak the target",
                    f"{shown} Suspect from {SUSPECT_AT} on.",
                    "Kept, and named in the verdict. If it is only known after the outcome, add it "
                    "to "
                    "columns.exclude in plan.yaml and run again.",
                )
            )
    return found, excluded


def sum_leak(table: Table, excluded: dict[str, str]) -> list[dict[str, Any]]:
    """A target that is a sum of columns: greedy forward selection (orthogonal matching pursuit) to
    6 terms.
    """
    target = table.target
    if target is None or target.kind != "regression" or not target.usable:
        return []
    numbers = [
        c
        for c in table.features
        if c.numbers is not None and c.dtype != "bool" and c.levels > 2 and c.name not in excluded
    ][:100]
    rows = np.flatnonzero(target.known)
    rows = rows[:: max(1, len(rows) // 5000)]
    if len(numbers) < 2 or len(rows) < 50:
        return []
    x = np.column_stack(
        [np.nan_to_num(c.numbers[rows], nan=float(np.nanmedian(c.numbers))) for c in numbers]
    )
    x = x - x.mean(axis=0)
    keep = x.std(axis=0) > 0
    numbers, x = [c for c, k in zip(numbers, keep, strict=True) if k], x[:, keep]
    y = target.values[rows] - target.values[rows].mean()
    chosen: list[int] = []
    rest, explained = y, 0.0
    scale = np.sqrt((x**2).sum(axis=0))
    for _ in range(min(6, x.shape[1])):
        gain = np.abs(rest @ x) / scale
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        weights, *_ = np.linalg.lstsq(x[:, chosen], y, rcond=None)
        rest = y - x[:, chosen] @ weights
        explained = 1.0 - float((rest**2).sum() / (y**2).sum())
        if explained >= EXCLUDE_AT:
            break
    if explained < EXCLUDE_AT or len(chosen) < 2:
        return []
    names = [numbers[position].name for position in chosen]
    terms = " ".join(f"{w:+.4g} x {quoted(name)}" for w, name in zip(weights, names, strict=True))
    return [
        finding(
            "leak.sum",
            "high",
            names,
            f"{listed(names)} add up to the target",
            f"The target is {terms} plus a constant with R2 {explained:.6f} on {len(rows):,} rows.",
            "Kept, and named in the verdict as suspects: parts of the outcome are rarely known "
            "before it. "
            "Add them to columns.exclude in plan.yaml unless they are.",
        )
    ]


def order_findings(table: Table, row_score: float | None) -> list[dict[str, Any]]:
    """Does the target follow the order of the rows, or of an id?"""
    target, found = table.target, []
    if target is None or not target.usable:
        return found
    strong = _order_is_strong(row_score, target)
    if strong:
        name = "R2" if target.kind == "regression" else "AUC"
        found.append(
            finding(
                "order.target",
                "medium",
                [target.name],
                "the target follows the order of the rows",
                f"Cross-fitted {name} of the row's position alone is {row_score:.3f}.",
                "Row position is never a feature. If the order is time, re-plan with --time; if "
                "the file is "
                "sorted by the outcome, no harm is done.",
            )
        )
    y = (
        target.matrix[:, 0]
        if target.kind == "regression" or len(target.classes) == 2
        else target.values
    )
    for column in table.columns:
        if column.role != "id" or column.numbers is None or column.name == target.name:
            continue
        use = target.known & ~column.missing
        if use.sum() < 50:
            continue
        rho = spearman(column.numbers[use], y[use]) or 0.0
        if rho >= 0.1 and rho * np.sqrt(use.sum()) > 5:
            found.append(
                finding(
                    "id.order",
                    "medium",
                    [column.name],
                    f"the id {quoted(column.name)} carries information about the target",
                    f"|Spearman| {rho:.3f} on {int(use.sum()):,} rows.",
                    "Ids are never features. The numbering may follow time or the way rows were "
                    "collected.",
                )
            )
    return found


def _order_is_strong(score: float | None, target: Target) -> bool:
    if score is None or target.known.sum() < 200:
        return False
    return score >= 0.05 if target.kind == "regression" else score >= 0.6


def group_column(table: Table) -> tuple[str | None, list[dict[str, Any]]]:
    """A column through which rows belong together, only on strong evidence: a false alarm stops a
    run.

    Needs an entity's name (not a place's), 2 to 50 rows per value in the median, 30 values and
    more, and an intraclass correlation of the target (one-way, Donner 1986) of at least 0.3 at five
    standard errors. Weaker evidence, from 0.05 on, is a finding that stops nothing.
    """
    weaker: list[dict[str, Any]] = []
    target, task = table.target, table.request.get("task") or {}
    if target is None or not target.usable or table.request.get("group") or task.get("group"):
        return None, []
    y = target.values if target.kind == "regression" else target.matrix[:, -1]
    for column in table.columns:
        if not ENTITY.search(column.name) or PLACE.search(column.name) or column.role == "constant":
            continue
        use = target.known & ~column.missing
        _, codes, sizes = np.unique(column.codes[use], return_inverse=True, return_counts=True)
        if len(sizes) < 30 or not 2 <= float(np.median(sizes)) <= 50:
            continue
        intra, error = intraclass(codes, y[use])
        if intra < 0.05 or intra < 5 * error:
            continue
        evidence = (
            f"{len(sizes):,} values with {number(float(np.median(sizes)))} rows each (median); "
            f"intraclass correlation of the target {intra:.2f} (standard error {error:.3f})."
        )
        if intra < 0.3:
            weaker.append(
                finding(
                    "group.possible",
                    "medium",
                    [column.name],
                    f"rows of one {quoted(column.name)} are alike",
                    evidence,
                    "If new rows will be of new ones, re-plan with --group "
                    f"{column.name!r}: a random split then flatters the score.",
                )
            )
            continue
        return column.name, [
            finding(
                "group.column",
                "critical",
                [column.name],
                f"rows of one {quoted(column.name)} belong together",
                evidence,
                "A random split would let the model recognise them: re-plan with --group "
                f"{column.name!r}.",
            )
        ]
    return None, weaker


def intraclass(codes: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """One-way intraclass correlation and its standard error when there is none (about
    1/sqrt(pairs)).
    """
    n = np.bincount(codes)
    total, groups = len(y), len(n)
    means = np.bincount(codes, weights=y) / n
    between = float((n * (means - y.mean()) ** 2).sum()) / max(groups - 1, 1)
    within = float(((y - means[codes]) ** 2).sum()) / max(total - groups, 1)
    size = (total - float((n.astype(float) ** 2).sum()) / total) / max(groups - 1, 1)
    power = between + (size - 1) * within
    if power <= 0:
        return 0.0, 1.0
    pairs = float((n * (n - 1) / 2).sum())
    return (between - within) / power, 1.0 / np.sqrt(max(pairs, 1.0))


def time_column(table: Table) -> tuple[str | None, list[dict[str, Any]]]:
    """Does the target move with a date? Suggested as the split only when the words of the task
    speak of the future.
    """
    target, task = table.target, table.request.get("task") or {}
    if target is None or not target.usable or table.request.get("time") or task.get("time"):
        return None, []
    y = ranks(target.values[target.known]) if target.kind == "regression" else None
    for column in table.columns:
        if column.role != "datetime" or column.numbers is None or column.levels < 20:
            continue
        use = target.known & ~column.missing
        if use.sum() < 200:
            continue
        values = target.matrix[use, -1] if y is None else ranks(target.values[use])
        tenth = np.minimum(ranks(column.numbers[use]) * 10 / use.sum(), 9.999).astype(int)
        means = np.bincount(tenth, weights=values, minlength=10) / np.maximum(
            np.bincount(tenth, minlength=10), 1
        )
        n = np.maximum(np.bincount(tenth, minlength=10), 1)
        drift = float(
            (n * (means - values.mean()) ** 2).sum()
            / max(((values - values.mean()) ** 2).sum(), 1e-12)
        )
        if drift < 0.02 or drift * use.sum() < 9 + 5 * np.sqrt(18):
            continue
        asked = bool(FUTURE.search(str(task.get("description") or "")))
        return (column.name if asked else None), [
            finding(
                "time.drift",
                "critical" if asked else "high",
                [column.name],
                f"the target moves with {quoted(column.name)}",
                f"Tenths of time explain {percent(drift)} of the target's variance, on "
                f"{int(use.sum()):,} rows.",
                "A random split is optimistic when the model will predict later rows: re-plan with "
                f"--time {column.name!r}.",
            )
        ]
    return None, []
