"""`mlagent agents check`: which files load, and with --strict which documented rule is broken."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlagent.contracts.agent_files import AgentCheck, AgentImport
from mlagent.contracts.errors import BadInput
from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.frontmatter import DOCUMENTED_KEYS
from mlagent.doors.claude_code.loading import load
from mlagent.doors.claude_code.strict import broken_rules
from mlagent.testing.command_line import run_mlagent
from mlagent.testing.tables import build_tree

GOOD = """---
name: churn-engineer
description: "Builds churn models. Use it when a table and a target are given."
tools: Read, Grep, Bash(mlagent *), mcp__mlagent__plan
model: sonnet
---

You build models.
"""


def rules(text: str | bytes, *, plugin: bool = False) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [rule.rule for rule in broken_rules(data, load(data, "a.md"), plugin=plugin)]


def with_line(line: str) -> str:
    return GOOD.replace("model: sonnet\n", f"{line}\n")


def test_a_good_file_breaks_no_rule() -> None:
    assert rules(GOOD) == rules(GOOD, plugin=True) == []


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("\ufeff" + GOOD, ["encoding"]),
        (GOOD.replace("\n", "\r\n"), ["encoding"]),
        (GOOD.encode() + b"\xff", ["encoding"]),
        ("# No block\n", ["loads", "block"]),
        (GOOD.replace("churn-engineer", "Churn Engineer"), ["name"]),
        (GOOD.replace("churn-engineer", "a_b"), ["name"]),
        (GOOD.replace("churn-engineer", "general-purpose"), ["name"]),
        (GOOD.replace('"Builds', "'Builds").replace('given."', "given.'"), []),
        (GOOD.replace('"Builds', "Builds").replace('given."', "given."), ["description"]),
        (GOOD.replace("Builds", "x" * 1024), ["description"]),
        (GOOD.replace("Builds", r"Builds\nthings"), ["description"]),
        (re.sub('".*"', '"Reviews code."', GOOD), ["description"]),
        (re.sub('".*"', "|\n  Use it\n  well", GOOD), ["description", "description"]),
        (re.sub('".*"', "use: this", GOOD), ["yaml", "description"]),
        (with_line("model: gpt-4"), ["values"]),
        (with_line("color: teal"), ["values"]),
        (with_line("effort: huge"), ["values"]),
        (with_line("permissionMode: yolo"), ["values"]),
        (with_line("memory: cloud"), ["values"]),
        (with_line("isolation: jail"), ["values"]),
        (with_line("maxTurns: 0"), ["values"]),
        (with_line("background: maybe"), ["values"]),
        (with_line("skills: {a: b}"), ["values"]),
        (with_line("mcpServers: 5"), ["values"]),
        (with_line("initialPrompt: [a]"), ["values"]),
        (with_line("category: data"), ["keys"]),
        (with_line("model: sonnet\nmodel: opus"), ["yaml"]),
        (with_line("color: red\nx: &a b"), ["yaml", "keys"]),
        (re.sub("tools: .*", "tools: Read, Foo", GOOD), ["tools"]),
        (re.sub("tools: .*", "tools: foo", GOOD), ["tools", "tools"]),
        (re.sub("tools: .*", "tools: {a: b}", GOOD), ["tools"]),
        (re.sub("tools: .*", "tools: [Read, 'Agent(a, b)']", GOOD), []),
        (GOOD.replace("You build models.\n", ""), ["body"]),
        (GOOD.replace("given.", "given --- or not."), ["loads", "block"]),
    ],
)
def test_each_documented_rule_is_held(text: str | bytes, broken: list[str]) -> None:
    assert rules(text) == broken


@pytest.mark.parametrize("key", ["hooks: {}", "mcpServers: [x]", "permissionMode: plan"])
def test_keys_that_a_plugin_may_not_use_are_named(key: str) -> None:
    assert rules(with_line(key)) == []
    assert rules(with_line(key), plugin=True) == ["plugin-keys"]


def test_every_documented_key_is_allowed_and_no_other() -> None:
    values = {"color": "red", "effort": "high", "memory": "user", "isolation": "worktree"}
    values |= {"maxTurns": "3", "background": "true", "permissionMode": "plan", "model": "opus"}
    for key in DOCUMENTED_KEYS[3:]:
        line = f"{key}: {values.get(key, '[x]' if key in ('skills', 'mcpServers') else '')}".strip()
        if key != "model":
            assert rules(with_line(line)) == [], key
    assert rules(with_line("models: opus")) == ["keys"]


def test_a_project_a_plugin_and_a_plain_folder_are_told_apart(tmp_path: Path) -> None:
    broken = GOOD.replace("name: churn-engineer\n", "")
    build_tree(
        tmp_path,
        {
            "project/.claude/agents/deep/a.md": GOOD,
            "project/.claude/agents/README.md": "# Our agents\n",
            "project/elsewhere.md": broken,
            "plugin/.claude-plugin/plugin.json": '{"name": "x"}',
            "plugin/agents/b.md": broken,
            "plain/c.md": GOOD,
        },
    )
    project = check_folder(tmp_path / "project", strict=True)
    assert (project.ok, project.place) == (True, "agents")
    assert [file.file for file in project.files] == ["deep/a.md"]
    assert project.skipped == ("README.md: a page, no agent",)
    plugin = check_folder(tmp_path / "plugin", strict=False)
    assert (plugin.ok, plugin.place) == (False, "plugin")
    assert "registers all the same, as 'x:b', after its file" in plugin.files[0].verdict.why
    assert check_folder(tmp_path / "plain", strict=True).ok


CRLF_AND_COLON = "---\r\nname: a\r\ndescription: Use: it\r\n---\r\nbody\r\n"


def test_outside_of_an_agents_folder_only_what_looks_like_an_agent_is_judged(
    tmp_path: Path,
) -> None:
    build_tree(
        tmp_path,
        {
            "README.md": "# A collection\n",
            "docs/guide.md": "# How to\n\nname: not in a frontmatter\n",
            "docs/rule.md": "text\n---\nname: below a line\n---\n",
            "docs/titled.md": "---\ntitle: A page\ndescription: Of docs.\n---\ntext\n",
            ".github/ISSUE_TEMPLATE/bug.md": "---\nname: Bug\nabout: A bug\n---\n",
            "notes.txt": "plain\n",
            "skills/x/SKILL.md": GOOD.replace("tools:", "allowed-tools:"),
            "commands/go.md": "---\ndescription: Goes.\n---\ngo\n",
            "team/churn.md": GOOD,
            "team/deep/agents/other.md": GOOD.replace("churn-engineer", "other"),
        },
    )
    found = check_folder(tmp_path, strict=True)
    assert found.ok
    assert [file.file for file in found.files] == ["team/churn.md", "team/deep/agents/other.md"]
    left = dict(line.split(": ", 1) for line in found.skipped)
    assert set(left) == {
        ".github/ISSUE_TEMPLATE/bug.md",
        "README.md",
        "commands/go.md",
        "docs/guide.md",
        "docs/rule.md",
        "docs/titled.md",
        "notes.txt",
        "skills/x/SKILL.md",
    }
    for name in ("docs/guide.md", "docs/rule.md", "docs/titled.md", "notes.txt"):
        assert left[name] == "not an agent file: no frontmatter with a name or a description"
    assert left["commands/go.md"] == "not an agent file, but a command"
    done = run_mlagent(tmp_path, "agents", "check", ".")
    assert done.returncode == 0, done.stderr
    assert "left out    docs/guide.md: not an agent file" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("name: churn-engineer\n", ""),
        "---\nname: a\n---\nno description\n",
        CRLF_AND_COLON,
        "\n" + GOOD,
        "---\nname: a\ndescription: never closed\n",
        "---\nname: a\ndescription: Use it.\n<example>at column 0</example>\n---\n",
    ],
)
def test_a_broken_agent_outside_of_an_agents_folder_is_still_judged(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "a.md").write_bytes(text.encode())
    found = check_folder(tmp_path, strict=False)
    assert [(file.file, file.verdict.loads) for file in found.files] == [("team/a.md", False)]
    assert not found.ok


def test_in_an_agents_folder_every_markdown_file_is_judged(tmp_path: Path) -> None:
    """Claude Code looks into its subfolders too, whatever they are called."""
    build_tree(tmp_path, {"agents/a.md": GOOD, "agents/notes/b.md": "# Notes\n"})
    build_tree(tmp_path, {"project/.claude/agents/skills/c.md": GOOD})
    (found,) = check_folder(tmp_path / "project", strict=False).files
    assert (found.file, found.verdict.loads) == ("skills/c.md", True)
    for folder, name in ((tmp_path / "agents", "notes/b.md"), (tmp_path, "agents/notes/b.md")):
        found = check_folder(folder, strict=False)
        assert [file.file for file in found.files if not file.verdict.loads] == [name]
    (tmp_path / "agents" / ".git").mkdir()
    assert check_folder(tmp_path / "agents", strict=False).ok, "a repository called agents"


def test_two_files_of_one_name_are_named_both(tmp_path: Path) -> None:
    build_tree(tmp_path, {"a.md": GOOD, "b.md": GOOD})
    found = check_folder(tmp_path, strict=False)
    assert not found.ok
    assert [file.shadowed_by for file in found.files] == ["b.md", "a.md"]


def test_nothing_to_check_is_a_sentence(tmp_path: Path) -> None:
    build_tree(tmp_path, {"README.md": "# x\n"})
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "README.md"):
        with pytest.raises(BadInput):
            check_folder(folder, strict=False)
    build_tree(tmp_path, {"docs/guide.md": "# y\n"})
    with pytest.raises(BadInput, match=r"left out: README\.md: a page, no agent, and 1 more"):
        check_folder(tmp_path, strict=False)


# --- the command line ---


def test_the_command_says_what_loads_and_why_not(tmp_path: Path) -> None:
    nameless = GOOD.replace("name: churn-engineer\n", "")
    build_tree(tmp_path, {"good.md": GOOD, "bad.md": nameless})
    done = run_mlagent(tmp_path, "agents", "check", ".")
    assert done.returncode == 2
    assert "loads       good.md churn-engineer" in done.stdout
    assert "NOT LOADED  bad.md: `name` is missing." in done.stdout
    assert "1 of 2 files" in done.stderr
    (tmp_path / "bad.md").unlink()
    done = run_mlagent(tmp_path, "agents", "check", ".", "--strict", "--json")
    assert done.returncode == 0
    found = AgentCheck.model_validate_json(done.stdout)
    assert (found.ok, found.strict, len(found.files)) == (True, True, 1)
    done = run_mlagent(tmp_path, "agents", "check", "absent")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_the_import_command_writes_a_draft_that_validates(tmp_path: Path) -> None:
    text = GOOD.replace("Builds churn", "Machine learning engineer, builds churn")
    build_tree(tmp_path, {"in/a.md": text})
    done = run_mlagent(tmp_path, "agents", "import", "in", "--json", "--out", "drafts")
    assert (done.returncode, done.stderr) == (0, "")
    (report,) = json.loads(done.stdout)["imports"]
    assert AgentImport.model_validate_json(json.dumps(report)).valid
    done = run_mlagent(tmp_path, "contracts", "validate", "drafts/a.contract.yaml")
    assert (done.returncode, done.stdout[:15]) == (0, "ok  ml-engineer")
    done = run_mlagent(tmp_path, "agents", "import", "in", "--out", "drafts")
    assert done.returncode == 2
    assert "already there" in done.stderr
    done = run_mlagent(tmp_path, "agents", "import", "in", "--out", "drafts", "--force")
    assert "Claude Code: loads" in done.stdout
    assert "1 draft with reports in drafts" in done.stdout


def test_a_file_that_is_no_utf_8_loads_with_a_note(tmp_path: Path) -> None:
    agents = tmp_path / ".claude" / "agents"
    agents.mkdir(parents=True)
    text = "---\nname: a\ndescription: Use it for caf\u00e9s.\n---\nBody.\n"
    (agents / "a.md").write_bytes(text.encode("latin-1"))
    (agents / "b.md").write_bytes(text.encode("utf-16"))
    first, second = check_folder(tmp_path, strict=False).files
    assert first.verdict.loads
    assert "not UTF-8: the byte 0xe9 in line 3" in first.verdict.notes[0]
    assert "save it as UTF-8" in first.verdict.notes[0]
    assert not second.verdict.loads
    assert "UTF-16" in second.verdict.why


def test_a_file_over_a_mebibyte_in_an_agents_folder_is_one_that_does_not_load(
    tmp_path: Path,
) -> None:
    agents = tmp_path / ".claude" / "agents"
    agents.mkdir(parents=True)
    good = "---\nname: a\ndescription: Use it.\n---\nBody.\n"
    (agents / "a.md").write_text(good)
    (agents / "big.md").write_text(good + "x" * 1_048_576)
    found = check_folder(tmp_path, strict=False)
    assert not found.ok
    assert [(f.file, f.verdict.loads, f.verdict.reason) for f in found.files] == [
        ("a.md", True, "loads"),
        ("big.md", False, "size"),
    ]
    assert "larger than 1 MiB" in found.files[1].verdict.why
    (agents / "a.md").unlink()
    with pytest.raises(BadInput, match="'big.md', larger than 1 MiB"):
        check_folder(tmp_path, strict=True)


def test_a_file_is_checked_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\nname: a\ndescription: Use it.\n---\nBody.\n")
    with pytest.raises(BadInput, match="is a file; a folder is checked as a whole") as refused:
        check_folder(tmp_path / "a.md", strict=False)
    assert str(tmp_path) in refused.value.remedy
