"""`mlagent bot`: commands from comments on pull requests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

INSTALL = "Install it beside mlagent: pip install 'mlagent[bot]'"
EPILOG = """The webhook's secret and the token come from the environment: MLAGENT_WEBHOOK_SECRET,
GITHUB_TOKEN.

Examples:

  mlagent bot --repo octo/churn

  mlagent bot --repo octo/churn --event "$GITHUB_EVENT_PATH"      (one event, in GitHub Actions)
"""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(epilog=EPILOG)(bot)


def bot(
    repo: Annotated[
        list[str], typer.Option(help="A repository to serve; repeatable.", metavar="OWNER/NAME")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8722,
    state: Annotated[
        Path, typer.Option(help="Folder for queue, repositories and runs.", metavar="DIR")
    ] = Path(".mlagent-bot"),
    max_budget: Annotated[str, typer.Option(help="Most wall clock for one run.")] = "10m",
    event: Annotated[
        Path | None,
        typer.Option(
            help="Handle this one event file of GitHub Actions and leave.", metavar="FILE"
        ),
    ] = None,
) -> None:
    """Answer /mlagent plan, execute, compare and help in comments on pull requests."""
    from mlagent.settings import parse_duration

    if event is None:
        require_server()
    seconds = parse_duration(max_budget)
    from mlagent.doors.github.signature import read_secret

    secret = b"" if event is not None else read_secret(os.environ)
    from mlagent.doors.github.bot import BotFlags, handle_event, serve

    flags = BotFlags(state, tuple(repo), seconds)
    if event is not None:
        typer.echo(handle_event(flags, event, os.environ))
        return
    serve(flags, secret, host, port, os.environ)


def require_server() -> None:
    """FastAPI and uvicorn are here. Raises PrerequisiteMissing."""
    from importlib import import_module

    from mlagent.contracts.errors import PrerequisiteMissing

    for name in ("fastapi", "uvicorn"):
        try:
            import_module(name)
        except ImportError:
            raise PrerequisiteMissing(
                f"`mlagent bot` needs the package {name}, which is not installed.", remedy=INSTALL
            ) from None
