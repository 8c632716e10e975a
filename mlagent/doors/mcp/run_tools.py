"""Tools that run something, in a child process that uses the sandbox: run, its status, try."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import anyio
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp_types import CallToolResult
from pydantic import Field

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Plan
from mlagent.orchestrator.execute_flow import spent_before, unfinished
from mlagent.orchestrator.handed_in import read_source
from mlagent.orchestrator.plan_flow import PLAN_FILE
from mlagent.orchestrator.planning import load_policies, read_plan, refuse_no_go, review_again
from mlagent.orchestrator.requesting import check_data
from mlagent.orchestrator.wiring import planned_packages
from mlagent.settings import parse_duration, parse_vault
from mlagent.store.runs import RunFolder

from .answers import RunAnswer, TryAnswer
from .approval import YES, Approval, code_of, isolation, to_be_asked
from .calls import Ctx, Cursor, Desk, Folder, Limit, Run, Style, Where
from .children import POLL_S, Child, end, start, stop_run, wait_for_run
from .paging import LIMIT, clip
from .roots import Place
from .run_answers import progress_line, run_answer, try_answer
from .runs import facts_of

TELL_S = 2.0
"""A progress notification is sent at least this often: clients give up on a silent call."""


def mlagent_run_status(
    ctx: Ctx,
    place: Where,
    run: Run = None,
    folder: Folder = None,
    response_format: Style = "concise",
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Annotated[CallToolResult, RunAnswer]:
    """How a run stands, from its journal: running, finished, stopped or failed; the phase, the time
    against the budget, the verdict or the error. detailed adds the journal's events, oldest first.
    Works for runs started anywhere in this folder. Changes nothing."""
    found = place.run(run, finished=False)
    return run_answer(
        place, ctx.request_context.lifespan_context, found, response_format, limit, cursor
    )


Selected = Annotated[
    dict[str, str] | None,
    Field(description='Other options than the plan selects: {"ml-engineer": "option_a"}.'),
]


async def ask_to_run(
    ctx: Ctx,
    place: Where,
    action: str,
    select: dict[str, str] | None,
    budget: str | None,
    vault: str | None,
    candidate: str | None,
    refit_all: bool,
    test: str | None,
    seed: int | None,
    force: bool,
    run: str | None,
) -> Elicit[Approval] | Approval:
    """The question to the user, through a client that can put it; yes where there is nothing to
    ask, or somebody else decides (`to_be_asked`).

    Everything is checked before it is asked, and the question is the command that will run.

    Raises:
        BadInput: an argument that cannot be used, no plan, nothing to resume, nobody to ask.
        PrerequisiteMissing: a candidate, and no container for it.
    """
    start_only = {
        "select": select, "budget": budget, "vault": vault, "candidate": candidate, "test": test,
        "seed": seed, "refit_all": refit_all or None,
    }  # fmt: skip
    check_action(action, start_only, run, force=force)
    if action == "stop":
        return YES
    words = run_words(place, action, select, budget, vault, candidate, refit_all, test, seed, force)
    desk: Desk = ctx.request_context.lifespan_context
    known = ctx.session.client_params
    name = None if known is None else known.client_info.name
    if not to_be_asked(ctx.client_capabilities, name, allowed=desk.allow_runs):
        return YES
    kept_in = await anyio.to_thread.run_sync(isolation, code_of(place, action, candidate))
    judged = "no vault is opened" if vault == "0" else "a vault may be opened"
    doing = "Resume the run in" if action == "resume" else "Start a run in"
    return Elicit(
        f"{doing} {place.folder}? It takes about {time_asked_for(place, action, budget)} of this "
        f"machine; {judged}. {kept_in} The command: mlagent {shlex.join(words)}",
        Approval,
    )


def check_action(
    action: str, start_only: Mapping[str, object], run: str | None, *, force: bool
) -> None:
    """Arguments that the action would not follow are refused, not left aside. Raises BadInput."""
    if run is not None and action != "stop":
        raise BadInput(
            f'`run` is for action "stop", and this is action {action!r}; nothing was started.',
            remedy="Leave it out: resume takes the latest unfinished run, start makes a new one.",
        )
    given = [name for name, value in start_only.items() if value is not None]
    if action != "start" and given:
        why = "the run goes on with what it began with" if action == "resume" else "it only ends"
        raise BadInput(
            f'`{given[0]}` is for action "start", and this is action {action!r}: {why}.',
            remedy="Leave it out, or start a new run.",
        )
    if action == "stop" and force:
        raise BadInput("`force` is not for action 'stop'.", remedy="Leave it out.")


def time_asked_for(place: Place, action: str, budget: str | None) -> str:
    """Wall clock that the run may take; of a resumed one what is left. Raises BadInput."""
    if action == "resume":
        run = unfinished(place.project)
        whole = facts_of(run, alive=False).budget_s or 0.0
        left = max(0.0, whole - spent_before(run))
        return f"{left:.0f} s (what is left of {whole:g} s)"
    if budget is not None:
        return f"{parse_duration(budget):g} s"
    return f"{read_plan(place.inside(PLAN_FILE, 'plan')).budget.seconds:g} s"


async def mlagent_run(
    ctx: Ctx,
    place: Where,
    asked: Annotated[ElicitationResult[Approval], Resolve(ask_to_run)],
    action: Annotated[
        Literal["start", "resume", "stop"],
        Field(description="resume: the latest unfinished run; stop: end a run, resumable."),
    ] = "start",
    select: Selected = None,
    budget: Annotated[str | None, Field(description="Wall clock: 60s, 5m. Default: plan.")] = None,
    vault: Annotated[str | None, Field(description="auto, 0, or a share such as 0.2.")] = None,
    candidate: Annotated[
        str | None,
        Field(description="Folder with solution.py, judged in the place of the planned option."),
    ] = None,
    refit_all: Annotated[bool, Field(description="Also a second model on all rows.")] = False,
    test: Annotated[str | None, Field(description="Own hold-out file; becomes the vault.")] = None,
    seed: Annotated[int | None, Field(ge=0)] = None,
    force: Annotated[bool, Field(description="Run a plan whose review is no-go.")] = False,
    wait: Annotated[
        bool, Field(description="Stay until the end with progress; cancelling stops the run.")
    ] = False,
    run: Annotated[str | None, Field(description="For stop. Default: the latest.")] = None,
    folder: Folder = None,
) -> Annotated[CallToolResult, RunAnswer]:
    """Run plan.yaml in the sandbox: explore, analyse, engineer, verdict on rows that no code has
    seen, package. Uses the budget of CPU time on the user's machine, so the user is asked each
    time; a client that cannot ask is refused. The sandbox is a container; where none is there,
    mlagent's own code runs in a plain process (tier T0), a candidate not at all. Answers at once
    with the run's id; follow it with mlagent_run_status. One run at a time in a folder. A run that
    is stopped or whose call is cancelled can be resumed."""
    desk: Desk = ctx.request_context.lifespan_context
    if action == "stop":
        found = place.run(run, finished=False)
        await stop_run(found, desk.children.get(found.id))
        return run_answer(place, desk, found)
    if not (isinstance(asked, AcceptedElicitation) and asked.data.approved):
        raise BadInput(
            "The user did not approve the run; nothing was started.",
            remedy="Ask what should be different before calling again.",
        )
    words = run_words(place, action, select, budget, vault, candidate, refit_all, test, seed, force)
    async with started(place, words) as child:
        at = await wait_for_run(child)
        desk.children[at.id] = child
        if wait:
            await follow(ctx, child, at)
            if child.process.returncode != 0:
                child.answer()  # raises with what the run said
    return run_answer(place, desk, at)


def run_words(
    place: Place,
    action: str,
    select: dict[str, str] | None,
    budget: str | None,
    vault: str | None,
    candidate: str | None,
    refit_all: bool,
    test: str | None,
    seed: int | None,
    force: bool,
) -> list[str]:
    """The words of `mlagent execute`, with every path and value checked. Raises BadInput."""
    plan_path = place.folder / PLAN_FILE
    words = ["execute"]
    if action == "resume":
        plan_path = unfinished(place.project).path / PLAN_FILE
        words.append("--resume")
    plan = read_plan(place.inside(plan_path, "plan"))
    if plan.data is not None:
        place.table(plan.data.path, "table of the plan")
    check_data(place.folder, plan)
    for agent, option in (select or {}).items():
        known = {role: made.implementation_options for role, made in plan.agent_plans.items()}
        if agent not in known or option not in known[agent]:
            allowed = "; ".join(f"{role}: {', '.join(options)}" for role, options in known.items())
            raise BadInput(
                f"select: {clip(agent, 60)!r} has no {clip(option, 60)!r}.", remedy=f"{allowed}."
            )
        words.append(f"--select={agent}={option}")
    if budget is not None:
        words.append(f"--budget={parse_duration(budget):g}s")
    if vault is not None:
        if parse_vault(vault) is not None and test is not None:
            raise BadInput(
                "`test` and `vault` cannot both hold: the rows of the test file are the vault.",
                remedy="Leave one of them out.",
            )
        words.append(f"--vault={vault}")
    if test is not None:
        held_out = place.table(test, "test file")
        if not held_out.is_file():
            raise BadInput(
                f"The test file {clip(test, 200)!r} is not here.",
                remedy="Name a table of the project.",
            )
        words.append(f"--test={held_out}")
    if candidate is not None:
        where = place.inside(candidate, "candidate")
        read_source(where)
        place.inside(where / "solution.py", "candidate")
        words.append(f"--candidate={where}")
    if action == "start" and not force:
        check_go(plan, select or {})
    words += ["--refit", "all"] if refit_all else []
    words += ["--seed", str(seed)] if seed is not None else []
    return words + (["--force"] if force else [])


def check_go(plan: Plan, select: dict[str, str]) -> None:
    """The review of the plan with these options is no "no-go", as far as it can be known before a
    sandbox is open. Raises BadInput."""
    content = Content()
    chosen = plan.model_copy(update={"selection": {**plan.selection, **select}})
    review = review_again(
        chosen, load_contracts(content), load_policies(content), packages=planned_packages()
    )
    way_out = "Mend the plan, or ask the user whether to run it anyway, with force=true."
    refuse_no_go(review, way_out, say=lambda text: clip(text, 600))


@asynccontextmanager
async def started(place: Place, words: list[str]) -> AsyncIterator[Child]:
    """A child at work; when the body is cancelled or fails it is ended, resumable."""
    child = await anyio.to_thread.run_sync(start, place.folder, words)
    try:
        yield child
    except BaseException:
        with anyio.CancelScope(shield=True):
            await end(child)
        raise


async def follow(ctx: Ctx, child: Child, run: RunFolder) -> None:
    """Report progress until the child has ended: seconds of the budget, and the phase."""
    told, last = -TELL_S, ""
    begin = anyio.current_time()
    while child.alive:
        found = await anyio.to_thread.run_sync(lambda: facts_of(run, alive=True))
        message = progress_line(found, child)
        gone = round(anyio.current_time() - begin, 1)
        if gone - told >= TELL_S or message != last:
            await ctx.report_progress(gone, found.budget_s, message)
            told, last = gone, message
        await anyio.sleep(POLL_S)


async def mlagent_try(
    ctx: Ctx,
    place: Where,
    candidate: Annotated[
        str,
        Field(description="Folder with solution.py: fit(train, spec), predict(model, features)"),
    ],
    budget: Annotated[str, Field(description="Wall clock for all folds.")] = "60s",
    folder: Folder = None,
) -> Annotated[CallToolResult, TryAnswer]:
    """Hand a candidate to the referee: its code runs in a container without network, on the dev
    folds of the plan, and gets a score, the difference to the linear baseline and a place on the
    board, or a sentence why not. The vault stays shut. Needs plan.yaml and a container engine.
    Reports progress; a cancelled try ends without a score."""
    where = place.inside(candidate, "candidate")
    place.inside(where / "solution.py", "candidate")
    plan = read_plan(place.inside(PLAN_FILE, "plan"))
    if plan.data is not None:
        place.table(plan.data.path, "table of the plan")
    seconds = parse_duration(budget)
    made: RunFolder | None = None
    try:
        async with started(place, ["try", str(where), f"--budget={seconds}"]) as child:
            made = await wait_for_run(child)
            await follow(ctx, child, made)
            found = child.answer()
    except anyio.get_cancelled_exc_class():
        if made is not None and not made.finished:  # else `resume` would take it for a run
            place.project.runs.remove(made)
        raise
    return try_answer(place, found)
