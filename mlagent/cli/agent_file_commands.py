"""`mlagent agents import` and `agents check`: subagent files of Claude Code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlagent.contracts.words import counted

from .output import Json, as_dict, console, print_json


def register(agents_app: typer.Typer) -> None:
    """Add the commands to `mlagent agents`."""
    agents_app.command(
        "import",
        epilog="Examples:\n\n  mlagent agents import reviewer.md\n\n"
        "  mlagent agents import agents.zip --as ml-engineer --out drafts",
    )(agents_import)
    agents_app.command(
        "check",
        epilog="Examples:\n\n  mlagent agents check .\n\n"
        "  mlagent agents check .claude/agents --strict",
    )(agents_check)


def agents_import(
    source: Annotated[Path, typer.Argument(help="A subagent file, a folder, .zip or .tar.gz.")],
    as_agent: Annotated[
        str | None, typer.Option("--as", help="The agent whose contract is the base.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where drafts and reports go.")] = Path("imported"),
    force: Annotated[bool, typer.Option("--force", help="Write over earlier imports.")] = False,
    as_json: Json = False,
) -> None:
    """Draft contracts from anybody's subagent files, with a report on each."""
    from mlagent.doors.claude_code.import_files import import_agents

    run = import_agents(source, out, agent=as_agent, force=force)
    if as_json:
        print_json({"imports": [as_dict(r) for r in run.reports], "skipped": run.skipped})
        return
    screen = console()
    for report in run.reports:
        counts = {
            name: sum(row.outcome == name for row in report.statements)
            for name in ("clause", "held", "refused", "advisory")
        }
        shown = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        loads = "loads" if report.verdict.loads else "does not load"
        screen.print(f"{report.file} -> {out / (report.draft or '')}")
        screen.print(f"  Claude Code: {loads}: {report.verdict.why}")
        for note in report.verdict.notes:
            screen.print(f"    but: {note}")
        screen.print(f"  base: {report.agent or 'none'} ({report.agent_why})")
        screen.print(f"  {counted(len(report.sections), 'section')}; statements: {shown or 'none'}")
        if report.missing:
            names = ", ".join(item.field for item in report.missing)
            screen.print(f"  to fill in before it validates: {names}")
    for line in run.skipped:
        screen.print(f"left out  {line}")
    screen.print(f"{counted(len(run.reports), 'draft')} with reports in {out}")


def agents_check(
    folder: Annotated[
        Path, typer.Argument(help="A project, plugin, marketplace or agents folder.")
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Hold the files to every documented rule.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Which subagent files Claude Code loads, and why not. Exit code 2 when one does not."""
    from mlagent.contracts.errors import BadInput
    from mlagent.doors.claude_code.checking import check_folder

    found = check_folder(folder, strict=strict)
    if as_json:
        print_json(found)
    else:
        screen = console()
        for file in found.files:
            where = f" (line {file.verdict.line})" if file.verdict.line else ""
            name = f" {file.verdict.name}" if file.verdict.name else ""
            word = "loads" if file.verdict.loads else "NOT LOADED"
            why = "" if file.verdict.loads else f": {file.verdict.why}"
            screen.print(f"{word:10s}  {file.file}{name}{where}{why}")
            if file.shadowed_by:
                screen.print(f"    same name as {file.shadowed_by}; the file system picks one")
            for note in file.verdict.notes:
                screen.print(f"    note: {note}")
            for rule in file.rules:
                screen.print(f"    {rule.rule}: {rule.what}")
        for part in found.parts:
            screen.print(f"{'BROKEN' if part.rules else 'keeps':10s}  {part.file}")
            for rule in part.rules:
                screen.print(f"    {rule.rule}: {rule.what}")
        for line in found.skipped:
            screen.print(f"left out    {line}")
        for line in found.warnings:
            screen.print(f"warning     {line}")
        loading = sum(file.verdict.loads for file in found.files)
        screen.print(
            f"{loading} of {counted(len(found.files), 'file')} load "
            f"(rules measured on Claude Code {found.measured_on})"
        )
    if found.ok:
        return
    if as_json:
        raise typer.Exit(BadInput.exit_code)
    broken = sum(not f.verdict.loads or bool(f.rules or f.shadowed_by) for f in found.files)
    broken += sum(bool(part.rules) for part in found.parts)
    raise BadInput(
        f"{broken} of {counted(len(found.files) + len(found.parts), 'file')} in {str(folder)!r} "
        f"{'needs' if broken == 1 else 'need'} mending.",
        remedy="The lines above say what and where.",
    )
