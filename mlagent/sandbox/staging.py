"""Lays a job's inputs out in a fresh folder, as the sandbox will see them below /in.

Guarantees: nothing but the named inputs and runner.py is in the folder; folders are 0755 and
files 0644 (another user reads them inside); the run folder around it is 0700; no symlink is
followed or copied. Files are hard-linked where that changes nothing about the original, else
copied: inputs are to be mounted read-only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlagent.contracts.errors import BadInput

_YOUNG_S = 60
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,3}")


def cache_root() -> Path:
    """~/.cache/mlagent (or below XDG_CACHE_HOME); a folder of the user below /tmp when home is
    not writable.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = base / "mlagent"
    try:
        root.mkdir(parents=True, exist_ok=True)
        writable = os.access(root, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        root = Path(tempfile.gettempdir()) / f"mlagent-{os.getuid()}"
        root.mkdir(mode=0o700, exist_ok=True)
        if root.stat().st_uid != os.getuid():
            raise BadInput(
                f"The folder {str(root)!r} belongs to another user.",
                remedy="Set XDG_CACHE_HOME to a folder of your own.",
            )
    return root


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A fresh 0700 folder below the cache (the home is shared with container engines in VMs),
    removed at the end.
    """
    parent = cache_root() / "work"
    parent.mkdir(mode=0o700, exist_ok=True)
    for old in parent.iterdir():
        _remove_dead(old)
    folder = Path(tempfile.mkdtemp(dir=parent))
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_dead(folder: Path) -> None:
    """Remove a run folder whose process is gone (its lock is free); spares young ones."""
    with contextlib.suppress(OSError):
        if time.time() - folder.stat().st_mtime < _YOUNG_S:
            return
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def stage(inputs: Mapping[str, Path], runner: Path, target: Path) -> None:
    """Fill `target` (created) with the inputs under their names, and runner.py. Raises BadInput."""
    _folder(target)
    _file(runner, target / "runner.py")
    for name, source in inputs.items():
        if not _NAME.fullmatch(name) or name == "runner.py":
            raise BadInput(f"{name!r} cannot be the name of a sandbox input.")
        place = target / name
        for parent in reversed(place.relative_to(target).parents[:-1]):
            _folder(target / parent)
        _entry(Path(source), place)


def _folder(path: Path) -> None:
    path.mkdir(exist_ok=True)
    path.chmod(0o755)


def _entry(source: Path, place: Path) -> None:
    try:
        mode = source.lstat().st_mode
    except OSError as problem:
        raise BadInput(f"The sandbox input {str(source)!r} cannot be read.") from problem
    if stat.S_ISREG(mode):
        _file(source, place)
    elif stat.S_ISDIR(mode):
        _folder(place)
        for child in sorted(source.iterdir()):
            if child.name != "__pycache__":
                _entry(child, place / child.name)
    else:
        raise BadInput(
            f"The sandbox input {str(source)!r} is a link or a special file.",
            remedy="Put the file itself there.",
        )


def _file(source: Path, place: Path) -> None:
    if source.stat().st_mode & 0o004:
        with contextlib.suppress(OSError):
            os.link(source, place, follow_symlinks=False)
            return
    shutil.copyfile(source, place)
    place.chmod(0o644)
