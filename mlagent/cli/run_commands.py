"""`mlagent execute`, `try`, `predict`, `demo`: the commands that run code in the sandbox."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlagent.contracts.words import counted

from .output import MOST_SEED, Json, console, print_json
from .usage import PlainUsage

if TYPE_CHECKING:
    from mlagent.contracts.evaluation import Gate

    from .progress import LiveProgress, PlainProgress

EXECUTE = """Examples:

  mlagent execute

  mlagent execute --budget 60s --select ml-engineer=option_c

  mlagent execute --vault 0 --budget 2m      (out-of-fold score, model on all rows)

  mlagent execute --candidate my_candidate --mine      (judge and package your own code)

  mlagent execute --resume                   (goes on with the latest unfinished run)

  mlagent execute --resume 20260131-0930     (goes on with this one)
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog=EXECUTE)(execute)
    app.command("try", epilog="Example:\n\n  mlagent try my_candidate --mine")(try_)
    app.command(
        cls=PlainUsage, epilog="Example:\n\n  mlagent predict new_customers.csv --out scored.csv"
    )(predict)
    app.command(epilog="Example:\n\n  mlagent demo --budget 60s")(demo)


def make_progress(budget_s: float, *, as_json: bool) -> LiveProgress | PlainProgress:
    """A live line in a terminal, plain lines elsewhere; on stderr when stdout carries JSON."""
    from .progress import LiveProgress, PlainProgress

    out = sys.stderr if as_json else sys.stdout
    if out.isatty():
        return LiveProgress(budget_s, stderr=as_json)
    return PlainProgress(out)


