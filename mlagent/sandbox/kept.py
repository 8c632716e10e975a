"""What was found out once about an engine or an image, kept in the user's cache.

Guarantees that a reader sees a whole file or none: written by rename; a file that cannot be read is
as good as absent. Does not know when a fact becomes stale: the key has to name all it depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from .staging import cache_root


def _file(kind: str, key: str) -> Path:
    return cache_root() / kind / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def recall(kind: str, key: str) -> Any:
    """The JSON value kept under this kind and key; None when there is none."""
    try:
        return json.loads(_file(kind, key).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def keep(kind: str, key: str, value: Any) -> None:
    """Keep a JSON value. A full disk is no error: the fact is then found out again."""
    file = _file(kind, key)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        part.write_text(json.dumps(value), "utf-8")
        part.replace(file)
