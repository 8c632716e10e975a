"""What `mlagent agents check` and `agents import` say about subagent files of Claude Code.

Guarantees: each file has one verdict with its reason; an import report has one line for each
section of the document, and one for each statement that was understood. Does not hold the drafts:
those are contracts (`contract.py`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record

LoadReason = Literal[
    "loads",
    "suffix",
    "size",
    "no-frontmatter",
    "not-at-start",
    "unterminated",
    "crlf-and-yaml",
    "column-0-text",
    "yaml",
    "no-name",
    "bad-name",
    "no-description",
    "bad-hooks",
]
Part = Literal[
    "role",
    "responsibilities",
    "boundaries",
    "inputs",
    "outputs",
    "reads",
    "writes",
    "tools",
    "guardrails",
    "success",
    "planning",
    "handoffs",
    "process",
    "examples",
    "knowledge",
    "contract",
]
"""What a section speaks about. `knowledge`: what the agent knows; a contract has no clause for it.
`contract`: a whole contract of mlagent, as `agents export` writes it."""
Outcome = Literal["clause", "held", "refused", "advisory"]
"""`clause`: the draft has a clause for it, which is enforced. `held`: a clause of the base contract
covers it already. `refused`: it asks for what the base contract refuses; the refusal stays.
`advisory`: no tier of mlagent enforces it; it is text for a person, or for a prompt."""


class LoadVerdict(Record):
    """Whether Claude Code lists the file of a project's `.claude/agents`."""

    loads: bool
    name: str | None = Field(default=None, description="the agent's name; None when not loaded")
    reason: LoadReason
    why: str = Field(description="a sentence")
    line: int | None = Field(default=None, description="where the cause stands, counted from 1")
    notes: tuple[str, ...] = Field(default=(), description="it loads, but not as it was meant")


class BrokenRule(Record):
    """A documented rule that a file does not keep (`agents check --strict`)."""

    rule: str
    what: str = Field(description="a sentence")


class CheckedFile(Record):
    file: str = Field(description="path inside the folder")
    verdict: LoadVerdict
    shadowed_by: str | None = Field(
        default=None, description="another file of the same name; the file system picks one"
    )
    rules: tuple[BrokenRule, ...] = Field(default=(), description="empty without --strict")


class CheckedPart(Record):
    """Another file of a plugin: its manifest, hooks, servers, a skill, its README."""

    file: str = Field(description="path inside the plugin")
    rules: tuple[BrokenRule, ...]


class AgentCheck(Record):
    """`mlagent agents check FOLDER --json`."""

    schema_: Literal["mlagent/agent-check/v1"] = Field(alias="schema")
    folder: str
    place: Literal["agents", "plugin"] = Field(
        description="in a plugin each file registers, a broken one too: its `why` says as what"
    )
    measured_on: str = Field(description="version of Claude Code that the verdicts follow")
    strict: bool
    ok: bool = Field(description="every file loads, no name twice, and --strict found nothing")
    files: tuple[CheckedFile, ...]
    parts: tuple[CheckedPart, ...] = Field(
        default=(), description="a plugin's other files; empty without --strict"
    )
    skipped: tuple[str, ...]
    warnings: tuple[str, ...] = Field(
        default=(), description="settings files that switch hooks off; they do not count for ok"
    )


class ImportedSection(Record):
    """One heading, or the frontmatter (level 0)."""

    line: int
    level: int
    heading: str
    part: Part
    statements: int = Field(ge=0)
    code_blocks: int = Field(ge=0)
    became: str = Field(description="what came of it, in words")


class ImportedStatement(Record):
    line: int
    part: Part
    text: str
    outcome: Outcome
    clause: str | None = Field(default=None, description="such as 'boundaries[deployment]'")
    why: str


class MissingField(Record):
    """A field that a person has to fill in before the draft validates."""

    field: str
    why: str


class AgentImport(Record):
    """The report on one imported document."""

    schema_: Literal["mlagent/agent-import/v1"] = Field(alias="schema")
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    verdict: LoadVerdict
    read_as: Literal["frontmatter", "mended", "lines", "none"] = Field(
        description="how the frontmatter was read: as YAML, after quoting, line by line, or absent"
    )
    agent: str | None = Field(description="the agent of mlagent whose contract was the base")
    agent_why: str
    draft: str | None = Field(default=None, description="the file that was written")
    valid: bool = Field(description="`mlagent contracts validate` accepts the draft")
    missing: tuple[MissingField, ...]
    defaults: tuple[str, ...] = Field(
        description="fields of the draft that the document does not speak of: the base's value"
    )
    sections: tuple[ImportedSection, ...]
    statements: tuple[ImportedStatement, ...]
