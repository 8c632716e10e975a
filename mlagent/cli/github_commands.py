"""`mlagent pr-comment`: a pull request's effect on the model, as a record and as one comment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlagent.contracts.errors import BadInput, GatesNotMet, MlagentError
from mlagent.contracts.words import counted

if TYPE_CHECKING:
    from mlagent.content import Content
    from mlagent.contracts.pr_report import PrReport
    from mlagent.doors.github.posting import PostFlags
    from mlagent.doors.github.workflow_event import Event

EXAMPLES = (
    "Examples:\n\n  mlagent pr-comment --base main --dry-run\n\n"
    "  mlagent pr-comment --json report.json --dry-run --gates\n\n"
    "  mlagent pr-comment --from report.json"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("pr-comment", epilog=EXAMPLES)(pr_comment)


def pr_comment(
    run: Annotated[
        str | None, typer.Option(help="The head's run; default: the latest.", metavar="RUN")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="The base: a run, a branch or a commit; default: the event's base.",
            metavar="RUN|REF",
        ),
    ] = None,
    gates: Annotated[
        bool, typer.Option("--gates", help="Exit 3 when a required gate did not pass.")
    ] = False,
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json", help="Write the record mlagent/pr-report/v1; - is stdout.", metavar="FILE"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the comment, call nobody.")
    ] = False,
    from_file: Annotated[
        Path | None,
        typer.Option("--from", help="Post a record that another job wrote.", metavar="FILE"),
    ] = None,
    repo: Annotated[
        str | None, typer.Option(help="Default: GITHUB_REPOSITORY.", metavar="OWNER/NAME")
    ] = None,
    pr: Annotated[
        int | None, typer.Option(help="Default: the event's.", min=1, metavar="NUMBER")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Which report this is, of several.", metavar="NAME")
    ] = "default",
    author: Annotated[
        str | None, typer.Option(help="Whom the token comments as, if unusual.", metavar="LOGIN")
    ] = None,
    require_comment: Annotated[
        bool, typer.Option("--require-comment", help="Exit 1 when GitHub allows no comment.")
    ] = False,
) -> None:
    """Report what a pull request changes: against its base, on the same rows, as one comment."""
    from mlagent.content import Content
    from mlagent.doors.github.posting import PostFlags, check_key, check_ready
    from mlagent.doors.github.workflow_event import read_event

    check_key(name)
    event = read_event(os.environ)
    if event is not None and event.privileged and from_file is None:
        raise BadInput(
            "A workflow_run job has rights that the pull request's files must not use.",
            remedy="Compute in a pull_request job; here post its record: --from report.json",
        )
    flags = PostFlags(repo, pr, name, author, from_file is not None, require_comment)
    if json_file is not None:
        _check_target(json_file)
    if not dry_run:
        check_ready(flags, event, os.environ)
    report = _report(run, base, from_file)
    if json_file is not None:
        _write(report, json_file)
    failed: list[MlagentError] = []
    try:
        _deliver(report, Content(), flags, event, dry_run, quiet=json_file == "-")
    except MlagentError as problem:
        failed.append(problem)
    if gates and report.failed:
        failed.append(_gates_not_met(report, dry_run))
    for one in failed:  # beside a record that may be on stdout already: on stderr only
        typer.echo(f"mlagent: {one.message}", err=True)
        if one.remedy:
            typer.echo(f"  {one.remedy}", err=True)
    if failed:
        raise typer.Exit(failed[-1].exit_code)


def _deliver(
    report: PrReport,
    content: Content,
    flags: PostFlags,
    event: Event | None,
    dry_run: bool,
    *,
    quiet: bool,
) -> None:
    """Post the comment, or print it. `quiet`: stdout holds the record already.

    Raises:
        MlagentError: there is no comment.
    """
    from mlagent.doors.github.comment import compose
    from mlagent.doors.github.posting import links_of, post, to_summary

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text)

    if dry_run:
        comment = compose(report, content, flags.key, links_of(os.environ, event, False))
        to_summary(comment, os.environ)
        say(comment.text)
        return
    posted = post(report, content, flags, event, os.environ, Path.cwd(), say)
    where = "" if posted.comment is None else f" {posted.comment}"
    why = f" ({posted.why})" if posted.why else ""
    typer.echo(f"comment{where}: {posted.action}{why}", err=True)


def _report(run: str | None, base: str | None, from_file: Path | None) -> PrReport:
    from mlagent.doors.github.reporting import build_report, read_report
    from mlagent.doors.github.workflow_event import read_event

    if from_file is None:
        return build_report(Path.cwd(), run, base, read_event(os.environ))
    if run is not None or base is not None:
        raise BadInput("--from has its runs already.", remedy="Leave out --run and --base.")
    return read_report(from_file)


def _check_target(file: str) -> None:
    """Raises BadInput for a --json that cannot be written, before anything is computed."""
    if file != "-" and not Path(file).parent.is_dir():
        raise BadInput(
            f"The folder of --json {file!r} does not exist.", remedy="Make it, or name another."
        )
    if Path(file).is_dir():
        raise BadInput(
            f"--json {file!r} is a folder.", remedy="Name a file in it, or - for stdout."
        )


def _write(report: PrReport, file: str) -> None:
    from mlagent.store.files import json_bytes, write_atomically

    if file == "-":
        sys.stdout.write(json_bytes(report).decode())
        sys.stdout.flush()
        return
    write_atomically(Path(file), json_bytes(report))


def _gates_not_met(report: PrReport, dry_run: bool) -> GatesNotMet:
    first, gates = report.failed[0], counted(len(report.failed), "required gate")
    return GatesNotMet(
        f"Gate {first.name!r}: {first.outcome}: {first.evidence}",
        remedy=f"{gates} did not pass; see the {'printed report' if dry_run else 'comment'}.",
    )
