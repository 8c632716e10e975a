"""evaluation.json: numbers that the referee measured, none from a candidate's own words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Direction, Finite, Record

A_TRY = (
    "a try is a distinct candidate (code and settings) with a score on these dev folds; the linear "
    "baseline is one, the dummy is none"
)
"""The words for `Evaluation.tries` wherever the number is shown."""


class Score(Record):
    """A measured number with its 95 % interval over `n` rows."""

    value: Finite
    low: Finite
    high: Finite
    n: int


class Difference(Record):
    """Paired difference, oriented so that positive is better for the first one named."""

    value: Finite
    low: Finite
    high: Finite
    verdict: Literal["better", "worse", "not distinguishable"]


class SliceScore(Record):
    """One group of rows; `note` says when the interval against the rest excludes zero."""

    column: str
    value: str
    n: int
    score: Score | None = Field(None, description="None: the metric is not defined there")
    positives: int | None = None
    note: str = ""


class Calibration(Record):
    """Reliability: mean predicted against observed, in bins of equal count. Regression: None."""

    bins: tuple[tuple[Finite, Finite, int], ...]
    expected_error: Finite = Field(description="expected calibration error, 0..1")
    slope: Finite | None = None
    intercept: Finite | None = None


class SealRef(Record):
    id: str
    opening: int = Field(
        description="how often this vault has been opened, this time included; 0: none"
    )


class CandidateScore(Record):
    """One row of the leaderboard: dev folds only."""

    name: str
    score: Score | None = Field(None, description="None: no score, see `outcome`")
    folds: tuple[Finite, ...] = ()
    outcome: str = Field(description="'ok' or a sentence: 'no score: time'")
    fit_seconds: Finite | None = None
    chosen: bool = False


class Importance(Record):
    """Loss of score on held-out dev rows when one column is shuffled; positive: it helps."""

    column: str
    drop: Finite
    low: Finite
    high: Finite


class Curves(Record):
    """Points for the report's plots, thinned to at most 200 each. From judged rows, on the host."""

    roc: tuple[tuple[Finite, Finite], ...] = ()
    pr: tuple[tuple[Finite, Finite], ...] = ()
    confusion: tuple[tuple[int, ...], ...] = Field(
        (), description="rows: truth, columns: predicted"
    )
    residuals: tuple[tuple[Finite, Finite], ...] = Field(
        (), description="predicted, truth - predicted"
    )
    predicted_histogram: tuple[tuple[Finite, int], ...] = ()


class Gate(Record):
    """One quality gate and what came of it."""

    name: str
    metric: str
    comparison: str
    threshold: Finite | None
    value: Finite | None
    required: bool
    outcome: Literal["pass", "fail", "not measured", "not applicable"]
    evidence: str


class Evaluation(Record):
    """The verdict's numbers. `model` is on vault rows; with `--vault 0` it is out-of-fold.

    `baselines` has the keys `dummy` and `linear`.
    """

    schema_: Literal["mlagent/evaluation/v1"] = Field("mlagent/evaluation/v1", alias="schema")
    metric: str
    direction: Direction
    judged_on: Literal["vault", "out-of-fold", "test file"]
    model_name: str = Field(description="which candidate ships")
    model: Score
    baselines: dict[str, Score]
    difference_to_linear: Difference
    difference_to_dummy: Difference
    metrics: dict[str, Score] = {}
    threshold: Finite | None = Field(None, description="frozen on out-of-fold dev rows")
    slices: tuple[SliceScore, ...] = ()
    slices_note: str = Field("", description="how many groups were looked at, and what that means")
    calibration: Calibration | None = None
    curves: Curves = Curves()
    leaderboard: tuple[CandidateScore, ...] = ()
    importance: tuple[Importance, ...] = ()
    importance_note: str = Field("", description="why nothing was measured, when nothing was")
    gates: tuple[Gate, ...] = ()
    seal: SealRef
    tries: int = Field(description="distinct candidates with a score on these dev folds so far")
    tier: str
    suspects: tuple[str, ...] = Field((), description="columns that may leak and were kept")
    verdict: str = Field(description="plain words, composed in code from the numbers above")
    cannot_see: tuple[str, ...] = ()
