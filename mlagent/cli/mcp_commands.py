"""`mlagent mcp`: the team as a Model Context Protocol server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

INSTALL = "Install it beside mlagent: pip install 'mlagent[mcp]'"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog="Example, in Claude Code:\n\n  claude mcp add mlagent -- mlagent mcp\n\n"
        "Example, for a client without roots:\n\n  mlagent mcp --root my_project"
    )(mcp)


def mcp(
    root: Annotated[
        list[Path] | None,
        typer.Option(help="A folder to allow when the client names no roots.", metavar="DIR"),
    ] = None,
    allow_runs: Annotated[
        bool,
        typer.Option(
            "--allow-runs",
            help="Start and resume without asking where the client cannot ask you; its own "
            "settings decide.",
        ),
    ] = False,
) -> None:
    """Serve plan, run and report to an MCP client over stdin and stdout."""
    from mlagent.contracts.errors import BadInput

    require_sdk()
    for folder in root or ():
        if not folder.is_dir():
            raise BadInput(f"--root {str(folder)!r} is not a folder.", remedy="Name one that is.")
    from mlagent.doors.mcp.server import serve

    serve(tuple(folder.resolve() for folder in root or ()), allow_runs=allow_runs)


def require_sdk() -> None:
    """The MCP SDK 2.x is here. Raises PrerequisiteMissing."""
    import importlib.util
    from importlib import metadata

    from mlagent.contracts.errors import PrerequisiteMissing

    if importlib.util.find_spec("mcp") is None:
        raise PrerequisiteMissing(
            "`mlagent mcp` needs the package mcp, which is not installed.", remedy=INSTALL
        )
    version = metadata.version("mcp")
    if version.partition(".")[0] != "2":
        raise PrerequisiteMissing(
            f"`mlagent mcp` needs mcp 2.x, and {version} is installed.", remedy=INSTALL
        )
