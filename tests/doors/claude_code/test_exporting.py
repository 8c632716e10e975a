"""`agents export`: files that hold to every documented rule, and the command that writes them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from exported import CONTENT, export, tree
from hypothesis import example, given
from hypothesis import strategies as st

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES
from mlagent.contracts.claude_code import ClaudeCodeAgent, ClaudeCodePolicy
from mlagent.contracts.contract import Contract, ModelTool
from mlagent.contracts.errors import BadInput, GatesNotMet, MlagentError, PrerequisiteMissing
from mlagent.documents import load_yaml, read_record, validate_record
from mlagent.doors.claude_code.agent_text import (
    GENERATED,
    TIER_MODELS,
    subagent_file,
    without_the_api,
)
from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.exporting import default_folder, export_agents
from mlagent.doors.claude_code.files import SCOPES, SKILLS, export_files
from mlagent.doors.claude_code.frontmatter import (
    DOCUMENTED_KEYS,
    MAX_DESCRIPTION,
    MODELS,
    PLUGIN_IGNORED_KEYS,
)
from mlagent.doors.claude_code.hook.entry import read_policy
from mlagent.doors.claude_code.importing import Importer
from mlagent.doors.claude_code.sources import Source
from mlagent.testing.command_line import run_mlagent

CONTRACTS = load_contracts(CONTENT)
ROOT = Path(__file__).parents[3]
PLUGIN = "plugins/mlagent"
AGENT_FOLDERS = {"project": ".claude/agents", "user": "agents", "plugin": f"{PLUGIN}/agents"}


def front(text: str) -> dict[str, Any]:
    block = text.split("---\n")[1]
    found: dict[str, Any] = load_yaml(block, "frontmatter")
    return found


@pytest.mark.parametrize("scope", SCOPES)
def test_every_exported_subagent_keeps_every_documented_rule(scope: str, tmp_path: Path) -> None:
    export(tmp_path, scope)
    report = check_folder(tmp_path / AGENT_FOLDERS[scope], strict=True)
    assert report.ok
    assert sorted(file.verdict.name or "" for file in report.files) == sorted(ROLES)
    for role in ROLES:
        data = (tmp_path / AGENT_FOLDERS[scope] / f"{role}.md").read_bytes()
        assert data.startswith(b"---\nname: ")
        assert b"\r" not in data
        assert data.endswith(b"\n")
        keys = front(data.decode())
        assert set(keys) <= set(DOCUMENTED_KEYS) - PLUGIN_IGNORED_KEYS
        assert keys["model"] in MODELS
        assert keys["tools"].split(", ") == list(load_work_of(role).tools)
        line = next(x for x in data.decode().splitlines() if x.startswith("description: "))
        assert json.loads(line.removeprefix("description: ")) == keys["description"]
        assert len(keys["description"]) <= MAX_DESCRIPTION
        said = CONTRACTS[role].routing.handles[0].examples[0]
        assert f"for example: '{said}'" in keys["description"]


def load_work_of(role: str) -> ClaudeCodeAgent:
    file = f"agents/{role}/claude_code.yaml"
    return read_record(ClaudeCodeAgent, CONTENT.text(file), file)


@pytest.mark.parametrize("role", ROLES)
def test_a_subagent_says_both_modes_its_limits_and_its_whole_contract(role: str) -> None:
    text = export_files(CONTENT, "project")[f".claude/agents/{role}.md"]
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "What is true here",
        "What holds you",
        "Planning mode",
        "Execution mode",
        "Contract",
    ]
    work = load_work_of(role)
    for word in (*work.reads, *work.writes, *work.commands, "mlagent plan", "mlagent execute"):
        assert word in text
    block = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[-1]
    assert read_record(Contract, block, "block") == CONTRACTS[role]  # type: ignore[index]
    assert "{{" not in text
    assert text.count(GENERATED) == 1


def test_the_engineer_is_told_the_way_from_profile_to_package() -> None:
    text = export_files(CONTENT, "project")[".claude/agents/ml-engineer.md"]
    way = text.split("## Execution mode")[1]
    steps = ["1. Profile", "2. Plan", "3. Write", "solution.py", "4. Try", "mlagent try"]
    steps += ["5. Read the board", "6. Package", "mlagent execute", "def fit("]
    places = [way.index(step) for step in steps]
    assert places == sorted(places)


@pytest.mark.parametrize("role", ROLES)
def test_export_then_import_gives_the_contract_back_word_for_word(role: str) -> None:
    text = export_files(CONTENT, "plugin")[f"{PLUGIN}/agents/{role}.md"]
    report, draft = Importer(CONTENT).convert(Source(f"{role}.md", text.encode()))
    assert report.valid
    assert read_record(Contract, draft, "draft") == CONTRACTS[role]  # type: ignore[index]


@pytest.mark.parametrize("scope", SCOPES)
def test_the_policy_is_the_contracts_and_the_hook_reads_it(scope: str, tmp_path: Path) -> None:
    export(tmp_path, scope)
    (file,) = tmp_path.rglob("policy.json")
    policy = validate_record(ClaudeCodePolicy, read_policy(str(file)), "policy.json")
    for role, agent in policy.agents.items():
        assert agent.planning.max_options == CONTRACTS[role].planning.max_options
        (copy,) = tmp_path.rglob(f"contracts/{role}.yaml")
        assert copy.read_text() == CONTENT.text(f"contracts/{role}.yaml")


@pytest.mark.parametrize("scope", SCOPES)
def test_two_exports_give_the_same_bytes_and_the_second_writes_nothing(
    scope: str, tmp_path: Path
) -> None:
    first, other = tmp_path / "a", tmp_path / "b"
    export(first, scope)
    export(other, scope)
    before = tree(first)
    again = export(first, scope)
    assert (again.written, again.kept) == ((), ())
    assert tree(first) == tree(other) == before
    for data in before.values():
        assert str(ROOT).encode() not in data
        assert str(Path.home()).encode() + b"/" not in data


def test_the_plugin_has_all_its_parts(tmp_path: Path) -> None:
    export(tmp_path, "plugin")
    plugin = tmp_path / PLUGIN
    market = json.loads((tmp_path / ".claude-plugin" / "marketplace.json").read_text())
    assert (tmp_path / market["plugins"][0]["source"]).resolve() == plugin.resolve()
    manifest = json.loads((plugin / ".claude-plugin" / "plugin.json").read_text())
    assert (manifest["name"], manifest["license"]) == ("mlagent", "MIT")
    assert (plugin / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert len((plugin / "README.md").read_text().split()) > 40
    server = json.loads((plugin / ".mcp.json").read_text())["mcpServers"]["mlagent"]
    assert [server["command"], *server["args"]] == ["mlagent", "mcp"]
    for name in SKILLS:
        text = (plugin / "skills" / name / "SKILL.md").read_text()
        keys = front(text)
        assert keys["name"] == name
        assert set(keys) == {"name", "description", "license"}
        assert len(keys["description"]) <= MAX_DESCRIPTION
        assert "Use when" in keys["description"]
    hooks = json.loads((plugin / "hooks" / "hooks.json").read_text())["hooks"]
    assert set(hooks) == {"PreToolUse", "SubagentStop"}
    for groups in hooks.values():
        assert '"${CLAUDE_PLUGIN_ROOT}"/hooks/hook' in groups[0]["hooks"][0]["command"]
        assert (plugin / "hooks" / "hook" / "__main__.py").is_file()


def test_the_plugin_in_this_repository_is_what_the_export_writes() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "plugin.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tier", TIER_MODELS)
def test_every_model_tier_has_a_documented_model(tier: str) -> None:
    assert TIER_MODELS[tier] in MODELS


@given(st.text(max_size=2000))
@example("---")
@example("one\\ntwo --- three")
def test_any_description_becomes_one_quoted_line(text: str) -> None:
    page = subagent_file("a-b", text, ["Read"], "sonnet", "red", "body")
    line = page.split("\n")[2]
    said = json.loads(line.removeprefix("description: "))
    assert len(said) <= MAX_DESCRIPTION
    assert page.split("\n")[3] == "tools: Read"
    assert "---" not in said
    words = re.sub("-{3,}", "--", " ".join(text.replace("\\n", " ").split()))
    assert said == words or said.endswith("...")


@pytest.mark.parametrize("name", ["Plan", "a b", "-a", "a:b", "", "general-purpose", "a--b", "ä"])
def test_a_name_that_does_not_load_everywhere_is_not_written(name: str) -> None:
    with pytest.raises(MlagentError, match="cannot be the name"):
        subagent_file(name, "d", ["Read"], "sonnet", "red", "body")


@pytest.mark.parametrize("role", ROLES)
def test_a_subagent_is_told_of_no_tool_that_claude_code_lacks(role: str) -> None:
    text = export_files(CONTENT, "plugin")[f"{PLUGIN}/agents/{role}.md"]
    spoken = text.partition("\n## Contract\n")[0]
    assert [tool for tool in get_args(ModelTool) if tool in spoken] == []
    assert "the API" not in spoken


def test_a_rule_that_names_a_tool_of_the_api_is_not_exported() -> None:
    rules = "- One.\n- Through the API\n  you may `ask_user`.\n- Two.\n"
    assert without_the_api(rules) == "- One.\n- Two.\n"
    with pytest.raises(MlagentError, match="'ask_user'"):
        without_the_api("- Use `ask_user`.\n")


GATE = GatesNotMet.exit_code


def test_the_skill_says_what_exit_codes_mean() -> None:
    """3 comes of `--check` alone, which none of the skill's commands has."""
    text = CONTENT.text("templates/claude_code/skills/mlagent-run/SKILL.md")
    assert f"(With `--check` a required gate that was not met is exit code {GATE}.)" in text
    assert len(re.findall(rf"(?:code|,) {GATE}\b", text)) == 1
    assert f"{PrerequisiteMissing.exit_code} something that is absent" in text
    assert f"{BadInput.exit_code} is something that was given" in text
    assert "execute --json --check" not in text


