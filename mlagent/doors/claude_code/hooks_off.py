"""Settings of Claude Code that switch its hooks off, and with them what holds the contracts.

Guarantees: every settings file that says `disableAllHooks` is named with the key, and so is one
that nobody can read. Does not weigh one file against another: a file that is nearer to the session
may say the opposite. Settings that an administrator manages are not looked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json

KEY = "disableAllHooks"
NAMES = ("settings.local.json", "settings.json")
"""Of one folder; the first has the last word."""


def hooks_off(folders: Iterable[Path]) -> list[str]:
    """A sentence for each settings file of these `.claude` folders that switches hooks off."""
    files = dict.fromkeys(folder / name for folder in folders for name in NAMES)
    return [said for file in files if file.exists() and (said := _said(file))]


def _said(file: Path) -> str:
    try:
        settings = load_json(file.read_text(encoding="utf-8-sig").strip() or "{}", file.name)
    except (BadInput, OSError, UnicodeDecodeError):
        return f"{file} cannot be read as JSON, so nobody knows whether it says {KEY}."
    if not isinstance(settings, dict) or settings.get(KEY) is not True:
        return ""
    return f"{file} says {KEY}: no hook runs there, so the contracts are not enforced."
