"""`agents check` says when nothing holds the contracts of an export any longer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from exported import export

from mlagent.contracts.errors import BadInput
from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.files import SCOPES
from mlagent.testing.command_line import run_mlagent

AGENT = "---\nname: a\ndescription: b\n---\nbody\n"
ROOTS = {"project": ".claude", "user": "", "plugin": "plugins/mlagent"}
HOOK = {"project": "mlagent/hook", "user": "mlagent/hook", "plugin": "hooks/hook"}
HOOKS = {"project": "settings.json", "user": "settings.json", "plugin": "hooks/hooks.json"}


@pytest.fixture(params=SCOPES)
def scope(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def root(folder: Path, scope: str) -> Path:
    return folder / ROOTS[scope]


def said(folder: Path, scope: str) -> list[str]:
    """The warnings, which are the rules of --strict."""
    target = root(folder, scope) / "agents" if scope == "user" else folder
    plain, strict = check_folder(target, strict=False), check_folder(target, strict=True)
    rules = [r for part in strict.parts for r in part.rules if r.rule == "enforced"]
    assert strict.ok is (not rules)
    assert plain.ok
    assert len(plain.warnings) == len(rules)
    return [rule.what for rule in rules]


def test_what_the_export_wrote_holds(scope: str, tmp_path: Path) -> None:
    export(tmp_path, scope)
    assert said(tmp_path, scope) == []
    for file in root(tmp_path, scope).rglob("*.py"):  # as git gives them with autocrlf
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert said(tmp_path, scope) == []


LAPSES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "an empty start": ("HOOK/__main__.py", lambda f: f.write_text(""), "was changed"),
    "an edited policy": (
        "HOOK/policy.json",
        lambda f: f.write_text(f.read_text().replace('"Read"', '"WebFetch"')),
        "was changed",
    ),
    "no guard": ("HOOK/guard.py", Path.unlink, "is missing"),
    "a broken copy": ("CONTRACTS/ml-engineer.yaml", lambda f: f.write_text("x"), "was changed"),
    "a broken record": ("RECORD", lambda f: f.write_text("{"), "cannot be read"),
}


@pytest.mark.parametrize("how", LAPSES)
def test_each_lapse_is_named(how: str, scope: str, tmp_path: Path) -> None:
    export(tmp_path, scope)
    path, change, what = LAPSES[how]
    inner = "" if scope == "plugin" else "mlagent/"
    path = path.replace("HOOK", HOOK[scope]).replace("CONTRACTS", f"{inner}contracts")
    path = path.replace("RECORD", f"{inner}exported.json")
    change(root(tmp_path, scope) / path)
    (line,) = said(tmp_path, scope)
    assert what in line
    assert path.rpartition("/")[2] in line


def with_hooks(change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda file: file.write_text(change(file.read_text()))


NO_HOOKS: dict[str, tuple[Callable[[str], str], str]] = {
    "emptied": (lambda text: '{"hooks": {}}', "nothing holds the contracts"),
    "of another shape": (lambda text: '{"hooks": []}', "nothing holds the contracts"),
    "no JSON": (lambda text: "{", "nothing holds the contracts"),
    "for one tool": (
        lambda text: text.replace('"matcher": "*"', '"matcher": "Read"'),
        "is not the one",
    ),
    "an older command": (lambda text: text.replace("mlagent-judged", ""), "is not the one"),
}


@pytest.mark.parametrize("how", NO_HOOKS)
def test_hooks_that_claude_code_does_not_start_are_named(
    how: str, scope: str, tmp_path: Path
) -> None:
    export(tmp_path, scope)
    change, what = NO_HOOKS[how]
    file = root(tmp_path, scope) / HOOKS[scope]
    file.write_text(change(file.read_text()))
    target = tmp_path / "agents" if scope == "user" else tmp_path
    found = check_folder(target, strict=True)
    assert not found.ok
    rules = [r.what for p in found.parts for r in p.rules if r.rule == "enforced"]
    assert [event for event in ("PreToolUse", "SubagentStop") if f"{event} hook" in str(rules)] == [
        "PreToolUse",
        "SubagentStop",
    ]
    assert what in str(rules)


def test_hooks_beside_those_of_the_user_hold(tmp_path: Path) -> None:
    file = tmp_path / ".claude" / "settings.json"
    file.parent.mkdir()
    mine = {"matcher": "Bash", "hooks": [{"type": "command", "command": "mine"}]}
    file.write_text(json.dumps({"hooks": {"PreToolUse": [mine]}}))
    export(tmp_path)
    assert said(tmp_path, "project") == []
    file.rename(file.with_name("settings.local.json"))
    assert said(tmp_path, "project") == []


def test_a_gitattributes_of_the_user_is_no_lapse(tmp_path: Path) -> None:
    file = tmp_path / ".claude" / "agents" / ".gitattributes"
    file.parent.mkdir(parents=True)
    file.write_text("*.md binary\n")
    export(tmp_path)
    assert said(tmp_path, "project") == []


def test_the_command_says_it(tmp_path: Path) -> None:
    export(tmp_path)
    (tmp_path / ".claude" / "settings.json").write_text('{"hooks": {}}')
    plain = run_mlagent(tmp_path, "agents", "check", ".")
    assert plain.returncode == 0
    assert "warning     settings.json has no PreToolUse hook of the export" in plain.stdout
    strict = run_mlagent(tmp_path, "agents", "check", ".", "--strict")
    assert strict.returncode == 2
    assert "BROKEN      exported.json" in strict.stdout


def test_a_copied_subagent_is_held_by_nothing(tmp_path: Path) -> None:
    export(tmp_path / "from", "project")
    there = tmp_path / "to" / ".claude" / "agents"
    there.mkdir(parents=True)
    for file in (tmp_path / "from" / ".claude" / "agents").glob("*.md"):
        (there / file.name).write_bytes(file.read_bytes())
    (there / "mine.md").write_text(
        '---\nname: mine\ndescription: "Counts. Use it for counts."\n---\n\nDo.\n'
    )
    found = said(tmp_path / "to", "project")
    assert [sentence.partition(" ")[0] for sentence in found] == [
        "data-explorer.md",
        "ml-engineer.md",
        "statistical-analyst.md",
    ]
    assert all("nothing holds its contract" in sentence for sentence in found)
    export(tmp_path / "to", "project")
    assert said(tmp_path / "to", "project") == []


def test_a_folder_below_an_export_is_told_that_its_hooks_stay_above(tmp_path: Path) -> None:
    top = tmp_path / "top"
    below = top / "services" / "churn"
    (below / ".claude" / "agents").mkdir(parents=True)
    (top / ".git").mkdir()
    export(top)
    assert check_folder(top, strict=False).warnings == ()
    assert check_folder(top / ".claude" / "agents", strict=False).warnings == ()
    with pytest.raises(BadInput) as refused:
        check_folder(top / "services", strict=False)
    assert f"none of its hooks, so nothing holds the contracts; start it in {top}." in str(
        refused.value
    )
    (below / ".claude" / "agents" / "a.md").write_text(AGENT)
    (warning,) = check_folder(below, strict=False).warnings
    assert f"start it in {top}." in warning
    (below / ".git").mkdir()  # a repository of its own: nothing above is looked for
    assert check_folder(below, strict=False).warnings == ()
    (below / ".git").rmdir()
    export(below)
    assert check_folder(below, strict=False).warnings == ()
