"""The report of a pull request, built from two run folders and the base commit.

Guarantees: numbers are measured or read from records, never from words of a candidate; what is
missing has its sentence. Starts nothing, writes nothing, knows nothing of GitHub but the event.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from mlagent import __version__
from mlagent.contracts.errors import BadInput
from mlagent.contracts.pr_report import MOST_SUSPECTS, PrGate, PrReport
from mlagent.data.drift import clip
from mlagent.documents import load_json
from mlagent.store.project import Project

from .base_ref import Repository, policy_at, policy_here
from .base_run import Base, find_base
from .comparing import compare, worst_slices
from .data_change import data_difference
from .foreign import ForeignReport
from .gating import decide_gates, rails_of
from .run_facts import (
    LONGEST,
    RunFacts,
    cost_of,
    curve_of,
    plan_rows,
    read_run,
    reproduce_of,
    side_of,
)
from .workflow_event import Event

MOST_BYTES = 1_000_000


def build_report(folder: Path, run: str | None, base: str | None, event: Event | None) -> PrReport:
    """The report of a run against its base.

    Args:
        folder: of the project.
        run: the head's run; None: the latest.
        base: a run or a git name; None: the event's base.
        event: of GitHub Actions; None outside.

    Raises:
        BadInput: a run, a ref or a file of the base cannot be used.
        PrerequisiteMissing: git, or the base commit, is absent.
    """
    head = read_run(Project(folder).runs.find(run))
    repository = open_repository(folder, needed=event is not None)
    try:
        found = find_base(
            folder,
            head,
            repository,
            said=base,
            event_base=_event_base(head, repository, event),
        )
        return _report(folder, head, found, repository, event)
    finally:
        if repository is not None:
            repository.close()


def open_repository(folder: Path, *, needed: bool) -> Repository | None:
    """The repository around the folder; None outside of one, unless it is needed."""
    try:
        return Repository(folder)
    except BadInput:
        if needed:
            raise
        return None


def _report(
    folder: Path, head: RunFacts, base: Base, repository: Repository | None, event: Event | None
) -> PrReport:
    if repository is not None and base.commit is not None:
        policy = policy_at(repository, base.commit, content_override())
    else:
        policy = policy_here(folder, head.task)
    compared = compare(head, base.facts, base.why, policy.settings)
    gates = decide_gates(policy, head, base.facts, compared)
    if stale := _other_commit(head, repository, event):
        gates = tuple(_unmeasured(gate, stale) for gate in gates)
    assert head.task.kind is not None
    other = base.facts
    return PrReport(
        mlagent=__version__,
        task=clip(head.task.description, LONGEST),
        kind=head.task.kind,
        head_commit=head.environment.git_commit if event is None else event.head_sha,
        base_commit=base.commit,
        merge_base=base.merge_base,
        policy_commit=policy.commit,
        head=side_of(head),
        base=None if other is None else side_of(other),
        standing=compared.standing,
        reason=compared.reason,
        rows=compared.rows,
        metrics=compared.metrics,
        gates=gates,
        rails=rails_of(head, other),
        slices=worst_slices(head, other, compared.standing),
        data=data_difference(folder, head, other, repository, base.commit),
        head_curve=curve_of(head.evaluation),
        base_curve=None if other is None else curve_of(other.evaluation),
        plan=plan_rows(head, other),
        cost=cost_of(head, other),
        reproduce=reproduce_of(head).model_copy(
            update={"merged": _merged(head, repository, event)}
        ),
        suspects=_suspects(head),
        base_suspects=None if other is None else _suspects(other),
        notes=((stale,) if stale else ()) + _notes(head, base, policy.commit),
    )


def content_override() -> Path | None:
    """The `--content` folder of this command, or None."""
    said = os.environ.get("MLAGENT_CONTENT")
    return Path(said) if said else None


def _event_base(head: RunFacts, repository: Repository | None, event: Event | None) -> str | None:
    """The base commit of a pull request. `pull_request.base.sha` is the base branch as it was at
    the last push to the pull request; a run at GitHub's test merge holds what came after, too."""
    return None if event is None else _merged(head, repository, event) or event.base_sha


def _other_commit(head: RunFacts, repository: Repository | None, event: Event | None) -> str:
    """A sentence when the run is of another commit than the one that is judged: its numbers say
    nothing of that. '' when it is the same, or nobody knows."""
    own = head.environment.git_commit
    here = None if repository is None else repository.commit("HEAD")
    known = (here,) if event is None else (event.head_sha, event.merge_sha)
    judged = known[0]
    if own is None or judged is None or own in known:
        return ""
    return (
        f"The run was made at {own[:7]}, not at the head {judged[:7]}, so no gate is measured. "
        "Run `mlagent execute` there."
    )


def _merged(head: RunFacts, repository: Repository | None, event: Event | None) -> str | None:
    """What GitHub's test merge merges the head with, for a run that was made there."""
    own = head.environment.git_commit
    if event is None or repository is None or own is None or own != event.merge_sha:
        return None
    parents = [one for one in repository.parents(own) if one != event.head_sha]
    return parents[0] if own != event.head_sha and len(parents) == 1 else None


def _suspects(facts: RunFacts) -> tuple[str, ...]:
    return tuple(clip(name) for name in facts.evaluation.suspects[:MOST_SUSPECTS])


def _unmeasured(gate: PrGate, why: str) -> PrGate:
    """The gate without a number."""
    nothing = {"value": None, "low": None, "high": None, "outcome": "not measured"}
    return gate.model_copy(update={**nothing, "evidence": clip(why, LONGEST)})


def _notes(head: RunFacts, base: Base, policy: str | None) -> tuple[str, ...]:
    """What a reader must know of the runs."""
    said: list[str] = []
    if policy is None:
        said.append("Settings and gates are the working folder's own: no base commit is known.")
    if head.environment.git_dirty:
        said.append("The head's run was made with uncommitted changes.")
    if base.facts is not None:
        other = base.facts
        if other.environment.git_dirty:
            said.append("The base's run was made with uncommitted changes.")
        if other.manifest.tier != head.manifest.tier:
            said.append(
                f"The base ran at tier {other.manifest.tier}, the head at {head.manifest.tier}."
            )
    if head.evaluation.judged_on == "out-of-fold":
        said.append("There is no vault: scores are out-of-fold, of the recipe.")
    elif head.evaluation.seal.opening > 1:
        said.append(
            f"The head is opening {head.evaluation.seal.opening} of its vault: each look wears it."
        )
    return tuple(said)


def read_report(file: Path) -> ForeignReport:
    """A report that another job wrote: hostile until it validates, its gates unchecked.

    Raises:
        BadInput: no plain file, over 1 MB, not strict JSON, or not such a record.
    """
    name = repr(file.name or str(file))
    if file.is_symlink() or not file.is_file():
        raise BadInput(f"{name} is not a plain file.", remedy="Download the report's artifact.")
    if file.stat().st_size > MOST_BYTES:
        raise BadInput(
            f"{name} has {file.stat().st_size:,} bytes; a report has at most {MOST_BYTES:,}.",
            remedy="It was not written by `mlagent pr-comment`.",
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{name} is not UTF-8.") from None
    load_json(text, name)  # strict: no NaN, no duplicate key, no deep nest
    try:
        return ForeignReport.model_validate_json(text, strict=True)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the record"
        raise BadInput(
            f"{name} is no mlagent/pr-report/v1: {where}: {first['msg']}.",
            remedy="Both jobs need the same version of mlagent.",
        ) from None
