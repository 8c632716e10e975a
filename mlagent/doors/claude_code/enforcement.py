"""Whether what an export put beside its agents still stands there: hook, policy, contracts, hooks.

Guarantees: each file that `exported.json` names and that is missing or was changed since gets a
sentence, and so does each event for which Claude Code starts no hook of the export. Line ends do
not count, and an agent that was taken away needs no contract. A subagent of an export that lies
where none was made, as a copy does, is named. Does not look for somebody who
changed `exported.json` as well, nor at .gitattributes, which may be the user's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mlagent.contracts.claude_code import ClaudeCodeExport
from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json, validate_record

from .agent_text import GENERATED
from .files import PLACES, Scope, hook_groups, text_sha256
from .hooks_off import NAMES
from .settings_merge import MARKS
from .sources import Source

LEFT_TO_OTHERS = (".gitattributes", "README.md", "LICENSE", "plugin.json", ".mcp.json", "SKILL.md")
"""Names that hold nothing: the user's, or judged by `plugin_strict`."""
AGAIN = "`mlagent agents export` writes it again"


def record_of_export(root: Path, *, plugin: bool) -> Path | None:
    """The `exported.json` of a `.claude` folder or a plugin; None when no export was made there."""
    file = root / PLACES["plugin" if plugin else "user"].record
    return file if file.is_file() else None


def not_enforced(root: Path, agents: Iterable[Source], *, plugin: bool) -> Iterator[str]:
    """A sentence for everything that no longer holds the contracts.

    Args:
        root: the `.claude` folder, the user's one, or the plugin.
        agents: the subagent files there.
    """
    file = record_of_export(root, plugin=plugin)
    if file is None:
        inside_plugin = record_of_export(root, plugin=True) is not None
        for agent in agents:
            if GENERATED.encode() in agent.data and not inside_plugin:
                yield (
                    f"{agent.name} was written by `mlagent agents export` for another place: its "
                    "hooks are not here, so nothing holds its contract; export into this place."
                )
        return
    record = _read(file)
    if record is None:
        yield f"{file.name} cannot be read, so nobody knows what the export wrote; {AGAIN}."
        return
    scope = _scope(record, plugin=plugin)
    before = PLACES[scope].root
    for path, wanted in record.files.items():
        inside = path.removeprefix(f"{before}/") if before else path
        if (before and inside == path) or Path(inside).name in LEFT_TO_OTHERS:
            continue
        there = _bytes(root / inside)
        if there is None and inside.startswith("agents/"):
            continue  # an agent that was taken away needs no contract
        if there is None:
            yield f"{inside} is missing; {AGAIN}."
        elif text_sha256(there) != wanted:
            yield f"{inside} was changed after `mlagent agents export` wrote it."
    yield from _events(root, scope)


def _scope(record: ClaudeCodeExport, *, plugin: bool) -> Scope:
    if plugin:
        return "plugin"
    start = f"{PLACES['project'].root}/"
    return "project" if any(path.startswith(start) for path in record.files) else "user"


def _events(root: Path, scope: Scope) -> Iterator[str]:
    """Events without the hook of this export in the files that Claude Code reads."""
    names = ("hooks/hooks.json",) if scope == "plugin" else NAMES
    found = [hooks for name in names if (hooks := _hooks(root / name))]
    where = names[-1]
    for event, group in hook_groups(scope).items():
        (wanted,) = group["hooks"]
        groups = [item for hooks in found for item in _list(hooks.get(event))]
        if any(_holds(item, wanted) for item in groups):
            continue
        ours = any(_is_ours(handler) for item in groups for handler in _handlers(item))
        if ours:
            yield f"{where}: the {event} hook is not the one that this mlagent exports; {AGAIN}."
        else:
            yield f"{where} has no {event} hook of the export: nothing holds the contracts there."


def _holds(group: Any, wanted: dict[str, Any]) -> bool:
    """Whether the group runs exactly this command, for every tool and agent."""
    if not isinstance(group, dict) or group.get("matcher", "*") not in ("*", ""):
        return False
    return wanted in _handlers(group)


def _is_ours(handler: Any) -> bool:
    command = str(handler.get("command", "")) if isinstance(handler, dict) else ""
    marks = (*MARKS, "/hooks/hook pre-tool-use", "/hooks/hook subagent-stop")
    return any(mark in command for mark in marks)


def _handlers(group: Any) -> list[Any]:
    return _list(group.get("hooks")) if isinstance(group, dict) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _hooks(file: Path) -> dict[str, Any]:
    data = _bytes(file)
    try:
        value = load_json((data or b"").decode("utf-8-sig"), file.name)
    except (BadInput, UnicodeDecodeError):
        return {}
    hooks = value.get("hooks") if isinstance(value, dict) else None
    return hooks if isinstance(hooks, dict) else {}


def _read(file: Path) -> ClaudeCodeExport | None:
    try:
        value = load_json((_bytes(file) or b"").decode("utf-8"), file.name)
        return validate_record(ClaudeCodeExport, value, file.name)
    except (BadInput, UnicodeDecodeError):
        return None


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
