"""What every tool shares: where it works, how its arguments are described, how it answers.

The folder of a call is found before the tool's body runs, in both ways that the protocol has: a
request to the client (2025-11-25 and before) and a question in the answer (2026-07-28).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Context, ListRoots, Resolve
from mcp_types import (
    CallToolResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    TextContent,
)
from mcp_types.version import is_version_at_least
from pydantic import Field

from mlagent.contracts.base import Record

from .children import Child
from .paging import Format, printable
from .roots import Place, Roots, place_of, roots_of_client, roots_without_client

ASKS_IN_THE_ANSWER = "2026-07-28"
"""First protocol revision without requests from server to client."""


@dataclass
class Desk:
    """What lives as long as the server.

    Attributes:
        given: folders of `--root`.
        allow_runs: `--allow-runs`: a client that cannot ask its user may start runs.
        children: by run id, the runs that this server started.
    """

    given: tuple[Path, ...] = ()
    allow_runs: bool = False
    children: dict[str, Child] = field(default_factory=dict)


Ctx = Context[Desk, Any]
Folder = Annotated[
    str | None,
    Field(description="Project folder below a root. Default: the first root."),
]
Style = Annotated[Format, Field(description="detailed says more.")]
Limit = Annotated[int, Field(description="Rows of one page, 1 to 200.")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before.")]
Run = Annotated[str | None, Field(description="Run id or unique prefix. Default: the latest.")]


def has_roots(ctx: Ctx) -> bool:
    """Whether the client says that it can name its roots."""
    able = ctx.client_capabilities
    return able is not None and able.roots is not None


async def ask_for_roots(ctx: Ctx) -> ListRoots | None:
    """The question to a client that can answer it."""
    return ListRoots() if has_roots(ctx) else None


def roots_of(ctx: Ctx, listed: ListRootsResult | None) -> Roots:
    """The allowed folders of this call. Raises BadInput."""
    if listed is not None:
        return roots_of_client(str(root.uri) for root in listed.roots)
    desk: Desk = ctx.request_context.lifespan_context
    return roots_without_client(desk.given, os.environ, Path.cwd())


def find_place(
    ctx: Ctx,
    folder: str | None,
    listed: Annotated[ListRootsResult | None, Resolve(ask_for_roots)],
) -> Place:
    """The folder of a tool call, checked. Raises BadInput."""
    return place_of(folder, roots_of(ctx, listed))


Where = Annotated[Place, Resolve(find_place)]


async def roots_of_resource(ctx: Ctx) -> Roots | InputRequiredResult:
    """The roots, for a resource, whose functions the SDK does not resolve arguments for."""
    listed: ListRootsResult | None = None
    if has_roots(ctx):
        if ctx.protocol_version and is_version_at_least(ctx.protocol_version, ASKS_IN_THE_ANSWER):
            given = (ctx.input_responses or {}).get("roots")
            if not isinstance(given, ListRootsResult):
                return InputRequiredResult(input_requests={"roots": ListRootsRequest()})
            listed = given
        else:
            listed = await ctx.session.send_request(ListRootsRequest(), ListRootsResult)
    return roots_of(ctx, listed)


def about(place: Place) -> dict[str, str]:
    """The fields that every answer about a folder has."""
    return {"folder": str(place.folder), "roots_from": place.roots.said_by}


def answer(record: Record, *lines: str) -> CallToolResult:
    """A record as structured content, beside a few lines for people.

    Defaults are left out, and numbers are rounded to six significant digits.
    """
    text = printable("\n".join(line for line in lines if line))
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=rounded(record.model_dump(mode="json", exclude_defaults=True)),
    )


def rounded(value: Any) -> Any:
    """The same plain data with short numbers."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


def more(cursor: str | None) -> str:
    """The last line of a page that is not the last one."""
    return f'More: the same call with cursor="{cursor}".' if cursor else ""
