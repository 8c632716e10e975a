"""Which folders a client allows, and the check that every path lies in one of them.

The client's roots count when it names them (`roots/list`). A client without that capability gets
`--root`, else CLAUDE_PROJECT_DIR, else the working directory; the answer says which. Guarantees
that a path is judged by where it really lies, symlinks resolved. Does not notice a path that is
swapped between the check and the reading.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from mlagent.contracts.errors import BadInput
from mlagent.orchestrator.plan_flow import PLAN_FILE
from mlagent.settings import FILE as SETTINGS_FILE
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .paging import clip

Said = Literal["client", "--root", "CLAUDE_PROJECT_DIR", "working directory"]
RUN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*", re.ASCII)
SHOWN = 300
"""Characters of a path in an answer."""
FOLDERS = (".mlagent", "runs", "plans")
"""Folders of a project that mlagent reads and writes without being told a path."""


@dataclass(frozen=True)
class Roots:
    """The allowed folders, resolved, and who named them."""

    folders: tuple[Path, ...]
    said_by: Said

    def allow(self, path: Path) -> bool:
        """Whether this resolved path lies in one of the folders."""
        return any(path.is_relative_to(folder) for folder in self.folders)

    def shown(self) -> str:
        """The folders, for a sentence."""
        return ", ".join(repr(str(folder)) for folder in self.folders) or "none"


def roots_of_client(uris: Iterable[str]) -> Roots:
    """What `roots/list` answered: `file://` folders; other kinds of root are left out."""
    found = []
    for uri in uris:
        parts = urlsplit(uri)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            found.append(real_path(Path(unquote(parts.path)), "root"))
    return Roots(tuple(found), "client")


def roots_without_client(
    given: tuple[Path, ...], environment: Mapping[str, str], working: Path
) -> Roots:
    """The fallback for a client that has no roots.

    Raises:
        BadInput: nobody named a folder and the working directory is `/` or the home folder.
    """
    if given:
        return Roots(tuple(real_path(folder, "root") for folder in given), "--root")
    project = environment.get("CLAUDE_PROJECT_DIR", "")
    if project and Path(project).is_dir():
        return Roots((_narrow(real_path(Path(project), "root")),), "CLAUDE_PROJECT_DIR")
    return Roots((_narrow(working.resolve()),), "working directory")


def _narrow(folder: Path) -> Path:
    """The folder, unless it is the file system's root or the home folder."""
    if folder in (Path(folder.anchor), Path.home().resolve()):
        raise BadInput(
            f"The client names no roots, and {str(folder)!r} is too wide to be allowed as a whole.",
            remedy="Start the server with a folder: mlagent mcp --root DIR",
        )
    return folder


