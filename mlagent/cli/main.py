"""The `mlagent` command. Nothing heavy is imported until a command runs.

Every error ends here as a sentence on stderr and an exit code (see `contracts/errors.py`); an error
that nobody foresaw is written to a file with its traceback, and the user gets its name and the
file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from mlagent import __version__
from mlagent.contracts.errors import BadInput, GatesNotMet, Interrupted, MlagentError

from . import (
    agent_export_commands,
    agent_file_commands,
    bot_commands,
    github_commands,
    inspect_commands,
    mcp_commands,
    plan_commands,
    run_commands,
    system_commands,
)
from .output import nobody_reads

app = typer.Typer(
    name="mlagent",
    help=(
        "Three specialists, one referee, one sandbox: from a sentence and a table to a scored "
        "model.\n\n"
        'Start with: mlagent plan "churn model" --data churn.csv   then: mlagent execute'
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"mlagent {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    content: Annotated[
        Path | None,
        typer.Option(
            help="A folder whose contracts/, orchestrator/, templates/ win.", metavar="DIR"
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if content is not None:
        os.environ["MLAGENT_CONTENT"] = str(content.resolve())


plan_commands.register(app)
run_commands.register(app)
inspect_commands.register(app)
system_commands.register(app)
agent_export_commands.register(system_commands.agents_app)
agent_file_commands.register(system_commands.agents_app)
mcp_commands.register(app)
github_commands.register(app)
bot_commands.register(app)


def _document(kind: str, message: str, remedy: str) -> None:
    """With `--json`: the error as the one document on stdout."""
    if "--json" in sys.argv[1:]:
        body = {"error": kind, "message": message, "remedy": remedy}
        typer.echo(json.dumps({"schema": "mlagent/error/v1", **body}))


def _show(error: MlagentError) -> None:
    if not isinstance(error, GatesNotMet):  # then the result, with its gates, was printed before
        _document(type(error).__name__, error.message, error.remedy)
    typer.echo(f"mlagent: {error.message}", err=True)
    if error.remedy:
        typer.echo(f"  {error.remedy}", err=True)


def _crash(error: Exception) -> None:
    handle, name = tempfile.mkstemp(prefix="mlagent-crash-", suffix=".txt")
    with os.fdopen(handle, "w") as file:
        file.write(f"mlagent {__version__}, Python {sys.version}\n")
        file.write("".join(traceback.format_exception(error)))
    message = f"an error that should not happen: {type(error).__name__}. This is a defect."
    remedy = f"Please report it with the file {name} (look through it first)."
    _document("Defect", message, remedy)
    typer.echo(f"mlagent: {message}\n  {remedy}", err=True)


def _about_file(error: OSError) -> BadInput:
    """A file or folder that the system refused: what, and why."""
    what = error.filename2 or error.filename
    return BadInput(
        f"{str(what)!r} cannot be used: {error.strerror}.",
        remedy="Check the path, its permissions and the free space, then run the command again.",
    )


def _stand_somewhere() -> None:
    """Raises BadInput when the working folder was removed."""
    try:
        os.getcwd()  # noqa: PTH109 (Path.cwd would import what --help does not need)
    except FileNotFoundError:
        raise BadInput(
            "The folder that this shell stands in is gone.", remedy="Change to one that exists."
        ) from None


def main() -> None:
    """Run the command line and leave with the documented exit code."""
    try:
        _stand_somewhere()
        code = app(standalone_mode=False)
        if code == Interrupted.exit_code:  # typer's word for a Ctrl-C that nobody waited for
            _show(Interrupted("Stopped."))
        sys.stdout.flush()
    except MlagentError as error:
        _show(error)
        code = error.exit_code
    except KeyboardInterrupt:
        _show(Interrupted("Stopped."))
        code = Interrupted.exit_code
    except (BrokenPipeError, SystemExit) as left:
        # typer.echo met a closed pipe (`| head -1`) and typer leaves with 1; it writes last, so the
        # work is done, only its account is not read
        if not isinstance(left.__context__ or left, BrokenPipeError):
            raise
        nobody_reads(sys.stdout)
        code = 0
    except Exception as error:
        show = getattr(error, "show", None)
        if callable(show):  # click's own usage errors explain themselves
            explain = getattr(error, "format_message", None)
            said = explain() if callable(explain) else str(error)
            _document("Usage", said, "--help shows what is allowed.")
            show()
            code = 2
        elif type(error).__name__ == "Abort":  # at a question
            _show(Interrupted("Stopped."))
            code = Interrupted.exit_code
        elif isinstance(error, OSError) and error.filename and error.strerror:
            _show(_about_file(error))  # any other OSError is no user's file: a defect of ours
            code = BadInput.exit_code
        else:
            _crash(error)
            code = 1
    sys.exit(code if isinstance(code, int) else 0)
