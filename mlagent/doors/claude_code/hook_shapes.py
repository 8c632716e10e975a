"""The shape of `hooks` in a subagent's frontmatter, as far as a wrong one keeps the file out.

Measured on Claude Code 2.1.329: of all events only PreToolUse and PermissionRequest are strict, as
they are the ones that can forbid; other events with a wrong shape are dropped without a word.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .lenient_yaml import Number

STRICT_EVENTS = ("PreToolUse", "PermissionRequest")
NEEDED = {
    "command": ("command",),
    "prompt": ("prompt",),
    "agent": ("prompt",),
    "http": ("url",),
    "mcp_tool": ("server", "tool"),
}
"""Type of a hook -> the texts that it needs."""


def hooks_problem(hooks: Any) -> str:
    """What keeps the file out, as the rest of a sentence; empty when nothing does."""
    if not hooks and not isinstance(hooks, list | dict):
        return ""  # null, false, 0 and '' count as absent
    if not isinstance(hooks, dict):
        return "a map from event to hooks is needed"
    for event in STRICT_EVENTS:
        if hooks.get(event) is not None and (problem := matchers_problem(hooks[event])):
            return f"{event}: {problem}"
    return ""


def matchers_problem(matchers: Any) -> str:
    """What is wrong with the entries of one event; empty when nothing is."""
    if not isinstance(matchers, list):
        return "a list is needed"
    for entry in matchers:
        if not isinstance(entry, dict) or not isinstance(entry.get("hooks"), list):
            return "each entry needs a list `hooks`"
        if "matcher" in entry and not isinstance(entry["matcher"], str):
            return "`matcher` must be text"
        for hook in entry["hooks"]:
            if problem := _hook_problem(hook):
                return problem
    return ""


def _hook_problem(hook: Any) -> str:
    kind = hook.get("type") if isinstance(hook, dict) else None
    if not isinstance(kind, str) or kind not in NEEDED:
        return f"each hook needs a `type`: {', '.join(NEEDED)}"
    for name in NEEDED[kind]:
        if not isinstance(hook.get(name), str):
            return f"a hook of type {kind} needs the text `{name}`"
    if kind == "http" and not urlsplit(hook["url"]).scheme:
        return f"{hook['url'][:40]!r} is no URL"
    timeout = hook.get("timeout")
    if timeout is not None and not (isinstance(timeout, Number) and float(timeout) > 0):
        return "`timeout` must be a number above 0"
    return ""
