"""Tools before a run: profile a table, plan, review a plan, read a contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from mlagent.agents.registry import explain, load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Plan
from mlagent.contracts.profile import ColumnProfile
from mlagent.orchestrator.requesting import check_data
from mlagent.settings import read_settings

from .answers import (
    ClauseLine,
    Column,
    ContractAnswer,
    PlanAnswer,
    ProfileAnswer,
    ReviewAnswer,
)
from .calls import Cursor, Folder, Limit, Style, Where, about, answer, more
from .paging import LIMIT, clip, clipped, page
from .plan_answers import (
    NAME,
    SENTENCE,
    agent_line,
    column_detail,
    plan_lines,
    review_facts,
    verdict_line,
)
from .roots import Place, real_path
from .wording import in_words

SHOWN = 12
Table = Annotated[
    str | None,
    Field(description="CSV, Parquet or JSON Lines file. Default: mlagent.yaml, or the only one."),
]


def table_of(place: Place, data: str | None) -> Path | None:
    """The table that is meant, checked to lie inside the roots. Raises BadInput."""
    from mlagent.data.find import find_table

    if data is not None:
        return named_table(place, data)
    if configured := read_settings(place.folder).data:
        real_path(place.folder / configured, "table of mlagent.yaml")  # raises for no usable name
        found = find_table(place.folder, None, configured)
        return None if found is None else place.table(found, "table")
    offered, barred = tables_here(place)
    if len(offered) > 1:
        raise BadInput(
            f"Several files here could be the table: {shown(offered)}.",
            remedy=f'Choose one, for example: data="{offered[0].name}"',
        )
    if barred and not offered:
        place.table(barred[0], "table")  # raises: why the only one is none for this client
    return offered[0] if offered else None


def named_table(place: Place, data: str) -> Path:
    """The table that `data` names. Raises BadInput."""
    offered, _ = tables_here(place)
    here = f"Tables here: {shown(offered)}." if offered else "There is no table in the folder."
    if not data.strip():
        raise BadInput(
            f"`data` is an empty text. {here}", remedy="Name a table, or leave `data` out."
        )
    if "://" in data:
        raise BadInput(
            f"{clip(data, SENTENCE)!r} is an address; only local files are read.",
            remedy="Download it first, then name the file.",
        )
    path = place.table(data, "table")
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise BadInput(f"The table {clip(data, SENTENCE)!r} {kind}.", remedy=here)
    return path


def tables_here(place: Place) -> tuple[list[Path], list[Path]]:
    """Files that could be the table: those that this client may name, and the others."""
    from mlagent.data.find import find_table

    offered: list[Path] = []
    barred: list[Path] = []

    def sort(path: Path) -> bool:
        if not place.project.is_output(path):
            (offered if place.may_be_table(path) else barred).append(path)
        return True

    find_table(place.folder, ours=sort)
    return offered, barred


def shown(paths: list[Path]) -> str:
    """The names, for a sentence."""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(repr(clip(path.name, NAME)) for path in paths[:SHOWN]) + more


def mlagent_profile(
    place: Where,
    data: Table = None,
    target: Annotated[str | None, Field(description="Column to be predicted, if known.")] = None,
    folder: Folder = None,
    response_format: Style = "concise",
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Annotated[CallToolResult, ProfileAnswer]:
    """Look at a table before planning: rows, and for each column its role, type, missing share and
    number of distinct values. Aggregates only: a cell's value is shown only when it is a category
    that occurs at least 10 times. Changes nothing."""
    from mlagent.data.door import open_table
    from mlagent.data.profile import profile_table

    path = table_of(place, data)
    if path is None:
        raise BadInput(
            f"There is no table in {str(place.folder)!r}.", remedy="Name one with `data`."
        )
    with open_table(path) as table:
        found, ref = profile_table(table, target=target), table.ref

    def row(column: ColumnProfile) -> Column:
        return Column(
            name=clip(column.name, NAME),
            role=column.role,
            dtype=column.dtype,
            missing=round(column.missing / max(1, found.rows), 4),
            distinct=column.distinct,
            detail=column_detail(column) if response_format == "detailed" else None,
        )

    columns, following = page(found.columns, row, limit=limit, cursor=cursor, style=response_format)
    record = ProfileAnswer(
        **about(place),
        total=len(found.columns),
        next_cursor=following,
        table=place.shown(path),
        format=ref.format,
        rows=found.rows,
        duplicate_rows=found.duplicate_rows,
        notes=clipped(map(in_words, (*ref.notes, *found.notes)), 5, SENTENCE),
        columns=columns,
    )
    listed = ", ".join(f"{column.name} ({column.role})" for column in columns)
    return answer(
        record,
        f"{record.table}: {record.rows:,} rows, {record.total} columns.",
        f"Columns on this page: {clip(listed, 1200)}",
        more(following),
    )


def mlagent_plan(
    place: Where,
    task: Annotated[str, Field(description='What is wanted, in a sentence: "churn model".')],
    data: Table = None,
    target: Annotated[str | None, Field(description="The column to predict.")] = None,
    metric: Annotated[str | None, Field(description="Such as roc_auc, log_loss, rmse.")] = None,
    positive: Annotated[str | None, Field(description="Positive class, as in the file.")] = None,
    ids: Annotated[list[str] | None, Field(description="Id columns.")] = None,
    group: Annotated[str | None, Field(description="Rows of one group stay together.")] = None,
    time: Annotated[str | None, Field(description="Train on the past, judge the latest.")] = None,
    exclude: Annotated[list[str] | None, Field(description="Columns to leave out.")] = None,
    constraints: Annotated[
        list[str] | None,
        Field(description="interpretable, max_latency_ms=, max_model_mb=, monotone=COLUMN:+"),
    ] = None,
    budget: Annotated[str | None, Field(description="Of the run: 60s, 5m (default), 1h.")] = None,
    seed: Annotated[int, Field(ge=0)] = 0,
    folder: Folder = None,
    response_format: Style = "concise",
) -> Annotated[CallToolResult, PlanAnswer]:
    """Make a plan: infer target, task and metric, let three agents (data-explorer,
    statistical-analyst, ml-engineer) propose two or three options each, and review how the
    recommended ones fit together. Writes plan.yaml; a plan that was there moves to plans/. Trains
    nothing. Show the options to the user before mlagent_run. detailed adds pros, cons, risks."""
    from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here

    flags = PlanFlags(
        sentence=task,
        data=table_of(place, data),
        target=target,
        metric=metric,
        positive=positive,
        ids=tuple(ids or ()),
        group=group,
        time=time,
        exclude=tuple(exclude or ()),
        constraints=tuple(constraints or ()),
        budget=budget,
        seed=seed,
    )
    made, path, moved = make_plan_here(place.folder, flags, None)
    detailed = response_format == "detailed"
    spec = made.task
    record = PlanAnswer(
        **about(place),
        **review_facts(made.review, made),
        plan=place.shown(path),
        moved=None if moved is None else place.shown(moved),
        table=None if made.data is None else clip(made.data.path, SENTENCE),
        kind=spec.kind,
        target=spec.target,
        metric=spec.metric,
        inferred=clipped(
            (
                f"{item.field} = {item.value} ({item.confidence}): {in_words(item.how)}"
                for item in spec.inferred
                if item.confidence != "given"
            ),
            6,
            160,
        ),
        refused=clipped(
            (f"{item.what}: {in_words(item.why)}" for item in made.routing.refused), 4, SENTENCE
        ),
        agents=tuple(
            agent_line(agent, plan, made.selection.get(agent), detailed=detailed)
            for agent, plan in made.agent_plans.items()
        ),
    )
    return answer(record, *plan_lines(record))


def mlagent_review_plan(
    place: Where,
    plan: Annotated[str | None, Field(description="Default: plan.yaml.")] = None,
    folder: Folder = None,
    response_format: Style = "concise",
) -> Annotated[CallToolResult, ReviewAnswer]:
    """Review a plan as it now stands, after edits: conflicts between the selected options, the
    budget and the contracts; the estimate; go, no-go or conditional-go. Computed in code, changes
    nothing. mlagent_run refuses a no-go unless it is forced."""
    from mlagent.orchestrator.plan_flow import PLAN_FILE
    from mlagent.orchestrator.planning import load_policies, read_plan, review_again
    from mlagent.orchestrator.wiring import planned_packages

    path = place.inside(plan or PLAN_FILE, "plan")
    if path.suffix not in (".yaml", ".yml") or path.name.startswith("."):
        raise BadInput(  # a refusal quotes what the file holds
            f"{clip(str(plan), SENTENCE)!r} is no plan: a plan is a YAML file.",
            remedy="Leave `plan` out for plan.yaml, or name a file of plans/.",
        )
    found, content = read_plan(path), Content()
    review = review_again(
        found, load_contracts(content), load_policies(content), packages=planned_packages()
    )
    phases = [
        f"{phase.name} ({phase.mode}): "
        + ", ".join(f"{item.agent} {item.option}" for item in phase.tasks)
        for phase in review.refined_execution_plan
    ]
    facts = review_facts(review, found)
    if barred := why_no_table(place, found):
        facts |= {"decision": "no-go", "reasons": (clip(in_words(barred), 2 * SENTENCE),)}
    record = ReviewAnswer(
        **about(place),
        **facts,
        plan=place.shown(path),
        selection={str(agent): option for agent, option in found.selection.items()},
        phases=clipped(phases, 12, SENTENCE) if response_format == "detailed" else None,
    )
    lines = [f"{item.kind} ({item.severity}): {item.what}" for item in record.conflicts]
    return answer(record, verdict_line(record), *(clip(line, 200) for line in lines))


def why_no_table(place: Place, plan: Plan) -> str:
    """Why mlagent_run would refuse the plan's table, forced or not; '' where it would not."""
    if plan.data is None:
        return ""
    try:
        place.table(plan.data.path, "table of the plan")
        check_data(place.folder, plan)
    except BadInput as problem:
        return str(problem)
    return ""


