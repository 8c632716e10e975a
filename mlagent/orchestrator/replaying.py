"""`execute --replay RUN`: what that run was started with holds again, and its schedule is followed.

Guarantees: seed, budget, vault, test file, refit and selection are the replayed run's; a flag, a
table or a plan that would change what it learned from is refused; folds, and the fits on them, are
the replayed run's too. Does not guarantee the same on another machine, image or number of threads.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Plan
from mlagent.documents import load_json
from mlagent.settings import parse_vault
from mlagent.store.journal import read_journal
from mlagent.store.runs import RunFolder

from .planning import read_plan

if TYPE_CHECKING:
    from .requesting import ExecuteFlags

TASK_FIELDS = (
    "target",
    "kind",
    "metric",
    "positive",
    "id_columns",
    "constraints",
    "cost",
    "quantile",
)


def as_replayed(plan: Plan, flags: ExecuteFlags, run: RunFolder) -> ExecuteFlags:
    """The flags, filled with what `run` was started with.

    Raises:
        BadInput: a run that cannot be replayed; a flag, table or plan that differs from its own.
    """
    manifest = run.manifest()
    if manifest.kind != "execute":
        raise BadInput(
            f"Run {run.id} is a try: it left no model to replay.", remedy="`mlagent runs`"
        )
    start = read_journal(run.path / "journal.jsonl")[0].facts
    if start.get("candidate"):
        own = run.path / "artifacts" / "ml-engineer" / str(start["candidate"])
        raise BadInput(
            f"Run {run.id} judged a candidate that was handed in: it has no schedule to follow.",
            remedy=f"Judge it again: mlagent execute --candidate {own} --seed {start['seed']}",
        )
    schedules(run)
    _check_flags(flags, run, start)
    if plan.data is not None and plan.data.sha256 != manifest.data_sha256:
        raise BadInput(
            f"The plan is for a table with sha256 {plan.data.sha256[:12]}, run {run.id} learned "
            f"from one with {manifest.data_sha256[:12]}.",
            remedy="Put that table back and plan with it, or run without --replay.",
        )
    _check_plan(plan, run)
    vault, test = start["vault"], start["test"]
    return replace(
        flags,
        seed=int(start["seed"]),
        budget_s=_budget(flags.budget_s, run, float(start["budget_s"])),
        vault=None if test else "auto" if vault is None else repr(vault),
        test=flags.test or (Path(test) if test else None),
        refit="all" if start["refit"] else flags.refit,
        select=(*(f"{agent}={option}" for agent, option in start["selection"].items()),)
        + flags.select,
    )


def _check_flags(flags: ExecuteFlags, run: RunFolder, start: dict[str, Any]) -> None:
    given: list[tuple[str, str]] = []
    if flags.seed is not None and flags.seed != start["seed"]:
        given.append((f"--seed {flags.seed}", f"--seed {start['seed']}"))
    if flags.vault is not None:
        wanted, theirs = (
            "auto" if share is None else f"{share:g}"
            for share in (parse_vault(flags.vault), start["vault"])
        )
        if wanted != theirs:
            given.append((f"--vault {flags.vault}", f"--vault {theirs}"))
    if flags.test is not None and start["test"] is None:
        given.append((f"--test {flags.test}", "no --test"))
    for text in flags.select:
        agent, _, option = text.partition("=")
        theirs = start["selection"].get(agent, option)
        if option != theirs:
            given.append((f"--select {text}", f"--select {agent}={theirs}"))
    if given:
        asked, had = given[0]
        raise BadInput(
            f"{asked} cannot hold in a replay: run {run.id} had {had}.",
            remedy="Leave the flag out: a replay takes it from the run. Or run without --replay.",
        )


def _budget(given: float | None, run: RunFolder, theirs: float) -> float:
    """The budget of the replay. The reproduction line in a report rounds to seconds."""
    if given is None or round(given) == round(theirs):
        return theirs
    if given < theirs:
        raise BadInput(
            f"--budget {given:g}s is too little to replay run {run.id}, which had {theirs:g}s: "
            "its fit could be cut before its schedule is done.",
            remedy="Leave --budget out: a replay takes it from the run.",
        )
    return given


def _check_plan(plan: Plan, run: RunFolder) -> None:
    before = read_plan(run.path / "plan.yaml")
    differ = [
        f"{name}: {_shown(getattr(plan.task, name))}, not {_shown(getattr(before.task, name))}"
        for name in TASK_FIELDS
        if getattr(plan.task, name) != getattr(before.task, name)
    ]
    if plan.columns != before.columns:
        differ.append("other columns")
    if differ:
        raise BadInput(
            f"The plan differs from the one that run {run.id} followed ({'; '.join(differ)}).",
            remedy=f"Replay with that plan: mlagent execute {run.path / 'plan.yaml'} "
            f"--replay {run.id}",
        )


def _shown(value: object) -> str:
    return repr(value)[:80]


def schedules(run: RunFolder) -> dict[str, Any]:
    """What `--replay RUN` follows. Raises BadInput when the run left none."""
    path = run.path / "artifacts" / "ml-engineer" / "schedules.json"
    if not path.exists():
        raise BadInput(
            f"Run {run.id} has no schedules.json to replay.",
            remedy="Its model (linear) does not depend on the clock: run it again with the same "
            "seed."
            if run.finished and run.manifest().model_name == "linear"
            else "`mlagent runs` lists the runs.",
        )
    return dict(load_json(path.read_text(encoding="utf-8"), str(path)))
