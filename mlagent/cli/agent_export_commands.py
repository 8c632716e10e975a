"""`mlagent agents export`: the team, for Claude Code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlagent.contracts.words import counted

from .output import Json, print_json


def register(agents_app: typer.Typer) -> None:
    """Add the command to `mlagent agents`."""
    agents_app.command(
        "export",
        epilog="Examples:\n\n  mlagent agents export --to claude-code\n\n"
        "  mlagent agents export --to claude-code --scope plugin --out my-marketplace",
    )(agents_export)


def agents_export(
    to: Annotated[str, typer.Option(help="Only claude-code is known.")],
    scope: Annotated[
        str, typer.Option(help="project (.claude/ here), user (~/.claude/) or plugin.")
    ] = "project",
    out: Annotated[
        str | None,
        typer.Option(help="The project, the user's folder, or the marketplace's.", metavar="DIR"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files of others; copies are kept.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the three agents as subagents of Claude Code, with hooks that hold their contracts."""
    from mlagent.content import Content
    from mlagent.contracts.errors import BadInput
    from mlagent.doors.claude_code.exporting import export_agents

    if to != "claude-code":
        raise BadInput(f"Agents cannot be exported to {to!r}.", remedy="Known: claude-code.")
    if out is not None and not out.strip():
        raise BadInput("--out is empty.", remedy="Name a folder, or leave --out away.")
    done = export_agents(Content(), scope, None if out is None else Path(out), force=force)
    if as_json:
        print_json(done.as_json())
        return
    for path in done.written:
        typer.echo(f"written  {done.folder / path}")
    for path in done.kept:
        typer.echo(f"kept     {done.folder / path}")
    typer.echo(f"{counted(len(done.written), 'file')} written, {len(done.same)} unchanged.")
    for note in done.notes:
        typer.echo(f"Note: {note}")
    typer.echo(done.next)
