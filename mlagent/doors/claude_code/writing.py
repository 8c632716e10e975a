"""Writes a file of an export, and copies of what it replaces, without opening them to others.

Guarantees: a file that is replaced keeps its permissions, and so does its copy: settings.json may
hold tokens; nobody else can read either while it is written. A new file gets what the umask leaves.
Each write is by rename. Does not keep owner, access lists or times.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

NEW_FILE = 0o666
"""Before the umask."""
CLOSED = 0o600


def write_file(path: Path, data: bytes) -> None:
    """Put `data` in the place of `path` by rename; the old file stays whole on an error."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        _create(temporary, data, mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def keep_copy(path: Path) -> Path:
    """A copy beside the file, under the first free name, with the file's own permissions."""
    data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    number = 1
    while True:
        copy = path.with_name(f"{path.name}.backup-{number}")
        try:
            _create(copy, data, mode)
        except FileExistsError:
            number += 1
            continue
        return copy


def _create(path: Path, data: bytes, mode: int | None) -> None:
    """A new file with this mode, or the umask's. Raises FileExistsError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    handle = os.open(path, flags, NEW_FILE if mode is None else CLOSED)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        if mode is not None:
            os.fchmod(handle, mode)
        os.fsync(handle)
