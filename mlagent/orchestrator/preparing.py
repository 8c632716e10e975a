"""The first phases: read the table, seal the vault, let explorer and analyst look at dev rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from mlagent.agents.data_explorer import explore
from mlagent.agents.ml_engineer import rounds
from mlagent.agents.statistical_analyst import analyse
from mlagent.contracts.errors import BadInput
from mlagent.contracts.findings import Analysis, Exploration, ValidationPlan
from mlagent.contracts.plan import ColumnChoice
from mlagent.contracts.task import TaskSpec
from mlagent.contracts.words import counted
from mlagent.data.door import Table, open_table
from mlagent.data.drift import spread_of
from mlagent.data.frames import concatenate
from mlagent.data.holdout import check_holdout
from mlagent.data.target import check_defined, check_size
from mlagent.data.wire import TypedTable, infinite_cells, ingest
from mlagent.referee.power import detectable_difference
from mlagent.referee.seal import Kind
from mlagent.referee.split import (
    dev_rows,
    draw_seal,
    fold_count,
    make_folds,
    seal_from_test_file,
)

from .rows import RunTable
from .state import Bench, State

LEAST_WALL_S = 40.0
"""Of a job of explorer or analyst, whatever the budget: a machine that stands still for a while
ends no run."""
LEAST_FOLD_S = 2.0
"""Folds are not repeated when each fit would get less: a starved candidate is judged below its
worth."""
BESIDE_S = 3.5
"""What containers and baselines usually take of the folds' share."""
VALIDATION_PLAN = "artifacts/statistical-analyst/validation_plan.json"
SKIPPED_ROLES = {"id", "constant", "excluded", "target"}


def prepare_table(bench: Bench, state: State) -> None:
    """Read the data once, typed; drop rows without a target and say so."""
    plan, task = state.request.plan, state.task
    assert plan.data is not None
    columns = chosen_columns(state)
    path = bench.project.folder / plan.data.path
    with open_table(path) as table:
        typed = ingest(table, columns, task, bench.desk.scratch / "table.parquet")
        infinite = _infinite_targets(table, columns, task)
    bench.run.write("distributions.json", spread_of(typed, columns, plan.data.sha256))
    if state.request.test is not None:
        typed, more = _with_test_rows(bench, state, typed, columns)
        infinite += more
    state.features = tuple(
        name
        for name in plan.data.columns
        if name in columns
        and name != task.target
        and (columns[name].role not in SKIPPED_ROLES or name in (task.group, task.time))
    )
    if not state.features:
        raise BadInput(
            f"No column of {plan.data.path!r} is left as a feature: all are ids, constant or "
            "excluded.",
            remedy="Look at `columns` in plan.yaml: change a role or shorten columns.exclude.",
        )
    state.table = RunTable(typed, task, state.features)
    if task.kind == "regression" and state.table.y.size:
        y = state.table.y
        check_size(task.target or "", float(np.abs(y).max()))
        check_defined(task.target or "", task.metric, int((y == 0).sum()), int((y < 0).sum()))
    if state.table.without_target:
        note = (
            f"{counted(state.table.without_target, 'row')} without a value in {task.target!r} "
            f"{'was' if state.table.without_target == 1 else 'were'} left out"
        )
        note += f" ({infinite:,} of them are infinite)." if infinite else "."
        state.notes.append(note)
        bench.desk.progress.say(note)
    failed = {name: n for name, n in typed.failed.items() if n}
    _check_emptied(typed, failed, columns)
    bench.journal.append(
        "table.read", rows=typed.rows, usable=len(state.table.usable), failed_cells=failed
    )


def _check_emptied(
    typed: TypedTable, failed: Mapping[str, int], columns: Mapping[str, ColumnChoice]
) -> None:
    """Raise BadInput for a feature most of whose cells do not parse as the dtype of plan.yaml."""
    for name, filled in typed.filled(tuple(failed)).items():
        choice, lost = columns[name], failed[name]
        if choice.role not in SKIPPED_ROLES and lost > filled:
            raise BadInput(
                f"plan.yaml reads the column {name!r} as {choice.dtype}, but {lost:,} of its "
                f"{lost + filled:,} filled cells are none: they would all be missing.",
                remedy=f"Change columns.found -> {name} -> dtype (str takes every text), or add it "
                "to columns.exclude.",
            )


