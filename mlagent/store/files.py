"""Writing that survives a crash: a temporary file beside the target, fsync, rename.

Guarantees that a reader sees the old file or the new one, never half of one. Does not guarantee
order between several files.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` by rename.

    Raises:
        OSError: with the path; the old file stays whole, also when the disk is full.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as problem:
        temporary.unlink(missing_ok=True)
        if isinstance(problem, OSError) and problem.filename is None:  # a full disk names none
            raise OSError(problem.errno, problem.strerror, str(path)) from None
        raise


def json_bytes(value: Any) -> bytes:
    """Canonical, readable JSON: UTF-8, two spaces, no NaN, a newline at the end."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode() + b"\n"


def write_json(path: Path, value: Any) -> None:
    """A record or plain value as JSON, atomically."""
    write_atomically(path, json_bytes(value))


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
