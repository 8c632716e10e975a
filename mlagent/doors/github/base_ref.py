"""What holds for a pull request: settings, contracts and gates of the base commit, read from git.

Guarantees: nothing of the working tree decides: a pull request cannot loosen its own gate; only
plain files below 1 MB are read (no symbolic link, no submodule); a name from outside never becomes
an option of a git command. Does not: fetch, check out, or change anything in the repository.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.contract import Contract, QualityGate
from mlagent.contracts.errors import BadInput, MlagentError, PrerequisiteMissing
from mlagent.contracts.plan import Plan
from mlagent.contracts.task import TaskSpec
from mlagent.documents import read_record
from mlagent.orchestrator.judging import constraint_gates
from mlagent.settings import FILE, Settings, read_settings

T = TypeVar("T")
MOST_BYTES = 1_000_000
CONTENT_FOLDERS = ("contracts", "agents")
PLAN = "plan.yaml"


@dataclass(frozen=True)
class SourcedGate:
    """A gate and where it stands."""

    gate: QualityGate
    source: str


@dataclass(frozen=True)
class Policy:
    """What a pull request is measured by.

    Attributes:
        commit: it was read from; None: from the working folder.
        task: of the plan at that commit, or None.
    """

    commit: str | None
    settings: Settings
    gates: tuple[SourcedGate, ...]
    task: TaskSpec | None


class Repository:
    """The git repository around a folder.

    Args:
        folder: of the project; may be a folder inside of the repository.

    Raises:
        BadInput: there is no repository.
        PrerequisiteMissing: there is no git, or it refuses to work for this user.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from git import Repo
            from git.exc import GitError, ODBError
        except ImportError:  # gitpython refuses to import without a git executable
            raise PrerequisiteMissing(
                "The command git is not here.", remedy="Install git, then try again."
            ) from None
        self._errors: tuple[type[BaseException], ...] = (
            GitError,
            ODBError,
            ValueError,
            KeyError,
            IndexError,
            OSError,
            subprocess.SubprocessError,
        )
        try:
            self.repo: Any = Repo(folder, search_parent_directories=True)
            top = Path(str(self.repo.working_tree_dir)).resolve(strict=True)
        except self._errors:
            raise BadInput(
                f"{str(folder)!r} is not in a git repository.",
                remedy="Work in a clone, or name the base by a run: --base RUN.",
            ) from None
        self._refuse_foreign(top)
        self.place = folder.resolve().relative_to(top).as_posix()

    def _refuse_foreign(self, top: Path) -> None:
        """Raises PrerequisiteMissing where git works for the folder's owner only, such as in a
        job's container: every commit would seem to be absent."""
        from git.exc import GitCommandError

        try:
            self.repo.git.rev_parse("--git-dir")
        except GitCommandError as problem:
            self.repo.close()
            if "dubious ownership" not in str(problem.stderr):
                raise BadInput(
                    f"Git cannot work in {str(top)!r}.", remedy="Try `git status` there."
                ) from None
            allow = f"git config --global --add safe.directory {shlex.quote(str(top))}"
            raise PrerequisiteMissing(
                f"Git refuses to work in {str(top)!r}, because the folder is somebody else's.",
                remedy=f"Allow it: {allow}",
            ) from None

    def close(self) -> None:
        """Free what gitpython holds."""
        self.repo.close()

    def commit(self, name: str) -> str | None:
        """The commit that a branch, tag, `origin/` branch or id stands for; None: there is none."""
        if not name or name.startswith("-") or any(mark in name for mark in "\0\n :?*[\\^"):
            return None
        for candidate in (name, f"origin/{name}"):
            try:
                return str(self.repo.commit(candidate).hexsha)
            except self._errors:
                continue
        return None

    def merge_base(self, first: str, second: str) -> str | None:
        """The best common ancestor of two commits; None when they share nothing here."""
        try:
            found = self.repo.merge_base(self.repo.commit(first), self.repo.commit(second))
        except self._errors:
            return None
        return str(found[0].hexsha) if found else None

    def parents(self, commit: str) -> tuple[str, ...]:
        """Parents of a commit; empty when it is not here."""
        try:
            return tuple(str(one.hexsha) for one in self.repo.commit(commit).parents)
        except self._errors:
            return ()

    def folders(self) -> list[Path]:
        """The project's folder in every working tree of this repository, this one first."""
        here = Path(self.repo.working_tree_dir)
        trees = [here]
        try:
            lines = self.repo.git.worktree("list", "--porcelain").splitlines()
        except self._errors:
            lines = []
        trees += [Path(line[9:]) for line in lines if line.startswith("worktree ")]
        return list(dict.fromkeys((tree / self.place).resolve() for tree in trees))

    def read(self, commit: str, path: str, most: int = MOST_BYTES) -> bytes | None:
        """A file below the project's folder at a commit; None when it is no plain file there.

        Raises:
            BadInput: it is larger than `most` bytes.
        """
        whole = path if self.place == "." else f"{self.place}/{path}"
        return self.read_top(commit, whole, most)

    def read_top(self, commit: str, path: str, most: int = MOST_BYTES) -> bytes | None:
        """As `read`, from the top of the repository."""
        try:
            blob = self.repo.commit(commit).tree / path
        except self._errors:
            return None
        if blob.type != "blob" or blob.mode not in (0o100644, 0o100755):
            return None
        if blob.size > most:
            raise BadInput(
                f"{path!r} at {commit[:7]} has {blob.size:,} bytes; at most {most:,} are read."
            )
        return bytes(blob.data_stream.read())

    def names(self, commit: str, folder: str) -> list[str]:
        """Plain files below a folder of the top at a commit."""
        try:
            tree = self.repo.commit(commit).tree / folder
        except self._errors:
            return []
        if tree.type != "tree":
            return []
        return [str(blob.path) for blob in tree.traverse() if blob.type == "blob"]


