"""What a pull request changes in the data: the base's spread against the head's table.

Guarantees: equal sha256 is "the same file" and nothing is read; the head's table is counted only
when it is the file that the head's run was made on. The base's spread comes from its run folder,
or, when there is none, from the file that the base commit holds.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mlagent.contracts.drift import DataDifference, Distributions
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import ColumnChoice, Plan
from mlagent.contracts.task import DataRef
from mlagent.data.door import Table, open_table
from mlagent.data.drift import clip, difference, spread_like, spread_of
from mlagent.data.wire import TypedTable, ingest
from mlagent.documents import read_record

from .base_ref import PLAN, Repository
from .run_facts import RunFacts

MOST_BYTES = 200_000_000
"""A larger table at the base commit is not read out of git."""
_LFS = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n"
)
"""What git holds in the place of a file that Git LFS keeps: git-lfs/docs/spec.md."""


def data_difference(
    folder: Path,
    head: RunFacts,
    base: RunFacts | None,
    repository: Repository | None,
    commit: str | None,
) -> DataDifference:
    """Schema, rows and PSI of each column.

    Args:
        folder: of the project, where the head's table lies.
        commit: of the base, for a base without a run.
    """
    assert head.plan.data is not None
    rows = head.plan.data.rows
    plan, spread, why = _reference(base, repository, commit, head.manifest.data_sha256)
    if spread is None:
        return DataDifference(same_file=False, rows_after=rows, not_measured=why)
    if spread.data_sha256 == head.manifest.data_sha256:
        return DataDifference(same_file=True, rows_before=spread.rows, rows_after=rows)
    assert plan is not None
    types = {} if head.spread is None else {one.name: one for one in head.spread.columns}
    names = head.plan.data.columns
    schema = difference(
        spread,
        Distributions(data_sha256=head.manifest.data_sha256, rows=rows, counted_rows=0, columns=()),
        names_after=names,
        types_after=types,
    )
    path = folder / head.plan.data.path
    try:
        with open_table(path, minimum_rows=1) as table:
            after = _counted_like(spread, plan, table, head)
    except BadInput as problem:
        return schema.model_copy(update={"not_measured": clip(problem.message, 1000)})
    return difference(spread, after, rows_after=rows, names_after=names, types_after=types)


def _counted_like(spread: Distributions, plan: Plan, table: Table, head: RunFacts) -> Distributions:
    """The head's table in the base's bins. Raises BadInput when it is another file."""
    if table.ref.sha256 != head.manifest.data_sha256:
        raise BadInput(f"{Path(table.ref.path).name!r} is not the file of run {head.run.id}.")
    with _typed(plan, table) as (typed, columns):
        return spread_like(spread, typed, columns, table.ref.sha256)


@contextmanager
def _typed(plan: Plan, table: Table) -> Iterator[tuple[TypedTable, dict[str, ColumnChoice]]]:
    """The table as this plan reads it; columns that it lacks are left out.

    Raises:
        BadInput: it has none of them.
    """
    columns = {name: one for name, one in plan.columns.found.items() if name in table.names}
    if not columns:
        raise BadInput(
            f"{Path(table.ref.path).name!r} has none of the columns that the base's plan names."
        )
    target = plan.task.target if plan.task.target in columns else None
    task = plan.task.model_copy(update={"target": target})
    with (
        tempfile.TemporaryDirectory(prefix="mlagent-spread-") as name,
        ingest(table, columns, task, Path(name) / "typed.parquet") as typed,
    ):
        yield typed, columns


class _Reference(NamedTuple):
    """How the base's table is read and spread, or the sentence why that is not known."""

    plan: Plan | None
    spread: Distributions | None
    why: str


def _reference(
    base: RunFacts | None, repository: Repository | None, commit: str | None, head_sha256: str
) -> _Reference:
    if base is not None and base.spread is not None:
        return _Reference(base.plan, base.spread, "")
    if repository is None or commit is None:
        why = "The base's run holds no distributions.json." if base else "There is no base run."
        return _Reference(None, None, why)
    raw = repository.read(commit, PLAN)
    if raw is None:
        return _Reference(None, None, f"There is no {PLAN} at {commit[:7]} and no base run.")
    plan = read_record(Plan, raw.decode("utf-8", "replace"), f"{PLAN} at {commit[:7]}")
    if plan.data is None or Path(plan.data.path).is_absolute():
        return _Reference(None, None, f"The plan at {commit[:7]} names no table in the repository.")
    data = repository.read(commit, plan.data.path, MOST_BYTES)
    if data is None:
        return _Reference(None, None, f"The table is not in git at {commit[:7]}; no base run.")
    return _from_git(plan, plan.data, data, head_sha256)


def _from_git(plan: Plan, ref: DataRef, data: bytes, head_sha256: str) -> _Reference:
    """The spread of a file that git holds, read as the plan beside it says."""
    pointer = _LFS.match(data)
    sha256 = pointer[1].decode() if pointer else hashlib.sha256(data).hexdigest()
    if sha256 == head_sha256:  # nothing to count
        spread = Distributions(data_sha256=sha256, rows=ref.rows, counted_rows=0, columns=())
        return _Reference(plan, spread, "")
    if pointer:
        why = f"The base's table {ref.path!r} is a Git LFS pointer; git does not hold its content."
        return _Reference(None, None, clip(why, 1000))
    with tempfile.TemporaryDirectory(prefix="mlagent-base-") as name:
        file = Path(name) / f"table.{ref.format}"
        file.write_bytes(data)
        try:
            with open_table(file) as table, _typed(plan, table) as (typed, columns):
                return _Reference(plan, spread_of(typed, columns, sha256), "")
        except BadInput as problem:
            said = problem.message.replace(f"{name}/", "")
            return _Reference(None, None, clip(f"The base's table: {said}", 1000))
