"""The user's own configuration of Claude Code, which holds for all of their projects."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mlagent.contracts.errors import BadInput


def user_folder() -> Path:
    """CLAUDE_CONFIG_DIR, else ~/.claude. Raises BadInput when neither is known."""
    found = user_folders()
    if not found:
        raise BadInput("The home folder is not known.", remedy="Set HOME, or give --out.")
    return found[0]


def is_the_users(folder: Path) -> bool:
    """Whether this is one of the user's own: CLAUDE_CONFIG_DIR, or .claude in the home folder."""
    return folder.resolve() in [path.resolve() for path in user_folders()]


def user_folders() -> list[Path]:
    """The folders that are the user's own; Claude Code reads the first. Empty without a home."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    found = [Path(configured)] if configured else []
    with suppress(RuntimeError):  # a user without a home folder
        found.append(Path.home() / ".claude")
    return found
