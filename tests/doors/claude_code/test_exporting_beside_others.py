"""`agents export` where files stand already: ours are renewed, those of others left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from exported import CONTENT, export, tree

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.doors.claude_code.agent_text import GENERATED
from mlagent.doors.claude_code.exporting import export_agents
from mlagent.doors.claude_code.files import SCOPES

CONTRACTS = load_contracts(CONTENT)
ROOT = Path(__file__).parents[3]
PLUGIN = "plugins/mlagent"
AGENT_FOLDERS = {"project": ".claude/agents", "user": "agents", "plugin": f"{PLUGIN}/agents"}


def test_a_subagent_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    mine = tmp_path / ".claude" / "agents" / "ml-engineer.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("---\nname: ml-engineer\ndescription: mine\n---\nmine\n")
    before = tree(tmp_path)
    with pytest.raises(BadInput, match=r"did not write .*ml-engineer\.md"):
        export(tmp_path)
    assert tree(tmp_path) == before
    done = export(tmp_path, force=True)
    assert done.kept == (".claude/agents/ml-engineer.md.backup-1",)
    assert (tmp_path / done.kept[0]).read_text().endswith("mine\n")
    assert GENERATED in mine.read_text()


def test_a_project_named_mlagent_is_no_excuse(tmp_path: Path) -> None:
    mine = tmp_path / "mlagent" / ".claude" / "agents" / "ml-engineer.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(BadInput, match="did not write"):
        export(tmp_path / "mlagent")


def test_a_marketplace_of_others_and_a_link_are_in_the_way(tmp_path: Path) -> None:
    other = tmp_path / "a" / ".claude-plugin" / "marketplace.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"name": "x", "plugins": [{"name": "y", "source": "./y"}]}')
    with pytest.raises(BadInput, match="did not write"):
        export(tmp_path / "a", "plugin")
    link = tmp_path / "b" / ".claude" / "agents" / "ml-engineer.md"
    link.parent.mkdir(parents=True)
    link.symlink_to(other)
    with pytest.raises(BadInput, match="is a link"):
        export(tmp_path / "b")


def test_a_gitattributes_of_the_user_stays(tmp_path: Path) -> None:
    file = tmp_path / ".claude" / "agents" / ".gitattributes"
    file.parent.mkdir(parents=True)
    file.write_text("*.md binary\n")
    done = export(tmp_path)
    assert file.read_text() == "*.md binary\n"
    assert "text eol=lf" in done.notes[0]


@pytest.mark.parametrize("scope", SCOPES)
def test_an_older_export_is_brought_up_to_date(scope: str, tmp_path: Path) -> None:
    older = tmp_path / "content" / "agents" / "ml-engineer" / "claude_code.yaml"
    older.parent.mkdir(parents=True)
    text = CONTENT.text("agents/ml-engineer/claude_code.yaml")
    older.write_text(text.replace("- plan.yaml\n", "- plan.yaml\n- notes/*.md\n"))
    out = tmp_path / "out"
    export_agents(Content(tmp_path / "content"), scope, out, force=False)
    for file in out.rglob("*.md"):  # as git gives them with autocrlf
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    done = export(out, scope)
    assert f"{AGENT_FOLDERS[scope]}/ml-engineer.md" in done.written
    assert any(path.endswith("policy.json") for path in done.written)
    assert done.kept == ()
    export(tmp_path / "new", scope)
    assert tree(out) == tree(tmp_path / "new")


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("project", ".claude/agents/ml-engineer.md"),
        ("project", ".claude/mlagent/contracts/ml-engineer.yaml"),
        ("user", "agents/data-explorer.md"),
        ("plugin", f"{PLUGIN}/agents/ml-engineer.md"),
        ("plugin", f"{PLUGIN}/README.md"),
        ("plugin", ".claude-plugin/marketplace.json"),
    ],
)
def test_a_file_in_our_own_folders_is_not_ours_for_that(
    scope: str, path: str, tmp_path: Path
) -> None:
    """One that a person wrote there, and one of ours that a person changed since."""
    fresh, edited = tmp_path / "fresh" / path, tmp_path / "edited" / path
    fresh.parent.mkdir(parents=True)
    fresh.write_text("mine\n")
    export(tmp_path / "edited", scope)
    edited.write_text(edited.read_text() + "\nmy own line\n")
    for file in (fresh, edited):
        out = tmp_path / file.relative_to(tmp_path).parts[0]
        before = tree(out)
        with pytest.raises(BadInput) as caught:
            export(out, scope)
        assert str(file) in caught.value.message
        assert "--force" in caught.value.remedy
        assert tree(out) == before
        mine = file.read_bytes()
        assert export(out, scope, force=True).kept == (f"{path}.backup-1",)
        assert file.with_name(f"{file.name}.backup-1").read_bytes() == mine
        assert export(out, scope).written == ()


def test_a_record_of_an_export_that_is_none_makes_nothing_ours(tmp_path: Path) -> None:
    export(tmp_path)
    agent = tmp_path / ".claude" / "agents" / "ml-engineer.md"
    agent.write_text("mine\n")
    for text in ("{", "[]", '{"schema": "mlagent/claude-code-export/v1"}', "\udcff"):
        record = tmp_path / ".claude" / "mlagent" / "exported.json"
        record.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(BadInput, match=r"ml-engineer\.md.*exported\.json"):
            export(tmp_path)


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_link_or_a_folder_is_in_the_way_also_under_force(kind: str, tmp_path: Path) -> None:
    place = tmp_path / ".claude" / "agents" / "ml-engineer.md"
    place.parent.mkdir(parents=True)
    other = tmp_path / "other.md"
    other.write_text("somebody's\n")
    if kind == "link":
        place.symlink_to(other)
    else:
        place.mkdir()
    before = tree(tmp_path)
    with pytest.raises(BadInput, match=r"ml-engineer\.md.*nothing was changed"):
        export(tmp_path, force=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("scope", ["project", "user"])
@pytest.mark.parametrize("there", [True, False])
def test_settings_behind_a_link_are_refused_and_nothing_is_written(
    tmp_path: Path, scope: str, there: bool
) -> None:
    target = tmp_path / "elsewhere.json"
    if there:
        target.write_text("{}")
    folder = tmp_path / "out"
    link = folder / (".claude/settings.json" if scope == "project" else "settings.json")
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    before = tree(tmp_path)
    for force in (False, True):
        with pytest.raises(BadInput, match="settings.json' is a link, so nothing was changed"):
            export(folder, scope, force=force)
    assert tree(tmp_path) == before
    assert link.is_symlink()
