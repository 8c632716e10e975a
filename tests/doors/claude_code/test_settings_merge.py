"""Hooks that are added to a user's settings.json: everything else in it is left whole."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from exported import export, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagent.contracts.errors import BadInput
from mlagent.doors.claude_code.files import hook_groups
from mlagent.doors.claude_code.settings_merge import merged

USERS = """{
  "permissions": {"deny": ["Read(.env)"]},
  "hooks": {
    "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "mine"}]}],
    "Stop": [{"hooks": [{"type": "command", "command": "bell"}]}]
  },
  "model": "opus"
}
"""


def settings_of(folder: Path) -> Path:
    file = folder / ".claude" / "settings.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def test_hooks_are_added_to_settings_and_a_copy_is_kept(tmp_path: Path) -> None:
    file = settings_of(tmp_path)
    file.write_text(USERS)
    done = export(tmp_path)
    assert done.kept == (".claude/settings.json.backup-1",)
    assert (tmp_path / done.kept[0]).read_text() == USERS
    was, now = json.loads(USERS), json.loads(file.read_text())
    assert list(now) == list(was)
    assert now["permissions"] == was["permissions"]
    assert now["hooks"]["Stop"] == was["hooks"]["Stop"]
    assert now["hooks"]["PreToolUse"] == [
        *was["hooks"]["PreToolUse"],
        hook_groups("project")["PreToolUse"],
    ]


def test_a_second_merge_adds_nothing_and_keeps_no_second_copy(tmp_path: Path) -> None:
    settings_of(tmp_path).write_text(USERS)
    export(tmp_path)
    before = tree(tmp_path)
    assert export(tmp_path).kept == ()
    assert tree(tmp_path) == before


def test_hooks_of_an_older_export_are_replaced_not_doubled(tmp_path: Path) -> None:
    old = merged(USERS, hook_groups("project"), "s").replace("python3 -I", "python3.9 -I")
    settings_of(tmp_path).write_text(old)
    done = export(tmp_path)
    assert len(done.kept) == 1
    hooks = json.loads(settings_of(tmp_path).read_text())["hooks"]
    assert [len(groups) for groups in hooks.values()] == [2, 1, 1]
    assert [g["hooks"][0]["command"] for g in hooks["PreToolUse"]][0] == "mine"
    assert "python3.9" not in settings_of(tmp_path).read_text()


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "// c\n{}", '{"a": 1, "a": 2}', '{"hooks": []}', '{"hooks": {"PreToolUse": {}}}']
    + ['{"hooks": {"SubagentStop": ["x"]}}', '{"a": NaN}', "7"],
)
def test_settings_that_cannot_be_merged_are_left_and_nothing_is_written(
    text: str, tmp_path: Path
) -> None:
    settings_of(tmp_path).write_text(text)
    before = tree(tmp_path)
    with pytest.raises(BadInput, match=r"settings\.json") as caught:
        export(tmp_path)
    assert "not changed" in caught.value.remedy
    assert tree(tmp_path) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
HANDLER = st.fixed_dictionaries({"type": st.just("command"), "command": st.text(max_size=20)})
GROUP = st.fixed_dictionaries({"hooks": st.lists(HANDLER, max_size=2)}) | st.dictionaries(
    st.sampled_from(("matcher", "hooks", "x")), JSON, max_size=2
)
EVENTS = st.dictionaries(
    st.sampled_from(("PreToolUse", "SubagentStop", "Stop")), st.lists(GROUP, max_size=3)
)
WHOLE = st.tuples(st.dictionaries(st.text(max_size=9), JSON, max_size=4), st.none() | EVENTS)


@settings(max_examples=150, deadline=None)
@given(WHOLE)
def test_whatever_stands_in_settings_still_stands_there(
    given_: tuple[dict[str, Any], dict[str, Any] | None],
) -> None:
    whole, hooks = given_
    whole.pop("hooks", None)
    if hooks is not None:
        whole["hooks"] = hooks
    text = merged(json.dumps(whole), hook_groups("project"), "settings.json")
    after = json.loads(text)
    for key, value in whole.items():
        if key != "hooks":
            assert after[key] == value
    for event, groups in (hooks or {}).items():
        assert after["hooks"][event][: len(groups)] == groups
    assert merged(text, hook_groups("project"), "settings.json") == text


def mode(file: Path) -> str:
    return oct(stat.S_IMODE(file.stat().st_mode))


@pytest.mark.parametrize("scope", ["project", "user"])
@pytest.mark.parametrize("closed", [0o600, 0o640])
def test_settings_with_tokens_stay_closed_to_others_and_so_does_the_copy(
    scope: str, closed: int, tmp_path: Path
) -> None:
    file = tmp_path / (".claude/settings.json" if scope == "project" else "settings.json")
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"env": {"TOKEN": "secret"}}')
    file.chmod(closed)
    done = export(tmp_path, scope)
    assert mode(file) == mode(tmp_path / done.kept[0]) == oct(closed)
    export(tmp_path / "new", scope)
    assert not list(tmp_path.rglob(".settings.json.*"))


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_gets_the_mode_that_the_umask_leaves(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        export(tmp_path)
    finally:
        os.umask(before)
    modes = {mode(file) for file in tmp_path.rglob("*") if file.is_file()}
    assert modes == {oct(0o666 & ~umask)}


def test_an_agent_file_that_is_replaced_by_force_keeps_its_mode(tmp_path: Path) -> None:
    mine = tmp_path / ".claude" / "agents" / "ml-engineer.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    mine.chmod(0o600)
    done = export(tmp_path, force=True)
    assert mode(mine) == mode(tmp_path / done.kept[0]) == "0o600"
