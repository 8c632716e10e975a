"""`plan`, end to end: find the table, read it, infer the task, ask when unsure, plan, write.

Guarantees that a guess between two tables or two targets is never made silently, and that an
earlier plan is moved, not overwritten.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import Role
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Plan
from mlagent.contracts.profile import Profile
from mlagent.contracts.task import Constraint, DataRef, Inference, TaskSpec
from mlagent.data.choices import quantile_in
from mlagent.data.door import open_table
from mlagent.data.find import find_table
from mlagent.data.infer import Question, infer_task
from mlagent.data.profile import profile_table, with_target
from mlagent.data.target import check_defined
from mlagent.data.wire import choices_of, zeros_and_negatives
from mlagent.gateway.call_log import PLAN_CALLS
from mlagent.gateway.meter import Caps
from mlagent.sandbox.staging import cache_root
from mlagent.settings import Settings, parse_duration, read_settings
from mlagent.store.project import Project

from .estimates import calibrate, past_runs
from .planning import Consult, load_policies, make_plan, write_plan
from .routing import route, served_part
from .settings_check import check_settings, named_by_file, without_effect
from .wiring import engine_name, planned_packages

Ask = Callable[[Question], str | None]
PLAN_FILE = "plan.yaml"
AUTHORS = ("template", "claude")
SHARED_LATER = (
    "share_rows: `execute` will show Claude a few dev rows. This plan's own requests hold none: "
    "which rows are dev, and which the vault, is drawn in `execute`."
)


@dataclass(frozen=True)
class PlanFlags:
    """`mlagent plan` with its flags as typed."""

    sentence: str
    data: Path | str | None = None
    target: str | None = None
    metric: str | None = None
    positive: str | None = None
    ids: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    exclude: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    budget: str | None = None
    seed: int = 0
    author: str = "template"
    caps: Caps = Caps()
    share_rows: bool = False


class Planned(NamedTuple):
    """The plan, where it was written, and where the plan before it went."""

    plan: Plan
    path: Path
    moved: Path | None


_CONSTRAINT = re.compile(r"(max_latency_ms|max_model_mb)=(\d+(?:\.\d+)?)|monotone=(.+):([+-])")


def parse_constraint(text: str) -> Constraint:
    """One `--constraint`. Raises BadInput with the allowed forms."""
    if text == "interpretable":
        return Constraint(kind="interpretable")
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise BadInput(
            f"The constraint {text!r} is not known.",
            remedy="Allowed: interpretable, max_latency_ms=NUMBER, max_model_mb=NUMBER, "
            "monotone=COLUMN:+ or monotone=COLUMN:-",
        )
    if match[1]:
        return Constraint(kind=match[1], value=float(match[2]))
    return Constraint(kind="monotone", column=match[3], sign=match[4])


def make_plan_here(
    folder: Path, flags: PlanFlags, ask: Ask | None, say: Callable[[str], None] = lambda _: None
) -> Planned:
    """Plan in this folder.

    Args:
        say: shows a sentence at once.
        ask: how to ask the user; None when there is nobody to ask: then an open question is a
        BadInput
            with the candidates and the flag to use.

    Raises:
        BadInput: the sentence, the table or a flag cannot be used.
    """
    if not flags.sentence.strip():
        raise BadInput("The task is empty.", remedy='Say what you want: mlagent plan "churn model"')
    settings = read_settings(folder)
    content = Content()
    contracts = load_contracts(content)
    policies = load_policies(content)
    routing = route(flags.sentence, policies.routing, contracts)
    if not routing.agents:
        sentences = " ".join(
            f"{item.what}: {item.why}"
            + (f" Ask {item.delegate_to} instead." if item.delegate_to else "")
            for item in routing.refused
        )
        raise BadInput(
            sentences or "No agent here does this.",
            remedy="mlagent does classification and regression on one table.",
        )
    served = flags.sentence
    if routing.refused:  # a column that only the refused part names is not the target
        served = served_part(flags.sentence, policies.routing, contracts)
    consult = _consult(flags, content, settings, contracts, folder, say)
    constraints = tuple(parse_constraint(text) for text in flags.constraints)
    budget_s = parse_duration(flags.budget or settings.budget or "5m")
    path = find_table(folder, flags.data, settings.data, Project(folder).is_output)
    ref: DataRef | None = None
    profile: Profile | None = None
    if path is None:
        task = _infer(flags, served, settings, constraints, None, None, ask)
    else:
        with open_table(path) as table, named_by_file(_given(flags), settings):
            profile = profile_table(
                table, target=flags.target or settings.target, ids=flags.ids, seed=flags.seed
            )
            ref = table.ref.model_copy(
                update={"path": _relative(path, folder), "notes": profile.notes}
            )
            task = _infer(flags, served, settings, constraints, profile, ref, ask)
            told = [*filter(None, [_alike(task.classes)]), *without_effect(settings, task)]
            ref = ref.model_copy(update={"notes": (*ref.notes, *told)})
            if task.metric in ("mape", "rmsle") and task.target is not None:
                choice = choices_of(profile)[task.target]
                check_defined(
                    task.target, task.metric, *zeros_and_negatives(table, task.target, choice)
                )
            if task.target is not None and task.kind is not None:
                profile = with_target(profile, task.target, task.kind)
    exclude = (*settings.exclude, *flags.exclude)
    with named_by_file(_given(flags), settings):
        _check_columns(exclude, ref, "--exclude")
        _check_features(task, profile, exclude)
    check_settings(settings, task)
    _check_monotone(task, profile)
    _check_names(task, ref, exclude)
    plan = make_plan(
        task=task,
        data=ref,
        profile=profile,
        routing=routing,
        contracts=contracts,
        machine=calibrate(cache_root(), time.perf_counter, engine=engine_name()),
        packages=planned_packages(),
        budget_s=budget_s,
        exclude=exclude,
        history=past_runs(folder / "runs"),
        policies=policies,
        now=datetime.now(UTC),
        max_usd=0.0 if flags.author == "template" else flags.caps.usd or 0.0,
        consult=consult,
        share_rows=flags.share_rows,
    )
    if plan.share_rows:
        say(SHARED_LATER)
    moved = write_plan(plan, folder / PLAN_FILE, folder / "plans")
    return Planned(plan, folder / PLAN_FILE, moved)


def _consult(
    flags: PlanFlags,
    content: Content,
    settings: Settings,
    contracts: Mapping[Role, Contract],
    folder: Path,
    say: Callable[[str], None],
) -> Consult | None:
    """Claude, when it was asked for; None for our own author. Raises BadInput."""
    if flags.author not in AUTHORS:
        raise BadInput(
            f"--author {flags.author!r} is not known.", remedy=f"Allowed: {', '.join(AUTHORS)}."
        )
    if flags.author == "template":
        return None
    from .consulting import consult_claude

    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    calls = folder / PLAN_CALLS / stamp
    return consult_claude(content, settings, contracts, calls, flags.caps, say)


def _given(flags: PlanFlags) -> dict[str, object]:
    """The flags that mlagent.yaml may stand in for."""
    names = ("target", "metric", "positive", "group", "time", "exclude")
    return {name: getattr(flags, name) for name in names} | {"id": flags.ids}


def _alike(classes: tuple[str, ...]) -> str:
    """A sentence on classes that differ in blanks or case only; '' when there are none."""
    seen: dict[str, str] = {}
    for name in classes:
        folded = " ".join(name.split()).casefold()
        if folded in seen:
            return (
                f"The classes {seen[folded]!r} and {name!r} differ in blanks or case only; here "
                "they are two classes. If they are one, mend the table first."
            )
        seen[folded] = name
    return ""


def _check_names(task: TaskSpec, ref: DataRef | None, exclude: tuple[str, ...]) -> None:
    """A feature may not bear the name of a column that `predict` writes."""
    if ref is None:
        return
    written = {"prediction", *(f"p_{label}" for label in task.classes)}
    taken = [name for name in ref.columns if name in written - {task.target} - set(exclude)]
    if taken:
        raise BadInput(
            f"The column {taken[0]!r} has the name of a column that `predict` writes.",
            remedy=f"Rename it, or leave it out with --exclude {taken[0]!r}.",
        )


def _check_monotone(task: TaskSpec, profile: Profile | None) -> None:
    """A monotone constraint needs a number, and a task and a model that have an order."""
    asked = [item for item in task.constraints if item.kind == "monotone"]
    if not asked or profile is None:
        return
    if task.kind == "multiclass":
        raise BadInput(
            "--constraint monotone needs a binary or a regression task; this one is multiclass.",
            remedy="Leave the constraint out.",
        )
    if any(item.kind == "interpretable" for item in task.constraints):
        raise BadInput(
            "--constraint interpretable and --constraint monotone cannot both hold: the "
            "interpretable option fits free curves.",
            remedy="Give one of them.",
        )
    if len({item.column for item in asked}) < len(asked):
        raise BadInput(
            "--constraint monotone names one column twice.", remedy="Give one direction for each."
        )
    for item in asked:
        column = profile.column(item.column or "")
        if column.dtype not in ("float64", "int64"):
            raise BadInput(
                f"--constraint monotone names {item.column!r}, which is no number "
                f"({column.role}, {column.dtype}).",
                remedy="Name a number column.",
            )


def _infer(
    flags: PlanFlags,
    served: str,
    settings: Settings,
    constraints: tuple[Constraint, ...],
    profile: Profile | None,
    ref: DataRef | None,
    ask: Ask | None,
) -> TaskSpec:
    given = replace(
        flags,
        target=flags.target or settings.target,
        metric=flags.metric or settings.metric,
        positive=flags.positive or settings.positive,
        ids=flags.ids or settings.id,
        group=flags.group or settings.group,
        time=flags.time or settings.time,
    )
    for _ in range(4):
        found = infer_task(
            served,
            profile,
            ref,
            target=given.target,
            metric=given.metric,
            positive=given.positive,
            ids=given.ids,
            group=given.group,
            time=given.time,
            constraints=constraints,
            seed=given.seed,
        )
        if not isinstance(found, Question):
            return _as_scored(found, settings, flags.sentence)
        answer = ask(found) if ask is not None else None
        if not answer:
            choices = ", ".join(repr(name) for name in found.candidates[:12])
            raise BadInput(found.sentence, remedy=f"Use {found.flag} with one of: {choices}.")
        given = replace(
            given,
            target=answer if found.field == "target" else given.target,
            metric=answer if found.field == "metric" else given.metric,
            positive=answer if found.field == "positive" else given.positive,
        )
    raise BadInput("The task is still not clear.", remedy="Give --target, --metric and --positive.")


def _as_scored(task: TaskSpec, settings: Settings, sentence: str) -> TaskSpec:
    """With the user's own words, the quantile that they name, and the prices and the quantile of
    mlagent.yaml."""
    quantile = settings.quantile if task.metric == "pinball" else None
    inferred = task.inferred
    said = quantile_in(sentence)
    if quantile is not None and said is not None:
        quantile, how = said[0], f"the sentence says {said[1]!r}"
        told = Inference(field="quantile", value=f"{quantile:g}", how=how, confidence="likely")
        inferred = (*inferred, told)
    elif quantile is not None:
        given = "quantile" in settings.model_fields_set
        how = "from mlagent.yaml" if given else "the default; `quantile` in mlagent.yaml sets it"
        sure: Literal["given", "likely"] = "given" if given else "likely"
        told = Inference(field="quantile", value=f"{quantile:g}", how=how, confidence=sure)
        inferred = (*inferred, told)
    scored = {"cost": settings.cost, "quantile": quantile, "inferred": inferred}
    return task.model_copy(update={"description": sentence, **scored})


def _check_columns(names: tuple[str, ...], ref: DataRef | None, flag: str) -> None:
    if ref is None:
        return
    import difflib

    for name in names:
        if name not in ref.columns:
            close = difflib.get_close_matches(name, ref.columns, 3)
            hint = f"Did you mean {', '.join(map(repr, close))}?" if close else ""
            raise BadInput(
                f"{flag} names {name!r}, which is not a column of {ref.path!r}.", remedy=hint
            )


def _check_features(task: TaskSpec, profile: Profile | None, exclude: tuple[str, ...]) -> None:
    """Something is left to learn from. An id is left to the user, who may change its role in the
    plan."""
    if profile is None or task.target is None:
        return
    if task.target in exclude:
        raise BadInput(
            f"--exclude names {task.target!r}, which is the target.",
            remedy="Leave it out of --exclude, or choose another --target.",
        )
    features = [column for column in profile.columns if column.name != task.target]
    if not any(
        item.role not in ("constant", "excluded") and item.name not in exclude for item in features
    ):
        what = "every other column is constant or excluded" if features else "it stands alone"
        raise BadInput(
            f"Nothing can predict {task.target!r}: {what}.",
            remedy="Give a table with columns that vary, or shorten --exclude.",
        )


def _relative(path: Path, folder: Path) -> str:
    path, folder = path.resolve(), folder.resolve()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
