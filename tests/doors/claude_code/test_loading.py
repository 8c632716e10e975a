"""What loads in Claude Code: our verdict is the measured one, file by file.

golden.jsonl holds one file a line, with the name under which the command line 2.1.329 listed it
(null: not listed) when it was asked for its agents with an empty home, and what our verdict calls
the cause. With MLAGENT_CLAUDE_CLI the command line itself is asked again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlagent.doors.claude_code.loading import MEASURED_ON, load


class Case(NamedTuple):
    """A file. `listed`: the name under which the command line lists it; None: it does not."""

    file: str
    data: bytes
    listed: str | None
    reason: str = "loads"


def lines(*texts: str, end: str = "\n") -> bytes:
    """The lines of a file, each with `end`."""
    return "".join(text + end for text in texts).encode()


def block(*texts: str, end: str = "\n") -> bytes:
    """A file with these lines of frontmatter and a body."""
    return lines("---", *texts, "---", "body", end=end)


def golden() -> list[Case]:
    cases = [
        Case("long.md", block("name: long", "description: " + "x" * 6000), "long"),
        Case("big.md", block("name: big", "description: x") + b"x" * 2**20, None, "size"),
    ]
    text = (Path(__file__).parent / "golden.jsonl").read_text("utf-8")
    for row in map(json.loads, text.splitlines()):
        data = bytes.fromhex(row["hex"]) if "hex" in row else row["text"].encode()
        cases.append(Case(row["file"], data, row["listed"], row.get("reason", "loads")))
    return cases


GOLDEN = golden()
BUILT_IN = {"claude", "Explore", "general-purpose", "Plan", "statusline-setup"}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.file)
def test_each_file_of_the_golden_set_gets_the_measured_verdict(case: Case) -> None:
    verdict = load(case.data, case.file).verdict
    assert (verdict.loads, verdict.name) == (case.listed is not None, case.listed)
    assert verdict.reason == case.reason


def test_a_refusal_says_what_and_where() -> None:
    text = lines("---", "name: a", "description: see", "<example>x</example>", "---", "body")
    verdict = load(text, "a.md").verdict
    assert (verdict.reason, verdict.line) == ("column-0-text", 4)
    assert "'<example>x</example>'" in verdict.why
    crlf = block("name: a", "description: use: it", end="\r\n")
    verdict = load(crlf, "a.md").verdict
    assert (verdict.reason, verdict.line) == ("crlf-and-yaml", 3)


def test_what_loads_otherwise_than_meant_is_noted() -> None:
    cut = load(block("name: a", "description: one --- two", "tools: Read"), "a.md")
    assert cut.verdict.loads
    assert cut.keys == {"name": "a", "description": "one"}
    assert "inside line 3" in cut.verdict.notes[0]
    line = load(block("name: a", "description: b", "--- more", "tools: Read"), "a.md")
    assert line.keys == {"name": "a", "description": "b"}
    assert "`---` that line 4 begins with; 'more'" in line.verdict.notes[0]
    early = load(block("name: a", "--- more", "description: b"), "a.md")
    assert (early.verdict.loads, early.verdict.reason) == (False, "no-description")
    assert "line 3 begins with" in early.verdict.notes[0]
    mended = load(block("name: a", "description: use: it", "tools: [Read, *Bash]"), "a.md")
    assert mended.keys["tools"] == "[Read, *Bash]"
    assert any("list of `tools` is read as text" in note for note in mended.verdict.notes)
    whole = load(block("name: a", "description: use: it", "tools: [Read, Bash]"), "a.md")
    assert whole.keys["tools"] == ["Read", "Bash"]
    dropped = load(block("name: a", "description: b", "model: gpt-4", "color: teal"), "a.md")
    assert [note[:8] for note in dropped.verdict.notes] == ["`color` ", "`model` "]
    unknown = load(block("name: a", "description: b", "contract: c.yaml"), "a.md")
    assert unknown.verdict.notes == ("keys that Claude Code ignores: contract",)


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    described = b"---\nname: a\ndescription: " + data + b"\n---"
    for text in (data, b"---\n" + data + b"\n---\n", described):
        verdict = load(text, "a.md").verdict
        assert verdict.why
        assert verdict.loads == (verdict.reason == "loads") == (verdict.name is not None)


def test_a_deep_or_endless_frontmatter_is_refused_in_time() -> None:
    for bomb in (
        "x: " + "[" * 100_000,
        "x: " + "{a: " * 5_000,
        "a: &a [x, x]\n" + "\n".join(f"{c}: &{c} [*a, *a]" for c in "bcdefgh"),
        "\n".join(f"k{n}: v" for n in range(30_000)),
    ):
        assert load(block("name: a", "description: b", bomb), "a.md").verdict.why


# --- the command line itself ---


@pytest.fixture(scope="module")
def cli() -> str:
    """MLAGENT_CLAUDE_CLI: the command line of Claude Code, of the version that was measured or a
    later one."""
    binary = os.environ.get("MLAGENT_CLAUDE_CLI", "")
    if not binary:
        pytest.skip("MLAGENT_CLAUDE_CLI does not name Claude Code's command line")
    binary = str(Path(binary).expanduser().resolve())
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=60)
    version = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    assert version, f"{binary} --version says {done.stdout!r} {done.stderr!r}"
    if tuple(map(int, version.groups())) < tuple(map(int, MEASURED_ON.split("."))):
        pytest.skip(f"Claude Code {version.group()} is older than {MEASURED_ON}")
    return binary


def listed_by(cli: str, files: dict[str, bytes], folder: Path) -> str:
    """What the command line prints as its list of agents: no key, no network, an empty home."""
    agents = folder / "project" / ".claude" / "agents"
    for name, data in files.items():
        (agents / name).parent.mkdir(parents=True, exist_ok=True)
        (agents / name).write_bytes(data)
    (folder / "home").mkdir()
    environment = {
        "HOME": str(folder / "home"),
        "PATH": "/usr/bin:/bin",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [cli, "--agent", "no-such-agent", "-p", "hi"],
        cwd=folder / "project",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r"Available agents: (.*)", done.stdout + done.stderr, re.DOTALL)
    assert found, done.stdout + done.stderr
    return found[1].rstrip("\n")


def test_the_command_line_agrees_with_the_golden_set(cli: str, tmp_path: Path) -> None:
    said = listed_by(cli, {case.file: case.data for case in GOLDEN}, tmp_path)
    expected = sorted({case.listed for case in GOLDEN if case.listed} | BUILT_IN)
    there = sorted(said.split(", "))
    assert there == sorted(", ".join(expected).split(", "))
