"""The real Claude Code as the oracle: MLAGENT_CLAUDE_CLI names its binary, else these skip by name.

Empty environment, empty home, no network (a proxy to a dead port). The sessions run against a
scripted server on loopback, so no model and no account takes part.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from marketplace_cases import CASES as MARKETPLACE_CASES
from plugin_cases import CASES, FINE
from plugin_name_cases import CASES as NAME_CASES
from plugin_name_cases import write_plugin

from mlagent.content import Content
from mlagent.contracts.base import ROLES
from mlagent.contracts.errors import BadInput
from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.exporting import export_agents
from mlagent.testing.messages_api import MessagesApi, calls, messages_api, says

CLI = os.environ.get("MLAGENT_CLAUDE_CLI", "")
pytestmark = pytest.mark.skipif(not CLI, reason="MLAGENT_CLAUDE_CLI does not name a claude binary")
PLUGIN = "plugins/mlagent"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the subagents, the plugin beside it, a table and settings."""
    root = tmp_path / "project"
    root.mkdir()
    export_agents(Content(), "project", root, force=False)
    export_agents(Content(), "plugin", tmp_path / "market", force=False)
    (root / "churn.csv").write_text("a,b\n1,secret-cell\n")
    (root / "mlagent.yaml").write_text("schema: mlagent/settings/v1\n")
    (tmp_path / "home").mkdir()
    return root


