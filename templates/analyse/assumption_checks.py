"""Assumptions of the model family that the engineer will use: linear, trees, or both.

Guarantees: a check that does not apply or lacks rows says so instead of passing. Does not refuse
a model: the referee judges what comes out, and these checks say where to look when it
disappoints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from dev_rows import DevRows, Feature, design_matrix, listed, quoted
from effects import benjamini_hochberg, spearman
from line_fits import grouped_lack

Check = dict[str, Any]
FIT_ROWS = 6_000
"""Rows for quick fits, evenly taken."""


def check(
    code: str,
    outcome: str,
    title: str,
    evidence: str,
    consequence: str,
    statistic: float | None = None,
    p_value: float | None = None,
) -> Check:
    """One check in the shape of the record `Check`."""

    def clean(value: float | None) -> float | None:
        return None if value is None or not np.isfinite(value) else float(value)

    return {
        "code": code,
        "outcome": outcome,
        "title": title,
        "statistic": clean(statistic),
        "p_value": clean(p_value),
        "evidence": evidence,
        "consequence": consequence,
    }


def some_rows(data: DevRows, most: int = FIT_ROWS) -> np.ndarray:
    """At most `most` rows with a known target, evenly over the file."""
    rows = np.flatnonzero(data.known)
    return rows[:: max(1, -(-len(rows) // most))]


def collinearity(data: DevRows) -> Check:
    """Variance inflation factors of the numeric columns (the diagonal of the inverse correlation
    matrix).
    """
    title = "no column is a combination of the others"
    numbers = [f for f in data.features if f.numbers is not None and f.role == "number"][:150]
    rows = some_rows(data)
    if len(numbers) < 2:
        return check(
            "linear.collinearity",
            "not applicable",
            title,
            f"{len(numbers)} numeric column(s).",
            "Nothing to compare.",
        )
    if len(rows) < 3 * len(numbers):
        return check(
            "linear.collinearity",
            "not enough data",
            title,
            f"{len(rows):,} rows for {len(numbers)} columns.",
            "Coefficients are shrunk anyway.",
        )
    x = np.column_stack(
        [np.nan_to_num(f.numbers[rows], nan=_median(f.numbers[rows])) for f in numbers]
    )
    varies = x.std(axis=0) > 0
    names = [f.name for f, keep in zip(numbers, varies, strict=True) if keep]
    if len(names) < 2:
        return check(
            "linear.collinearity",
            "not applicable",
            title,
            "Too few columns vary.",
            "Nothing to compare.",
        )
    correlation = np.atleast_2d(np.corrcoef(x[:, varies], rowvar=False))
    factors = np.diag(np.linalg.pinv(correlation + 1e-9 * np.eye(len(correlation))))
    order = np.argsort(-factors)
    high = [names[i] for i in order if factors[i] > 10]
    worst = (
        f"largest variance inflation {min(factors[order[0]], 1e9):,.1f} ({quoted(names[order[0]])})"
    )
    return check(
        "linear.collinearity",
        "warn" if high else "pass",
        title,
        f"{len(high)} of {len(names)} numeric columns above 10; {worst}.",
        f"Single coefficients of {listed(high)} are unstable; the penalty keeps predictions sound."
        if high
        else "Coefficients can be read one by one.",
        statistic=min(float(factors[order[0]]), 1e9),
    )


def _median(values: np.ndarray) -> float:
    return 0.0 if np.isnan(values).all() else float(np.nanmedian(values))


def linearity(data: DevRows, *, linear_model: bool) -> Check:
    """Lack of fit of a straight line against ten bins, per column (logit for classes), at q < 0.01.

    A column counts as bent when the line misses more than a quarter of what the bins explain.
    """
    title = "effects are straight lines" + ("" if data.kind == "regression" else " in the logit")
    bent, tested, p_values = [], [], []
    for feature in [f for f in data.features if f.numbers is not None and f.levels >= 10][:100]:
        result = grouped_lack(feature, data)
        if result is not None:
            tested.append((feature.name, result[0]))
            p_values.append(result[1])
    if not tested:
        return check(
            "linear.linearity",
            "not applicable",
            title,
            "No numeric column with ten values and more that matters.",
            "Nothing to bend.",
        )
    q_values = benjamini_hochberg(np.array(p_values))
    bent = sorted(
        (
            (missed, name)
            for (name, missed), q in zip(tested, q_values, strict=True)
            if q < 0.01 and missed > 0.25
        ),
        reverse=True,
    )
    names = [name for _, name in bent]
    shown = "; ".join(f"{quoted(name)} misses {100 * missed:.0f} %" for missed, name in bent[:4])
    return check(
        "linear.linearity",
        "warn" if bent else "pass",
        title,
        f"{len(bent)} of {len(tested)} numeric columns bend (q < 0.01)"
        + (f": {shown}." if bent else "."),
        _linearity_consequence(names, linear_model),
        statistic=bent[0][0] if bent else 0.0,
        p_value=float(min(p_values)),
    )


def _linearity_consequence(names: list[str], linear_model: bool) -> str:
    if not names:
        return "A linear model has little to lose here."
    if linear_model:
        return f"Splines are needed for {listed(names)}; the plain linear baseline will miss them."
    return f"The linear baseline will miss {listed(names)}: trees have something to gain."


def separation(data: DevRows) -> Check:
    """Levels in which one class never occurs although at least 10 rows of it would be expected."""
    title = "no value decides the class alone"
    if data.kind == "regression":
        return check(
            "linear.separation", "not applicable", title, "Regression.", "Concerns classes only."
        )
    event, found = data.event, []
    for feature in data.features:
        if feature.role == "text" or feature.levels > 50:
            continue
        use = feature.known & data.known
        size = np.bincount(feature.codes[use], minlength=feature.levels).astype(float)
        hits = np.bincount(feature.codes[use], weights=event[use], minlength=feature.levels)
        rate = hits.sum() / max(size.sum(), 1)
        alone = ((hits == 0) & (size * rate >= 10)) | ((hits == size) & (size * (1 - rate) >= 10))
        if alone.any():
            found.append((int(size[alone].sum()), feature.name))
    found.sort(reverse=True)
    names = [name for _, name in found]
    return check(
        "linear.separation",
        "warn" if found else "pass",
        title,
        f"{len(found)} column(s) with a level in which a class never occurs"
        + (f"; most rows: {quoted(names[0])} ({found[0][0]:,})." if found else "."),
        f"Unpenalised coefficients of {listed(names)} would run to infinity; the penalty holds "
        "them. "
        "Ask whether the level is known before the outcome."
        if found
        else "Coefficients stay finite.",
        statistic=float(len(found)),
    )


def residual_checks(data: DevRows) -> list[Check]:
    """Target skew; then residuals of a quick cross-fitted ridge: spread by fitted value, heavy
    tails.
    """
    skew = _target_skew(data)
    rows = some_rows(data)
    x = design_matrix(data, rows)
    titles = ("errors are equally wide everywhere", "no few rows dominate the squared error")
    if x.shape[1] == 0 or len(rows) < max(60, 3 * x.shape[1]):
        evidence = f"{len(rows):,} rows for {x.shape[1]} columns."
        return [
            skew,
            check("regression.spread", "not enough data", titles[0], evidence, "Not tested."),
            check("regression.tails", "not enough data", titles[1], evidence, "Not tested."),
        ]
    residual, fitted = ridge_residuals(x, data.y[rows], data.seed)
    result = spearman(np.abs(residual), fitted)
    rho, p = (result[2], result[3]) if result else (0.0, 1.0)
    scale = residual.std()
    kurtosis = float((residual**4).mean() / max(scale**4, 1e-300) - 3)
    share = float(
        np.sort(residual**2)[-max(1, len(residual) // 100) :].sum()
        / max((residual**2).sum(), 1e-300)
    )
    return [
        skew,
        check(
            "regression.spread",
            "warn" if rho > 0.2 and p < 0.01 else "pass",
            titles[0],
            f"|Spearman| of absolute residual and fitted value {rho:.2f} (ridge, {len(rows):,} "
            "rows).",
            "Errors grow with the prediction: read intervals and RMSE by range; a log target may "
            "help."
            if rho > 0.2 and p < 0.01
            else "One error size describes all ranges.",
            rho,
            p,
        ),
        check(
            "regression.tails",
            "warn" if share > 0.3 else "pass",
            titles[1],
            f"The worst 1 % of rows carry {100 * share:.0f} % of the squared error; excess "
            f"kurtosis {kurtosis:.1f}.",
            "RMSE is ruled by few rows; look at MAE beside it."
            if share > 0.3
            else "RMSE speaks for most rows.",
            kurtosis,
        ),
    ]


def _target_skew(data: DevRows) -> Check:
    y = data.y[data.known]
    skew = _skewness(y)
    evidence = f"Skewness {skew:.2f}"
    if y.min() >= 0:
        evidence += f", {_skewness(np.log1p(y)):.2f} after log(1 + y)"
    return check(
        "regression.target_shape",
        "warn" if abs(skew) > 2 else "pass",
        "the target is not dominated by its tail",
        evidence + ".",
        "Consider MAE, or a log target." if abs(skew) > 2 else "Squared error is a fair measure.",
        skew,
    )


def _skewness(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 3).mean() / max(values.std() ** 3, 1e-300))


def ridge_residuals(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Residuals and fitted values of a ridge fit (penalty: 1 % of the rows), cross-fitted in two
    halves.
    """
    half = np.random.default_rng(seed).random(len(y)) < 0.5
    fitted = np.zeros(len(y))
    for side in (half, ~half):
        a, b = x[~side], y[~side]
        gram = a.T @ a + 0.01 * len(a) * np.eye(a.shape[1])
        fitted[side] = b.mean() + x[side] @ np.linalg.solve(gram, a.T @ (b - b.mean()))
    return y - fitted, fitted


