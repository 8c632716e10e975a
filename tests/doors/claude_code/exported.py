"""An export into a folder, and the bytes of every file that then lies there."""

from __future__ import annotations

from pathlib import Path

from mlagent.content import Content
from mlagent.doors.claude_code.exporting import Exported, export_agents

CONTENT = Content()


def export(folder: Path, scope: str = "project", force: bool = False) -> Exported:
    return export_agents(CONTENT, scope, folder, force=force)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
