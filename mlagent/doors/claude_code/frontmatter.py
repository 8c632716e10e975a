"""What Claude Code documents about a subagent file: keys, values, names.

Guarantees: constants only, taken from the documentation of August 2026 and from running the command
line 2.1.329. Does not read or judge files: `checking` does.
"""

from __future__ import annotations

import re

REQUIRED_KEYS = ("name", "description")
DOCUMENTED_KEYS = (
    *REQUIRED_KEYS,
    "tools",
    "disallowedTools",
    "model",
    "permissionMode",
    "maxTurns",
    "skills",
    "mcpServers",
    "hooks",
    "memory",
    "background",
    "effort",
    "isolation",
    "color",
    "initialPrompt",
)
"""Every key of the frontmatter that Claude Code reads. Any other one is a warning there."""
PLUGIN_IGNORED_KEYS = frozenset({"hooks", "mcpServers", "permissionMode"})
"""Keys that Claude Code ignores in a subagent that a plugin ships."""

MODELS = ("sonnet", "opus", "haiku", "fable", "inherit")
"""Short names; a full model id (`claude-...`) is allowed too."""
FULL_MODEL = re.compile(r"claude-[a-z0-9][a-z0-9.\-]*(\[[a-z0-9]+\])?\Z")
COLORS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "cyan")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
PERMISSION_MODES = (
    "default",
    "acceptEdits",
    "auto",
    "dontAsk",
    "bypassPermissions",
    "plan",
    "manual",
)
MEMORIES = ("user", "project", "local")
ISOLATIONS = ("worktree",)

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
"""Names that mlagent writes. Claude Code itself loads more: any text without ':' and a leading
'-'."""
RESERVED_NAMES = frozenset({"Explore", "Plan", "general-purpose", "claude", "statusline-setup"})
"""Subagents that Claude Code brings; a file of the same name would take their place."""
MAX_DESCRIPTION = 1024
"""Characters of a description that mlagent writes; Claude Code itself loads longer ones."""