def _with_test_rows(
    bench: Bench, state: State, typed: TypedTable, columns: dict[str, ColumnChoice]
) -> tuple[TypedTable, int]:
    """`--test FILE`: its rows stand after the table's own and become the vault. `check_test` has
    looked at it before the run began. Also: how many of its targets are infinite."""
    path = state.request.test
    assert path is not None
    with open_table(path, minimum_rows=1) as table:
        here = {name: choice for name, choice in columns.items() if name in table.names}
        tests = ingest(table, here, state.task, bench.desk.scratch / "test.parquet")
        state.facts["test_sha256"] = table.ref.sha256
        infinite = _infinite_targets(table, here, state.task)
    with typed, tests:
        usable = tests.rows - len(tests.missing_target())
        state.facts["test_rows"] = usable
        return concatenate(typed, tests, bench.desk.scratch / "joined.parquet"), infinite


def _infinite_targets(table: Table, columns: Mapping[str, ColumnChoice], task: TaskSpec) -> int:
    """How many targets of a regression are infinite; they count as missing."""
    if task.kind != "regression" or task.target is None or task.target not in columns:
        return 0
    return infinite_cells(table, task.target, columns[task.target])


def check_test(state: State) -> None:
    """Raise BadInput when `--test FILE` cannot judge this table's models."""
    request = state.request
    if request.test is None:
        return
    assert request.plan.data is not None
    columns = chosen_columns(state)
    features = [name for name, choice in columns.items() if choice.role not in SKIPPED_ROLES]
    check_holdout(request.test, request.plan.data, columns, features, state.task)


def chosen_columns(state: State) -> dict[str, ColumnChoice]:
    """The plan's columns with what the user and the task take out marked."""
    plan, task = state.request.plan, state.task
    excluded = set(plan.columns.exclude)
    found: dict[str, ColumnChoice] = {}
    for name, choice in plan.columns.found.items():
        role = choice.role
        if name == task.target:
            role = "target"
        elif name in excluded:
            role = "excluded"
        elif name in task.id_columns or name == task.group:
            role = "id"
        found[name] = choice.model_copy(update={"role": role})
    return found


def seal_rows(bench: Bench, state: State) -> None:
    """Draw the vault, or take the one this data, split and seed already has."""
    table, request, task = state.table, state.request, state.task
    assert table is not None
    assert request.plan.data is not None
    columns = chosen_columns(state)
    keys = [name for name in state.features if columns[name].role not in SKIPPED_ROLES]
    facts = table.facts(keys or list(state.features))
    kind = split_kind(state)
    if request.test is not None:
        both = f"{request.plan.data.sha256} {state.facts['test_sha256']}"
        seal = seal_from_test_file(
            facts,
            test_rows=state.facts["test_rows"],
            kind=kind,
            group_name=task.group,
            time_name=task.time,
            seed=request.seed,
            data_sha256=table.sha256_with(sha256(both.encode()).hexdigest()),
            earlier=bench.project.seals(),
        )
    else:
        seal = draw_seal(
            facts,
            kind=kind,
            group_name=task.group,
            time_name=task.time,
            share="auto" if request.vault is None else request.vault,
            seed=request.seed,
            data_sha256=table.sha256_with(request.plan.data.sha256),
            earlier=bench.project.seals(),
        )
    bench.project.save_seal(seal)
    bench.run.write("seal.json", seal)
    state.seal = seal
    state.facts["row_facts"] = facts
    state.dev = np.asarray(dev_rows(seal, len(table.usable)))
    state.judged = np.asarray(seal.vault_rows, dtype=np.int64)
    state.notes.extend(note[:1].upper() + note[1:] for note in seal.notes)
    bench.journal.append(
        "sealed",
        seal=seal.id,
        kind=seal.kind,
        dev_rows=len(state.dev),
        vault_rows=len(state.judged),
        openings=seal.openings,
    )
    limit_rows(bench, state)
    state.dev_file = table.write_train(state.dev, bench.desk.scratch / "dev.parquet")


