"""A plugin's files beside its agents: the exported ones keep every rule, broken ones are named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from exported import export
from marketplace_cases import CASES as MARKETPLACE_CASES
from marketplace_cases import MARKETPLACE
from plugin_cases import CASES, FINE, HOOKS, MANIFEST, SKILL

from mlagent.contracts.errors import BadInput
from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.files import SKILLS


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests put each file back."""
    folder = tmp_path_factory.mktemp("market")
    export(folder, "plugin")
    return folder / "plugins" / "mlagent"


def broken(plugin: Path) -> dict[str, list[str]]:
    """File -> names of its broken rules."""
    parts = check_folder(plugin, strict=True).parts
    return {part.file: [rule.rule for rule in part.rules] for part in parts if part.rules}


def test_the_exported_plugin_keeps_every_rule_in_every_file(exported: Path) -> None:
    found = check_folder(exported, strict=True)
    assert found.ok
    assert [part.file for part in found.parts] == [
        MANIFEST,
        "hooks/hooks.json",
        ".mcp.json",
        *sorted(f"skills/{name}/SKILL.md" for name in SKILLS),
        "README.md",
    ]
    assert check_folder(exported, strict=False).parts == ()


@pytest.mark.parametrize("name", [*CASES, *FINE])
def test_each_rule_is_held(name: str, exported: Path) -> None:
    case = (CASES | FINE)[name]
    whole = (exported / case.file).read_bytes()
    try:
        case.apply(exported)
        found = broken(exported)
        assert ("exported.json" in found) is (case.file == HOOKS)  # not what the export wrote
        found.pop("exported.json", None)
        assert found == ({case.file: case.rules} if case.rules else {})
        assert check_folder(exported, strict=True).ok is (not case.rules and case.file != HOOKS)
        assert check_folder(exported, strict=False).ok
    finally:
        (exported / case.file).write_bytes(whole)


def test_a_missing_readme_and_licence_and_a_link_are_said(tmp_path: Path) -> None:
    export(tmp_path, "plugin")
    plugin = tmp_path / "plugins" / "mlagent"
    (plugin / "README.md").unlink()
    (plugin / "LICENSE").unlink()
    manifest = plugin / MANIFEST
    manifest.write_text(manifest.read_text().replace('"license": "MIT",', ""))
    (plugin / SKILL).rename(tmp_path / "elsewhere.md")
    (plugin / SKILL).symlink_to(tmp_path / "elsewhere.md")
    assert broken(plugin) == {MANIFEST: ["licence"], SKILL: ["file"], "README.md": ["file"]}


def test_the_command_names_the_file_and_the_rule(tmp_path: Path) -> None:
    export(tmp_path, "plugin")
    plugin = tmp_path / "plugins" / "mlagent"
    CASES["unknown event"].apply(plugin)
    done = subprocess.run(
        [sys.executable, "-m", "mlagent", "agents", "check", str(plugin), "--strict"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "BROKEN      hooks/hooks.json" in done.stdout
    assert "events: `PreToolUs` is no event of Claude Code." in done.stdout
    assert "keeps       .mcp.json" in done.stdout
    assert "2 of 11 files" in done.stderr


@pytest.mark.parametrize("strict", [True, False])
def test_an_agent_that_the_manifest_names_elsewhere_is_judged(strict: bool, tmp_path: Path) -> None:
    export(tmp_path, "plugin")
    plugin = tmp_path / "plugins" / "mlagent"
    (plugin / "team").mkdir()
    (plugin / "team" / "b.md").write_text('---\ndescription: "Use it."\n---\nBody.\n')
    manifest = plugin / MANIFEST
    paths = ["./team/b.md", "./agents/ml-engineer.md"]
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"agents": paths}))
    for folder, name in ((plugin, "./team/b.md"), (tmp_path, "plugins/mlagent/team/b.md")):
        found = check_folder(folder, strict=strict)
        assert not found.ok
        assert [f.file for f in found.files if not f.verdict.loads] == [name]
        assert len(found.files) == 4
    (plugin / "team" / "b.md").unlink()
    (plugin / "team" / "b.md").symlink_to(tmp_path / "outside.md")
    (tmp_path / "outside.md").write_text("x")
    assert broken(plugin) == {MANIFEST: ["places"]}


# --- a marketplace: its own file, and each plugin in it ---


@pytest.fixture
def market(tmp_path: Path) -> Path:
    export(tmp_path, "plugin")
    return tmp_path


def test_a_marketplace_is_judged_with_every_file_of_its_plugins(market: Path) -> None:
    found = check_folder(market, strict=True)
    assert found.ok
    assert found.place == "plugin"
    assert [part.file for part in found.parts][:4] == [
        MARKETPLACE,
        f"plugins/mlagent/{MANIFEST}",
        "plugins/mlagent/hooks/hooks.json",
        "plugins/mlagent/.mcp.json",
    ]
    assert len(found.parts) == 8
    assert len(found.files) == 3
    assert all(file.file.startswith("plugins/mlagent/agents/") for file in found.files)
    assert check_folder(market, strict=False).parts == ()


@pytest.mark.parametrize("name", CASES)
def test_what_breaks_a_plugin_breaks_its_marketplace(name: str, market: Path) -> None:
    case = CASES[name]
    case.apply(market / "plugins" / "mlagent")
    assert broken(market)[f"plugins/mlagent/{case.file}"] == case.rules


@pytest.mark.parametrize("name", MARKETPLACE_CASES)
def test_each_rule_of_a_marketplace_is_held(name: str, market: Path) -> None:
    case = MARKETPLACE_CASES[name]
    case.apply(market)
    assert broken(market)[MARKETPLACE] == [case.rule]
    assert not check_folder(market, strict=True).ok


def test_a_plugin_from_elsewhere_is_named_and_one_behind_a_link_too(market: Path) -> None:
    source = {"source": "github", "repo": "owner/name"}
    MARKETPLACE_CASES["no source"]._replace(entry={"source": source}).apply(market)
    found = check_folder(market, strict=True)
    assert found.ok
    assert found.skipped == ("plugin mlagent: it is fetched from elsewhere",)
    with pytest.raises(BadInput, match="fetched from elsewhere"):
        check_folder(market, strict=False)
    (market / "plugins" / "other").symlink_to(market / "plugins" / "mlagent")
    MARKETPLACE_CASES["no source"]._replace(entry={"source": "./plugins/other"}).apply(market)
    assert broken(market) == {MARKETPLACE: ["source"]}


def test_a_plugin_without_agents_is_judged_by_its_other_files(market: Path) -> None:
    plugin = market / "plugins" / "mlagent"
    for file in (plugin / "agents").iterdir():
        file.unlink()
    assert check_folder(plugin, strict=True).ok
    assert check_folder(market, strict=True).ok
    with pytest.raises(BadInput, match="--strict judges the other files"):
        check_folder(plugin, strict=False)


def test_the_project_of_a_marketplace_keeps_its_own_agents(market: Path) -> None:
    own = market / ".claude" / "agents"
    own.mkdir(parents=True)
    (own / "mine.md").write_text("no frontmatter\n")
    found = check_folder(market, strict=False)
    assert [f.file for f in found.files if not f.verdict.loads] == [".claude/agents/mine.md"]