def execute(
    plan: Annotated[
        Path | None,
        typer.Argument(help="Default: plan.yaml here. With --resume a run; default: the latest."),
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(help="agent=option, such as ml-engineer=option_a.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Wall clock, such as 60s or 5m.")] = None,
    vault: Annotated[str | None, typer.Option(help="auto, 0, or a share such as 0.2.")] = None,
    refit: Annotated[str | None, typer.Option(help="'all': a second model on all rows.")] = None,
    test: Annotated[Path | None, typer.Option(help="Your own hold-out becomes the vault.")] = None,
    memory: Annotated[int | None, typer.Option(help="MB for each job in the sandbox.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=MOST_SEED)] = None,
    candidate: Annotated[
        Path | None,
        typer.Option(
            help="A folder with solution.py, in the place of the ml-engineer's option.",
            metavar="DIR",
        ),
    ] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="You wrote or read that code (class C).")
    ] = False,
    author: Annotated[
        str | None,
        typer.Option(
            help="Who looks for candidates: template, claude or both (costs money).",
            show_default="template",
        ),
    ] = None,
    max_usd: Annotated[
        float | None, typer.Option(help="Dollars that Claude may cost.", min=0, show_default="2")
    ] = None,
    max_calls: Annotated[
        int | None, typer.Option(help="Calls that Claude may take.", min=0, show_default="60")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Tokens that Claude may take.", min=0)
    ] = None,
    share_rows: Annotated[
        bool, typer.Option("--share-rows", help="Show Claude a few dev rows; else aggregates only.")
    ] = False,
    replay: Annotated[str | None, typer.Option(help="Repeat this run's model.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 3 when a required gate fails.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Run a plan whose review is no-go.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the plan: explore, analyse, engineer, verdict, package."""
    from mlagent.orchestrator.execute_flow import execute_here
    from mlagent.orchestrator.requesting import ExecuteFlags
    from mlagent.settings import parse_duration

    run = None
    if resume and plan is not None and not plan.is_file():  # a plan file is refused further on
        plan, run = None, str(plan)
    flags = ExecuteFlags(
        plan=plan,
        select=tuple(select or ()),
        budget_s=parse_duration(budget) if budget else None,
        vault=vault,
        refit=refit,
        test=test,
        memory_mb=memory,
        seed=seed,
        candidate=candidate,
        mine=mine,
        author=author,
        max_usd=max_usd,
        max_calls=max_calls,
        max_tokens=max_tokens,
        share_rows=share_rows,
        replay=replay,
        resume=resume,
        run=run,
        force=force,
    )
    finished = execute_here(
        Path.cwd(), flags, lambda budget_s: make_progress(budget_s, as_json=as_json)
    )
    if as_json:
        from .output import as_dict

        print_json(
            {
                "run": finished.run.id,
                "folder": str(finished.run.path),
                "evaluation": as_dict(finished.evaluation),
                "manifest": as_dict(finished.run.manifest()),
            }
        )
    else:
        show_verdict(finished)
    if check:
        from mlagent.contracts.errors import GatesNotMet

        failed = [
            gate for gate in finished.evaluation.gates if gate.required and gate.outcome != "pass"
        ]
        if failed:
            raise GatesNotMet(
                "; ".join(f"Gate {gate.name!r} {asked(gate)}: {gate.evidence}" for gate in failed),
                remedy="`mlagent report` shows why.",
            )


def asked(gate: Gate) -> str:
    """'wants roc_auc at_least 0.8'."""
    limit = "" if gate.threshold is None else f" {gate.threshold:g}"
    return f"wants {gate.metric} {gate.comparison}{limit}"


def show_verdict(finished: Any) -> None:
    """The last lines of `execute`."""
    from rich.text import Text

    from mlagent.orchestrator.looking import why_late

    from .output import interval, signed

    out, score = console(), finished.evaluation
    out.print()
    out.print(Text(score.verdict, style="bold"))
    where = {
        "vault": "vault rows",
        "test file": "rows of the test file",
        "out-of-fold": "out-of-fold rows",
    }[score.judged_on]
    out.print(f"  {score.metric} on {score.model.n:,} {where}: {interval(score.model)}")
    for name, baseline in score.baselines.items():
        out.print(f"  {name}: {interval(baseline)}", style="dim")
    if score.model_name != "linear":
        out.print(f"  difference to linear: {signed(score.difference_to_linear)}")
    for gate in score.gates:
        if gate.required and gate.outcome != "pass":
            out.print(Text(f"  gate not met: {gate.name} {asked(gate)}: {gate.evidence}"))
    for note in finished.notes:
        if note not in score.verdict:
            out.print(Text(f"  note: {note}", style="dim"))
    manifest = finished.run.manifest()
    folder = finished.run.path.relative_to(Path.cwd())
    out.print(f"  report: {folder / 'report.html'}")
    out.print(f"  model: {folder / 'model'}  code: {folder / 'candidate' / 'solution.py'}")
    out.print(f"  took {manifest.wall_s:.1f}s of {manifest.budget_s:.0f}s; tier {manifest.tier}")
    if late := why_late(finished.run):
        out.print(f"  note: {late}")
    out.print(f"  predict: mlagent predict {finished.run.id} FILE --out predictions.csv")
    out.print(f"  journal: {manifest.journal_head}")


def try_(
    folder: Annotated[Path, typer.Argument(help="A candidate: a folder with solution.py.")],
    mine: Annotated[
        bool, typer.Option("--mine", help="You wrote or read this code (class C).")
    ] = False,
    budget: Annotated[
        str,
        typer.Option(
            help="Wall clock for all folds; a fit that does not end costs seconds more on each."
        ),
    ] = "60s",
    memory: Annotated[int | None, typer.Option(help="MB for each job in the sandbox.")] = None,
    as_json: Json = False,
) -> None:
    """Hand any candidate to the referee: dev folds only, a score or a sentence why not."""
    from mlagent.orchestrator.trying import try_here
    from mlagent.settings import parse_duration

    seconds = parse_duration(budget)
    tried = try_here(
        Path.cwd(),
        folder,
        mine=mine,
        budget_s=seconds,
        memory_mb=memory,
        progress=make_progress(seconds, as_json=as_json),
    )
    if as_json:
        print_json(tried.as_json())
        return
    from rich.text import Text

    from mlagent.orchestrator.looking import NO_LINEAR

    from .output import interval, signed

    out = console()
    if tried.entry.score is None:
        out.print(Text(tried.entry.outcome, style="bold"))
    else:
        out.print(Text(f"{tried.metric} on dev folds: {interval(tried.entry.score)}", style="bold"))
    if tried.dummy is not None:
        out.print(f"  dummy: {interval(tried.dummy)}", style="dim")
    if tried.difference_to_linear is not None:
        out.print(f"  difference to linear: {signed(tried.difference_to_linear)}")
    elif tried.difference_to_dummy is not None:
        out.print(f"  difference to dummy: {signed(tried.difference_to_dummy)}")
    if not tried.linear_known:
        out.print(f"  {NO_LINEAR}", style="dim")
    if tried.place is not None:
        out.print(f"  place {tried.place} of {tried.of} on the board (`mlagent board`)")


def predict(
    first: Annotated[
        str, typer.Argument(metavar="[RUN] FILE", help="A table, or a run and a table.")
    ],
    second: Annotated[str | None, typer.Argument(hidden=True)] = None,
    out: Annotated[Path, typer.Option(help="Where the predictions go (.csv or .parquet).")] = Path(
        "predictions.csv"
    ),
    as_json: Json = False,
) -> None:
    """Predict for new rows with the model of a run (default: the latest), in the sandbox."""
    from mlagent.orchestrator.predicting import predict_here

    run, file = (None, Path(first)) if second is None else (first, Path(second))
    done = predict_here(Path.cwd(), run, file, out)
    if as_json:
        print_json(done.as_json())
        return
    show = console()
    show.print(
        f"{counted(done.rows, 'prediction')} -> {done.out}  (run {done.run}, tier {done.tier})"
    )
    for sentence in done.notes:
        show.print(f"  {sentence}", style="dim")


def demo(
    budget: Annotated[str, typer.Option(help="Wall clock of the run.")] = "60s",
    folder: Annotated[Path, typer.Option(help="Where the demo works.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED)] = 0,
    as_json: Json = False,
) -> None:
    """The two-minute tour: a churn table with a known best score, planned, run and judged."""
    from mlagent.orchestrator.demo import run_demo
    from mlagent.settings import parse_duration

    seconds = parse_duration(budget)
    result = run_demo(folder, seconds, seed, lambda b: make_progress(b, as_json=as_json))
    if as_json:
        print_json(result.as_json())
        return
    import os

    os.chdir(folder)
    show_verdict(result.finished)
    console().print(result.sentence)
