"""What `execute` and `try` are asked for: flags over plan over defaults, made exact and checked.

Guarantees: a resumed run keeps what it was started with, and a replay what the replayed run was
started with; a flag that cannot hold is refused before anything runs. Does not open the sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import OptionName, Plan
from mlagent.data.door import open_table
from mlagent.documents import read_record
from mlagent.gateway.meter import Caps
from mlagent.settings import parse_vault
from mlagent.store.files import sha256_of
from mlagent.store.journal import read_journal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .edited_plan import EditedPlan
from .handed_in import HandedIn, kept, read_candidate
from .planning import check_plan, task_with_split
from .replaying import as_replayed
from .state import Author, Request

AUTHORS = get_args(Author)
MOST_USD, MOST_CALLS = 2.0, 60
"""What Claude may cost in one `execute` where no flag says so."""


@dataclass(frozen=True)
class ExecuteFlags:
    """`mlagent execute` with its flags as typed; None where one was not."""

    plan: Path | None = None
    select: tuple[str, ...] = ()
    budget_s: float | None = None
    vault: str | None = None
    refit: str | None = None
    test: Path | None = None
    memory_mb: int | None = None
    seed: int | None = None
    candidate: Path | None = None
    mine: bool = False
    author: str | None = None
    max_usd: float | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    share_rows: bool = False
    replay: str | None = None
    resume: bool = False
    run: str | None = None
    force: bool = False


def make_request(
    project: Project, plan: Plan, plan_path: Path, flags: ExecuteFlags, earlier: RunFolder | None
) -> Request:
    """Flags over plan over defaults; a resumed run keeps what it was started with, and a replay
    what the replayed run was started with.

    Raises:
        BadInput: a flag that cannot be used, or an edit of the plan that makes no sense.
    """
    read_record(EditedPlan, plan_path.read_text(encoding="utf-8"), plan_path.name)
    if earlier is not None:
        _check_resumed(flags)
    handed = _handed_in(flags, earlier)
    if flags.replay and earlier is None:
        flags = as_replayed(plan, flags, project.runs.find(flags.replay))
    selection = dict(plan.selection)
    budget = flags.budget_s or plan.budget.seconds
    seed = plan.task.seed if flags.seed is None else flags.seed
    vault: float | None = None if plan.vault == "auto" else float(plan.vault)
    if flags.vault is not None:
        vault = parse_vault(flags.vault)
    if flags.test is not None and earlier is None:
        if flags.vault is not None and vault is not None:
            raise BadInput(
                f"--test and --vault {flags.vault} cannot both hold: with --test, the rows of that "
                "file are the vault.",
                remedy="Leave one of them out.",
            )
        vault = None
    if earlier is not None:
        start = read_journal(earlier.path / "journal.jsonl")[0].facts
        budget, seed, vault = float(start["budget_s"]), int(start["seed"]), start["vault"]
        selection = dict(start["selection"])
        flags = replace(
            flags,
            refit="all" if start["refit"] else None,
            test=None if start["test"] is None else Path(start["test"]),
            replay=start["replay"],
        )
    selection = _selected(plan, selection, flags.select)
    if flags.refit not in (None, "all"):
        raise BadInput(f"--refit {flags.refit!r} is not known.", remedy="Write --refit all.")
    if flags.memory_mb is not None and flags.memory_mb < 256:
        raise BadInput(
            f"--memory {flags.memory_mb} is too small.", remedy="Give at least 256 (MB)."
        )
    if flags.test is not None and not flags.test.is_file():
        raise BadInput(f"There is no test file {str(flags.test)!r}.")
    replay = project.runs.find(flags.replay) if flags.replay else None
    _check_roles(plan, selection)
    chosen = plan.model_copy(update={"selection": selection})
    task = task_with_split(chosen).model_copy(update={"seed": seed})
    return Request(
        plan=plan.model_copy(update={"task": task}),
        plan_path=plan_path,
        budget_s=budget,
        vault=vault,
        selection=selection,
        seed=seed,
        refit=flags.refit == "all",
        test=flags.test,
        replay=replay,
        handed_in=handed,
        author=_author(flags, earlier),
        caps=_caps(flags, earlier),
        ask_no_more=earlier is not None and flags.author == "template",
        share_rows=_share_rows(plan, flags, earlier),
    )


def _selected(
    plan: Plan, selection: dict[Role, OptionName], texts: tuple[str, ...]
) -> dict[Role, OptionName]:
    """The plan's selection with each `--select agent=option` in it. Raises BadInput."""
    chosen = dict(selection)
    for text in texts:
        agent, _, option = text.partition("=")
        if agent not in chosen:
            raise BadInput(
                f"--select {text!r}: {agent!r} is not an agent of this plan.",
                remedy=f"Its agents: {', '.join(chosen)}.",
            )
        options = plan.agent_plans[agent].implementation_options
        if option not in options:
            raise BadInput(
                f"--select {text!r}: {agent} has no {option!r}.",
                remedy=f"Its options: {', '.join(options)}.",
            )
        chosen[agent] = option
    return chosen