def split_kind(state: State) -> Kind:
    """The kind of split that the analyst's planning option stands for."""
    if state.task.time is not None:
        return "time"
    if state.task.group is not None:
        return "group"
    return "random" if state.task.kind == "regression" else "stratified"


def limit_rows(bench: Bench, state: State) -> None:
    """Referee rule 12: more data than the sandbox's memory holds means training on a sample,
    said."""
    bytes_per_row = (len(state.features) + 1) * 8 * 12
    most = int(bench.desk.memory_mb * 2**20 * 0.6 / bytes_per_row)
    if len(state.dev) <= most:
        return
    picked = np.random.default_rng(state.request.seed).choice(state.dev, most, replace=False)
    note = (
        f"Trained on a sample of {most:,} of {len(state.dev):,} dev rows: more does not fit into "
        f"{bench.desk.memory_mb:,} MB of sandbox memory."
    )
    state.dev = np.sort(picked)
    state.notes.append(note)
    bench.desk.progress.say(note)


def explore_rows(bench: Bench, state: State) -> None:
    """The data-explorer's turn; automatic exclusions take effect for everything after it."""
    assert state.dev_file is not None
    columns = chosen_columns(state)
    folder = artifacts(bench, "data-explorer")
    shares = bench.policies.execution.budget_shares
    if state.facts.get("resumed") and (folder / "exploration.json").exists():
        found = bench.run.read("artifacts/data-explorer/exploration.json", Exploration)
    else:
        found = explore(
            bench.desk,
            dev=state.dev_file,
            task=state.task,
            columns={name: columns[name] for name in state.features},
            option=state.request.selection["data-explorer"],
            into=folder,
            wall_s=max(LEAST_WALL_S, state.request.budget_s * shares.explore),
        )
        bench.run.write("artifacts/data-explorer/exploration.json", found)
        bench.run.write("artifacts/data-explorer/column_roles.json", found.roles)
        (folder / "result.json").unlink(missing_ok=True)
    state.exploration = found
    _stop_for_dependence(state, found)
    gone = set(found.roles.excluded) | {
        name
        for name, role in found.roles.columns.items()
        if role.role in SKIPPED_ROLES and name not in (state.task.group, state.task.time)
    }
    if gone & set(state.features):
        kept = tuple(name for name in state.features if name not in gone)
        if not kept:
            raise BadInput(
                "No feature is left: every column is constant, an id, or a copy of the target.",
                remedy="Look at the findings in the run folder's artifacts/data-explorer.",
            )
        state.features = kept
        assert state.table is not None
        state.table.features = kept
        state.dev_file = state.table.write_train(state.dev, bench.desk.scratch / "dev.parquet")
    for name, why in found.roles.excluded.items():
        bench.desk.progress.say(f"Column {name!r} was taken out: {why}")


def _stop_for_dependence(state: State, found: Exploration) -> None:
    """Referee rule 2: a group or time column found after sealing stops the run."""
    if found.group_column and state.task.group is None and state.task.time is None:
        raise BadInput(
            f"Rows depend on each other through {found.group_column!r}: a random split would leak.",
            remedy=f"Plan again with --group {found.group_column!r}, or take the column out with "
            f"--exclude {found.group_column!r} when you know better.",
        )
    if found.time_column and state.task.time is None and state.task.group is None:
        raise BadInput(
            f"The target drifts with {found.time_column!r}: a random split would be optimistic.",
            remedy=f"Plan again with --time {found.time_column!r}.",
        )


