"""The hooks as Claude Code runs them: the exported files, a shell, an event on stdin."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mlagent.content import Content
from mlagent.contracts.base import ROLES
from mlagent.doors.claude_code.exporting import export_agents
from mlagent.doors.claude_code.files import hook_groups, hook_sources
from mlagent.doors.claude_code.hook import entry

PLAN = """agent_plan:
  agent_name: ml-engineer
  task: churn
  implementation_options:
    option_a: &o
"""
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
BAD = GOOD.replace("complexity: low", "complexity: tiny", 1)


class Said(NamedTuple):
    code: int
    out: dict[str, Any]
    err: str


Ask = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with spaces and quotes in its name, exported to."""
    root = tmp_path / "my 'churn' project"
    root.mkdir()
    export_agents(Content(), "project", root, force=False)
    (root / "churn.csv").write_text("a\n1\n")
    return root


@pytest.fixture
def ask(project: Path) -> Ask:
    """Run the command that stands in settings.json with one event."""
    settings = json.loads((project / ".claude" / "settings.json").read_text())

    def run(event: str | dict[str, Any], kind: str = "PreToolUse", path: str = "") -> Said:
        command = settings["hooks"][kind][0]["hooks"][0]["command"]
        text = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"))
        home = Path(sys.executable).parent
        done = subprocess.run(
            ["sh", "-c", command],
            input=text.encode(),
            capture_output=True,
            check=False,
            env={"CLAUDE_PROJECT_DIR": str(project), "PATH": path or f"{home}:/usr/bin:/bin"},
        )
        out = done.stdout.decode()
        return Said(done.returncode, json.loads(out) if out else {}, done.stderr.decode())

    return run


def bash(project: Path, command: str, agent: str | None = "ml-engineer") -> dict[str, Any]:
    event = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": str(project)}
    who = {} if agent is None else {"agent_type": agent, "agent_id": "1"}
    return {**event, "tool_input": {"command": command}, **who}


def stop(message: str | None, **more: Any) -> dict[str, Any]:
    said = {} if message is None else {"last_assistant_message": message}
    return {"agent_type": "ml-engineer", "stop_hook_active": False, **said, **more}


def refused(said: Said) -> str:
    """The reason, when the step was refused in either way that Claude Code knows."""
    if said.code == 2:
        return said.err
    assert said.code == 0
    inner = said.out["hookSpecificOutput"]
    assert (inner["hookEventName"], inner["permissionDecision"]) == ("PreToolUse", "deny")
    return str(inner["permissionDecisionReason"])


SILENT = Said(0, {}, "")


def test_an_allowed_step_passes_in_silence(ask: Ask, project: Path) -> None:
    assert ask(bash(project, "mlagent board --json")) == SILENT


def test_training_outside_the_sandbox_is_refused(ask: Ask, project: Path) -> None:
    said = ask(bash(project, "python train.py"))
    assert "contract of ml-engineer" in refused(said)
    assert "'python' is not `mlagent`" in refused(said)


@pytest.mark.parametrize(
    "agent",
    [None, "Explore", "other:ml-engineer", "mlagent:ml-engineer", "my-ml-engineer", 7],
)
def test_the_user_and_other_agents_are_left_alone(ask: Ask, project: Path, agent: Any) -> None:
    for command in ("rm x", "echo ml-engineer | cat"):
        assert ask(bash(project, command, agent)) == SILENT


