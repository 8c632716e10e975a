"""Head against base on the same judged rows.

Guarantees: every number is measured here from the runs' judged predictions, under the settings of
the base commit (cost, quantile) and with paired weights; without the same rows there is no
difference, only the reason. Does not correct the intervals for the number of metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Score
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.pr_report import MetricRow, SliceRow, Standing
from mlagent.data.drift import clip
from mlagent.orchestrator.looking import paired
from mlagent.orchestrator.saved import Saved, read_predictions
from mlagent.referee.intervals import JudgedMany, judge_many, score_many
from mlagent.referee.metrics import applicable
from mlagent.referee.scoring import scoring
from mlagent.referee.truth import Undefined
from mlagent.settings import Settings

from .run_facts import RunFacts

SEED = 0
WORST = 5
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Compared:
    """What came of the comparison.

    Attributes:
        own: the head's model beside linear and dummy, under the base's settings.
        reason: why there is no difference; empty when there is one.
    """

    standing: Standing
    reason: str
    rows: int
    metrics: tuple[MetricRow, ...]
    own: JudgedMany


def compare(
    head: RunFacts, base: RunFacts | None, why_no_base: str, settings: Settings
) -> Compared:
    """Every metric of the task on the head's judged rows, beside the base where it has the same.

    Args:
        why_no_base: the sentence when `base` is None.

    Raises:
        BadInput: the head has no judged predictions, or the settings do not fit its task.
    """
    options = _options(head, settings)
    saved = read_predictions(head.run, head.task)
    own = judge_many(
        head.task.metric or "",
        saved.truth,
        {name: _one(head, name) for name in ("model", "linear", "dummy")},
        seed=SEED,
        thresholds={} if head.evaluation.threshold is None else {"model": _cut(head)},
        **_rows(saved),
        **options,
    )
    standing: Standing = "compared"
    reason, other = "", None
    if base is None:
        standing, reason = "base not evaluated", why_no_base
    else:
        try:
            other = paired(head.run, base.run).saved[1]
        except BadInput as problem:
            standing, reason = "not comparable", str(problem)
    metrics = _metric_rows(head, base, saved, other, own.scores["model"], options)
    return Compared(standing, clip(reason, 1000), len(saved.rows), metrics, own)


def _options(head: RunFacts, settings: Settings) -> dict[str, Any]:
    """The prices and the quantile of the base commit, not those that the head planned with."""
    priced = {"cost": settings.cost, "quantile": settings.quantile}
    return scoring(head.task.model_copy(update=priced))


def _rows(saved: Saved) -> dict[str, Any]:
    return {"clusters": saved.clusters, "folds": saved.folds}


def _cut(facts: RunFacts) -> float:
    return 0.5 if facts.evaluation.threshold is None else facts.evaluation.threshold


def _one(facts: RunFacts, name: str) -> Any:
    """Predictions of the model, linear or dummy; linear is the model itself where it ships."""
    try:
        return read_predictions(facts.run, facts.task, name).model
    except BadInput:
        if name != "linear":
            raise
        return read_predictions(facts.run, facts.task).model


def _metric_rows(
    head: RunFacts,
    base: RunFacts | None,
    mine: Saved,
    other: Saved | None,
    primary: Score,
    options: dict[str, Any],
) -> tuple[MetricRow, ...]:
    """The task's metric first, then the others that are defined on these rows."""
    assert head.task.kind is not None
    first = head.task.metric or ""
    names = applicable(head.task.kind, with_cost=options["cost"] is not None)
    rows = []
    for name in (first, *(name for name in names if name != first)):
        try:
            if other is None or base is None:
                rows.append(_alone(name, first, mine, primary, _cut(head), options))
            else:
                rows.append(_pair(name, first, head, base, mine, other, options))
        except Undefined:
            if name == first:
                raise
    return tuple(rows)


def _alone(
    name: str, first: str, mine: Saved, primary: Score, cut: float, options: dict[str, Any]
) -> MetricRow:
    head = primary
    if name != first:
        found = score_many(
            [name], mine.truth, mine.model, seed=SEED, threshold=cut, **_rows(mine), **options
        )
        if name not in found:
            raise Undefined(f"{name} has no value on these rows.")
        head = found[name]
    return MetricRow(
        metric=name, direction=METRICS[name].direction, primary=name == first, head=head
    )


def _pair(
    name: str,
    first: str,
    head: RunFacts,
    base: RunFacts,
    mine: Saved,
    other: Saved,
    options: dict[str, Any],
) -> MetricRow:
    judged = judge_many(
        name,
        mine.truth,
        {"head": mine.model, "base": other.model},
        seed=SEED,
        thresholds={"head": _cut(head), "base": _cut(base)},
        **_rows(mine),
        **options,
    )
    return MetricRow(
        metric=name,
        direction=METRICS[name].direction,
        primary=name == first,
        base=judged.scores["base"],
        head=judged.scores["head"],
        difference=judged.differences["base"],
    )


def worst_slices(head: RunFacts, base: RunFacts | None, standing: Standing) -> tuple[SliceRow, ...]:
    """The head's worst slices of at least 10 rows, with the base's score of the same rows."""
    before = {}
    if base is not None and standing == "compared":
        before = {(one.column, one.value): one for one in base.evaluation.slices}
    rows: list[SliceRow] = []
    for one in head.evaluation.slices:
        if one.score is None or one.n < FEWEST_ROWS or len(rows) == WORST:
            continue
        twin = before.get((one.column, one.value))
        same = twin is not None and twin.n == one.n
        rows.append(
            SliceRow(
                column=clip(one.column),
                value=clip(one.value),
                n=one.n,
                base=twin.score if twin is not None and same else None,
                head=one.score,
                note=clip(one.note, 1000),
            )
        )
    return tuple(rows)
