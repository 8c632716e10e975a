"""Which run is the base: named by id, or the latest one made at the base commit.

Guarantees: a run stands for a commit only when it was made at exactly that commit, without
uncommitted changes; of several, one with the head's budget is taken before a later one; when there
is none, the sentence says what was looked for. Starts nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlagent.contracts.errors import BadInput, MlagentError, PrerequisiteMissing
from mlagent.contracts.run import Environment
from mlagent.store.runs import RunFolder, Runs

from .base_ref import Repository
from .run_facts import RunFacts, read_run

RUN_ID = re.compile(r"\d{8}(-[\d-]*)?")


@dataclass(frozen=True)
class Base:
    """What the head is held against.

    Attributes:
        facts: None when the base was not evaluated; `why` says so.
        commit: whose settings and gates hold; None outside of git.
    """

    facts: RunFacts | None
    why: str
    commit: str | None
    merge_base: str | None


def find_base(
    folder: Path,
    head: RunFacts,
    repository: Repository | None,
    *,
    said: str | None,
    event_base: str | None,
) -> Base:
    """The base of a pull request.

    Args:
        said: `--base`: a run or a git name; None: the event's base commit.
        event_base: the base commit that GitHub named.

    Raises:
        BadInput: `said` is neither a run nor a commit, or that run cannot be used.
        PrerequisiteMissing: the event's base commit is not in this clone.
    """
    run, commit = None, None
    if said is not None:
        run = _named_run(folder, said)
        commit = repository.commit(said) if run is None and repository is not None else None
        if run is None and commit is None:
            raise _no_base(said, repository)
        if run is not None and run.path.resolve() == head.run.path.resolve():
            raise BadInput(
                f"--base {said!r} is the head's own run {head.run.id}.",
                remedy="Name the base's run, or the head's with --run; `mlagent runs` lists them.",
            )
    if event_base is not None:
        named = repository.commit(event_base) if repository is not None else None
        if named is None:
            raise PrerequisiteMissing(
                f"The base commit {event_base[:7]} is not in this clone, so its gates are unknown.",
                remedy="Check out with the whole history: actions/checkout with fetch-depth: 0.",
            )
        commit = named
    if run is not None:
        facts = read_run(run)
        own = facts.environment.git_commit
        if commit is None and repository is not None and own is not None:
            commit = repository.commit(own)
        return Base(facts, "", commit, _merge_base(repository, commit, head))
    if commit is None or repository is None:
        why = "no base was named; give --base RUN or --base REF."
        return Base(None, why, None, None)
    return _by_commit(repository, commit, head)


def _no_base(said: str, repository: Repository | None) -> BadInput:
    """Why a `--base` stands for nothing."""
    what = "a commit of this repository"
    remedy = "`mlagent runs` lists runs; `git fetch` brings a branch."
    if repository is None:
        what, remedy = "a commit: this folder is in no git repository", "`mlagent runs` lists runs."
    elif repository.commit("HEAD") is None:
        what = "a commit: this repository has none yet"
        remedy = "`mlagent runs` lists runs; commit plan.yaml first."
    return BadInput(f"--base {said!r} is neither a run here nor {what}.", remedy=remedy)


def _named_run(folder: Path, said: str) -> RunFolder | None:
    """A run by path, id or the beginning of an id with its whole date; None for other names."""
    if not RUN_ID.fullmatch(said) and not (Path(said) / "journal.jsonl").is_file():
        return None
    try:
        return Runs(folder / "runs").find(said)
    except BadInput:
        if RUN_ID.fullmatch(said):
            raise
        return None


def _merge_base(repository: Repository | None, commit: str | None, head: RunFacts) -> str | None:
    own = head.environment.git_commit
    if repository is None or commit is None or own is None:
        return None
    return repository.merge_base(commit, own)


def _by_commit(repository: Repository, commit: str, head: RunFacts) -> Base:
    """The run of the merge base; for GitHub's test merge, whose parent the base is, of the base."""
    own = head.environment.git_commit
    merge_base = _merge_base(repository, commit, head)
    wanted = [commit] if own is not None and commit in repository.parents(own) else []
    wanted += [one for one in (merge_base, commit) if one is not None and one not in wanted]
    dirty = ""
    runs = sorted(_runs_of(repository), key=lambda run: not _has_budget(run, head))  # stable
    for name in wanted:
        for run in runs:
            environment = _environment(run)
            if environment is None or environment.git_commit != name or run.id == head.run.id:
                continue
            if environment.git_dirty:
                dirty = f" (run {run.id} was made there with uncommitted changes)"
                continue
            try:
                return Base(read_run(run), "", commit, merge_base)
            except MlagentError as problem:
                dirty = f" ({problem.message})"
    names = " or ".join(name[:7] for name in wanted)
    return Base(None, f"no finished run of commit {names} is here{dirty}.", commit, merge_base)


def _runs_of(repository: Repository) -> list[RunFolder]:
    """Finished runs of every working tree of the repository, newest first."""
    found = [
        run
        for folder in repository.folders()
        for run in Runs(folder / "runs").all()
        if run.finished
    ]
    return sorted(found, key=lambda run: run.id, reverse=True)


def _has_budget(run: RunFolder, head: RunFacts) -> bool:
    """Whether the run had the head's budget: only such a one says what the change does."""
    try:
        return run.manifest().budget_s == head.manifest.budget_s
    except MlagentError:
        return False


def _environment(run: RunFolder) -> Environment | None:
    try:
        return run.read("environment.json", Environment)
    except BadInput:
        return None
