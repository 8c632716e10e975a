"""Under which name a plugin's file registers: each line of plugin_names.jsonl was measured.

The plugin is called `plug`; `listed` is what the command line 2.1.329 listed for the file. A test
of test_claude_cli.py asks it again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugin_name_cases import CASES, write_plugin

from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.loading import load
from mlagent.doors.claude_code.plugin_names import registered_as
from mlagent.doors.claude_code.sources import Source
from mlagent.testing.tables import build_tree


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["file"]))
def test_each_file_gets_the_name_that_was_measured(case: dict[str, Any]) -> None:
    data = (case["text"] * case.get("times", 1)).encode()
    found = registered_as("plug", Source(case["file"], data), load(data, case["file"]))
    assert (found and found.name) == case["listed"]


def test_the_verdict_says_the_name_of_a_broken_file(tmp_path: Path) -> None:
    write_plugin(tmp_path)
    why = {file.file: file.verdict.why for file in check_folder(tmp_path, strict=False).files}
    for file, said in (
        ("nameless.md", "`name` is missing; in a plugin it registers all the same, as "
         "'plug:nameless', after its file."),
        ("sub/deep.md", "as 'plug:sub:deep', after its file."),
        ("colon.md", "the name 'a:b' holds a colon; in a plugin it registers all the same, as "
         "'plug:a:b'."),
        ("number.md", "as 'plug:12'."),
        ("x.markdown", "in a plugin it is not registered either."),
        ("ok.md", "it loads."),
    ):  # fmt: skip
        assert why[file].endswith(said), why[file]


def test_the_manifest_names_files_without_their_folders(tmp_path: Path) -> None:
    manifest = {"name": "plug", "agents": ["./custom/deep/one.md", "./custom/two.md"]}
    build_tree(
        tmp_path,
        {
            ".claude-plugin/plugin.json": json.dumps(manifest),
            "custom/deep/one.md": "---\ndescription: d\n---\nb\n",
            "custom/two.md": "---\nname: c:2\ndescription: d\n---\nb\n",
        },
    )
    one, two = (file.verdict.why for file in check_folder(tmp_path, strict=False).files)
    assert one.endswith("it registers all the same, as 'plug:one', after its file.")
    assert two.endswith("it registers all the same, as 'plug:c:2'.")


def test_two_files_of_one_registered_name_are_named_both(tmp_path: Path) -> None:
    named = "---\nname: {}\ndescription: d\n---\nb\n"
    build_tree(
        tmp_path,
        {
            ".claude-plugin/plugin.json": '{"name": "plug"}',
            "agents/same.md": "---\ndescription: d\n---\nb\n",
            "agents/other.md": named.format("same"),
            "agents/fine.md": named.format("fine"),
            "agents/sub/fine.md": named.format("fine"),
        },
    )
    files = check_folder(tmp_path, strict=False).files
    assert {file.file: file.shadowed_by for file in files} == {
        "same.md": "other.md",
        "other.md": "same.md",
        "fine.md": None,
        "sub/fine.md": None,
    }