@dataclass(frozen=True)
class Place:
    """The project folder that one call works in, and what it may touch."""

    folder: Path
    roots: Roots

    @property
    def project(self) -> Project:
        """The project of the folder."""
        return Project(self.folder)

    def inside(self, path: str | Path, what: str) -> Path:
        """Where `path` (relative to the folder) really lies. Raises BadInput outside the roots."""
        if not str(path).strip():
            raise BadInput(
                f"The {what} that was given is an empty text.",
                remedy="Name it by a path below the project folder, or leave the argument out.",
            )
        found = real_path(self.folder / path, what)
        if not self.roots.allow(found):
            raise BadInput(
                f"The {what} {clip(str(path), 200)!r} lies outside the folders that this client "
                "allows.",
                remedy=f"Allowed, as named by the {self.roots.said_by}: {self.roots.shown()}.",
            )
        return found

    def table(self, path: str | Path, what: str) -> Path:
        """As `inside`, for a file that is learned from or judged on: never a record of a run, whose
        predictions hold the truth of judged rows, and no hidden file. Raises BadInput."""
        found = self.inside(path, what)
        home = next(
            root for root in (self.folder, *self.roots.folders) if found.is_relative_to(root)
        )
        parts = found.relative_to(home).parts
        if any(part in FOLDERS or part.startswith(".") for part in parts):  # of a project below too
            raise BadInput(
                f"The {what} {clip(str(path), 200)!r} is a record of mlagent's or a hidden file.",
                remedy="Name a table of the project.",
            )
        return found

    def may_be_table(self, path: Path) -> bool:
        """Whether `table` takes this file."""
        try:
            self.table(path, "table")
        except BadInput:
            return False
        return True

    def shown(self, path: Path) -> str:
        """A path relative to the folder where it lies below it, printable and not long."""
        said = str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path)
        return said if said.isprintable() and len(said) <= SHOWN else clip(said, SHOWN)

    def run(self, name: str | None, *, finished: bool = True) -> RunFolder:
        """A run of this folder by id or unique prefix; the latest when None. Raises BadInput."""
        if name is not None and not RUN_NAME.fullmatch(name):
            raise BadInput(
                f"{clip(name, 80)!r} is not the id of a run.",
                remedy="Give an id such as 20260101-120000-01, or leave it out for the latest.",
            )
        runs = self.project.runs
        if name is not None:  # by name only: a folder of that name elsewhere is not meant
            known = [item.id for item in runs.all()]
            if name not in known and sum(item.startswith(name) for item in known) != 1:
                raise BadInput(
                    f"There is no one run {name!r} in {str(runs.root)!r}.",
                    remedy=f"The latest runs are: {', '.join(known[-5:]) or 'none'}.",
                )
            name = next(item for item in known if item == name or item.startswith(name))
            return RunFolder(runs.root / name)
        return runs.find(None, finished=finished)


def place_of(folder: str | None, roots: Roots) -> Place:
    """The folder of a call: as given, else the first root.

    Raises:
        BadInput: no root, a folder outside them, or a project whose files lead out of them.
    """
    if not roots.folders:
        raise no_root()
    place = Place(roots.folders[0], roots)
    if folder is not None:
        place = Place(place.inside(folder, "folder"), roots)
    if not place.folder.is_dir():
        raise BadInput(
            f"{str(place.folder)!r} is not a folder.",
            remedy=f"Name one below {roots.shown()}, or leave `folder` out for the first root.",
        )
    for name in (SETTINGS_FILE, PLAN_FILE, *FOLDERS):
        place.inside(name, "project file")
    for link in links(place.folder / name for name in FOLDERS):
        place.inside(link, "project file")
    return place


def no_root() -> BadInput:
    """The refusal of a client that names no folder at all."""
    return BadInput(
        "The client names no folder on this machine as a root.",
        remedy="Open a folder in the client, or add one to its roots.",
    )


def run_in_roots(name: str, roots: Roots) -> tuple[Place, RunFolder]:
    """The run of this id, or unique prefix, wherever it lies: directly below one of the roots.

    Raises:
        BadInput: no root has it, or several have one that is meant by the prefix.
    """
    found: list[tuple[Place, RunFolder]] = []
    problem: BadInput | None = None
    for folder in roots.folders:
        try:
            place = place_of(str(folder), roots)
            found.append((place, place.run(name, finished=False)))
        except BadInput as refused:
            problem = problem or refused
    whole = [one for one in found if one[1].id == name]
    if len(whole or found) > 1:
        where = ", ".join(f"{str(run.path)!r}" for _, run in found)
        raise BadInput(f"Several runs are meant by {name!r}: {where}.", remedy="Give a whole id.")
    if not found:
        raise problem or no_root()
    return (whole or found)[0]


def links(folders: Iterable[Path]) -> Iterator[Path]:
    """Every symlink below these folders; links are not followed."""
    for folder in folders:
        for parent, below, files in os.walk(folder):
            for name in (*below, *files):
                path = Path(parent, name)
                if path.is_symlink():
                    yield path


def real_path(path: Path, what: str) -> Path:
    """The path with symlinks resolved; it need not exist. Raises BadInput."""
    try:
        found = path.resolve()
        found.exists()  # a name that is too long shows here
    except (OSError, ValueError, RuntimeError) as problem:
        raise BadInput(
            f"The {what} {clip(str(path), 200)!r} is no usable path: {clip(str(problem), 200)}."
        ) from None
    return found
