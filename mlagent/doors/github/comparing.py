"""Head against base on the same judged rows.

Guarantees: every number is measured here from the runs' judged predictions, under the settings of
the base commit (cost, quantile); the difference to the base with paired weights, and without the
same rows or the same budget there is none, only the reason. A score of one run that comes out as
that run measured it keeps the run's own interval: one number, one interval. Does not correct the
intervals for the number of metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Difference, Evaluation, Score
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.pr_report import MetricRow, SliceRow, Standing
from mlagent.data.drift import clip
from mlagent.orchestrator.looking import paired
from mlagent.orchestrator.saved import Saved, read_predictions
from mlagent.referee.intervals import (
    DRAWS,
    JudgedMany,
    difference_of,
    interval,
    judge_many,
    paired_draws,
    prepare_judged,
    score_many,
    training_spread,
)
from mlagent.referee.metrics import applicable, point, sign
from mlagent.referee.scoring import scoring
from mlagent.referee.truth import Undefined
from mlagent.settings import Settings

from .run_facts import RunFacts, readable

SEED = 0
"""Of the paired weights; that of `mlagent compare`."""
EQUAL = 1e-9
OTHER_BUDGETS = "The budgets differ: "
"""How the reason begins where both runs scored the same rows in another time."""
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
    saved = _read(head, "model")
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
            with readable(base.run):
                other = paired(head.run, base.run).saved[1]
            reason = other_budgets(head, base)
        except BadInput as problem:
            reason = str(problem)
        standing = "not comparable" if reason else "compared"
    own = _as_the_run_has_it(own, head.evaluation)
    metrics = _metric_rows(head, base, saved, other, own.scores["model"], options)
    if standing != "compared":
        metrics = tuple(row.model_copy(update={"difference": None}) for row in metrics)
    return Compared(standing, clip(reason, 1000), len(saved.rows), metrics, own)


def other_budgets(head: RunFacts, base: RunFacts) -> str:
    """Why a difference would be one of time, not of the change; '' for equal budgets."""
    mine, its = head.manifest.budget_s, base.manifest.budget_s
    if mine == its:
        return ""
    return (
        f"{OTHER_BUDGETS}{its:g} s for the base, {mine:g} s for the head, so the difference of the "
        "two scores says nothing about the change."
    )


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
        return _read(facts, name).model
    except BadInput:
        if name != "linear":
            raise
        return _read(facts, "model").model


def _read(facts: RunFacts, name: str) -> Saved:
    with readable(facts.run):
        return read_predictions(facts.run, facts.task, name)


def _as_the_run_has_it(own: JudgedMany, evaluation: Evaluation) -> JudgedMany:
    """The run's own intervals of the scores and differences that come out as it measured them."""
    stored = {"model": evaluation.model, **evaluation.baselines}
    scores = {name: _same(score, stored.get(name)) for name, score in own.scores.items()}
    gaps = {"linear": evaluation.difference_to_linear, "dummy": evaluation.difference_to_dummy}
    return JudgedMany(
        scores, {name: _same_gap(gap, gaps.get(name)) for name, gap in own.differences.items()}
    )


def _same(mine: Score, stored: Score | None) -> Score:
    """The stored score where it is the same number of the same rows."""
    if stored is None or stored.n != mine.n or abs(stored.value - mine.value) > EQUAL:
        return mine
    return stored


def _same_gap(mine: Difference, stored: Difference | None) -> Difference:
    if stored is None or abs(stored.value - mine.value) > EQUAL:
        return mine
    return stored


def _stored(evaluation: Evaluation, metric: str) -> Score | None:
    return evaluation.model if metric == evaluation.metric else evaluation.metrics.get(metric)


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
                rows.append(_alone(name, first, mine, primary, head, options))
            else:
                rows.append(_pair(name, first, head, base, mine, other, options))
        except Undefined:
            if name == first:
                raise
    return tuple(rows)


def _alone(
    name: str,
    first: str,
    mine: Saved,
    primary: Score,
    facts: RunFacts,
    options: dict[str, Any],
) -> MetricRow:
    head, cut, evaluation = primary, _cut(facts), facts.evaluation
    if name != first:
        found = score_many(
            [name],
            mine.truth,
            mine.model,
            seed=SEED,
            threshold=cut,
            serves=first,
            **_rows(mine),
            **options,
        )
        if name not in found:
            raise Undefined(f"{name} has no value on these rows.")
        head = _same(found[name], _stored(evaluation, name))
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
    """Both scores and their difference, from weights that both see. As `judge_many`, but over folds
    both keep the thresholds that serve the task's metric."""
    prepared = [
        prepare_judged(
            name, mine.truth, saved.model, mine.folds, first, threshold=_cut(facts), **options
        )
        for saved, facts in ((mine, head), (other, base))
    ]
    values = [point(name, one, mine.truth) for one in prepared]
    drawn = paired_draws(prepared, mine.truth.n, draws=DRAWS, seed=SEED, clusters=mine.clusters)
    spread, way = training_spread(mine.folds), sign(name)
    scores = [
        _same(
            interval(name, mine.truth, value, draws, len(mine.rows), spread),
            _stored(facts.evaluation, name),
        )
        for value, draws, facts in zip(values, drawn, (head, base), strict=True)
    ]
    return MetricRow(
        metric=name,
        direction=METRICS[name].direction,
        primary=name == first,
        base=scores[1],
        head=scores[0],
        difference=difference_of(
            way * (scores[0].value - scores[1].value), way * (drawn[0] - drawn[1]), spread
        ),
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