def analyse_rows(bench: Bench, state: State) -> None:
    """The statistical-analyst's turn; then the folds inside dev are drawn."""
    assert state.dev_file is not None
    assert state.exploration is not None
    assert state.table is not None
    assert state.seal is not None
    task = state.task
    folder = artifacts(bench, "statistical-analyst")
    shares = bench.policies.execution.budget_shares
    kind = state.seal.kind
    folds, repeats, why = folds_within(
        len(state.dev),
        state.seal.share,
        kind,
        lambda fits: fold_seconds(bench, state.request.budget_s, fits),
    )
    if (replayed := state.request.replay) is not None:
        before = replayed.read(VALIDATION_PLAN, ValidationPlan)
        folds, repeats, why = before.folds, before.repeats, before.why
    judged_rows = len(state.judged) or len(state.dev)
    spread = _base(state.table.y[state.dev], task.kind == "binary")
    proposed = ValidationPlan(
        kind=kind,
        group=task.group,
        time=task.time,
        folds=folds,
        repeats=repeats,
        why=why,
        detectable_difference=detectable_difference(
            task.metric or "", task.kind or "binary", judged_rows, spread
        ),
    )
    if state.facts.get("resumed") and (folder / "analysis.json").exists():
        found = bench.run.read("artifacts/statistical-analyst/analysis.json", Analysis)
    else:
        found = analyse(
            bench.desk,
            dev=state.dev_file,
            task=task,
            exploration=state.exploration,
            proposed=proposed,
            engineer_option=state.request.selection["ml-engineer"],
            option=state.request.selection["statistical-analyst"],
            into=folder,
            wall_s=max(LEAST_WALL_S, state.request.budget_s * shares.analyse),
        )
        bench.run.write("artifacts/statistical-analyst/analysis.json", found)
        bench.run.write(VALIDATION_PLAN, found.validation_plan)
        (folder / "result.json").unlink(missing_ok=True)
    if found.validation_plan.kind != kind:
        raise BadInput(
            f"The analyst's execution wants a {found.validation_plan.kind} split, but the vault "
            f"was sealed with a {kind} one.",
            remedy="Plan again with --group or --time.",
        )
    state.analysis = found
    state.validation = found.validation_plan
    facts = state.facts["row_facts"]
    state.folds = make_folds(
        facts.take(state.dev),
        found.validation_plan,
        state.request.seed,
        group_duplicates=state.seal.grouped_duplicates,
    )
    bench.journal.append("folds", shape=list(state.folds.shape))


def folds_within(
    rows: int, vault_share: float, kind: str, each: Callable[[int], float]
) -> tuple[int, int, str]:
    """(folds, repeats, why): referee rule 5, without repeats that the budget cannot feed.

    Args:
        rows: dev rows.
        each: seconds for one fit when there are so many.
    """
    folds, repeats = fold_count(rows, vault_share, kind)
    why = f"{rows:,} dev rows: {counted(folds, 'fold')} x {repeats}"
    seconds = each(folds * repeats)
    if repeats > 1 and seconds < LEAST_FOLD_S:
        why = (
            f"{rows:,} dev rows: {folds} folds, not repeated: {repeats} repeats would leave each "
            f"fit {seconds:.1f} s of the budget"
        )
        repeats = 1
    return folds, repeats, why


def fold_seconds(bench: Bench, budget_s: float, folds: int, spent_s: float = BESIDE_S) -> float:
    """Seconds for the fit of each fold: the folds' share of the budget without `spent_s`, for
    containers and baselines, and without a seventh for reading and predicting."""
    share = max(0.0, budget_s * bench.policies.execution.budget_shares.folds - spent_s)
    return max(0.5, share / rounds(folds, bench.desk.cpus) * 0.85)


def _base(y: np.ndarray, binary: bool) -> float:
    """Base rate of the positive class, or the standard deviation of the target."""
    return float(np.mean(y == 1)) if binary else float(np.std(y))


def artifacts(bench: Bench, agent: str) -> Path:
    """The run folder's artifacts/<agent>, made."""
    folder = bench.run.path / "artifacts" / agent
    folder.mkdir(parents=True, exist_ok=True)
    return folder