def policy_at(repository: Repository, commit: str, override: Path | None) -> Policy:
    """Settings, contracts, gates and task at a commit.

    Args:
        override: the `--content` folder; inside of the repository it is read at the commit too.

    Raises:
        BadInput: a file there is not valid.
    """
    with tempfile.TemporaryDirectory(prefix="mlagent-base-") as name:
        folder = Path(name)
        if (text := repository.read(commit, FILE)) is not None:
            (folder / FILE).write_bytes(text)
        settings = _at(commit, folder, lambda: read_settings(folder))
        with _content_at(repository, commit, override, folder / "content") as content:
            contracts = _at(commit, folder, lambda: load_contracts(content))
        raw = repository.read(commit, PLAN)
    task = None
    if raw is not None:
        where = f"{PLAN} at {commit[:7]}"
        task = read_record(Plan, raw.decode("utf-8", "replace"), where).task
    return Policy(commit, settings, _sourced(contracts, task, settings), task)


def policy_here(folder: Path, task: TaskSpec) -> Policy:
    """The working folder's own; for a comparison outside of a pull request."""
    settings, contracts = read_settings(folder), load_contracts(Content())
    return Policy(None, settings, _sourced(contracts, task, settings), task)


def _sourced(
    contracts: Mapping[Role, Contract], task: TaskSpec | None, settings: Settings
) -> tuple[SourcedGate, ...]:
    """Every gate with where it stands: contracts, constraints of the plan, settings."""
    gates = [
        SourcedGate(gate, f"contracts/{role}.yaml")
        for role in ROLES
        for gate in contracts[role].quality_gates
    ]
    gates += [SourcedGate(gate, PLAN) for gate in (constraint_gates(task) if task else ())]
    return (*gates, *(SourcedGate(gate, FILE) for gate in settings.gates))


@contextmanager
def _content_at(
    repository: Repository, commit: str, override: Path | None, into: Path
) -> Iterator[Content]:
    """Shipped content, with the override's contracts as they are at the commit."""
    top = Path(repository.repo.working_tree_dir).resolve()
    inside = override is not None and override.resolve().is_relative_to(top)
    if not inside or override is None:
        yield Content(override)
        return
    into.mkdir()
    home = override.resolve().relative_to(top).as_posix()
    prefix = "" if home == "." else f"{home}/"
    for kind in CONTENT_FOLDERS:
        for path in repository.names(commit, f"{prefix}{kind}"):
            if ".." in path.split("/"):
                continue
            if (data := repository.read_top(commit, path)) is not None:
                target = into / path.removeprefix(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    yield Content(into)


def _at(commit: str, folder: Path, read: Callable[[], T]) -> T:
    """Call `read`; an error says at which commit the file is wrong, not in which folder it lay."""
    try:
        return read()
    except MlagentError as error:
        said = error.message.replace(f"{folder}/", "")
        raise BadInput(f"At {commit[:7]}: {said}", remedy=error.remedy) from None