def test_what_an_agent_may_do_is_content_and_nothing_else_is(tmp_path: Path) -> None:
    own = tmp_path / "content" / "agents" / "ml-engineer" / "claude_code.yaml"
    own.parent.mkdir(parents=True)
    text = CONTENT.text("agents/ml-engineer/claude_code.yaml")
    own.write_text(text.replace("- plan.yaml\n", "- plan.yaml\n- notes/*.md\n"))
    content = Content(tmp_path / "content")
    files = export_files(content, "project")
    assert "notes/*.md" in files[".claude/agents/ml-engineer.md"]
    policy = json.loads(files[".claude/mlagent/hook/policy.json"])
    assert "notes/*.md" in policy["agents"]["ml-engineer"]["reads"]
    for old, new in (
        ("- plan.yaml", "- ../outside"),
        ("- plan.yaml", "- /etc/passwd"),
        ("Grep", "WebFetch"),
        ("commands: [plan", "commands: [fly"),
        ("Write, Edit, ", ""),
        ("agent: ml-engineer", "agent: data-explorer"),
    ):
        assert old in text
        own.write_text(text.replace(old, new, 1))
        with pytest.raises(BadInput, match=r"claude_code\.yaml"):
            export_files(content, "project")


# --- the command ---


def exported_by_command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_mlagent(folder, "agents", "export", *words)