def claude(
    project: Path, *words: str, below: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line with nothing of this machine but the PATH."""
    dead = "http://127.0.0.1:9"
    return subprocess.run(
        [CLI, *words],
        cwd=project / below,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
        env={
            "HOME": str(project.parent / "home"),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HTTPS_PROXY": dead,
            "HTTP_PROXY": dead,
            "NO_PROXY": "127.0.0.1",
            **environment,
        },
    )


@pytest.mark.parametrize("what", ["market", f"market/{PLUGIN}", "project/.claude"])
def test_the_export_passes_plugin_validate_strict(project: Path, what: str) -> None:
    done = claude(project, "plugin", "validate", "--json", "--strict", str(project.parent / what))
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert report["success"] is True
    manifest = report["manifest"] or {"errors": [], "warnings": []}
    assert (manifest["errors"], manifest["warnings"], report["contents"]) == ([], [], [])


def test_the_plugin_of_this_repository_passes_too(project: Path) -> None:
    for folder in (ROOT, ROOT / PLUGIN):
        assert claude(project, "plugin", "validate", "--strict", str(folder)).returncode == 0


@pytest.mark.parametrize("name", [*CASES, *FINE])
def test_what_plugin_validate_refuses_breaks_a_rule_of_ours(project: Path, name: str) -> None:
    plugin = project.parent / "market" / PLUGIN
    case = (CASES | FINE)[name]
    case.apply(plugin)
    done = claude(project, "plugin", "validate", "--json", "--strict", str(plugin))
    assert (done.returncode != 0) is (bool(case.rules) and case.refused), done.stdout


@pytest.mark.parametrize("name", MARKETPLACE_CASES)
def test_what_plugin_validate_says_of_a_marketplace(project: Path, name: str) -> None:
    market = project.parent / "market"
    case = MARKETPLACE_CASES[name]
    case.apply(market)
    done = claude(project, "plugin", "validate", "--json", "--strict", str(market))
    assert (done.returncode == 0) is case.passes_there, done.stdout


def test_the_directory_profile_finds_nothing_that_blocks(project: Path) -> None:
    plugin = str(project.parent / "market" / PLUGIN)
    done = claude(project, "plugin", "validate", "--json", "--profile", "directory", plugin)
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert [f for f in report["directory"]["findings"] if f["blocking"]] == []
    assert set(report["provides"]["agents"]) == {f"mlagent:{role}" for role in ROLES}
    assert {hook["event"] for hook in report["provides"]["hooks"]} == {"PreToolUse", "SubagentStop"}
    assert [server["name"] for server in report["provides"]["mcpServers"]] == ["mlagent"]


def available(project: Path, *words: str) -> set[str]:
    done = claude(project, *words, "--agent", "nosuch", "-p", "hi")
    said = done.stdout + done.stderr
    assert "Available agents: " in said, said
    return set(said.split("Available agents: ")[1].splitlines()[0].strip(" .").split(", "))


def test_the_three_agents_are_listed(project: Path) -> None:
    assert set(ROLES) <= available(project)
    plugin = str(project.parent / "market" / PLUGIN)
    assert {f"mlagent:{role}" for role in ROLES} <= available(project, "--plugin-dir", plugin)


def test_a_plugins_files_register_under_the_names_that_we_say(project: Path) -> None:
    plugin = project.parent / "plug"
    write_plugin(plugin)
    listed = {name for name in available(project, "--plugin-dir", str(plugin)) if "plug:" in name}
    assert listed == {case["listed"] for case in NAME_CASES} - {None}


def test_the_next_step_that_export_prints_names_the_three_agents(project: Path) -> None:
    said = export_agents(Content(), "project", project, force=False).next
    program, *words = shlex.split(said.split("`")[1])
    assert program == "claude"
    done = claude(project, *words)
    listed = done.stdout + done.stderr
    assert done.returncode != 0
    assert all(role in listed.split("Available agents: ")[1] for role in ROLES)


def test_the_user_scope_is_listed_in_every_project(project: Path) -> None:
    export_agents(Content(), "user", project.parent / "home" / ".claude", force=False)
    empty = project.parent / "empty"
    empty.mkdir()
    done = claude(project, "--version")
    assert done.returncode == 0
    assert set(ROLES) <= available(empty)


def test_the_marketplace_can_be_added_and_the_plugin_installed(project: Path) -> None:
    market = str(project.parent / "market")
    assert claude(project, "plugin", "marketplace", "add", market).returncode == 0
    done = claude(project, "plugin", "install", "mlagent@mlagent")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {f"mlagent:{role}" for role in ROLES} <= available(project)


OPTION = (
    "{approach: x, pros: [], cons: [], time_estimate_hours: 0.1, complexity: low, risks: [], "
    "dependencies: []}"
)
GOOD = f"""agent_plan:
  agent_name: ml-engineer
  task: churn
  implementation_options:
    option_a: {OPTION}
    option_b: {OPTION}
  recommendation: {{selected: option_a, rationale: because, conditions: []}}
"""


def session(project: Path, agent: str, *words: str, below: str = "") -> list[dict[str, Any]]:
    """A session in which the main agent calls `agent`, which tries what it must not.

    `below`: the folder of the project in which it is started.

    Returns the messages of the subagent's last request.
    """
    new, table = str(project / "candidates/one/solution.py"), str(project / "churn.csv")
    steps = [
        calls("Bash", "t0", command="python -c 'print(1)' > leak.txt"),
        calls("Read", "t1", file_path=table),
        calls("Write", "t2", file_path=str(project / "train.py"), content="x = 1\n"),
        calls("Bash", "t3", command="mlagent --version"),
        calls("Read", "t4", file_path=str(project / "mlagent.yaml")),
        calls("Write", "t5", file_path=new, content="x = 1\n"),
        says(f"```yaml\n{GOOD.replace('low', 'tiny', 1)}```"),
        says(f"```yaml\n{GOOD}```"),
    ]

    def script(body: dict[str, Any]) -> list[dict[str, Any]]:
        turns = sum(message["role"] == "assistant" for message in body["messages"])
        if "You are the ml-engineer" in json.dumps(body.get("system", "")):
            return [steps[min(turns, len(steps) - 1)]]
        tools = {tool.get("name") for tool in body.get("tools", [])}
        if turns == 0 and tools & {"Agent", "Task"}:
            given = {"description": "plan", "prompt": "Planning mode: churn"}
            given |= {"subagent_type": agent, "run_in_background": False}
            return [calls("Agent", "t_main", **given)]
        return [says("finished")]

    with messages_api(script, strict=False) as api:
        words = (*words, "--permission-mode", "acceptEdits", "--allowedTools", "Bash(mlagent:*)")
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        quiet |= {"ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": "x"}
        done = claude(project, *words, "-p", "go", below=below, **quiet)
        assert done.returncode == 0, done.stdout + done.stderr
        return last_of_the_agent(api)


def last_of_the_agent(api: MessagesApi) -> list[dict[str, Any]]:
    own = [b for b in api.seen if "You are the ml-engineer" in json.dumps(b.get("system", ""))]
    found: list[dict[str, Any]] = own[-1]["messages"]
    return found


@pytest.mark.parametrize("scope", ["project", "plugin"])
def test_a_real_session_holds_the_contract(project: Path, scope: str) -> None:
    if scope == "plugin":
        shutil.rmtree(project / ".claude")
        words = ["--plugin-dir", str(project.parent / "market" / PLUGIN)]
        messages = session(project, "mlagent:ml-engineer", *words)
    else:
        messages = session(project, "ml-engineer")
    results = {
        block["tool_use_id"]: block
        for message in messages
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "tool_result"
    }
    for refused in ("t0", "t1", "t2"):
        assert results[refused]["is_error"] is True
        assert "mlagent, contract of ml-engineer" in json.dumps(results[refused]["content"])
    for passed in ("t3", "t4", "t5"):
        assert not results[passed].get("is_error"), results[passed]
    assert "mlagent 0" in json.dumps(results["t3"]["content"])
    assert not (project / "leak.txt").exists()
    assert not (project / "train.py").exists()
    assert (project / "candidates/one/solution.py").read_text() == "x = 1\n"
    sent = json.dumps(messages)
    assert "secret-cell" not in sent
    assert "complexity is 'tiny'; allowed: low, medium, high" in sent
    turns = [message["role"] for message in messages].count("assistant")
    assert turns == 7  # the bad plan went back once, and the good one ended the agent


def test_a_broken_contract_refuses_every_step_and_claude_code_ends_the_agent(
    project: Path,
) -> None:
    """After eight refused stops it overrides the hook: failing closed is no endless loop."""
    (project / ".claude/mlagent/hook/policy.json").write_text("{}")
    messages = session(project, "ml-engineer")
    assert [message["role"] for message in messages].count("assistant") == 6 + 8
    assert not (project / "candidates").exists()
    assert json.dumps(messages).count("policy.json is broken") == 6 + 8


@pytest.mark.parametrize(
    ("file", "value", "off"),
    [
        ("project/.claude/settings.local.json", "true", True),
        ("project/.claude/settings.local.json", '"true"', False),
        ("home/.claude/settings.json", "true", True),
    ],
)
def test_settings_switch_the_hooks_off_where_we_say_so(
    project: Path, file: str, value: str, off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(project.parent / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    settings = project.parent / file
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(f'{{"disableAllHooks": {value}}}')
    assert ("contract of ml-engineer" not in json.dumps(session(project, "ml-engineer"))) is off
    assert [str(settings) in said for said in check_folder(project, strict=True).warnings] == [
        True
    ] * off


def test_a_session_below_the_export_finds_the_agent_and_no_hook(project: Path) -> None:
    """What `agents check` warns of; should it fail one day, the warning can go."""
    (project / "services").mkdir()
    (project / ".git").mkdir()
    messages = session(project, "ml-engineer", below="services")
    assert "contract of ml-engineer" not in json.dumps(messages)
    with pytest.raises(BadInput) as refused:
        check_folder(project / "services", strict=True)
    assert "none of its hooks" in str(refused.value)
