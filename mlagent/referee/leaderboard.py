"""The leaderboard: candidates on dev folds, and who ships (rule 6).

Guarantees: a score is made from held-out dev rows only; all entries with one seed share their
draws; a candidate without a usable prediction has no score and a sentence. The winner is chosen
here, before any vault is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlagent.contracts.evaluation import CandidateScore

from .intervals import DRAWS_SECONDARY, score_with_interval
from .metrics import compute, sign
from .truth import Floats, Truth, Undefined


def out_of_fold(
    folds: npt.NDArray[np.int8], predictions: Floats
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Rows held out at least once, and their mean prediction over the folds that held them out.

    Args:
        folds: (F, n), 2 = held out.
        predictions: (F, n) or (F, n, k); read where held out only.
    """
    held = folds == 2
    rows = np.flatnonzero(held.any(axis=0))
    mask = held.reshape(*held.shape, *([1] * (predictions.ndim - 2)))
    total = np.where(mask, predictions, 0.0).sum(axis=0)[rows]
    times = mask.sum(axis=0)[rows]
    return rows, total / times


def candidate_score(
    name: str,
    metric: str,
    truth: Truth,
    folds: npt.NDArray[np.int8],
    predictions: Floats | None,
    *,
    seed: int,
    outcome: str = "ok",
    fit_seconds: float | None = None,
    draws: int = DRAWS_SECONDARY,
    clusters: npt.NDArray[Any] | None = None,
    **options: Any,
) -> CandidateScore:
    """One row of the board: the mean over folds of the score on held-out rows.

    Args:
        predictions: (F, n) or (F, n, k), checked by `check_prediction` fold by fold; None: there is
            none, and `outcome` says why.
        options: thresholds, cost, quantile as for `judge_many`.
    """
    if predictions is None:
        return CandidateScore(name=name, outcome=outcome, fit_seconds=fit_seconds)
    try:
        score = score_with_interval(
            metric,
            truth,
            predictions,
            seed=seed,
            draws=draws,
            clusters=clusters,
            folds=folds,
            **options,
        )
    except Undefined as reason:
        said = f"no score: {reason.message}"
        return CandidateScore(name=name, outcome=said, fit_seconds=fit_seconds)
    cut = options.get("thresholds")
    plain = {key: options[key] for key in ("cost", "quantile") if key in options}
    each: list[float] = []
    for fold, predicted in zip(folds, predictions, strict=True):
        rows = np.flatnonzero(fold == 2)
        try:
            each.append(compute(metric, truth.take(rows), predicted[rows], threshold=cut, **plain))
        except Undefined:
            continue
    return CandidateScore(
        name=name, score=score, folds=tuple(each), outcome=outcome, fit_seconds=fit_seconds
    )


@dataclass(frozen=True)
class Choice:
    """Who ships, the board with that row marked, and a sentence when it is not the option that was
    asked for."""

    name: str
    board: tuple[CandidateScore, ...]
    why: str


def choose(
    board: Sequence[CandidateScore], metric: str, *, asked_for: str, linear: str = "linear"
) -> Choice:
    """The option that was asked for, unless it has no score or lies below linear on the dev folds.

    Args:
        board: with a row `asked_for` and a row `linear`.

    Returns:
        The board is ordered best first, rows without a score last.
    """
    scores = {row.name: row.score for row in board}
    wanted, baseline = scores.get(asked_for), scores.get(linear)
    name, why = asked_for, ""
    if wanted is None:
        said = next((row.outcome for row in board if row.name == asked_for), "it was not run")
        because = said.removeprefix("no score: ").rstrip(".")
        name = linear
        why = f"{asked_for} has no score on the dev folds ({because}), so linear ships."
    elif baseline is not None and sign(metric) * (wanted.value - baseline.value) < 0:
        name = linear
        ours, theirs = apart(wanted.value, baseline.value)
        why = (
            f"{asked_for} scored {ours} on the dev folds, not as good as linear's {theirs}, so "
            "linear ships."
        )
    ordered = sorted(
        (row.model_copy(update={"chosen": row.name == name}) for row in board),
        key=lambda row: (row.score is None, -sign(metric) * row.score.value if row.score else 0.0),
    )
    return Choice(name, tuple(ordered), why)


def apart(one: float, other: float) -> tuple[str, str]:
    """Two different numbers with as many digits, four or more, as it takes to tell them apart."""
    for digits in range(4, 17):
        shown = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if shown[0] != shown[1]:
            break
    return shown