def mlagent_contract(
    agent: Annotated[
        str | None,
        Field(description="data-explorer, statistical-analyst or ml-engineer. Default: list them."),
    ] = None,
    response_format: Style = "concise",
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Annotated[CallToolResult, ContractAnswer]:
    """What binds an agent: each clause of its contract and where it is enforced; "advisory" is
    said. Without an agent: the list of agents. detailed gives long clauses whole. The file itself
    is the resource mlagent://contracts/{agent}. Changes nothing."""
    most = 2000 if response_format == "detailed" else SENTENCE
    contracts = {str(role): item for role, item in load_contracts(Content()).items()}
    roles = {role: clip(item.role, most) for role, item in contracts.items()}
    if agent is None:
        record = ContractAnswer(agents=roles)
        return answer(record, *(f"{role}: {words}" for role, words in roles.items()))
    if agent not in contracts:
        raise BadInput(f"There is no agent {clip(agent, NAME)!r}.", remedy=f"Known: {known(roles)}")

    def row(item: tuple[str, str, str]) -> ClauseLine:
        clause, value, enforced = item
        return ClauseLine(clause=clause, value=clip(value, most), enforced_by=enforced)

    every = explain(contracts[agent])
    clauses, following = page(every, row, limit=limit, cursor=cursor, style=response_format)
    record = ContractAnswer(
        agents={agent: roles[agent]},
        agent=agent,
        version=contracts[agent].version,
        total=len(every),
        next_cursor=following,
        clauses=clauses,
    )
    return answer(
        record,
        f"{agent} {record.version}: {record.total} clauses, {len(clauses)} on this page.",
        more(following),
    )


def known(names: dict[str, str]) -> str:
    """The names, for a remedy."""
    return f"{', '.join(names)}."