def extrapolation(data: DevRows) -> Check:
    """Share of the last fifth of the rows (by the time column, else file order) outside the range
    before.
    """
    title = "later rows stay inside the range of earlier ones"
    numbers = [
        f for f in data.features if f.role == "number" and f.numbers is not None and f.levels > 10
    ]
    when = next((f for f in data.features if f.name == _time_name(data)), None)
    n = len(data)
    if not numbers or n < 200:
        return check(
            "trees.extrapolation",
            "not enough data" if numbers else "not applicable",
            title,
            f"{len(numbers)} numeric columns, {n:,} rows.",
            "Trees repeat the nearest value they saw.",
        )
    order = (
        np.arange(n)
        if when is None or when.numbers is None
        else np.argsort(when.numbers, kind="stable")
    )
    early, late = order[: int(0.8 * n)], order[int(0.8 * n) :]
    outside = []
    for feature in numbers:
        before, after = feature.numbers[early], feature.numbers[late]
        before, after = before[~np.isnan(before)], after[~np.isnan(after)]
        if len(before) and len(after):
            share = float(((after < before.min()) | (after > before.max())).mean())
            outside.append((share, feature.name))
    outside.sort(reverse=True)
    worst = outside[0] if outside else (0.0, "")
    far = [name for share, name in outside if share > 0.05]
    by = f"time ({quoted(when.name)})" if when is not None else "file order"
    return check(
        "trees.extrapolation",
        "warn" if far else "pass",
        title,
        f"By {by}, the last fifth lies outside the earlier range in at most {100 * worst[0]:.1f} % "
        "of rows"
        + (f" ({quoted(worst[1])})." if worst[0] > 0 else "."),
        f"Trees cannot follow {listed(far)} beyond what they saw: use differences or ratios, and "
        "judge by time."
        if far
        else "Trees need not extrapolate.",
        statistic=worst[0],
    )


def _time_name(data: DevRows) -> str | None:
    plan = data.request.get("validation_plan") or data.request.get("split") or {}
    return plan.get("time") or data.request.get("time")
