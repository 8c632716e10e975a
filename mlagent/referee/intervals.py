"""Intervals: how sure a score, or a difference between two, is.

The Poisson bootstrap (Hanley and MacGibbon 2006; Chamandy et al. 2012): each row gets an
independent Poisson(1) weight in each draw, so rows need no resampling and one sort serves all
draws. All models and metrics of one call see the same weights: differences are paired. Clusters
(groups, blocks of time) get one weight each.

Over folds each score comes from several models that were fitted on rows which mostly overlap, so
weights on the held-out rows alone would understate how much another sample would change it. There
an interval is wider by the factor of Nadeau and Bengio (2003), see `training_spread`.

Guarantees: 95 % percentile intervals; same seed, same interval; "better" only when the paired
interval of the difference lies above 0. Does not: correct for many comparisons, widen a perfect
score (its draws do not vary), or know of dependence that `clusters` does not name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mlagent.contracts.evaluation import Difference, Score
from mlagent.contracts.metrics import METRICS

from .metrics import point, sign
from .threshold import cross_thresholds
from .truth import Codes, Floats, Truth, Undefined, Weights, why_undefined
from .weighted import MeanOver, WeightedMetric, prepare

DRAWS = 1000
DRAWS_SECONDARY = 200
LEVEL = 0.95
CELLS_AT_ONCE = 400_000
"""Weights held at once (rows x draws): small enough for the processor cache (ten times as
many take twice as long), and a bound for the memory."""


@cache
def _poisson_table() -> npt.NDArray[np.uint8]:
    """Inverse distribution function of Poisson(1) at 65,536 equal steps: a lookup instead of a
    draw."""
    probability = np.exp(-1.0) / np.cumprod(np.concatenate([[1.0], np.arange(1.0, 12.0)]))
    steps = (np.arange(65536) + 0.5) / 65536
    return np.searchsorted(np.cumsum(probability), steps).astype(np.uint8)


def poisson_weights(rng: np.random.Generator, draws: int, units: int) -> Weights:
    """(draws, units) uint8 Poisson(1) weights (exact to 2^-16 in probability)."""
    steps = rng.integers(0, 65536, size=(draws, units), dtype=np.uint16)
    return _poisson_table().take(steps)


def time_blocks(times: npt.NDArray[Any]) -> Codes:
    """Cluster codes for rows in time: consecutive blocks of about n^(1/3) moments (the usual rate
    for block bootstraps, Hall, Horowitz and Jing 1995). Equal times stay together unless there are
    under 30 moments' blocks.
    """
    moments, moment = np.unique(times, return_inverse=True)
    place = moment.reshape(-1)
    count = len(moments)
    if count ** (2 / 3) < 30:
        place = np.argsort(np.argsort(times, kind="stable"), kind="stable")
        count = len(times)
    length = max(1, round(count ** (1 / 3)))
    return np.asarray(place // length, dtype=np.int64)


def paired_draws(
    metrics: Sequence[WeightedMetric],
    n: int,
    *,
    draws: int = DRAWS,
    seed: int,
    clusters: npt.NDArray[Any] | None = None,
    cells_at_once: int = CELLS_AT_ONCE,
) -> Floats:
    """Scores of several prepared metrics under the same Poisson weights.

    Args:
        metrics: prepared on the same n rows.
        n: rows.
        draws: weightings.
        seed: of the weights.
        clusters: (n,) any labels; rows with equal labels share a weight.

    Returns:
        (len(metrics), draws), NaN where a draw leaves a metric undefined.
    """
    rng = np.random.default_rng(seed)
    code: Codes | None = None
    units = n
    if clusters is not None:
        names, inverse = np.unique(clusters, return_inverse=True)
        code, units = inverse.reshape(-1), len(names)
    at_once = max(1, min(draws, cells_at_once // max(n, 1)))
    out = np.empty((len(metrics), draws))
    for start in range(0, draws, at_once):
        stop = min(draws, start + at_once)
        weights = poisson_weights(rng, stop - start, units)
        if code is not None:
            weights = weights.take(code, axis=1)
        for i, metric in enumerate(metrics):
            out[i, start:stop] = metric(weights)
    return out


def training_spread(folds: npt.NDArray[np.int8] | None) -> float:
    """How much wider than over rows alone an interval over folds is; 1 without folds.

    Nadeau and Bengio (Inference for the generalization error, Machine Learning 52, 2003): the
    variance of a mean over k folds is not s2 / k but s2 (1 / k + n_held_out / n_training), because
    the training rows overlap. k counts the folds that hold out each row once; repeats add none.

    Args:
        folds: (F, n): 0 unused, 1 train, 2 held out.
    """
    if folds is None:
        return 1.0
    held, trained = (folds == 2).sum(axis=1), (folds == 1).sum(axis=1)
    repeats = held.sum() / max(1, (folds == 2).any(axis=0).sum())
    each = len(folds) / max(1.0, repeats)
    return float(np.sqrt(1.0 + each * np.mean(held / np.maximum(1, trained))))


def _limits(draws: Floats, value: float, spread: float = 1.0) -> tuple[float, float] | None:
    """Percentile interval of the defined draws, `spread` times as far from the value, which it
    never excludes; None under half defined."""
    known = draws[np.isfinite(draws)]
    if len(known) * 2 < len(draws):
        return None
    tail = (1.0 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return value - spread * max(0.0, value - low), value + spread * max(0.0, high - value)


@dataclass(frozen=True)
class JudgedMany:
    """Scores by name, and the first one's difference to each other: positive, the first is
    better."""

    scores: dict[str, Score]
    differences: dict[str, Difference]


def prepare_judged(
    metric: str,
    truth: Truth,
    prediction: Floats,
    folds: npt.NDArray[np.int8] | None = None,
    serves: str | None = None,
    **options: Any,
) -> WeightedMetric:
    """As `weighted.prepare`, and with `folds` (F, n; 2 = held out) the mean over the folds'
    held-out rows of predictions (F, n) or (F, n, k).

    Over folds a label metric of two classes takes no threshold that was chosen on the same rows:
    each fold gets the one that is best on the others, for the metric that it `serves`.
    """
    if folds is None:
        return prepare(metric, truth, prediction, **options)
    cuts: tuple[float, ...] | None = None
    if truth.kind == "binary" and METRICS[metric].needs == "label":
        cuts = cross_thresholds(serves or metric, truth, prediction, folds, options.get("cost"))
    parts = []
    for index, (fold, predicted) in enumerate(zip(folds, prediction, strict=True)):
        rows = np.flatnonzero(fold == 2)
        if cuts is not None:
            options["threshold"] = cuts[index]
        parts.append((rows, prepare(metric, truth.take(rows), predicted[rows], **options)))
    return MeanOver(tuple(parts))


def judge_many(
    metric: str,
    truth: Truth,
    predictions: Mapping[str, Floats],
    *,
    draws: int = DRAWS,
    seed: int,
    clusters: npt.NDArray[Any] | None = None,
    folds: npt.NDArray[np.int8] | None = None,
    thresholds: Mapping[str, float] | float | None = None,
    cost: Sequence[Sequence[float]] | None = None,
    quantile: float = 0.5,
) -> JudgedMany:
    """Scores of several predictions and differences of the first to each other, all under the same
    weights.

    Args:
        metric: name in the registry.
        truth: n rows.
        predictions: name -> array; with `folds`, arrays have a leading axis of folds.
        thresholds: for label metrics: one for all, or by name (default 0.5); not for folds, see
            `prepare_judged`.
        folds: (F, n) from `make_folds`; the score is then the mean over folds, and n counts rows
            held out.

    Raises:
        Undefined: the metric has no value on these rows, or in over half of the draws.
    """
    prepared: dict[str, WeightedMetric] = {}
    for name, prediction in predictions.items():
        cut = thresholds.get(name) if isinstance(thresholds, Mapping) else thresholds
        prepared[name] = prepare_judged(
            metric, truth, prediction, folds, threshold=cut, cost=cost, quantile=quantile
        )
    values = {name: point(metric, one, truth) for name, one in prepared.items()}
    n = truth.n if folds is None else int((folds == 2).any(axis=0).sum())
    drawn = paired_draws(
        list(prepared.values()), truth.n, draws=draws, seed=seed, clusters=clusters
    )
    scores: dict[str, Score] = {}
    differences: dict[str, Difference] = {}
    first, spread = next(iter(prepared)), training_spread(folds)
    for i, name in enumerate(prepared):
        scores[name] = interval(metric, truth, values[name], drawn[i], n, spread)
        if name != first:
            gap = sign(metric) * (values[first] - values[name])
            differences[name] = difference_of(gap, sign(metric) * (drawn[0] - drawn[i]), spread)
    return JudgedMany(scores, differences)


def interval(
    metric: str, truth: Truth, value: float, drawn: Floats, n: int, spread: float = 1.0
) -> Score:
    """A score with its interval, inside what the metric can be. `spread`: `training_spread`.

    Raises:
        Undefined: over half of the draws have no value.
    """
    limits = _limits(drawn, value, spread)
    if limits is None:
        title = METRICS[metric].title
        raise Undefined(
            f"{title} has no interval: it is undefined in over half of the draws on {n} rows.",
            remedy=why_undefined(title, truth) if len(np.unique(truth.y)) == 1 else "",
        )
    known = METRICS[metric]
    low, high = max(known.low, limits[0]), min(known.high, limits[1])
    return Score(value=value, low=min(low, value), high=max(high, value), n=n)


def difference_of(value: float, drawn: Floats, spread: float = 1.0) -> Difference:
    """Difference with its verdict. `value` and (draws,) differences, oriented: positive is better.
    `spread`: `training_spread`.

    Raises:
        Undefined: over half of the draws have no value.
    """
    limits = _limits(drawn, value, spread)
    if limits is None:
        raise Undefined("the difference has no interval: over half of the draws are undefined.")
    low, high = limits
    if low > 0:
        return Difference(value=value, low=low, high=high, verdict="better")
    if high < 0:
        return Difference(value=value, low=low, high=high, verdict="worse")
    return Difference(value=value, low=low, high=high, verdict="not distinguishable")


def score_with_interval(
    metric: str, truth: Truth, prediction: Floats, *, seed: int, **options: Any
) -> Score:
    """Score of one prediction. Further options as `judge_many`. Raises Undefined."""
    return judge_many(metric, truth, {"model": prediction}, seed=seed, **options).scores["model"]


def difference(
    metric: str, truth: Truth, first: Floats, second: Floats, *, seed: int, **options: Any
) -> Difference:
    """Paired difference of two predictions, positive when `first` is better. Options as
    `judge_many` (`thresholds` by the names 'first' and 'second')."""
    both = judge_many(metric, truth, {"first": first, "second": second}, seed=seed, **options)
    return both.differences["second"]


def score_many(
    metrics: Sequence[str],
    truth: Truth,
    prediction: Floats,
    *,
    seed: int,
    draws: int = DRAWS_SECONDARY,
    clusters: npt.NDArray[Any] | None = None,
    folds: npt.NDArray[np.int8] | None = None,
    serves: str | None = None,
    on_undefined: Callable[[str, str], None] | None = None,
    **options: Any,
) -> dict[str, Score]:
    """Several metrics of one prediction, weights shared; those without a value are left out.

    Args:
        serves: the task's metric, for the thresholds of folds.
        on_undefined: told (metric, reason) for each that is left out.
    """
    prepared: dict[str, WeightedMetric] = {}
    values: dict[str, float] = {}
    left_out = on_undefined or (lambda metric, reason: None)
    for metric in metrics:
        try:
            one = prepare_judged(metric, truth, prediction, folds, serves, **options)
            values[metric] = point(metric, one, truth)
        except Undefined as reason:
            left_out(metric, reason.message)
        else:
            prepared[metric] = one
    drawn = paired_draws(
        list(prepared.values()), truth.n, draws=draws, seed=seed, clusters=clusters
    )
    n = truth.n if folds is None else int((folds == 2).any(axis=0).sum())
    scores: dict[str, Score] = {}
    for i, metric in enumerate(prepared):
        try:
            scores[metric] = interval(
                metric, truth, values[metric], drawn[i], n, training_spread(folds)
            )
        except Undefined as reason:
            left_out(metric, reason.message)
    return scores
