"""Whether a Bash command is one plain `mlagent ...` that an agent may give.

Guarantees: what is allowed means one command with these words to any shell: outside quotes only
letters, digits and `_-./:,+@=` stand, so nothing is expanded, chained, redirected or substituted;
the first word is `mlagent` itself; the subcommand and each flag are on the agent's list; each word
that could be a path, and the value of each flag that takes one, lies inside the project. Does not
run anything.
"""

from __future__ import annotations

import os
import re
import shlex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_LENGTH = 8_000
RECORDS = ("runs", "plans", "imported")
"""Folders of a project whose files hold truth, predictions or other people's texts."""
_QUOTED = re.compile(r"'[^']*'|\"[^\"$`\\!]*\"")
_SAFE = re.compile(r"[A-Za-z0-9_\-./:,+@= ]*\Z", re.ASCII)
_HINT = "Bash is for one plain `mlagent ...` command here"


def command_problem(command: Any, allowed: dict[str, Any], cwd: str, root: str) -> str | None:
    """A sentence on why the command is refused, or None.

    Args:
        command: as Claude Code would give it to the shell.
        allowed: subcommand -> {"values": [flags], "paths": [those that take a file or folder],
            "switches": [flags], "words": most positionals, "text": whether the first positional is
            a sentence}. Without "paths", as an older export has it, all values are paths.
        cwd, root: real paths of the shell's folder and of the project.
    """
    if not isinstance(command, str) or not command.strip():
        return f"there is no command. {_HINT}."
    if len(command) > MAX_LENGTH:
        return f"the command is longer than {MAX_LENGTH:,} characters."
    if not command.isprintable():
        return f"the command holds a line break or a control character. {_HINT}."
    outside = _QUOTED.sub("", command)
    if not _SAFE.match(outside):
        strange = next(char for char in outside if not _SAFE.match(char))
        return (
            f"{strange!r} outside single quotes is refused: no operators, variables, wildcards or "
            f"second commands. {_HINT}; put texts in single quotes."
        )
    try:
        words = shlex.split(command, posix=True)
    except ValueError as error:
        return f"the command cannot be read ({error}). {_HINT}."
    if words[0] != "mlagent" or not command.lstrip(" ").startswith("mlagent"):
        return f"{words[0][:60]!r} is not `mlagent`. {_HINT}; code runs in mlagent's sandbox only."
    if any(word.startswith(("=", "~")) for word in words):
        return "a word that begins with '=' or '~' is refused."
    if not _inside(cwd, root):
        return "the shell's folder lies outside the project."
    return _words_problem(words[1:], allowed, cwd, root)


def _words_problem(words: list[str], allowed: dict[str, Any], cwd: str, root: str) -> str | None:
    if words in (["--help"], ["-h"], ["--version"]):
        return None
    name = next((name for name in (" ".join(words[:2]), *words[:1]) if name in allowed), None)
    if name is None:
        given = " ".join(words[:2])[:60]
        return f"`mlagent {given}` is not among your commands: {', '.join(sorted(allowed))}."
    rule = allowed[name]
    named = rule.get("paths")
    named = named if isinstance(named, list) else rule["values"]
    rest, paths, positionals = words[len(name.split(" ")) :], [], 0
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word in ("--help", "-h") or word in rule["switches"]:
            continue
        if flag in rule["values"]:
            if not equals and not rest:
                return f"{flag} needs a value."
            value = value if equals else rest.pop(0)
            if flag in named:
                paths.append(value)
            elif not equals and value.startswith("--"):
                return f"{flag} needs a value."
        elif word.startswith("-"):
            known = ", ".join([*rule["values"], *rule["switches"]]) or "none"
            return f"`mlagent {name} {flag[:40]}` is refused; your flags: {known}."
        else:
            positionals += 1
            if not (rule["text"] and positionals == 1):
                paths.append(word)
    if positionals > rule["words"]:
        return f"`mlagent {name}` takes at most {rule['words']} words besides flags here."
    for path in paths:
        real = os.path.realpath(os.path.join(cwd, path))
        if not _inside(real, root):
            return f"{path[:200]!r} lies outside the project."
        parts = real[len(root) :].strip("/").split("/")
        if os.path.exists(real) and any(p in RECORDS or p.startswith(".") for p in parts):
            return (
                f"{path[:200]!r} is a record of mlagent's or a hidden file: no table, no test file "
                "and no candidate of yours."
            )
    return None


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
