"""An export in a folder above: Claude Code that starts here finds its agents, and not its hooks.

Guarantees: a folder without an export of its own is told of the nearest one above it in the same
repository. Claude Code (2.1.329) looks for subagents from the folder where it is started up to the
top of the repository, but reads `.claude/settings.json` of that folder alone. Does not know where
anybody will start it.
"""

from __future__ import annotations

from pathlib import Path

from .enforcement import record_of_export
from .user_folder import is_the_users


def hooks_left_above(folder: Path) -> list[str]:
    """A sentence when a session that starts in `folder` would run an export's agents unheld."""
    start = folder.resolve()
    if ".claude" in start.parts or record_of_export(start / ".claude", plugin=False):
        return []
    for here, above in zip((start, *start.parents), start.parents, strict=False):
        if (here / ".git").exists():
            return []
        settings = above / ".claude"
        if record_of_export(settings, plugin=False) and not is_the_users(settings):
            return [
                f"{settings} holds an export: Claude Code that is started in {start} finds its "
                "agents and none of its hooks, so nothing holds the contracts; start it in "
                f"{above}."
            ]
    return []
