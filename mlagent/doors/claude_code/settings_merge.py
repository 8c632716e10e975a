"""Adds the hooks to a settings.json of Claude Code that belongs to the user.

Guarantees: every key, value and hook that stood there stands there afterwards, in its order; only
groups that an earlier export added are replaced; a file that cannot be read as strict JSON, or
whose hooks have another shape, is refused and stays as it is. Merging twice is merging once.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json

MARKS = ("/mlagent/hook pre-tool-use", "/mlagent/hook subagent-stop")
"""One of them stands in the command of every handler that an export added."""
_REMEDY = "Mend the file, or move it away; it was not changed."


def merged(text: str | None, groups: Mapping[str, dict[str, Any]], source: str) -> str:
    """The text of settings.json with `groups` (event -> group) in its `hooks`.

    Args:
        text: what stands there; None when there is no file.
        source: the file's name in errors.

    Raises:
        BadInput: the file holds no map, or `hooks` is not as Claude Code documents it.
    """
    settings = _read(text, source)
    hooks = settings.setdefault("hooks", {})
    if not isinstance(hooks, dict):
        raise BadInput(f"{source}: `hooks` is no map.", remedy=_REMEDY)
    for event, group in groups.items():
        present = hooks.setdefault(event, [])
        if not isinstance(present, list) or not all(isinstance(item, dict) for item in present):
            raise BadInput(f"{source}: `hooks.{event}` is no list of maps.", remedy=_REMEDY)
        without = (_without_ours(item) for item in present)
        hooks[event] = [group for group in without if group is not None]
        hooks[event].append(copy.deepcopy(group))
    return json.dumps(settings, ensure_ascii=False, indent=2) + "\n"


def _read(text: str | None, source: str) -> dict[str, Any]:
    if text is None or not text.strip():
        return {}
    try:
        settings = load_json(text.removeprefix("\ufeff"), source)
    except BadInput as error:
        raise BadInput(error.message, remedy=_REMEDY) from None
    if not isinstance(settings, dict):
        raise BadInput(f"{source} holds no map.", remedy=_REMEDY)
    return settings


def _without_ours(group: dict[str, Any]) -> dict[str, Any] | None:
    """The group without our handlers; None when nothing else was in it."""
    handlers = group.get("hooks")
    if not isinstance(handlers, list):
        return group
    kept = [handler for handler in handlers if not _is_ours(handler)]
    if len(kept) == len(handlers):
        return group
    return {**group, "hooks": kept} if kept else None


def _is_ours(handler: Any) -> bool:
    command = str(handler.get("command", "")) if isinstance(handler, dict) else ""
    return any(mark in command for mark in MARKS)