def test_the_plugin_holds_its_own_agents_and_no_ml_engineer_of_the_users(tmp_path: Path) -> None:
    export_agents(Content(), "plugin", tmp_path, force=False)
    command = hook_groups("plugin")["PreToolUse"]["hooks"][0]["command"]
    root = str(tmp_path / "plugins" / "mlagent")
    for agent, wanted in (("mlagent:ml-engineer", "deny"), ("ml-engineer", ""), ("x:mlagent", "")):
        done = subprocess.run(
            ["sh", "-c", command],
            input=json.dumps(bash(tmp_path, "python train.py", agent)).encode(),
            capture_output=True,
            check=False,
            env={"CLAUDE_PLUGIN_ROOT": root, "PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0
        assert wanted in done.stdout.decode()
        assert bool(wanted) is bool(done.stdout)


def test_a_policy_of_an_older_export_holds_both_names(ask: Ask, project: Path) -> None:
    damage(project, without("scope"))
    for agent in ("ml-engineer", "mlagent:ml-engineer"):
        assert "contract of ml-engineer" in refused(ask(bash(project, "python train.py", agent)))
        assert ask(bash(project, "mlagent board", agent)) == SILENT


def test_where_the_event_cannot_be_read_every_step_is_refused(
    ask: Ask, project: Path, tmp_path: Path
) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    (nothing / "sh").symlink_to(str(shutil.which("sh")))
    assert ask(bash(project, "mlagent board"), path=str(nothing)).code == 2


def test_a_path_with_a_nul_byte_is_a_sentence(ask: Ask, project: Path) -> None:
    event = bash(project, "")
    event |= {"tool_name": "Read", "tool_input": {"file_path": "plan.yaml\0/etc/passwd"}}
    assert "ou may not read" in refused(ask(event))


def test_without_python_only_steps_that_name_an_agent_are_refused(
    ask: Ask, project: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    for tool in ("cat", "sh"):
        (empty / tool).symlink_to(str(shutil.which(tool)))
    assert ask(bash(project, "mlagent board"), path=str(empty)).code == 2
    assert ask(bash(project, "ls", None), path=str(empty)) == SILENT
    assert ask(stop("done"), "SubagentStop", path=str(empty)).code == 2
    again = stop("done", stop_hook_active=True)
    assert ask(again, "SubagentStop", path=str(empty)).code == 2


def damage(project: Path, change: Callable[[Path], object]) -> None:
    change(project / ".claude" / "mlagent" / "hook" / "policy.json")


def edit(old: str, new: str) -> Callable[[Path], object]:
    def change(file: Path) -> None:
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return change


def without(*keys: str, instead: object = None) -> Callable[[Path], object]:
    """Take a part out and seal the rest again, as an export of another version might.

    `instead`: what then stands in its place."""

    def change(file: Path) -> None:
        policy = json.loads(file.read_text())
        holder = policy
        for key in keys[:-1]:
            holder = holder[key]
        del holder[keys[-1]]
        if instead is not None:
            holder[keys[-1]] = instead
        policy["seal"] = entry.seal({k: v for k, v in policy.items() if k != "seal"})
        file.write_text(json.dumps(policy))

    return change


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda file: file.write_text(""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:900]),
    "no JSON": lambda file: file.write_text("schema: x"),
    "a list": lambda file: file.write_text("[]"),
    "not text": lambda file: file.write_bytes(b"\xff\xfe"),
    "loosened by hand": edit('"Read"', '"WebFetch"'),
    "another version": edit("policy/v1", "policy/v2"),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "of another scope": without("scope", instead="team"),
    "of a strange scope": without("scope", instead=["plugin"]),
    "without an agent": without("agents", "ml-engineer"),
    "without tools": without("agents", "ml-engineer", "tools"),
    "without commands": without("agents", "ml-engineer", "commands"),
    "without planning": without("agents", "ml-engineer", "planning"),
    "without a bound": without("agents", "ml-engineer", "planning", "max_options"),
    "without the schema": without("plan_schema"),
    "without a definition": without("plan_schema", "$defs", "Option"),
    "endless": lambda file: file.write_text('{"a":' * 100_000),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_broken_contract_stops_its_agents_and_nobody_else(
    ask: Ask, project: Path, how: str
) -> None:
    damage(project, DAMAGES[how])
    if how not in ("without a bound", "without a definition"):  # a part that only plans need
        said = ask(bash(project, "mlagent board"))
        assert said.code == 2
        assert "Traceback" not in said.err
    for again in (False, True):
        said = ask(stop(GOOD, stop_hook_active=again), "SubagentStop")
        assert (said.code, said.out) == (2, {})
        assert said.err.startswith("mlagent")
    assert ask(bash(project, "ls", None)) == SILENT


@pytest.mark.parametrize("file", ["entry.py", "guard.py", "command_line.py", "__main__.py"])
def test_a_missing_part_of_the_hook_refuses(ask: Ask, project: Path, file: str) -> None:
    (project / ".claude" / "mlagent" / "hook" / file).unlink()
    assert ask(bash(project, "mlagent board")).code == 2


MUTE: dict[str, str] = {
    "empty": "",
    "a comment": "# nothing\n",
    "ends well": "raise SystemExit(0)\n",
    "ends at once": "import os\nos._exit(0)\n",
    "says something": "print('{}')\n",
}


@pytest.mark.parametrize("how", MUTE)
@pytest.mark.parametrize("file", ["__main__.py", "entry.py", "__init__.py", "guard.py"])
def test_a_hook_that_ends_well_without_a_verdict_refuses(
    ask: Ask, project: Path, file: str, how: str
) -> None:
    (project / ".claude" / "mlagent" / "hook" / file).write_text(MUTE[how])
    said = ask(bash(project, "mlagent board"))
    if file == "__init__.py" and how in ("empty", "a comment", "says something"):
        return  # the package's own text is a docstring
    assert said.code == 2
    assert "refused" in said.err
    assert "Traceback" not in said.err
    assert ask(bash(project, "ls", None)) == SILENT
    if file != "guard.py":
        assert ask(stop(GOOD), "SubagentStop").code == 2
        assert ask(stop(BAD, stop_hook_active=True), "SubagentStop").code == 2


def test_the_sign_of_life_is_not_shown(ask: Ask, project: Path) -> None:
    for event, kind in ((bash(project, "rm x"), "PreToolUse"), (stop(BAD), "SubagentStop")):
        said = ask(event, kind)
        assert said.out
        assert entry.ALIVE not in json.dumps(said.out) + said.err


@pytest.mark.parametrize(
    "text",
    ["ml-engineer", '{"agent_type":"ml-engineer"', "[]ml-engineer", '"ml-engineer"']
    + ['{"agent_type":"ml-engineer"}', '{"agent_type":"ml-engineer","tool_name":"Bash"}']
    + ['{"agent_type":"ml-engineer","tool_name":"Read","tool_input":{},"cwd":"\\u0000"}']
    + ['{"agent_type":"ml-engineer","tool_name":"Read","cwd":"/","tool_input":{"file_path":7}}']
    + ['{"agent_type":"ml-engineer","tool_name":"Read","cwd":"/","tool_input":"x"}'],
)
def test_an_event_that_cannot_be_judged_is_refused(ask: Ask, text: str) -> None:
    assert refused(ask(text))


def test_a_hook_that_hangs_is_killed_and_refuses(project: Path) -> None:
    guard = project / ".claude" / "mlagent" / "hook" / "guard.py"
    guard.write_text("import time\ntime.sleep(60)\n")
    edit("SECONDS = 20", "SECONDS = 1")(guard.with_name("entry.py"))
    command = hook_groups("project")["PreToolUse"]["hooks"][0]["command"]
    done = subprocess.run(
        ["sh", "-c", command],
        input=json.dumps(bash(project, "mlagent board")).encode(),
        capture_output=True,
        check=False,
        timeout=30,
        env={"CLAUDE_PROJECT_DIR": str(project), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 2


def test_claude_code_waits_longer_than_the_hook_lives() -> None:
    for group in hook_groups("plugin").values():
        assert group["hooks"][0]["timeout"] > entry.SECONDS


@pytest.mark.parametrize(
    "message",
    [
        GOOD,
        f"```yaml\n{GOOD}```",
        f"Here it is.\n\n```yaml\n{GOOD}```\nThat was it.",
        f"Here it is.\n\n{GOOD}",
        f"~~~\n{GOOD}~~~\n\n```python\nx: = 1\n```",
        "The candidate scored 0.78 on the dev folds. See agent_plan: in plan.yaml.",
        "Done.",
        "",
    ],
)
def test_a_valid_plan_and_a_plain_report_pass(ask: Ask, message: str) -> None:
    assert ask(stop(message), "SubagentStop") == SILENT


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (BAD, "complexity is 'tiny'"),
        (f"```yaml\n{BAD}```", "allowed: low, medium, high"),
        (f"```yaml\n{GOOD}```\n```yaml\n{GOOD}```", "holds 2 plans"),
        (f"{GOOD}\nThat was it.", "cannot be read: line"),
        (PLAN, "cannot begin a value"),
        (f"```\n{GOOD.replace('agent_plan', 'plan')}```", "agent_plan is missing"),
        (GOOD.replace("ml-engineer", "data-explorer"), "you are 'ml-engineer'"),
        ('{\n "agent_plan": {}\n}', "agent_plan.agent_name is missing"),
        (f"```yaml\n{GOOD}", None),
    ],
)
def test_a_plan_that_does_not_validate_goes_back_with_the_error(
    ask: Ask, message: str, what: str | None
) -> None:
    said = ask(stop(message), "SubagentStop")
    if what is None:
        assert said == SILENT
        return
    assert said.code == 0
    assert said.out["decision"] == "block"
    assert what in said.out["reason"]


def test_a_plan_goes_back_once_then_the_user_is_told(ask: Ask) -> None:
    said = ask(stop(BAD, stop_hook_active=True), "SubagentStop")
    assert said.code == 0
    assert "decision" not in said.out
    assert "complexity is 'tiny'" in said.out["systemMessage"]


def transcript(path: Path, *turns: tuple[str, Any]) -> str:
    lines = [json.dumps({"type": who, "message": {"content": said}}) for who, said in turns]
    path.write_text("\n".join(["not json", "{}", *lines]))
    return str(path)


def test_an_agent_in_planning_mode_does_not_stop_without_a_plan(ask: Ask, tmp_path: Path) -> None:
    asked = transcript(tmp_path / "t", ("user", "Planning mode: churn"), ("assistant", "Fine."))
    said = ask(stop("Fine.", agent_transcript_path=asked), "SubagentStop")
    assert "begins with `agent_plan:`" in said.out["reason"]
    assert ask(stop(GOOD, agent_transcript_path=asked), "SubagentStop") == SILENT
    for words in ("Planning mode. not execution mode", "Do not leave planning mode: churn"):
        still = transcript(tmp_path / "s", ("user", words), ("assistant", "Fine."))
        said = ask(stop("Fine.", agent_transcript_path=still), "SubagentStop")
        assert "begins with `agent_plan:`" in said.out["reason"]
    for words in ("Execution mode: go", "After planning mode comes execution mode: go", "go"):
        other = transcript(tmp_path / "u", ("user", [{"type": "text", "text": words}]))
        assert ask(stop("Fine.", agent_transcript_path=other), "SubagentStop") == SILENT
    missing = str(tmp_path / "none")
    assert ask(stop("Fine.", agent_transcript_path=missing), "SubagentStop") == SILENT


@pytest.mark.parametrize("chatter", [100_000, 1_000_000, 5_000_000])
def test_the_first_and_the_last_request_of_a_long_transcript_count(
    ask: Ask, tmp_path: Path, chatter: int
) -> None:
    plan, go = ("user", "Planning mode: churn"), ("user", "Execution mode: go")
    works = [("assistant", "é" * 500)] * (chatter // 3_000)
    for turns, demanded in (
        ([plan, *works], True),
        ([*works, plan], True),
        ([go, *works, plan, *works[:20]], True),
        ([plan, *works, go], False),
    ):
        path = transcript(tmp_path / "t", *turns)
        said = ask(stop("Fine.", agent_transcript_path=path), "SubagentStop")
        assert ("begins with `agent_plan:`" in said.out.get("reason", "")) == demanded


def test_without_the_message_the_transcript_is_read(ask: Ask, tmp_path: Path) -> None:
    path = transcript(tmp_path / "t", ("assistant", [{"type": "text", "text": BAD}]))
    said = ask(stop(None, agent_transcript_path=path), "SubagentStop")
    assert "complexity is 'tiny'" in said.out["reason"]


def test_the_hook_imports_the_standard_library_only_in_the_syntax_of_python_39() -> None:
    own = {name.removesuffix(".py") for name in hook_sources()}
    for name, text in hook_sources().items():
        for node in ast.walk(ast.parse(text, feature_version=(3, 9))):
            if isinstance(node, ast.ImportFrom):
                inside = node.level == 1 and node.module in own
                assert inside or (not node.level and node.module in sys.stdlib_module_names), name
            elif isinstance(node, ast.Import):
                assert {a.name for a in node.names} <= sys.stdlib_module_names, name


def test_a_file_beside_the_hook_does_not_take_the_place_of_a_module(
    ask: Ask, project: Path
) -> None:
    (project / ".claude" / "mlagent" / "json.py").write_text("raise SystemExit(0)")
    (project / ".claude" / "mlagent" / "hook" / "shlex.py").write_text("raise SystemExit(0)")
    assert refused(ask(bash(project, "python train.py")))
    assert ask(bash(project, "mlagent board")) == SILENT


def test_the_hook_knows_all_agents() -> None:
    assert set(entry.ROLES) == set(ROLES)


def test_the_hook_leaves_nothing_behind(ask: Ask, project: Path) -> None:
    before = sorted(str(path) for path in project.rglob("*"))
    ask(bash(project, "mlagent board"))
    ask(stop(BAD), "SubagentStop")
    assert sorted(str(path) for path in project.rglob("*")) == before
