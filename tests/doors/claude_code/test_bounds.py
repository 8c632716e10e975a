"""The contract is the upper bound of what an agent may do inside Claude Code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.claude_code import ClaudeCodeAgent, ClaudeCodeCommands
from mlagent.contracts.errors import BadInput
from mlagent.documents import read_record
from mlagent.doors.claude_code.bounds import COMMANDS, require_inside, rule_for
from mlagent.doors.claude_code.files import export_files
from mlagent.doors.claude_code.policy import load_work

CONTENT = Content()
CONTRACTS, WORKS = load_contracts(CONTENT), load_work(CONTENT)
RULES = read_record(ClaudeCodeCommands, CONTENT.text(COMMANDS), COMMANDS)


@pytest.mark.parametrize("role", CONTRACTS)
def test_what_ships_stays_inside_the_contracts(role: str) -> None:
    require_inside(CONTRACTS[role], WORKS[role], RULES)


@pytest.mark.parametrize(
    ("role", "tool", "what"),
    [
        ("ml-engineer", "submit_candidate", "the command 'try'"),
        ("ml-engineer", "read_artifact", "reading 'candidates/*/solution.py'"),
        ("ml-engineer", "look_at_profile", "the command 'plan'"),
        ("data-explorer", "look_at_profile", "the command 'plan'"),
        ("data-explorer", "script", "the command 'execute'"),
        ("statistical-analyst", "look_at_profile", "the command 'plan'"),
    ],
)
def test_a_tool_that_the_contract_loses_is_refused_by_the_export(
    tmp_path: Path, role: str, tool: str, what: str
) -> None:
    file = tmp_path / "contracts" / f"{role}.yaml"
    file.parent.mkdir()
    text = CONTENT.text(f"contracts/{role}.yaml")
    kept = [one for one in CONTRACTS[role].tools if one != tool]
    file.write_text(re.sub(r"^tools: .*$", f"tools: [{', '.join(kept)}]", text, flags=re.M))
    with pytest.raises(BadInput) as refused:
        export_files(Content(tmp_path), "project")
    said = str(refused.value)
    assert f"agents/{role}/claude_code.yaml: {what} takes the tool {tool!r}" in said
    assert f"contracts/{role}.yaml does not list" in said


def granted(role: str, **more: tuple[str, ...]) -> ClaudeCodeAgent:
    work = WORKS[role]
    return work.model_copy(update={key: (*getattr(work, key), *one) for key, one in more.items()})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"commands": ("try",)}, "the command 'try' takes the tool 'submit_candidate'"),
        ({"commands": ("fly",)}, "the command 'fly' has no rule"),
        ({"reads": ("candidates/*/solution.py",)}, "takes the tool 'read_artifact'"),
        ({"reads": ("runs/*/artifacts/**",)}, "takes the tool 'read_artifact'"),
        ({"reads": ("runs/*/artifacts/ml-engineer/**",)}, "takes the tool 'read_artifact'"),
        ({"reads": ("runs/**/board.json",)}, "takes the tool 'read_artifact'"),
        ({"reads": ("*.yaml",)}, "takes the tool 'read_artifact'"),
        ({"reads": ("**",)}, "takes the tool 'read_artifact'"),
        ({"reads": (".mlagent/seals/*",)}, "no agent may read '.mlagent/seals/*'"),
        ({"writes": ("candidates/*/solution.py",)}, "takes the tool 'submit_candidate'"),
        ({"writes": ("candidates/*/*",)}, "no agent may write 'candidates/*/*'"),
    ],
)
def test_a_grant_beyond_the_contract_is_refused(
    more: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        require_inside(CONTRACTS["data-explorer"], granted("data-explorer", **more), RULES)


def test_what_the_contract_hands_an_agent_needs_no_tool() -> None:
    handed = {"reads": ("runs/*/artifacts/data-explorer/*.json", "runs/r1/evaluation.json")}
    for role in ("data-explorer", "statistical-analyst"):
        require_inside(CONTRACTS[role], granted(role, **handed), RULES)


def test_a_flag_goes_with_its_tool() -> None:
    engineer, explorer = CONTRACTS["ml-engineer"], CONTRACTS["data-explorer"]
    assert "--candidate" in rule_for(engineer, "execute", RULES).values
    assert "--candidate" not in rule_for(explorer, "execute", RULES).values
    assert "--budget" in rule_for(explorer, "execute", RULES).values
