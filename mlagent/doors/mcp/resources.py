"""Resources (contracts, reports and plans of runs) and prompts (plan, review)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import InputRequiredResult

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.templates.environment import render

from .calls import Ctx, place_of_resource
from .wording import in_words

if TYPE_CHECKING:
    from .server import Server

LARGEST = 400_000
"""Characters of a resource; more is cut with a line that says so."""


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
    """A text file of a run in the first root. Raises ResourceError with a sentence."""
    try:
        place = await place_of_resource(ctx)
        if isinstance(place, InputRequiredResult):
            return place
        run = place.run(name, finished=False)
        path = place.inside(run.path / file, "file of the run")
        if not path.is_file():
            state = "it is not finished" if not run.finished else "it was a try"
            raise ResourceNotFoundError(f"Run {run.id} has no {file}: {state}.")
        text = path.read_text(encoding="utf-8")
    except MlagentError as problem:
        raise ResourceError(in_words(str(problem))) from problem
    except (OSError, UnicodeDecodeError) as problem:
        raise ResourceError(f"{file} of run {name!r} cannot be read: {problem}.") from problem
    return text if len(text) <= LARGEST else f"{text[:LARGEST]}\n... cut: the rest is in {path}\n"


def add_resources(server: Server) -> None:
    """Put the three templates on the server."""
    server.resource("mlagent://contracts/{agent}", title="Contract", mime_type="application/yaml")(
        contract_file
    )
    server.resource("mlagent://runs/{id}/report", title="Report", mime_type="text/markdown")(
        run_report
    )
    server.resource("mlagent://runs/{id}/plan", title="Plan", mime_type="application/yaml")(
        run_plan
    )


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
