"""Files of a plugin `plug`, each with the name under which Claude Code 2.1.329 listed it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CASES: tuple[dict[str, Any], ...] = tuple(
    map(
        json.loads,
        (Path(__file__).parent / "plugin_names.jsonl").read_text("utf-8").splitlines(),
    )
)


def write_plugin(folder: Path) -> None:
    """The plugin with all of them."""
    for case in CASES:
        file = folder / "agents" / case["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((case["text"] * case.get("times", 1)).encode())
    manifest = folder / ".claude-plugin" / "plugin.json"
    manifest.parent.mkdir()
    manifest.write_text('{"name": "plug", "version": "1.0.0"}')
