"""The documented rules for a subagent file: what `mlagent agents check --strict` holds files to.

Guarantees: each broken rule has a name and a sentence. Stricter than what loads, on purpose: a file
that keeps these rules means the same to any YAML reader and on any system. The tools are those of
the documentation of August 2026; a tool of a later version is reported as not documented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mlagent.contracts.agent_files import BrokenRule
from mlagent.contracts.errors import BadInput
from mlagent.documents import load_yaml

from .document import tool_names
from .frontmatter import (
    DOCUMENTED_KEYS,
    MAX_DESCRIPTION,
    NAME,
    PLUGIN_IGNORED_KEYS,
    RESERVED_NAMES,
)
from .loading import Loaded, dropped_values

# fmt: off
TOOLS = frozenset(
    {
        "Agent", "Artifact", "AskUserQuestion", "Bash", "CronCreate", "CronDelete",
        "CronList", "Edit", "EndConversation", "EnterPlanMode", "EnterWorktree",
        "ExitPlanMode", "ExitWorktree", "Glob", "Grep", "LSP", "ListAgents",
        "ListMcpResourcesTool", "Monitor", "NotebookEdit", "PowerShell", "PushNotification",
        "Read", "ReadMcpResourceTool", "RemoteTrigger", "ReportFindings", "ScheduleWakeup",
        "SendMessage", "SendUserFile", "ShareOnboardingGuide", "Skill", "Task",
        "TaskCreate", "TaskGet", "TaskList", "TaskOutput", "TaskStop", "TaskUpdate",
        "TodoWrite", "ToolSearch", "WaitForMcpServers", "WebFetch", "WebSearch", "Workflow",
        "Write",
    }
)
# fmt: on
"""`Task` is the old name of `Agent`, still read."""
_TOOL = re.compile(r"([A-Za-z]+)(\(.*\))?\Z", re.DOTALL)
_MCP_TOOL = re.compile(r"mcp__[A-Za-z0-9_.*-]+\Z")
_BLOCK = re.compile(rb"---\n(.*?\n)---\n", re.DOTALL)
_WHEN = re.compile(r"\buse[ds]?\b|\bwhen\b|\bexamples?\b|\binvoke|\bdelegat|\bfor\b", re.IGNORECASE)


def broken_rules(data: bytes, loaded: Loaded, *, plugin: bool) -> Iterator[BrokenRule]:
    """Every rule that the file with the content `data`, read as `loaded`, does not keep."""
    if not loaded.verdict.loads:
        yield BrokenRule(rule="loads", what=loaded.verdict.why)
    yield from encoding_rules(data)
    yield from _block(data, loaded)
    if loaded.keys:
        yield from _name(loaded.keys.get("name"))
        yield from _description(loaded.keys.get("description"), data)
        yield from _keys(loaded.keys, plugin)
    if not loaded.body.strip():
        yield BrokenRule(rule="body", what="the body is empty; it is the agent's instructions.")


def encoding_rules(data: bytes) -> Iterator[BrokenRule]:
    """UTF-8 without a byte-order mark, lines that end in LF."""
    if data.startswith(b"\xef\xbb\xbf"):
        yield BrokenRule(rule="encoding", what="a byte-order mark stands at the start.")
    if b"\r" in data:
        yield BrokenRule(rule="encoding", what="lines end in CRLF or CR; LF is needed.")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        yield BrokenRule(rule="encoding", what=f"byte {problem.start} is not UTF-8.")


def _block(data: bytes, loaded: Loaded) -> Iterator[BrokenRule]:
    match = _BLOCK.match(data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n"))
    if match is None:
        yield BrokenRule(rule="block", what="the file must start with a block between `---` lines.")
        return
    block = match[1].decode("utf-8", "replace")
    if "---" in block:
        yield BrokenRule(rule="block", what="`---` stands inside the block, which ends it there.")
    try:
        load_yaml(block, "the frontmatter")
    except BadInput as error:
        yield BrokenRule(rule="yaml", what=error.message)


def _name(name: Any) -> Iterator[BrokenRule]:
    if not isinstance(name, str) or not NAME.match(name):
        yield BrokenRule(
            rule="name", what="the name must be lower-case words joined by single hyphens."
        )
    elif name in RESERVED_NAMES:
        yield BrokenRule(rule="name", what=f"{name!r} is the name of a built-in agent.")


def _description(description: Any, data: bytes) -> Iterator[BrokenRule]:
    if not isinstance(description, str):
        return
    if "\n" in description.strip() or "\\n" in description:
        yield BrokenRule(rule="description", what="the description must be one line.")
    if len(description) > MAX_DESCRIPTION:
        what = f"the description has {len(description):,} characters; {MAX_DESCRIPTION:,} are kept."
        yield BrokenRule(rule="description", what=what)
    if not re.search(rb"^description:[ \t]+[\"'].*[\"'][ \t]*\r?$", data, re.MULTILINE):
        yield BrokenRule(rule="description", what="the description must be in quotes, on one line.")
    if not _WHEN.search(description):
        what = "the description must say when to delegate to the agent."
        yield BrokenRule(rule="description", what=what)


def _keys(keys: dict[str, Any], plugin: bool) -> Iterator[BrokenRule]:
    for key in keys:
        if key not in DOCUMENTED_KEYS:
            yield BrokenRule(rule="keys", what=f"`{key[:60]}` is no documented key.")
        elif plugin and key in PLUGIN_IGNORED_KEYS:
            yield BrokenRule(rule="plugin-keys", what=f"`{key}` is ignored in a plugin.")
    for said in dropped_values(keys):
        yield BrokenRule(rule="values", what=f"{said}.")
    for key in ("tools", "disallowedTools"):
        if keys.get(key) is not None:
            yield from _tools(key, keys[key])
    for key, kinds, wanted in (
        ("skills", (list, str), "a list"),
        ("mcpServers", (list, dict), "a list"),
        ("initialPrompt", (str,), "text"),
    ):
        if keys.get(key) is not None and not isinstance(keys[key], kinds):
            yield BrokenRule(rule="values", what=f"`{key}` must be {wanted}.")


def _tools(key: str, value: Any) -> Iterator[BrokenRule]:
    if not isinstance(value, str | list) or (
        isinstance(value, list) and not all(isinstance(item, str) for item in value)
    ):
        yield BrokenRule(rule="tools", what=f"`{key}` must be names, comma separated or a list.")
        return
    if isinstance(value, str) and value[:1] + value[-1:] == "[]":
        yield BrokenRule(rule="tools", what=f"`{key}` is a list read as text.")
    names = tool_names(value)
    unknown = [name for name in names if not _is_tool(name)]
    if unknown:
        what = f"`{key}` names what is no documented tool: {', '.join(unknown)[:200]}."
        yield BrokenRule(rule="tools", what=what)
    if key == "tools" and len(unknown) == len(names):
        what = "no entry of `tools` is a tool; Claude Code refuses to start such an agent."
        yield BrokenRule(rule="tools", what=what)


def _is_tool(name: str) -> bool:
    if _MCP_TOOL.match(name):
        return True
    found = _TOOL.match(name)
    return found is not None and found[1] in TOOLS
