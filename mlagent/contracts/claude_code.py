"""What the subagents may do inside Claude Code: files of a project, tools, `mlagent` commands.

Guarantees: a tool that no hook can judge, a path outside the project and an unknown command cannot
be written down. The contract itself speaks of sandbox paths; these records speak of the project,
and name the tools of the contract that a grant takes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from .base import Record, Role, Sha256
from .contract import Tool

ClaudeTool = Literal["Read", "Grep", "Glob", "Write", "Edit", "Bash"]
"""The tools of Claude Code that the PreToolUse hook can judge; no other one is granted."""
ClaudeColor = Literal["red", "blue", "green", "yellow", "purple", "orange", "pink", "cyan"]
ProjectGlob = Annotated[
    str,
    Field(
        pattern=r"^\.?[A-Za-z0-9_*][A-Za-z0-9_.*-]*(/\.?[A-Za-z0-9_*][A-Za-z0-9_.*-]*)*$",
        description="relative to the project; `*` inside one segment, `**` across segments",
    ),
]
ExportScope = Literal["project", "user", "plugin"]
"""Where an export lies: in a project, in the user's own configuration, in a plugin."""
Flag = Annotated[str, Field(pattern=r"^--[a-z][a-z-]*$")]
CommandName = Annotated[str, Field(pattern=r"^[a-z]+( [a-z]+)?$")]


class CommandRule(Record):
    """How a subagent may call one subcommand of `mlagent`."""

    words: int = Field(ge=0, le=4, description="most words besides flags")
    text: bool = Field(description="whether the first of them is a sentence, not a path")
    values: tuple[Flag, ...] = Field(description="flags that take a value")
    paths: tuple[Flag, ...] | None = Field(
        None, description="those of `values` that take a file or folder; null: all of them"
    )
    switches: tuple[Flag, ...]

    @model_validator(mode="after")
    def _paths_are_values(self) -> Self:
        if strange := set(self.paths or ()) - set(self.values):
            raise ValueError(f"paths are not among values: {', '.join(sorted(strange))}")
        return self


class DescribedCommand(CommandRule):
    """A rule, and the tools that an agent's contract must list for it."""

    needs: tuple[Tool, ...] = ()
    flag_needs: dict[Flag, Tool] = Field(
        {}, description="flags that only agents get whose contract lists the tool"
    )


class ClaudeCodeCommands(Record):
    """templates/claude_code/commands.yaml: what claude_code.yaml may grant, under which contract.

    `reads`, `writes`: kind of file -> tools of the contract that it takes; the first one that holds
    a grant counts, and a grant that none holds is refused."""

    schema_: Literal["mlagent/claude-code-commands/v1"] = Field(alias="schema")
    commands: dict[CommandName, DescribedCommand]
    reads: dict[ProjectGlob, tuple[Tool, ...]]
    writes: dict[ProjectGlob, tuple[Tool, ...]]


class ClaudeCodeAgent(Record):
    """agents/<role>/claude_code.yaml."""

    schema_: Literal["mlagent/claude-code-agent/v1"] = Field(alias="schema")
    agent: Role
    color: ClaudeColor
    tools: tuple[ClaudeTool, ...] = Field(min_length=1)
    reads: tuple[ProjectGlob, ...]
    writes: tuple[ProjectGlob, ...]
    commands: tuple[CommandName, ...]

    @model_validator(mode="after")
    def _writers_write(self) -> ClaudeCodeAgent:
        if bool(self.writes) != bool({"Write", "Edit"} & set(self.tools)):
            raise ValueError("tools and writes do not fit: one grants writing, the other does not")
        return self


class ClaudeCodeExport(Record):
    """exported.json: what an export wrote, so that the next one knows its own files."""

    schema_: Literal["mlagent/claude-code-export/v1"] = Field(alias="schema")
    mlagent: str = Field(description="version that wrote it")
    files: dict[str, Sha256] = Field(
        description="path below the output folder -> sha256 of the text, with LF at line ends"
    )


class PolicyPlanning(Record):
    min_options: int
    max_options: int


class PolicyAgent(Record):
    """What the hook knows of one agent."""

    contract_version: str
    contract_sha256: Sha256
    tools: tuple[ClaudeTool, ...]
    reads: tuple[ProjectGlob, ...]
    writes: tuple[ProjectGlob, ...]
    commands: dict[CommandName, CommandRule]
    planning: PolicyPlanning


class ClaudeCodePolicy(Record):
    """hook/policy.json: the contracts as the hook reads them, with the standard library alone."""

    schema_: Literal["mlagent/claude-code-policy/v1"] = Field(alias="schema")
    mlagent: str = Field(description="version that wrote it")
    scope: ExportScope | None = Field(
        None,
        description="where the hook lies: a plugin's takes `mlagent:<agent>`, the others take the "
        "bare name; null, as in older exports: both",
    )
    agents: dict[Role, PolicyAgent]
    plan_schema: dict[str, Any] = Field(description="JSON Schema of an agent_plan document")
    seal: Sha256 = Field(description="over everything else; a changed policy is a broken one")
