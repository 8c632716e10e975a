"""Run folders: runs/<id>/, made, listed, found, removed. `runs/` gets its own .gitignore.

A folder without manifest.json is an unfinished run. The manifest is written last, by rename, and
names the sha256 of every other file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mlagent.contracts.base import Record
from mlagent.contracts.errors import BadInput
from mlagent.contracts.run import Manifest

from .files import sha256_of, write_json

R = TypeVar("R", bound=Record)


class RunFolder:
    """One run's folder. Holds no raw rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    @property
    def finished(self) -> bool:
        """True when the manifest is there."""
        return (self.path / "manifest.json").is_file()

    def manifest(self) -> Manifest:
        """The manifest. Raises BadInput for an unfinished or damaged run."""
        return self.read("manifest.json", Manifest)

    def read(self, name: str, model: type[R]) -> R:
        """One record of this run.

        Raises:
            BadInput: the file is absent, or is not such a record.
        """
        file = self.path / name
        if not file.is_file():
            state = "" if self.finished else " The run is unfinished: no manifest.json."
            raise BadInput(
                f"Run {self.id} has no {name}.{state}",
                remedy="`mlagent runs` lists them; `mlagent execute --resume` goes on with one.",
            )
        try:
            return model.model_validate_json(file.read_bytes())
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            at = f"{where}: " if where else ""
            raise BadInput(
                f"{file} was changed or damaged: {at}{first['msg']}.",
                remedy="Take the file from a copy of the run, or `mlagent runs rm` the run.",
            ) from None

    def file(self, name: str) -> Path:
        """Path of `name` with its parent folders made."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def write(self, name: str, record: Record) -> None:
        """Write one record as JSON, atomically."""
        write_json(self.file(name), record)

    def hashes(self) -> dict[str, str]:
        """sha256 of every file but the manifest, by relative path."""
        return {
            str(file.relative_to(self.path)): sha256_of(file)
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and not file.name.startswith(".") and file.name != "manifest.json"
        }


class Runs:
    """The folder `runs/` of a project."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, now: datetime) -> RunFolder:
        """A new, empty run folder; its name sorts by time."""
        self.root.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        for number in count(1):
            path = self.root / f"{now:%Y%m%d-%H%M%S}-{number:02d}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return RunFolder(path)
        raise AssertionError("count() never ends")

    def all(self) -> Iterator[RunFolder]:
        """Every run folder, oldest first."""
        if self.root.is_dir():
            for path in sorted(self.root.iterdir()):
                if path.is_dir() and (path / "journal.jsonl").exists():
                    yield RunFolder(path)

    def find(self, run: str | None = None, *, finished: bool = True) -> RunFolder:
        """The run named by id, unique prefix or path; the latest when `run` is None.

        Raises:
            BadInput: no such run, several, or none finished.
        """
        runs = [item for item in self.all() if item.finished or not finished]
        if run is not None:
            path = Path(run)
            if path.is_dir() and (path / "journal.jsonl").exists():
                return RunFolder(path.resolve())
            matches = [item for item in self.all() if item.id.startswith(run)]
            if len(matches) == 1:
                return matches[0]
            known = ", ".join(item.id for item in list(self.all())[-5:]) or "none"
            what = "several runs" if matches else "no run"
            raise BadInput(
                f"{what.capitalize()} named {run!r} in {str(self.root)!r}.",
                remedy=f"The latest runs are: {known}.",
            )
        executed = [item for item in runs if not item.finished or item.manifest().kind == "execute"]
        if not executed:
            raise BadInput(
                f"There is no {'finished ' if finished else ''}run in {str(self.root)!r}.",
                remedy='Start with `mlagent plan "..."` and `mlagent execute`.',
            )
        return executed[-1]

    def remove(self, run: RunFolder) -> None:
        """Delete one run folder, and nothing outside `runs/`."""
        if run.path.resolve().parent != self.root.resolve():
            raise BadInput(f"{str(run.path)!r} is not in {str(self.root)!r}.")
        shutil.rmtree(run.path)
