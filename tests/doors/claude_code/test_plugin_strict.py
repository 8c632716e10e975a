"""A plugin's files beside its agents: the exported ones keep every rule, broken ones are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from exported import export
from plugin_cases import CASES, FINE, MANIFEST, SKILL

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
        assert broken(exported) == ({case.file: case.rules} if case.rules else {})
        assert check_folder(exported, strict=True).ok is (not case.rules)
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
    assert "1 of 10 files" in done.stderr
