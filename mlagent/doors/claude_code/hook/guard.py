"""PreToolUse: whether an agent's contract allows a tool call.

Guarantees: a tool, a path or a command that the policy does not name is refused; paths are compared
as real paths, links resolved, relative to the real path of the project, or of a folder in it where
mlagent made a plan or a run (one of several in a repository), never one inside another's records; a
search needs a folder that is readable as a whole. Does not watch what `mlagent` does once it runs:
its sandbox does.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

from .command_line import RECORDS, command_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READERS = {"Read": "file_path"}
WRITERS = {"Write": "file_path", "Edit": "file_path"}
JUDGED = frozenset({"Read", "Write", "Edit", "Grep", "Glob", "Bash"})
"""The tools that this module can judge. A policy that grants another one is broken."""
NO_PROJECT = (*RECORDS, "candidates")
"""Folders of a project that hold none of their own."""
HEAD = 4_000
"""Characters of a plan.yaml in which it says whose it is."""


def tool_problem(event: dict[str, Any], agent: dict[str, Any]) -> str | None:
    """A sentence on why the call is refused, or None.

    Args:
        event: what Claude Code gives a PreToolUse hook: `tool_name`, `tool_input`, `cwd`.
        agent: the agent's part of the policy: tools, reads, writes, commands.
    """
    tool, given = event.get("tool_name"), event.get("tool_input")
    if tool not in agent["tools"] or tool not in JUDGED:
        return f"the tool {str(tool)[:60]!r} is not among your tools: {', '.join(agent['tools'])}."
    if not isinstance(given, dict):
        return "the call has no input."
    cwd = os.path.realpath(str(event["cwd"]))
    root = os.path.realpath(os.environ.get("CLAUDE_PROJECT_DIR") or cwd)
    if tool == "Bash":
        return command_problem(given.get("command"), agent["commands"], cwd, root)
    if tool == "Glob":
        return _glob_problem(given, cwd, root)
    if tool == "Grep":
        return _grep_problem(given, agent["reads"], cwd, root)
    verb, globs = ("read", "reads") if tool in READERS else ("write", "writes")
    path = given.get("file_path")
    if not isinstance(path, str) or not path:
        return "the call names no file."
    place = _place(path, cwd, root)
    if place is None or not _allowed(place, agent[globs], root):
        allowed = ", ".join(agent[globs]) or "nothing"
        return f"you may not {verb} {path[:300]!r}; you may {verb}: {allowed}."
    return None


def _glob_problem(given: dict[str, Any], cwd: str, root: str) -> str | None:
    pattern = given.get("pattern")
    if not isinstance(pattern, str) or ".." in pattern or pattern.startswith(("/", "~")):
        return "a pattern may not hold '..' or begin with '/' or '~'."
    if _place(given.get("path") or cwd, cwd, root) is None:
        return "only folders inside the project may be listed."
    return None


def _grep_problem(given: dict[str, Any], reads: list[str], cwd: str, root: str) -> str | None:
    path = given.get("path") or cwd
    place = _place(path, cwd, root)
    if place is not None:
        if os.path.isdir(os.path.join(root, *place)):
            if any(
                _covers(glob.split("/"), inner) for inner in _places(place, root) for glob in reads
            ):
                return None
        elif _allowed(place, reads, root):
            return None
    return (
        f"you may not search {str(path)[:300]!r}; name a file or folder that you may read: "
        f"{', '.join(reads)}."
    )


def _place(path: object, cwd: str, root: str) -> list[str] | None:
    """The real place of `path` as segments below the project, or None when it lies outside."""
    if not isinstance(path, str) or path.startswith("~") or "\0" in path:
        return None
    real = os.path.realpath(os.path.join(cwd, path))
    if real == root:
        return []
    base = root.rstrip("/") + "/"
    return real[len(base) :].split("/") if real.startswith(base) else None


def _allowed(place: list[str], globs: list[str], root: str) -> bool:
    return any(_matches(inner, glob.split("/")) for inner in _places(place, root) for glob in globs)


def _places(place: list[str], root: str) -> list[list[str]]:
    """The place as the project sees it, and as each project of mlagent below sees it that is around
    it."""
    found = [place]
    for count in range(1, len(place)):
        name = place[count - 1]
        if name.startswith(".") or name in NO_PROJECT:
            break
        if _is_project(os.path.join(root, *place[:count])):
            found.append(place[count:])
    return found


def _is_project(folder: str) -> bool:
    """Whether mlagent worked here: its state is here, or a plan of its own. Links do not count."""
    state, plan = os.path.join(folder, ".mlagent"), os.path.join(folder, "plan.yaml")
    if os.path.isdir(state) and not os.path.islink(state):
        return True
    if os.path.islink(plan) or not os.path.isfile(plan):
        return False
    try:
        with open(plan, encoding="utf-8", errors="replace") as file:
            return "\nschema: mlagent/plan/" in "\n" + file.read(HEAD)
    except OSError:
        return False


def _matches(parts: list[str], glob: list[str]) -> bool:
    """Segment by segment; `**` stands for one or more segments; neither it nor `*` for a hidden
    one."""
    if not glob or not parts:
        return not glob and not parts
    if glob[0] == "**":
        return not parts[0].startswith(".") and (
            _matches(parts[1:], glob[1:]) or _matches(parts[1:], glob)
        )
    return _segment(parts[0], glob[0]) and _matches(parts[1:], glob[1:])


def _covers(glob: list[str], folder: list[str]) -> bool:
    """Whether everything below `folder` matches `glob`, which then ends in `**`."""
    head = glob[:-1]
    return (
        glob[-1] == "**"
        and "**" not in head
        and len(folder) >= len(head)
        and all(_segment(folder[index], wanted) for index, wanted in enumerate(head))
    )


def _segment(part: str, wanted: str) -> bool:
    return fnmatchcase(part, wanted) and (not part.startswith(".") or wanted.startswith("."))
