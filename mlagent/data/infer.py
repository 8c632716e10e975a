"""From a sentence and a profile to a TaskSpec, or to the question that must be asked.

Guarantees: nothing is guessed in silence: every inferred field stands in `TaskSpec.inferred` with
how it was inferred and how sure that is; an unsure target is a Question with candidates and the
flag; flags are checked against the table. Does not: refuse tasks (routing does), or look at
features and target together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlagent.contracts.base import TaskKind
from mlagent.contracts.errors import BadInput
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.profile import ColumnProfile, Profile
from mlagent.contracts.task import Constraint, DataRef, Inference, TaskSpec

from .choices import (
    allowed_metrics,
    choose_metric,
    choose_positive,
    given,
    is_whole,
    known_metric,
    without_quantile,
)
from .profile import TableProfile, absent_column
from .target import CALENDAR, check_size, decide, named_unfit, rank_targets, unfit_target
from .words import CLASS_WORDS, NUMBER_WORDS, name_tokens

MOST_CLASSES = 100
SMALL_RANGE = 20
CLEARLY_CLASSES = 10
ORDERED = ("datetime64", "float64", "int64")
AS_NUMBERS = ". To predict a number instead, plan again with --metric rmse"
AS_CLASSES = ". To predict a class instead, plan again with --metric log_loss"


@dataclass(frozen=True)
class Question:
    """mlagent is unsure and must ask. `candidates` best first; `flag` settles it."""

    field: str
    sentence: str
    candidates: tuple[str, ...]
    flag: str


def infer_task(
    sentence: str,
    profile: Profile | None,
    ref: DataRef | None,
    *,
    target: str | None = None,
    metric: str | None = None,
    positive: str | None = None,
    ids: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    constraints: Sequence[Constraint] = (),
    seed: int = 0,
) -> TaskSpec | Question:
    """Make the sentence exact.

    Args:
        sentence: as typed.
        profile: None in an empty folder: then only what the words say is inferred.
        ref: the table; its columns are the names that flags may use.
        target, metric, positive, ids, group, time: flags; they are never second-guessed, only
            checked.

    Raises:
        BadInput: a flag names something absent or unfit; the target cannot be learned.
    """
    notes: list[Inference] = []
    if profile is None:
        return _without_data(
            sentence, target, metric, positive, ids, group, time, constraints, seed
        )
    names = [column.name for column in profile.columns]
    _check_names(names, ids, group, time, constraints)
    _check_split(profile, group, time)
    if target is None:
        chosen = _choose_target(without_quantile(sentence), profile, excluded={*ids, group, time})
        if isinstance(chosen, Question):
            return chosen
        notes.append(chosen)
        target = chosen.value
    elif target not in names:
        raise absent_column(target, names, "--target")
    else:
        notes.append(given("target", target, "--target"))
    for flag, other in (("--group", group), ("--time", time), *(("--id", name) for name in ids)):
        if other == target:
            raise BadInput(
                f"{flag} names {other!r}, which is the target.",
                remedy="Choose another column, or another --target.",
            )
    column = profile.column(target)
    counts = _counts(profile, column)
    kind, note = _choose_kind(sentence, column, metric, counts, profile.rows)
    notes.append(note)
    if kind == "regression":
        check_size(target, max(abs(column.minimum or 0.0), abs(column.maximum or 0.0)))
    classes: tuple[str, ...] = ()
    checked = _checked_classes(column, counts) if kind != "regression" else {}
    if kind != "regression":
        classes = tuple(sorted(checked))
    if kind == "binary":
        positive, note = choose_positive(sentence, column.name, checked, positive)
        classes = (next(name for name in classes if name != positive), positive)
        notes.append(note)
    elif positive is not None:
        raise BadInput(
            f"--positive {positive!r} was given, but the task is a {kind}"
            f"{f' with {len(classes)} classes' if classes else ''}.",
            remedy="Leave --positive out, or choose a --target with two classes.",
        )
    metric, note = choose_metric(sentence, kind, metric)
    notes.append(note)
    return TaskSpec(
        description=sentence,
        kind=kind,
        target=target,
        metric=metric,
        direction=METRICS[metric].direction,
        positive=positive if kind == "binary" else None,
        classes=classes,
        id_columns=tuple(ids),
        group=group,
        time=time,
        constraints=tuple(constraints),
        seed=seed,
        inferred=tuple(notes),
    )


def _without_data(
    sentence: str,
    target: str | None,
    metric: str | None,
    positive: str | None,
    ids: Sequence[str],
    group: str | None,
    time: str | None,
    constraints: Sequence[Constraint],
    seed: int,
) -> TaskSpec:
    """A plan without a table: flags are kept unchecked, only a named metric settles the task."""
    notes = []
    kind: TaskKind | None = None
    if metric is not None:
        known_metric(metric)
        notes.append(given("metric", metric, "--metric"))
        if len(METRICS[metric].tasks) == 1:
            kind = METRICS[metric].tasks[0]
            how = f"{METRICS[metric].title} is only defined for it"
            notes.append(Inference(field="kind", value=kind, how=how, confidence="certain"))
    if target is not None:
        notes.append(given("target", target, "--target"))
    return TaskSpec(
        description=sentence,
        kind=kind,
        target=target,
        metric=metric,
        direction=METRICS[metric].direction if metric else None,
        positive=positive,
        id_columns=tuple(ids),
        group=group,
        time=time,
        constraints=tuple(constraints),
        seed=seed,
        inferred=tuple(notes),
    )


def _check_names(
    names: list[str],
    ids: Sequence[str],
    group: str | None,
    time: str | None,
    constraints: Sequence[Constraint],
) -> None:
    wanted = [("--group", group), ("--time", time), *(("--id", name) for name in ids)]
    wanted += [("--constraint monotone", one.column) for one in constraints]
    for flag, name in wanted:
        if name is not None and name not in names:
            raise absent_column(name, names, flag)


def _check_split(profile: Profile, group: str | None, time: str | None) -> None:
    """Groups are several; a time column has moments in an order; it is one or the other."""
    if group is not None and time is not None:
        raise BadInput(
            f"A split by --group {group!r} and by --time {time!r} at once is not built: one of the "
            "two would be ignored, and the score would be too good.",
            remedy="Keep --group when rows of one group resemble each other; keep --time when the "
            "model will predict later rows of the same groups.",
        )
    for flag, name in (("--group", group), ("--time", time)):
        column = profile.column(name) if name is not None else None
        if column is None or column.distinct + (flag == "--group" and column.missing > 0) > 1:
            continue
        raise BadInput(
            f"{flag} names {name!r}, which does not tell rows apart: {column.why}.",
            remedy=f"Name another column, or leave {flag} out.",
        )
    column = profile.column(time) if time is not None else None
    if column is None or column.dtype in ORDERED:
        return
    ordered = [one.name for one in profile.columns if one.dtype == "datetime64"]
    ordered += [
        one.name
        for one in profile.columns
        if one.dtype in ORDERED[1:] and CALENDAR & set(name_tokens(one.name))
    ]
    raise BadInput(
        f"--time names {time!r}, which has no order in time: its cells are neither dates nor "
        f"numbers ({column.why}).",
        remedy=f"Use --time with one of: {', '.join(map(repr, ordered[:5]))}."
        if ordered
        else "Write them like 2026-01-31, or as numbers that rise with time.",
    )


def _choose_target(
    sentence: str, profile: Profile, excluded: set[str | None]
) -> Inference | Question:
    ranked = [one for one in rank_targets(sentence, profile) if one.name not in excluded]
    unfit = unfit_target(sentence, profile, ranked)
    if unfit is not None and unfit not in excluded:
        how = f"the sentence names the column {unfit!r}"
        return Inference(field="target", value=unfit, how=how, confidence="certain")
    best = decide(ranked)
    if best is not None:
        confidence = "certain" if best.verbatim else "likely"
        how = f"the sentence and the column {best.name!r} meet in {best.how or 'its position'}"
        return Inference(field="target", value=best.name, how=how, confidence=confidence)
    likely = [one.name for one in ranked if one.score >= 0.25][:5]
    last = profile.columns[-1].name
    if last not in likely and last in {one.name for one in ranked}:
        likely.append(last)
    if not likely:
        likely = [one.name for one in ranked][:5]
    if not ranked:
        raise BadInput(
            "No column of the table can be a target: all are ids, constants, dates or free text.",
            remedy="Check the table, or name a column with --target.",
        )
    why = "The sentence does not settle it."
    named = named_unfit(sentence, profile)
    if named is not None and named.name not in excluded:
        why = f"The sentence names {named.name!r}, which cannot be the target as it stands: "
        why += _unfit_because(named)
    return Question(
        field="target",
        sentence=f"Which column is to be predicted? {why}",
        candidates=tuple(likely),
        flag="--target",
    )


def _unfit_because(column: ColumnProfile) -> str:
    if column.dtype == "str" and column.distinct > MOST_CLASSES:
        return f"it has about {column.distinct} different texts, too many to be classes."
    return f"it is read as {column.role} ({column.why})."


def _counts(profile: Profile, column: ColumnProfile) -> dict[str, int] | None:
    """Class counts of the whole table where they are known, else None (too many values)."""
    if isinstance(profile, TableProfile):
        counts = profile.value_counts(column.name)
        if counts is not None:
            return counts
    if column.role == "target" and profile.target_counts:
        return dict(profile.target_counts)
    shown = dict(column.top)
    return shown if len(shown) == column.distinct else None


def _choose_kind(
    sentence: str,
    column: ColumnProfile,
    metric: str | None,
    counts: dict[str, int] | None,
    rows: int,
) -> tuple[TaskKind, Inference]:
    name, distinct = column.name, column.distinct
    if column.missing >= rows or distinct == 0:
        raise BadInput(
            f"The target {name!r} is missing in every row.",
            remedy="Choose another column with --target.",
        )
    if distinct == 1 or column.role == "constant":
        raise BadInput(
            f"The target {name!r} has one value only: there is nothing to learn.",
            remedy="Choose another column with --target, or give rows with other values.",
        )

    def said(kind: TaskKind, how: str, sure: str) -> tuple[TaskKind, Inference]:
        confidence = "certain" if sure == "certain" else ("likely" if sure == "likely" else "guess")
        return kind, Inference(field="kind", value=kind, how=how, confidence=confidence)

    if column.dtype == "datetime64":
        raise BadInput(
            f"The target {name!r} holds dates; predicting dates is out of scope.",
            remedy="Choose another column with --target (a duration in days, for example).",
        )
    numeric = column.dtype in ("float64", "int64") or column.minimum is not None
    if not numeric:
        if counts is None or distinct > MOST_CLASSES:
            raise BadInput(
                f"The target {name!r} has about {distinct} different texts: "
                "too many to be classes.",
                remedy="Choose another column with --target, or group its values first.",
            )
        how = f"{name!r} holds {len(counts)} different texts"
        return said("binary" if len(counts) == 2 else "multiclass", how, "certain")
    if distinct == 2:
        return said("binary", f"{name!r} holds two different numbers", "certain")
    forced = METRICS[metric].tasks if metric in METRICS else ()
    if forced == ("regression",):
        return said("regression", f"--metric {metric} is only defined for it", "certain")
    whole = column.dtype == "int64" or (
        counts is not None and all(is_whole(text) for text in counts)
    )
    if forced and "regression" not in forced:
        if counts is None or not whole:
            raise BadInput(
                f"--metric {metric} needs classes, but the target {name!r} holds "
                f"about {distinct} different numbers.",
                remedy=f"Allowed here: {allowed_metrics('regression')}.",
            )
        return said("multiclass", f"--metric {metric} needs classes", "certain")
    if not whole or distinct > SMALL_RANGE or counts is None:
        return said("regression", f"{name!r} holds about {distinct} different numbers", "certain")
    lowered = sentence.lower()
    if "regression" in lowered:
        return said("regression", "the sentence says regression", "certain")
    text = f"{lowered} {' '.join(name_tokens(name))}"
    if found := CLASS_WORDS.search(text):
        how = f"{name!r} holds {distinct} whole numbers, and {found.group()!r} speaks of classes"
        how += AS_NUMBERS
        return said("multiclass", how, "likely")
    if found := NUMBER_WORDS.search(text):
        how = f"{name!r} holds {distinct} whole numbers, and {found.group()!r} speaks of an amount"
        how += AS_CLASSES
        return said("regression", how, "likely")
    if distinct <= CLEARLY_CLASSES:
        how = f"{name!r} holds only {distinct} different whole numbers; no word says amount"
        how += AS_NUMBERS
        return said("multiclass", how, "guess")
    how = f"{name!r} holds {distinct} whole numbers; no word says classes" + AS_CLASSES
    return said("regression", how, "guess")


def _checked_classes(column: ColumnProfile, counts: dict[str, int] | None) -> dict[str, int]:
    if counts is None:
        raise BadInput(
            f"The target {column.name!r} has about {column.distinct} different values: "
            "too many to be classes.",
            remedy="Choose another column with --target, or a regression metric with --metric.",
        )
    single = [name for name, count in counts.items() if count < 2]
    if single:
        named = ", ".join(map(repr, single[:5]))
        many = len(single) > 1
        raise BadInput(
            f"The target {column.name!r} has {'classes' if many else 'a class'} of one row: "
            f"{named}. "
            "A class must be seen in training and in judging.",
            remedy=f"Remove {'those rows' if many else 'that row'}, merge the class with another, "
            "or add rows.",
        )
    return counts
