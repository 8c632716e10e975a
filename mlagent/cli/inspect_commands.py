"""`mlagent runs`, `board`, `compare`, `report`: look at what happened."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlagent.contracts.words import counted

from .output import Json, console, interval, print_json, signed
from .usage import PlainUsage

runs_app = typer.Typer(help="List, remove or prune runs.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(runs_app, name="runs", invoke_without_command=True)
    app.command(epilog="Example:\n\n  mlagent board")(board)
    app.command(cls=PlainUsage, epilog="Example:\n\n  mlagent compare 20260101-1200 20260102-0900")(
        compare
    )
    app.command(epilog="Example:\n\n  mlagent report --open")(report)


@runs_app.callback(invoke_without_command=True)
def runs(context: typer.Context, as_json: Json = False) -> None:
    """List the runs of this folder."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from mlagent.orchestrator.looking import RunRow, list_runs

    rows = list_runs(Path.cwd())
    if as_json:
        print_json({"runs": [row._asdict() for row in rows]})
        return
    if not rows:
        console().print('No runs here. Start with `mlagent plan "..."` and `mlagent execute`.')
        return
    table = Table(box=None, pad_edge=False)
    for heading in RunRow._fields[:-1]:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row[:-1])
    console().print(table)


@runs_app.command("rm")
def runs_rm(
    run: Annotated[list[str], typer.Argument(help="Run ids or unique prefixes.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs."""
    from mlagent.store.project import Project

    project = Project(Path.cwd())
    found = [project.runs.find(name, finished=False) for name in run]
    if not yes:
        typer.confirm(f"Delete {', '.join(item.id for item in found)}?", abort=True)
    with project.lock():
        for item in found:
            project.runs.remove(item)
            console().print(f"deleted {item.id}")


@runs_app.command("show")
def runs_show(
    run: Annotated[str | None, typer.Argument(help="A run; default: the latest.")] = None,
    messages: Annotated[
        bool, typer.Option("--messages", help="Every byte that was sent, and each answer.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Of a plan, as plans/calls/ names it, not of a run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What was asked of Claude in a run or for a plan, and what it cost."""
    from rich.text import Text

    from mlagent.orchestrator.looking import read_calls

    found = read_calls(Path.cwd(), run, plan=plan)
    made, what = found.calls, "plan" if plan else "run"
    if as_json:
        shown = [one.as_json() if messages else one.call.model_dump(mode="json") for one in made]
        more = {"counted": found.counted} if messages else {}
        print_json({what: found.name, "calls": shown, **more})
        return
    out = console()
    usd = sum(one.call.usd for one in made)
    out.print(f"{what.title()} {found.name}: {counted(len(made), 'call')}, ${usd:.4f}")
    for one in made:
        call = one.call
        head = (
            f"{call.n:04d}  {call.agent}  {call.purpose}  {call.model}  {call.outcome}  "
            f"{call.tokens.prompt:,} + {call.tokens.output:,} tokens  ${call.usd:.4f}"
        )
        out.print(Text(head, style="bold" if messages else ""))
        if call.why:
            out.print(Text(f"      {call.why}", style="dim"))
        if messages:
            sys.stdout.write(f"{one.request}\n{one.answer}\n")
    if found.counted:
        told = f"{counted(len(found.counted), 'prompt')} sent for its tokens to be counted, free"
        out.print(Text(told, style="bold" if messages else ""))
        if messages:
            sys.stdout.writelines(f"{text}\n" for text in found.counted)


@runs_app.command("prune")
def runs_prune(
    keep: Annotated[
        int, typer.Option(help="How many of the latest finished runs stay.", min=0)
    ] = 5,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete unfinished runs and all but the latest finished ones."""
    from mlagent.orchestrator.looking import prunable
    from mlagent.store.project import Project

    project = Project(Path.cwd())
    gone = prunable(project, keep)
    if not gone:
        console().print("Nothing to prune.")
        return
    if not yes:
        typer.confirm(
            f"Delete {counted(len(gone), 'run')}: {', '.join(i.id for i in gone)}?", abort=True
        )
    with project.lock():
        for item in gone:
            project.runs.remove(item)
    console().print(f"deleted {counted(len(gone), 'run')}")


def board(
    tree: Annotated[
        bool, typer.Option("--tree", help="The latest search with Claude, as a tree.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Every candidate that the referee scored on the dev folds of the latest seal."""
    from rich.table import Table

    if tree:
        show_tree(as_json)
        return

    from mlagent.contracts.evaluation import A_TRY
    from mlagent.orchestrator.looking import read_board
    from mlagent.orchestrator.tries import DUMMY, is_try

    found = read_board(Path.cwd())
    if as_json:
        print_json(found.as_json())
        return
    table = Table("place", "candidate", found.metric, "run", "outcome", box=None, pad_edge=False)
    place = 0
    for row in found.rows:
        place += is_try(row)
        often = found.runs[row.look]
        repeated = often > 1 and row.entry.name != DUMMY
        table.add_row(
            str(place) if is_try(row) else "-",
            row.entry.name,
            interval(row.entry.score),
            row.run,
            row.entry.outcome + (f" ({often} runs, the latest shown)" if repeated else ""),
        )
    out = console()
    out.print(table)
    number = counted(found.tries, "try", "tries")
    out.print(f"seal {found.seal}, dev folds only; {number}: {A_TRY}.", style="dim")
    if found.note:
        out.print(found.note, style="dim")


def show_tree(as_json: bool) -> None:
    """The latest search: each candidate below the one it came from."""
    from rich.text import Text

    from mlagent.orchestrator.looking import read_tree
    from mlagent.reports.search import search_rows

    run, found = read_tree(Path.cwd())
    if as_json:
        print_json({"run": run, **found.model_dump(mode="json", by_alias=True)})
        return
    out = console()
    out.print(f"Search of run {run}, {found.metric} on the dev folds", style="dim")
    for row in search_rows(found):
        mark = "* " if row["chosen"] else "  "
        gain = f"  {row['gain']}" if row["gain"] else ""
        said = row["outcome"] if row["score"] == "no score" else row["summary"]
        line = f"{mark}{'  ' * row['depth']}{row['name']}  {row['operator']}  {row['score']}{gain}"
        out.print(Text(line))
        if said:
            out.print(Text(f"    {'  ' * row['depth']}{said}", style="dim"))
        if row["parts"]:
            out.print(Text(f"    {'  ' * row['depth']}parts: {row['parts']}", style="dim"))
    star = "" if found.chosen is None else " * is the best of Claude's, shipped or not."
    out.print(f"It ended: {found.stopped or 'it has not ended'}.{star}", style="dim")


def compare(
    a: Annotated[str, typer.Argument(metavar="RUN", help="A run.")],
    b: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="Another; default: the latest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two runs on the same vault rows, paired."""
    from mlagent.orchestrator.looking import compare_runs

    made = compare_runs(Path.cwd(), a, b)
    if as_json:
        print_json(made.as_json())
        return
    out = console()
    out.print(f"{made.metric} on the same {counted(made.rows, 'row')} (seal {made.seal})")
    out.print(f"  {made.first}: {interval(made.scores['first'])}")
    out.print(f"  {made.second}: {interval(made.scores['second'])}")
    out.print(f"  {made.first} against {made.second}: {signed(made.difference)}")


def report(
    run: Annotated[str | None, typer.Argument(help="Default: the latest.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Where the report of a run is; `--open` shows it."""
    from mlagent.orchestrator.looking import find_report

    path = find_report(Path.cwd(), run)
    if as_json:
        print_json({"report": str(path)})
    else:
        typer.echo(str(path))
    if open_:
        import webbrowser

        webbrowser.open(path.as_uri())
