"""Resources (contracts, the plan, reports and plans of runs) and prompts (plan, review).

A run is found in every root; the plan is the first root's, as for tools, or that of `folder`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resources import ResourceSecurity
from mcp_types import InputRequiredResult, Resource

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.orchestrator.plan_flow import PLAN_FILE
from mlagent.templates.environment import render

from .calls import Ctx, roots_of_resource
from .roots import Roots, place_of, run_in_roots
from .wording import in_words

if TYPE_CHECKING:
    from .server import Server

LARGEST = 400_000
"""Characters of a resource; more is cut with a line that says so."""
YAML = "application/yaml"
PLAN = "mlagent://plan"
LISTED = Resource(uri=PLAN, name="plan", title="Plan", mime_type=YAML)
"""For clients that offer their user only what is listed; a template reads it."""
OWN = ResourceSecurity(exempt_params={"folder"})
"""A folder may be a whole path: it is judged by where it really lies, against the roots."""


async def contract_file(agent: str) -> str:
    """The YAML contract of an agent: data-explorer, statistical-analyst, ml-engineer."""
    try:
        content = Content()
        roles = [str(role) for role in load_contracts(content)]
        if agent not in roles:
            raise ResourceNotFoundError(f"There is no agent {agent!r}. Known: {', '.join(roles)}.")
        return content.text(f"contracts/{agent}.yaml")
    except MlagentError as problem:
        raise ResourceError(in_words(str(problem))) from problem


async def run_report(id: str, ctx: Ctx) -> str | InputRequiredResult:
    """The report of a finished run as Markdown: its model card, the numbers of report.html."""
    return await run_file(ctx, id, "model_card.md")


async def run_plan(id: str, ctx: Ctx) -> str | InputRequiredResult:
    """The plan that a run was started with, as YAML."""
    return await run_file(ctx, id, "plan.yaml")


async def run_file(ctx: Ctx, name: str, file: str) -> str | InputRequiredResult:
    """A text file of a run in one of the roots. Raises ResourceError with a sentence."""

    def find(roots: Roots) -> Path:
        place, run = run_in_roots(name, roots)
        path = place.inside(run.path / file, "file of the run")
        if not path.is_file():
            state = "it is not finished" if not run.finished else "it was a try"
            raise ResourceNotFoundError(f"Run {run.id} has no {file}: {state}.")
        return path

    return await text_of(ctx, find, f"{file} of run {name!r}")


async def plan_file(ctx: Ctx, folder: str | None = None) -> str | InputRequiredResult:
    """plan.yaml as it now stands, with what was edited. folder: a project below a root."""

    def find(roots: Roots) -> Path:
        place = place_of(folder, roots)
        path = place.inside(PLAN_FILE, "plan")
        if not path.is_file():
            raise ResourceNotFoundError(
                f"There is no {PLAN_FILE} in {str(place.folder)!r}: mlagent_plan makes one."
            )
        return path

    return await text_of(ctx, find, PLAN_FILE)


async def text_of(ctx: Ctx, find: Callable[[Roots], Path], what: str) -> str | InputRequiredResult:
    """The text of the file that is found below the roots. Raises ResourceError with a sentence."""
    try:
        roots = await roots_of_resource(ctx)
        if isinstance(roots, InputRequiredResult):
            return roots
        path = find(roots)
        text = path.read_text(encoding="utf-8")
    except MlagentError as problem:
        raise ResourceError(in_words(str(problem))) from problem
    except (OSError, UnicodeDecodeError) as problem:
        raise ResourceError(f"{what} cannot be read: {problem}.") from problem
    return text if len(text) <= LARGEST else f"{text[:LARGEST]}\n... cut: the rest is in {path}\n"


def add_resources(server: Server) -> None:
    """Put the four templates on the server."""
    server.resource("mlagent://contracts/{agent}", title="Contract", mime_type=YAML)(contract_file)
    server.resource(PLAN + "{?folder}", title="Plan", mime_type=YAML, security=OWN)(plan_file)
    server.resource("mlagent://runs/{id}/report", title="Report", mime_type="text/markdown")(
        run_report
    )
    server.resource("mlagent://runs/{id}/plan", title="Plan of a run", mime_type=YAML)(run_plan)


def plan_prompt(task: str, data: str = "") -> str:
    """Plan a model: profile the table, propose options with trade-offs, let the user choose."""
    return render(Content(), "mcp/plan.md.j2", task=task, data=data)


def review_prompt(plan: str = "plan.yaml") -> str:
    """Review a plan before it runs: conflicts, estimate, what to ask, go or no-go."""
    return render(Content(), "mcp/review.md.j2", plan=plan)


def add_prompts(server: Server) -> None:
    """Put the two prompts on the server."""
    server.prompt("plan", title="Plan a model")(plan_prompt)
    server.prompt("review", title="Review a plan")(review_prompt)
