"""The commits of a pull request as plain files, fetched and written without running any of them.

Guarantees: a bare repository holds the objects: no hook, filter, submodule or attribute of the pull
request comes into play; the token travels in the environment of git, never in an argument, a file
or a message; symbolic links, submodules and strange names are left out; the size is limited. What
decides (settings, contracts, tables) comes from the base, whatever the head holds.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mlagent.contracts.errors import BadInput, MlagentError, PrerequisiteMissing
from mlagent.data.find import SUFFIXES
from mlagent.settings import FILE

SOLUTION = "solution.py"
PLAN = "plan.yaml"
DECIDES = (FILE, "contracts", "agents", "orchestrator")
"""Top-level names that only the base may bring."""
OURS = frozenset({".git", ".mlagent", "runs", "plans"})
MOST_FILES = 20_000
MOST_ENTRIES = 5 * MOST_FILES
"""Files and folders that are looked at: a tree may name itself again and again."""
MOST_BYTES = 2 * 2**30
MOST_CANDIDATES = 5
FETCH_S = 600
DEPTH = 50
"""Commits of history, so that the merge base is usually among them."""
log = logging.getLogger("mlagent.bot")
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)
_LFS = b"version https://git-lfs.github.com/spec/"


class Written(NamedTuple):
    """What a checkout holds.

    Attributes:
        candidates: folders with a `solution.py` that the base does not have as it is, relative.
        notes: what was left out, and why, in sentences.
        of_base: names of the files that the base has with the same content.
    """

    candidates: tuple[str, ...]
    notes: tuple[str, ...]
    of_base: frozenset[str]


class Mirror:
    """A bare repository in `folder` with the commits of one GitHub repository.

    Args:
        url: of the repository, without a token.
        token: for HTTP; empty for none.

    Raises:
        PrerequisiteMissing: there is no git.
    """

    def __init__(self, folder: Path, url: str, token: str) -> None:
        try:
            from git import Repo
        except ImportError:  # gitpython refuses to import without a git executable
            raise PrerequisiteMissing(
                "The command git is not here.", remedy="Install git, then start the bot again."
            ) from None
        self._folder, self._environment = folder, git_environment(url, token)
        self._url = url
        if not (folder / "HEAD").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            self._git("init", "--quiet", "--bare", "--template=")
        self._repo: Any = Repo(folder)

    def close(self) -> None:
        """Free what gitpython holds."""
        self._repo.close()

    def _git(self, *words: str) -> bool:
        """Run git on the bare repository; whether it went well. What it says goes to the log."""
        try:
            done = subprocess.run(
                ["git", f"--git-dir={self._folder.resolve()}", *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=FETCH_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            log.warning("git %s took longer than %d s", words[0], FETCH_S)
            return False
        if done.returncode and words[0] != "cat-file":
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            log.warning("git %s: %s", words[0], said[0] if said else done.returncode)
        return done.returncode == 0

    def fetch(self, *commits: str) -> None:
        """Get these commits with some of their history. Raises MlagentError."""
        for commit in commits:
            if not _SHA.fullmatch(commit):
                raise MlagentError(f"{commit!r} is not the id of a commit.")
        missing = [commit for commit in commits if not self._has(commit)]
        words = ("fetch", "--quiet", f"--depth={DEPTH}", "--no-tags", "--no-recurse-submodules")
        if missing:
            self._git(*words, "--", self._url, *missing)
        if not all(self._has(commit) for commit in commits):
            raise MlagentError("The commits of the pull request could not be fetched.")

    def _has(self, commit: str) -> bool:
        return self._git("cat-file", "-e", f"{commit}^{{tree}}")

    @contextmanager
    def checkout(self, head: str, base: str, into: Path) -> Iterator[Written]:
        """The head's files, with whatever decides from the base, as a working tree in `into`.

        Git knows the folder as a working tree at `head`; it is removed at the end.

        Args:
            into: does not exist yet.

        Raises:
            BadInput: too many or too large files, or names that exclude each other.
            MlagentError: git failed.
        """
        made = self._git("worktree", "add", "--quiet", "--no-checkout", "--detach", str(into), head)
        if not made:
            raise MlagentError("The working folder for the pull request could not be made.")
        try:
            yield self._write(head, base, into)
        finally:
            shutil.rmtree(into, ignore_errors=True)
            self._git("worktree", "prune")

    def _write(self, head: str, base: str, into: Path) -> Written:
        theirs, ours = dict(self._blobs(head)), dict(self._blobs(base))
        chosen = {name: blob for name, blob in ours.items() if _decides(name)}
        chosen |= {name: blob for name, blob in theirs.items() if not _decides(name)}
        if len(chosen) > MOST_FILES or sum(blob.size for blob in chosen.values()) > MOST_BYTES:
            raise BadInput(
                f"The pull request has more than {MOST_FILES:,} files or "
                f"{MOST_BYTES // 2**30} GB; nothing was checked out."
            )
        try:
            pointers = [name for name, blob in chosen.items() if _write_file(blob, into / name)]
        except OSError as problem:
            raise BadInput(f"The files cannot be written: {problem.strerror}.") from None
        index = subprocess.run(
            ["git", "-C", str(into), "read-tree", "HEAD"],
            env=self._environment,
            capture_output=True,
            check=False,
        )
        if index.returncode:
            raise MlagentError("Git cannot read the pull request's commit.")
        candidates = _changed_candidates(chosen, ours)
        notes = _notes(theirs, ours, pointers, candidates)
        same = (name for name, blob in chosen.items() if _id(ours.get(name)) == _id(blob))
        return Written(candidates[:MOST_CANDIDATES], notes, frozenset(same))

    def _blobs(self, commit: str) -> Iterator[tuple[str, Any]]:
        """Plain files of a commit by path. Links, submodules and odd names are not among them."""
        for seen, item in enumerate(self._repo.commit(commit).tree.traverse()):
            if seen > MOST_ENTRIES:
                raise BadInput(f"{commit[:7]} has more than {MOST_ENTRIES:,} files and folders.")
            if item.type == "blob" and item.mode in (0o100644, 0o100755) and _plain(item.path):
                yield str(item.path), item


def _plain(path: str) -> bool:
    pieces = path.split("/")
    if pieces[0].lower() in OURS or path.startswith("/") or len(path) > 1000:
        return False
    return not any(
        piece in ("", ".", "..") or piece.lower() == ".git" or not piece.isprintable()
        for piece in pieces
    )


def _decides(path: str) -> bool:
    """Whether only the base may bring this file: settings, contracts, files with a table's name.

    A table may have any name: which one a plan reads is held against the base by its content.
    """
    top = path.split("/")[0]
    return top in DECIDES or PurePosixPath(path).suffix.lower() in SUFFIXES


def _changed_candidates(chosen: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[str, ...]:
    """Folders whose `solution.py` the base does not have as it is."""
    return tuple(
        sorted(
            str(PurePosixPath(name).parent)
            for name, blob in chosen.items()
            if "/" in name
            and PurePosixPath(name).name == SOLUTION
            and _id(ours.get(name)) != _id(blob)
        )
    )


def _notes(
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
    pointers: Sequence[str],
    candidates: Sequence[str],
) -> tuple[str, ...]:
    """What a reader of the answer must know of the checkout."""
    said = [f"{name!r} is a Git LFS pointer; its content was not fetched." for name in pointers]
    kept = sorted(
        name
        for name in theirs.keys() | ours.keys()
        if _decides(name) and _id(theirs.get(name)) != _id(ours.get(name))
    )
    if kept:
        names = ", ".join(repr(name) for name in kept[:5])
        said.append(
            f"The base's version counts, not the pull request's, of {names}"
            f"{f' and {len(kept) - 5} more' if len(kept) > 5 else ''}."
        )
    if len(candidates) > MOST_CANDIDATES:
        said.append(f"Of {len(candidates)} candidates the first {MOST_CANDIDATES} are judged.")
    return tuple(said[:20])


def _id(blob: Any) -> str | None:
    return None if blob is None else str(blob.hexsha)


def _write_file(blob: Any, target: Path) -> bool:
    """Write one file. True when it is a Git LFS pointer."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        blob.stream_data(file)
    with target.open("rb") as file:
        return file.read(len(_LFS)) == _LFS


def git_environment(url: str, token: str) -> dict[str, str]:
    """For a git that asks nobody, reads no other configuration and speaks few protocols."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    settings = {
        "core.hooksPath": os.devnull,
        "credential.helper": "",
        "gc.auto": "0",
        "http.followRedirects": "false",
    }
    if token and url.startswith(("https://", "http://")):
        word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings[f"http.{url}.extraHeader"] = f"Authorization: Basic {word}"
    pairs: dict[str, str] = {}
    for index, (name, value) in enumerate(settings.items()):
        pairs |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
    return (
        kept
        | pairs
        | {
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_ALLOW_PROTOCOL": "https:http:file",
            "HOME": os.devnull,
        }
    )
