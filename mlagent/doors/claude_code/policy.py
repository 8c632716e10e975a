"""Contracts, compiled to the one JSON file that the hooks read.

Guarantees: the policy holds each agent's own contract by version and sha256, grants only what
commands.yaml describes and the contract's `tools` allow (`bounds`), and carries the schema of the
record that `mlagent` itself validates plans with. Deterministic: the same content gives the same
bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mlagent import __version__
from mlagent.content import Content
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.claude_code import (
    ClaudeCodeAgent,
    ClaudeCodeCommands,
    ClaudeCodePolicy,
    ExportScope,
    PolicyAgent,
    PolicyPlanning,
)
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import AgentPlanDocument
from mlagent.documents import read_record

from .bounds import COMMANDS, require_inside, rule_for
from .hook.entry import SCHEMA, seal
from .hook.plan_check import SILENT, check_schema


def load_work(content: Content) -> dict[Role, ClaudeCodeAgent]:
    """agents/<role>/claude_code.yaml of each agent. Raises BadInput with file, line and field."""
    found: dict[Role, ClaudeCodeAgent] = {}
    for role in ROLES:
        file = f"agents/{role}/claude_code.yaml"
        work = read_record(ClaudeCodeAgent, content.text(file), file, format="yaml")
        if work.agent != role:
            raise BadInput(f"{file}: agent is {work.agent!r}, but this file is {role!r}'s.")
        found[role] = work
    return found


def contract_sha256(content: Content, role: Role) -> str:
    """sha256 of the bytes of contracts/<role>.yaml."""
    return hashlib.sha256(content.path(f"contracts/{role}.yaml").read_bytes()).hexdigest()


def compile_policy(
    content: Content,
    contracts: Mapping[Role, Contract],
    works: Mapping[Role, ClaudeCodeAgent],
    scope: ExportScope,
) -> ClaudeCodePolicy:
    """The policy of all agents, as the hook of an export into this scope reads it.

    Raises:
        BadInput: an agent is granted what has no rule, or what its contract does not allow.
    """
    rules = read_record(ClaudeCodeCommands, content.text(COMMANDS), COMMANDS, format="yaml")
    agents: dict[Role, PolicyAgent] = {}
    for role, work in works.items():
        require_inside(contracts[role], work, rules)
        planning = contracts[role].planning
        agents[role] = PolicyAgent(
            contract_version=contracts[role].version,
            contract_sha256=contract_sha256(content, role),
            tools=work.tools,
            reads=work.reads,
            writes=work.writes,
            commands={name: rule_for(contracts[role], name, rules) for name in work.commands},
            planning=PolicyPlanning(
                min_options=planning.min_options, max_options=planning.max_options
            ),
        )
    schema = plan_schema()
    body = {
        "schema": SCHEMA,
        "mlagent": __version__,
        "scope": scope,
        "agents": {role: agent.model_dump(mode="json") for role, agent in agents.items()},
        "plan_schema": schema,
    }
    return ClaudeCodePolicy.model_validate({**body, "seal": seal(body)})


def plan_schema() -> dict[str, Any]:
    """JSON Schema of AgentPlanDocument, without the words that allow and refuse nothing."""
    schema: dict[str, Any] = _spoken(AgentPlanDocument.model_json_schema(by_alias=True))
    check_schema(schema)
    return schema


def _spoken(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_spoken(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for word, value in schema.items():
        if word in ("properties", "$defs"):
            kept[word] = {name: _spoken(inner) for name, inner in value.items()}
        elif word not in SILENT:
            kept[word] = _spoken(value)
    return kept
