"""`mlagent plan`: from a sentence and a table to plan.yaml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlagent.contracts.words import counted

from .output import MOST_SEED, Json, console, indented, print_json

if TYPE_CHECKING:
    from mlagent.contracts.plan import Plan

EPILOG = """Examples:

  mlagent plan "churn model"

  mlagent plan "predict the sale price" --data houses.csv --target SalePrice

  mlagent plan "which customers will default" --metric log_loss --group customer_id --budget 10m
"""


def register(app: typer.Typer) -> None:
    """Add `plan` to the command line."""
    app.command(epilog=EPILOG)(plan)


def plan(
    task: Annotated[str, typer.Argument(help="What you want, in a sentence.", metavar="TASK")],
    data: Annotated[
        str | None, typer.Option(help="CSV, Parquet or JSON Lines.", metavar="<path>")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    metric: Annotated[str | None, typer.Option(help="Such as roc_auc, log_loss, rmse.")] = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class, as in the file.")
    ] = None,
    id_: Annotated[list[str] | None, typer.Option("--id", help="An id column.")] = None,
    group: Annotated[str | None, typer.Option(help="Rows of one group stay together.")] = None,
    time: Annotated[str | None, typer.Option(help="Train on the past, judge the latest.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A column to leave out.")] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help="interpretable, max_latency_ms=, max_model_mb=, monotone=COL:+"),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="For `execute`, such as 60s or 5m.")] = None,
    seed: Annotated[
        int, typer.Option(help="Of the split and the models.", min=0, max=MOST_SEED)
    ] = 0,
    author: Annotated[
        str, typer.Option(help="Who writes the options: template, or claude (costs money).")
    ] = "template",
    max_usd: Annotated[float, typer.Option(help="Dollars that Claude may cost.", min=0)] = 1.0,
    max_calls: Annotated[int, typer.Option(help="Calls that Claude may take.", min=0)] = 12,
    max_tokens: Annotated[
        int | None, typer.Option(help="Tokens that Claude may take.", min=0)
    ] = None,
    share_rows: Annotated[
        bool, typer.Option("--share-rows", help="`execute` may show Claude a few dev rows.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read the table, infer the task, and write options with trade-offs to plan.yaml."""
    from mlagent.gateway.meter import Caps
    from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here

    flags = PlanFlags(
        sentence=task,
        data=data,
        target=target,
        metric=metric,
        positive=positive,
        ids=tuple(id_ or ()),
        group=group,
        time=time,
        exclude=tuple(exclude or ()),
        constraints=tuple(constraint or ()),
        budget=budget,
        seed=seed,
        author=author,
        caps=Caps(usd=max_usd, tokens=max_tokens, calls=max_calls),
        share_rows=share_rows,
    )
    ask = _ask if sys.stdin.isatty() and sys.stdout.isatty() and not as_json else None
    made, path, moved = make_plan_here(
        Path.cwd(), flags, ask, lambda sentence: typer.echo(sentence, err=True)
    )
    if as_json:
        print_json(made)
        return
    show_plan(made)
    out = console()
    if moved is not None:
        out.print(f"The plan that was here is now {moved.relative_to(Path.cwd())}.", style="dim")
    out.print(
        f"\nWritten: {path.name}  (edit `selection`, `columns.exclude`, `budget` as you like)"
    )
    if made.data is None:
        out.print("Next: put a table here, then plan again with --data FILE.")
    else:
        out.print("Next: mlagent execute")


def _ask(question: Any) -> str | None:
    out = console()
    out.print(question.sentence)
    for index, name in enumerate(question.candidates, start=1):
        out.print(f"  {index}. {name}")
    answer = typer.prompt("Number or name (empty to stop)", default="", show_default=False).strip()
    if answer.isdigit() and 1 <= int(answer) <= len(question.candidates):
        return str(question.candidates[int(answer) - 1])
    return answer or None


def show_plan(made: Plan) -> None:
    """The plan as tables: what was inferred, options with trade-offs, the review."""
    from rich.text import Text

    from mlagent.data.find import SHOWN, unread_tables
    from mlagent.data.sniff import WHAT_IS_READ

    out = console()
    task = made.task
    if made.data is not None:
        out.print(
            f"{made.data.path}: {counted(made.data.rows, 'row')}, "
            f"{counted(len(made.data.columns), 'column')} "
            f"({made.data.format})"
        )
        for note in made.data.notes:
            out.print(f"  {note}", style="dim")
        out.print(f"Task: {task.kind}, target {task.target!r}, metric {task.metric}")
    else:
        out.print("No table here: a plan from words alone, with its assumptions as conditions.")
        if unread := unread_tables(Path.cwd()):
            more = f" and {len(unread) - SHOWN} more" if len(unread) > SHOWN else ""
            named = ", ".join(map(repr, unread[:SHOWN]))
            out.print(f"Seen and not read: {named}{more}. {WHAT_IS_READ}")
    for item in task.inferred:
        if item.confidence != "given":
            out.print(f"  {item.field} = {item.value} ({item.confidence}): {item.how}", style="dim")
    for refused in made.routing.refused:
        where = f" -> {refused.delegate_to}" if refused.delegate_to else ""
        out.print(f"Not done here: {refused.what}{where}. {refused.why}", style="yellow")
    for role, agent_plan in made.agent_plans.items():
        out.print(Text(f"\n{role}", style="bold"))
        for name, option in agent_plan.implementation_options.items():
            chosen = made.selection.get(role) == name
            out.print(
                Text.assemble(
                    "* " if chosen else "  ",
                    (name, "bold cyan" if chosen else "cyan"),
                    f"  {option.approach}  ",
                    (f"[{hours(option.time_estimate_hours)}, {option.complexity}]", "dim"),
                )
            )
            for mark, style, lines in (("+", "green", option.pros), ("-", "red", option.cons)):
                for line in lines[:3]:
                    out.print(indented(out, Text.assemble((mark, style), " ", line), 6))
        out.print(Text(f"  why: {agent_plan.recommendation.rationale}", style="dim"))
        for condition in agent_plan.recommendation.conditions:
            out.print(Text(f"  condition: {condition}", style="dim"))
        for question in agent_plan.questions_for_review:
            out.print(Text(f"  question: {question}", style="dim"))
    out.print()
    review = made.review
    style = {"go": "green", "conditional-go": "yellow", "no-go": "red"}[review.decision]
    out.print(Text(f"Review: {review.decision}. {' '.join(review.reasons)}", style=style))
    for conflict in review.conflicts:
        out.print(
            Text(f"  {conflict.kind} ({conflict.severity}): {conflict.what} {conflict.resolution}")
        )
    for warning in review.warnings:
        out.print(Text(f"  warning: {warning}", style="dim"))


def hours(value: float) -> str:
    """0.004 h as '14s', 0.05 h as '3m', 2 h as '2.0h'."""
    seconds = value * 3600
    if seconds < 90:
        return f"{seconds:.0f}s"
    if seconds < 5400:
        return f"{seconds / 60:.0f}m"
    return f"{value:.1f}h"
