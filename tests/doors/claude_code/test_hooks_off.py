"""`disableAllHooks` switches off what holds the contracts: export and check name file and key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from exported import CONTENT, export, tree

from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.exporting import export_agents

OFF = '{"disableAllHooks": true}'


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user without any settings."""
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def said_of(file: Path) -> str:
    return f"{file} says disableAllHooks: no hook runs there, so the contracts are not enforced."


@pytest.mark.parametrize(
    "name",
    ["p/.claude/settings.json", "p/.claude/settings.local.json", "home/.claude/settings.json"],
)
def test_export_and_check_name_the_file_and_the_key(name: str, tmp_path: Path) -> None:
    file = written(tmp_path / name, OFF)
    assert export(tmp_path / "p").notes == (said_of(file),)
    for folder in ("p", "p/.claude", "p/.claude/agents"):
        found = check_folder(tmp_path / folder, strict=True)
        assert (found.ok, found.warnings) == (True, (said_of(file),)), "a warning is no failure"


@pytest.mark.parametrize(
    "text", ["{}", "", '{"disableAllHooks": false}', '{"disableAllHooks": "true"}']
)
def test_settings_that_leave_hooks_on_are_not_named(text: str, tmp_path: Path) -> None:
    written(tmp_path / "p" / ".claude" / "settings.local.json", text)
    assert export(tmp_path / "p").notes == ()
    assert check_folder(tmp_path / "p", strict=True).warnings == ()


@pytest.mark.parametrize("text", ["// a comment\n{}", "[", '{"a": 1, "a": 2}', "\udcff"])
def test_settings_that_nobody_can_read_are_named_and_left(text: str, tmp_path: Path) -> None:
    file = tmp_path / "p" / ".claude" / "settings.local.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = tree(tmp_path)[str(file.relative_to(tmp_path))]
    (note,) = export(tmp_path / "p").notes
    assert str(file) in note
    assert "nobody knows whether it says disableAllHooks" in note
    assert file.read_bytes() == before


def test_the_users_own_settings_hold_for_the_user_scope_and_for_a_plugin(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = written(home / ".claude" / "settings.json", OFF)
    assert export_agents(CONTENT, "user", None, force=False).notes == (said_of(file),)
    assert check_folder(home / ".claude", strict=True).warnings == (said_of(file),)
    assert export(tmp_path / "m", "plugin").notes == (said_of(file),)
    plugin = tmp_path / "m" / "plugins" / "mlagent"
    assert check_folder(plugin, strict=True).warnings == (said_of(file),)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "other"))
    assert check_folder(plugin, strict=True).warnings == ()


def test_a_folder_without_settings_is_checked_without_them(home: Path, tmp_path: Path) -> None:
    written(home / ".claude" / "settings.json", OFF)
    export(tmp_path / "p")
    (tmp_path / "p" / ".claude" / "agents").rename(tmp_path / "plain")
    assert check_folder(tmp_path / "plain", strict=True).warnings == ()


def test_both_commands_print_it(tmp_path: Path) -> None:
    written(tmp_path / "p" / ".claude" / "settings.local.json", OFF)
    for words in (["export", "--to", "claude-code"], ["check", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "mlagent", "agents", *words],
            cwd=tmp_path / "p",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert ".claude/settings.local.json says disableAllHooks" in " ".join(done.stdout.split())
