"""Containers and volumes that a dead mlagent process left behind.

Each process locks a file below ~/.cache/mlagent/owners and labels all it makes with that folder's
key and the file's name. Where the lock can be taken, the owner is dead, and what it made is
removed.
Nothing without our label, and nothing of a living owner, is ever removed. Owners of other folders
(another user of the engine, another XDG_CACHE_HOME) cannot be asked: what they made goes only a day
after its deadline. Process ids are not used, so their reuse does no harm.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from .containers import DEADLINE_LABEL, OWNER_LABEL
from .engine import engine_errors
from .staging import cache_root

if TYPE_CHECKING:
    from docker import DockerClient

_ID = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{32})")
FOREIGN_S = 86_400.0
"""So long after its deadline goes what an owner of another folder made."""


class Owner:
    """A living owner: holds the lock until `close` (or the end of the process, however it ends)."""

    def __init__(self, root: Path | None = None) -> None:
        folder, name = owners_folder(root), uuid.uuid4().hex
        self.id = f"{folder_key(folder)}.{name}"
        self._path = folder / name
        self._handle: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def close(self) -> None:
        """Give the lock back. Idempotent."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


def owners_folder(root: Path | None = None) -> Path:
    """Where owner files are, created when absent."""
    folder = (root or cache_root()) / "owners"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def folder_key(folder: Path) -> str:
    """32 hex digits that only this owners' folder has, made at its first use."""
    file = folder / "key"
    while True:
        with contextlib.suppress(FileNotFoundError):
            return file.read_text("ascii")
        part = folder / f"key.{uuid.uuid4().hex}"
        part.write_text(uuid.uuid4().hex, "ascii")
        with contextlib.suppress(FileExistsError):
            os.link(part, file)  # whole or not at all, and the first one stays
        part.unlink()


def owner_is_dead(owner: str, root: Path | None = None) -> bool:
    """True when nobody holds the lock of `owner`. An odd id, or one of another folder, is never
    dead.
    """
    folder, parts = owners_folder(root), _ID.fullmatch(owner)
    if parts is None or parts[1] != folder_key(folder):
        return False
    path = folder / parts[2]
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    path.unlink(missing_ok=True)
    return True


def sweep(client: DockerClient, root: Path | None = None) -> list[str]:
    """Remove what dead owners left; names of what was removed. Raises SandboxBroken."""
    import docker.errors

    removed: list[str] = []
    dead: dict[str, bool] = {}

    def is_dead(labels: dict[str, str] | None) -> bool:
        owner = (labels or {}).get(OWNER_LABEL, "")
        if owner not in dead:
            dead[owner] = owner_is_dead(owner, root)
        return dead[owner] or _long_over((labels or {}).get(DEADLINE_LABEL, ""))

    with engine_errors("removing what a dead process left"):
        for found in client.api.containers(all=True, filters={"label": OWNER_LABEL}):
            if is_dead(found.get("Labels")):
                with contextlib.suppress(docker.errors.APIError):
                    client.api.remove_container(found["Id"], force=True)
                    removed.append(f"container {found['Id'][:12]}")
        volumes = client.api.volumes(filters={"label": OWNER_LABEL}).get("Volumes") or []
        for volume in volumes:
            if is_dead(volume.get("Labels")):
                with contextlib.suppress(docker.errors.APIError):
                    client.api.remove_volume(volume["Name"], force=True)
                    removed.append(f"volume {volume['Name']}")
    return removed


def _long_over(deadline: str) -> bool:
    """Whether a deadline (Unix seconds) lies a day back."""
    return deadline.isdecimal() and time.time() > float(deadline[:18]) + FOREIGN_S
