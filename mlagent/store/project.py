"""The project folder `.mlagent/`: seals with their openings, a lock, scratch space for one run, and
which files here `predict` wrote.

Guarantees that one `execute` at a time works in a project, that an opening of a vault is counted
before its labels are used, and that scratch space is 0700 and removed. Seals hold row positions and
hashes, no rows.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mlagent.contracts.errors import BadInput
from mlagent.contracts.run import Seal
from mlagent.documents import load_json

from .files import sha256_of, write_json
from .runs import Runs


class Project:
    """A folder where plans are made and runs are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / ".mlagent"
        self.runs = Runs(folder / "runs")

    def _make_state(self) -> None:
        self.state.mkdir(exist_ok=True)
        ignore = self.state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the project for one run. Raises BadInput when another process holds it."""
        self._make_state()
        lock = FileLock(self.state / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BadInput(
                f"Another run is at work in {str(self.folder)!r}.",
                remedy="Wait for it, stop it, or work in another folder.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder for typed tables and sandbox inputs; removed at the end.

        Leftovers of a run that was killed are removed first (call with the lock held).
        """
        self._make_state()
        root = self.state / "scratch"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700)
        try:
            yield Path(tempfile.mkdtemp(dir=root))
        finally:
            shutil.rmtree(root, ignore_errors=True)

    @contextmanager
    def scratch_beside(self) -> Iterator[Path]:
        """A private folder of its own for a short job; needs no lock, removed at the end."""
        self._make_state()
        folder = Path(tempfile.mkdtemp(dir=self.state, prefix="short-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def seals(self) -> list[Seal]:
        """Every seal of this project, oldest first."""
        folder = self.state / "seals"
        files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [Seal.model_validate_json(path.read_bytes()) for path in files]

    def save_seal(self, seal: Seal) -> None:
        """Write or replace one seal."""
        self._make_state()
        (self.state / "seals").mkdir(exist_ok=True)
        write_json(self.state / "seals" / f"{seal.id}.json", seal)

    def count_opening(self, seal: Seal) -> Seal:
        """Note on disk that this vault is opened once more, before it is. Returns the new seal."""
        known = {item.id: item for item in self.seals()}
        openings = max(seal.openings, known[seal.id].openings if seal.id in known else 0) + 1
        opened = seal.model_copy(update={"openings": openings})
        self.save_seal(opened)
        return opened

    def note_output(self, path: Path) -> None:
        """Remember a file that `predict` wrote: it is no table to learn from, and may be written
        again."""
        folder, path = self.folder.resolve(), path.resolve()
        self._make_state()
        noted = {
            name: sha
            for name, sha in self._outputs().items()
            if (folder / name).is_file()  # what was removed or moved away is forgotten
        }
        noted[self._output_name(path)] = sha256_of(path)
        write_json(self.state / "outputs.json", noted)

    def is_output(self, path: Path) -> bool:
        """Whether `predict` wrote this file, and it is still as it was written."""
        if not path.is_file():
            return False
        noted = self._outputs().get(self._output_name(path.resolve()))
        return noted is not None and noted == sha256_of(path)

    def _output_name(self, path: Path) -> str:
        """Relative below this folder, else absolute."""
        folder = self.folder.resolve()
        return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()

    def _outputs(self) -> dict[str, str]:
        """Path -> sha256 as written; empty when the file is absent or damaged."""
        file = self.state / "outputs.json"
        try:
            noted = load_json(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError, BadInput):
            return {}
        return noted if isinstance(noted, dict) else {}
