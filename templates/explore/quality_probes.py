"""Missing cells, duplicates, outliers, categories, the target's own shape: is the table what it
seems?

Guarantees: evidence is counts and shares over the sampled rows, never a cell. Does not repair
anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from reporting import finding, listed, percent, quoted, verb
from single_scores import association, auc_of_counts
from table_columns import Column, Table


def missing_findings(table: Table) -> list[dict[str, Any]]:
    """How much is missing, whether it comes in blocks, and whether it tells about the target."""
    found, n = [], len(table.frame)
    if n == 0:
        return found
    features = [c for c in table.columns if c.role not in ("constant", "excluded")]
    share = {c.name: float(c.missing.mean()) for c in features}
    some = sorted((name for name in share if share[name] > 0), key=lambda name: -share[name])
    most = [name for name in some if share[name] > 0.5]
    if some:
        found.append(
            finding(
                "missing.cells",
                "medium" if most else "low" if share[some[0]] > 0.05 else "info",
                some,
                f"{len(some)} {verb(some, 'column has', 'columns have')} missing cells",
                "; ".join(f"{quoted(name)} {percent(share[name])}" for name in some[:6]) + ".",
                "Imputed inside the pipeline, with an indicator; "
                + (
                    f"{listed(most)} {verb(most, 'is', 'are')} missing more often than not."
                    if most
                    else "no row is dropped."
                ),
            )
        )
    tokens = [c for c in features if c.tokens]
    if tokens:
        found.append(
            finding(
                "missing.tokens",
                "low",
                [c.name for c in tokens],
                f"{listed([c.name for c in tokens])} {verb(tokens, 'writes', 'write')} missing "
                "cells as text",
                "; ".join(f"{quoted(c.name)}: {c.tokens:,} cells" for c in tokens[:6]) + ".",
                "Blank cells and tokens such as '?' count as missing.",
            )
        )
    blocks: dict[bytes, list[str]] = {}
    for column in features:
        if 0.005 < share[column.name] < 0.995 and column.missing.sum() >= 10:
            blocks.setdefault(np.packbits(column.missing).tobytes(), []).append(column.name)
    for names in sorted((b for b in blocks.values() if len(b) > 1), key=len, reverse=True)[:3]:
        found.append(
            finding(
                "missing.block",
                "low",
                names,
                f"{listed(names)} are missing in the same rows",
                f"{len(names)} columns, {percent(share[names[0]])} of rows, without exception.",
                "One cause behind all of them (a source that was not joined, a form not filled "
                "in).",
            )
        )
    return found + _missing_and_target(table, features)


def _missing_and_target(table: Table, features: list[Column]) -> list[dict[str, Any]]:
    target, found = table.target, []
    if target is None:
        return found
    lost = int((~target.known).sum())
    if lost:
        found.append(
            finding(
                "missing.target",
                "high" if lost > 0.05 * len(target.known) else "low",
                [target.name],
                "the target itself is missing in some rows",
                f"{lost:,} of {len(target.known):,} rows.",
                "These rows cannot be learnt from or judged.",
            )
        )
    if not target.usable:
        return found
    linked = []
    for column in features:
        k = int((column.missing & target.known).sum())
        if not 20 <= k <= target.known.sum() - 20:
            continue
        effect = missing_effect(column.missing, table)
        if effect >= 0.1 and effect * np.sqrt(min(k, 5000)) > 4:
            linked.append((effect, column.name))
    if linked:
        linked.sort(reverse=True)
        found.append(
            finding(
                "missing.target_linked",
                "medium",
                [name for _, name in linked],
                f"whether {listed([name for _, name in linked])} is missing tells about the target",
                "; ".join(f"{quoted(name)}: effect {effect:.2f}" for effect, name in linked[:6])
                + " (|2 AUC - 1| of the indicator).",
                "The indicator is a feature. Make sure that cells are missing before the outcome, "
                "not because of it.",
            )
        )
    return found


def missing_effect(missing: np.ndarray, table: Table) -> float:
    """|2 AUC - 1| between missing and present rows by the target (the largest over classes)."""
    target = table.target
    effects = []
    for position in range(min(target.matrix.shape[1], 20)):
        values = target.matrix[target.known, position]
        keys, place = np.unique(values, return_inverse=True)
        gone = missing[target.known]
        score = auc_of_counts(
            np.bincount(place[gone], minlength=len(keys)),
            np.bincount(place[~gone], minlength=len(keys)),
            keys,
        )
        effects.append(0.0 if score is None else abs(2 * score - 1))
    return max(effects, default=0.0)


def duplicate_findings(table: Table) -> list[dict[str, Any]]:
    """Equal rows (ids aside) and equal rows with another target: a ceiling for any model."""
    features, target = table.features, table.target
    if not features or len(table.frame) < 2:
        return []
    key = row_keys(features)
    _, place, sizes = np.unique(key, return_inverse=True, return_counts=True)
    extra = len(key) - len(sizes)
    if extra < max(3, 0.001 * len(key)):
        return []
    share = extra / len(key)
    found = [
        finding(
            "duplicates.rows",
            "medium" if share > 0.05 else "low",
            [],
            f"{extra:,} rows repeat the features of another row",
            f"{percent(share)} of {len(key):,} rows; {len(sizes):,} distinct keys without ids and "
            "target.",
            "The referee keeps equal rows on one side of the split, or says why it does not.",
        )
    ]
    if target is not None and target.usable and target.kind != "regression":
        classes = len(target.classes)
        known = target.known
        together = np.unique(
            place[known] * classes + target.values[known].astype(np.int64), return_counts=True
        )
        owner, count = together[0] // classes, together[1]
        best = np.zeros(len(sizes), dtype=np.int64)
        np.maximum.at(best, owner, count)
        conflict = int(known.sum() - best.sum())
        if conflict >= max(3, 0.001 * len(key)):
            found.append(
                finding(
                    "duplicates.conflict",
                    "medium" if conflict > 0.01 * len(key) else "low",
                    [target.name],
                    "equal features come with different classes",
                    f"{conflict:,} rows ({percent(conflict / len(key))}) contradict the majority "
                    "of their equals.",
                    f"No model on these columns can exceed {percent(1 - conflict / len(key))} "
                    "accuracy here.",
                )
            )
    return found


def row_keys(columns: list[Column]) -> np.ndarray:
    """(n,) hash of the values of these columns in each row."""
    codes = pd.DataFrame({str(i): column.codes for i, column in enumerate(columns)})
    return pd.util.hash_pandas_object(codes, index=False).to_numpy()


def outlier_share(column: Column) -> float | None:
    """Fraction of known cells outside 3 interquartile ranges of the quartiles; None when those
    coincide.
    """
    if (
        column.numbers is None
        or column.present < 20
        or column.levels <= 10
        or column.role == "datetime"
    ):
        return None
    known = column.numbers[~column.missing]
    low, high = np.quantile(known, (0.25, 0.75))
    if high <= low:
        return None
    reach = 3 * (high - low)
    return float(((known < low - reach) | (known > high + reach)).mean())


def value_findings(table: Table, outliers: dict[str, float | None]) -> list[dict[str, Any]]:
    """Outliers, near constants, categories with many or rare values, infinite cells, a skewed
    target.
    """
    found = []
    far = sorted(((s, n) for n, s in outliers.items() if s and s > 0.005), reverse=True)
    if far:
        found.append(
            finding(
                "outliers.far",
                "low",
                [n for _, n in far],
                f"{len(far)} {verb(far, 'column has', 'columns have')} values far from the rest",
                "; ".join(f"{quoted(n)} {percent(s)}" for s, n in far[:6])
                + " outside 3 interquartile ranges.",
                "Linear models use ranks or splines there; trees do not mind.",
            )
        )
    for column in table.features:
        if column.texts is None or column.role != "category" or not column.present:
            continue
        counts = np.bincount(column.codes[column.codes >= 0], minlength=column.levels)
        if column.levels > 50:
            once = int((counts < 5).sum())
            found.append(
                finding(
                    "category.many",
                    "medium" if column.near_unique else "low",
                    [column.name],
                    f"{quoted(column.name)} has {column.levels:,} different values",
                    f"{once:,} of them occur fewer than 5 times.",
                    "Encoded by smoothed target means; values not seen in training count as "
                    "unknown.",
                )
            )
    lone = [c.name for c in table.features if c.present and _top_share(c) > 0.995]
    if lone:
        found.append(
            finding(
                "type.near_constant",
                "info",
                lone,
                f"{listed(lone)} hardly {verb(lone, 'varies', 'vary')}",
                "More than 99.5 % of the cells are equal.",
                "Kept; they can matter only for a few rows.",
            )
        )
    infinite = [
        str(name)
        for name in table.frame.columns
        if pd.api.types.is_float_dtype(table.frame[name])
        and np.isinf(table.frame[name].to_numpy(dtype=float, na_value=np.nan)).any()
    ]
    if infinite:
        found.append(
            finding(
                "number.infinite",
                "medium",
                infinite,
                f"{listed(infinite)} {verb(infinite, 'contains', 'contain')} infinite values",
                f"{len(infinite)} column(s).",
                "Read as missing.",
            )
        )
    return found + _target_findings(table)


def _top_share(column: Column) -> float:
    return float(np.bincount(column.codes[column.codes >= 0]).max() / column.present)


def _target_findings(table: Table) -> list[dict[str, Any]]:
    target = table.target
    if target is None:
        return []
    if not target.usable:
        return [
            finding(
                "target.unusable",
                "critical",
                [target.name],
                "the target cannot be learnt from these rows",
                f"{int(target.known.sum()):,} known cells.",
                "Nothing was related to the target.",
            )
        ]
    if target.kind == "regression":
        y = target.values[target.known]
        skew = float(((y - y.mean()) ** 3).mean() / max(y.std() ** 3, 1e-300))
        if abs(skew) > 2:
            return [
                finding(
                    "target.skew",
                    "low",
                    [target.name],
                    "the target has a long tail",
                    f"Skewness {skew:.1f} on {len(y):,} rows.",
                    "Squared errors are ruled by few rows; a log target or MAE may serve better.",
                )
            ]
        return []
    rare = [count for count in target.counts if 0 < count < 20]
    absent = sum(count == 0 for count in target.counts)
    if rare or absent:
        return [
            finding(
                "target.rare_class",
                "medium",
                [target.name],
                f"{len(rare) + absent} of {len(target.counts)} classes have fewer than 20 rows "
                "here",
                f"Smallest: {min(target.counts)} of {int(target.known.sum()):,} rows.",
                "Scores for such classes are rough; their intervals say so.",
            )
        ]
    return []


def associations(table: Table) -> dict[str, float]:
    """Strength of each feature with the target, 0..1."""
    if table.target is None or not table.target.usable:
        return {}
    found = {}
    for column in table.features:
        strength = association(column, table.target)
        if strength is not None:
            found[column.name] = strength
    return found
