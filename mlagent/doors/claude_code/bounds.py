"""Whether what claude_code.yaml grants an agent stays inside the agent's contract.

Guarantees: a command, a flag, a file to read or to write that takes a tool of the contract
(commands.yaml says which) is granted only where the contract lists that tool; a file or command
that commands.yaml has no line for is never granted. What an agent makes itself, and what its
contract's `inputs` hand it, it may read without `read_artifact`. Does not bind the session of the
user, nor what `mlagent` does once it runs: contract and sandbox do that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from mlagent.contracts.base import ROLES
from mlagent.contracts.claude_code import ClaudeCodeAgent, ClaudeCodeCommands, CommandRule
from mlagent.contracts.contract import Contract, Tool
from mlagent.contracts.errors import BadInput

COMMANDS = "templates/claude_code/commands.yaml"
ARTIFACTS = ("runs", "*", "artifacts")


def require_inside(contract: Contract, work: ClaudeCodeAgent, rules: ClaudeCodeCommands) -> None:
    """Raises BadInput with the file, the grant and the tool that the contract lacks."""
    file = f"agents/{work.agent}/claude_code.yaml"
    for what, needs in _grants(contract, work, rules, file):
        lacking = [tool for tool in needs if tool not in contract.tools]
        if lacking:
            raise BadInput(
                f"{file}: {what} takes the tool {lacking[0]!r}, which contracts/{work.agent}.yaml "
                "does not list under `tools`.",
                remedy=f"Take it out of {file}, or add the tool to the contract and raise its "
                f"version. What takes which tool is in {COMMANDS}.",
            )


def rule_for(contract: Contract, name: str, rules: ClaudeCodeCommands) -> CommandRule:
    """How the agent may give a command: without the flags whose tool its contract lacks."""
    described = rules.commands[name]
    barred = {flag for flag, tool in described.flag_needs.items() if tool not in contract.tools}
    paths = described.values if described.paths is None else described.paths
    return CommandRule(
        words=described.words,
        text=described.text,
        values=tuple(flag for flag in described.values if flag not in barred),
        paths=tuple(flag for flag in paths if flag not in barred),
        switches=tuple(flag for flag in described.switches if flag not in barred),
    )


def _grants(
    contract: Contract, work: ClaudeCodeAgent, rules: ClaudeCodeCommands, file: str
) -> Iterator[tuple[str, tuple[Tool, ...]]]:
    """Each grant as words, and the tools that it takes."""
    for name in work.commands:
        if name not in rules.commands:
            raise BadInput(
                f"{file}: the command {name!r} has no rule.",
                remedy=f"Rules are in {COMMANDS}: {', '.join(rules.commands)}.",
            )
        yield f"the command {name!r}", rules.commands[name].needs
    handed = {contract.name, *(item.from_ for item in contract.inputs)} & set(ROLES)
    for glob in work.reads:
        parts = tuple(glob.split("/"))
        if not (parts[:3] == ARTIFACTS and len(parts) > 4 and parts[3] in handed):
            yield f"reading {glob!r}", _needed(glob, rules.reads, file, "read")
    for glob in work.writes:
        yield f"writing {glob!r}", _needed(glob, rules.writes, file, "write")


def _needed(
    glob: str, kinds: Mapping[str, tuple[Tool, ...]], file: str, verb: str
) -> tuple[Tool, ...]:
    """The tools of the first kind of file that holds whatever `glob` matches. Raises BadInput."""
    for kind, needs in kinds.items():
        if _inside(glob.split("/"), kind.split("/")):
            return needs
    raise BadInput(
        f"{file}: no agent may {verb} {glob!r}.",
        remedy=f"{COMMANDS} says what one may {verb}: {', '.join(kinds)}.",
    )


def _inside(glob: list[str], kind: list[str]) -> bool:
    """Whether `kind` matches all that `glob` does, segment by segment, as the hook reads both."""
    if not glob or not kind:
        return not glob and not kind
    if kind[0] == "**":
        return not glob[0].startswith(".") and (
            _inside(glob[1:], kind[1:]) or _inside(glob[1:], kind)
        )
    hidden = glob[0].startswith(".") and not kind[0].startswith(".")
    return (
        glob[0] != "**"
        and not hidden
        and fnmatchcase(glob[0], kind[0])
        and _inside(glob[1:], kind[1:])
    )