def _check_resumed(flags: ExecuteFlags) -> None:
    """A resumed run keeps what it was started with; only `--author template` may be said: nobody
    is asked any more. Raises BadInput for a flag that would change it."""
    given = {
        "--select": flags.select,
        "--budget": flags.budget_s,
        "--vault": flags.vault,
        "--refit": flags.refit,
        "--test": flags.test,
        "--seed": flags.seed,
        "--replay": flags.replay,
        "--candidate": flags.candidate,
        "--share-rows": flags.share_rows or None,
        f"--author {flags.author}": None if flags.author == "template" else flags.author,
        "--max-usd": flags.max_usd,
        "--max-calls": flags.max_calls,
        "--max-tokens": flags.max_tokens,
        "a plan file": flags.plan,
    }
    said = [name for name, value in given.items() if value not in (None, ())]
    if said:
        raise BadInput(
            f"{said[0]} and --resume cannot both hold: the run goes on with what it began with.",
            remedy="Leave it out, or start a new run.",
        )


def _handed_in(flags: ExecuteFlags, earlier: RunFolder | None) -> HandedIn | None:
    """`--candidate`, or what the run to be resumed was started with. Raises BadInput."""
    if earlier is not None:
        return kept(earlier, read_journal(earlier.path / "journal.jsonl")[0].facts)
    if flags.candidate is None:
        if flags.mine:
            raise BadInput("--mine is said of a candidate.", remedy="Name it: --candidate FOLDER")
        return None
    if flags.replay:
        raise BadInput(
            "--replay and --candidate cannot both hold: a replay repeats the run's own candidate.",
            remedy="Leave one of them out.",
        )
    return read_candidate(flags.candidate, mine=flags.mine)


def _author(flags: ExecuteFlags, earlier: RunFolder | None) -> Author:
    """`--author`, or what the run to be resumed was started with. Raises BadInput."""
    asked: str = flags.author or "template"
    if earlier is not None:
        start = read_journal(earlier.path / "journal.jsonl")[0].facts
        asked = str(start.get("author", "template"))
    if asked not in AUTHORS:
        raise BadInput(
            f"--author {asked!r} is not known.", remedy=f"Allowed: {', '.join(AUTHORS)}."
        )
    if asked != "template" and (flags.replay or flags.candidate is not None):
        other = "--replay" if flags.replay else "--candidate"
        raise BadInput(
            f"--author {asked} and {other} cannot both hold.", remedy="Leave one of them out."
        )
    return cast(Author, asked)


def _share_rows(plan: Plan, flags: ExecuteFlags, earlier: RunFolder | None) -> bool:
    """Whether a few dev rows may be shown to Claude: the flag, or the plan's word; a resumed run
    keeps what it was started with. Raises BadInput."""
    if earlier is not None:
        return bool(read_journal(earlier.path / "journal.jsonl")[0].facts.get("share_rows"))
    if flags.share_rows and flags.author in (None, "template"):
        raise BadInput(
            "--share-rows is said of Claude, and --author template asks nobody.",
            remedy="Leave it out, or give --author both.",
        )
    return flags.share_rows or plan.share_rows


def _caps(flags: ExecuteFlags, earlier: RunFolder | None) -> Caps:
    """What Claude may cost: a resumed run keeps what it was started with."""
    if earlier is None:
        usd = MOST_USD if flags.max_usd is None else flags.max_usd
        calls = MOST_CALLS if flags.max_calls is None else flags.max_calls
        return Caps(usd=usd, tokens=flags.max_tokens, calls=calls)
    start = read_journal(earlier.path / "journal.jsonl")[0].facts
    return Caps(**dict(start.get("caps") or {}))


def _check_roles(plan: Plan, selection: dict[Role, OptionName]) -> None:
    missing = [role for role in ROLES if role not in selection]
    if planned := [role for role in missing if role in plan.agent_plans]:
        options = plan.agent_plans[planned[0]].implementation_options
        raise BadInput(
            f"The plan's selection names no option for {planned[0]!r}.",
            remedy=f"Allowed values: {', '.join(options)}.",
        )
    if missing:
        raise BadInput(
            f"The plan selects no option for {', '.join(missing)}: nothing to train.",
            remedy='Plan a prediction task: mlagent plan "predict ..."',
        )


def check_data(folder: Path, plan: Plan) -> None:
    """The plan has data, and the data is what was planned with."""
    if plan.data is None:
        raise BadInput(
            "The plan was made without a table, so there is nothing to train on.",
            remedy=f"Plan again: mlagent plan {plan.task.description!r} --data FILE",
        )
    path = folder / plan.data.path
    if not path.is_file():
        raise BadInput(
            f"The table {plan.data.path!r} of the plan is not here.",
            remedy="Put it back, or plan again with --data FILE.",
        )
    if path.stat().st_size == plan.data.bytes and sha256_of(path) == plan.data.sha256:
        check_plan(plan, plan.data)
        return
    with open_table(path) as table:
        check_plan(plan, table.ref)