def test_the_command_writes_here_and_says_what(tmp_path: Path) -> None:
    done = exported_by_command(tmp_path, "--to", "claude-code", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0
    assert ".claude/settings.json" in said["written"]
    assert (tmp_path / ".claude/agents/ml-engineer.md").is_file()


@pytest.mark.parametrize(
    "words",
    [["--to", "cursor"], ["--to", "claude-code", "--scope", "team"]]
    + [["--to", "claude-code", "--out", "file"]],
)
def test_what_cannot_be_exported_is_a_sentence_and_exit_code_2(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    done = exported_by_command(tmp_path, *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_the_default_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    assert default_folder("user") == tmp_path / ".claude"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "c"))
    assert default_folder("user") == tmp_path / "c"
    assert default_folder("project") == Path()


@pytest.mark.parametrize("how", ["default", "out", "link", "configured"])
def test_the_home_folder_is_no_project(
    how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.symlink_to(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.chdir(home)
    out = {"default": None, "out": home, "link": other, "configured": tmp_path / "p"}[how]
    if how == "configured":
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "p" / ".claude"))
    with pytest.raises(BadInput, match="not a project's") as caught:
        export_agents(CONTENT, "project", out, force=True)
    assert "--scope user" in caught.value.remedy
    assert tree(tmp_path) == {}
    export_agents(CONTENT, "user", None, force=False)
    assert (default_folder("user") / "agents" / "ml-engineer.md").is_file()
    export_agents(CONTENT, "project", home / "work", force=False)
    assert (home / "work" / ".claude" / "agents" / "ml-engineer.md").is_file()


def test_without_a_home_a_project_is_exported_and_the_user_scope_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    export(tmp_path)
    with pytest.raises(BadInput, match="home folder"):
        export_agents(CONTENT, "user", None, force=False)


def test_the_next_step_names_the_marketplace_as_claude_code_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name is no source of a marketplace: it must be a whole path, or begin with './'."""
    monkeypatch.chdir(tmp_path)
    said = export(Path("market"), "plugin").next
    assert f"/plugin marketplace add {tmp_path / 'market'}, then" in said
