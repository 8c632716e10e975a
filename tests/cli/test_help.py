"""The command line is light: help needs no heavy import, and every command explains itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "numpy", "sklearn", "duckdb", "docker", "anthropic", "pydantic", "matplotlib")
COMMANDS = (
    "plan",
    "execute",
    "try",
    "predict",
    "demo",
    "runs",
    "board",
    "compare",
    "report",
    "doctor",
    "sandbox build",
    "agents list",
    "agents export",
    "contracts list",
    "contracts explain",
    "contracts validate",
    "bot",
    "mcp",
)


def mlagent(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlagent", *words], capture_output=True, text=True, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from mlagent.cli.main import main\n"
        "sys.argv = ['mlagent', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.stderr.write(repr(found))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]"
    assert "plan" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = mlagent(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("command", "usage"),
    [("predict", "[OPTIONS] [RUN] FILE"), ("compare", "[OPTIONS] RUN [OTHER]")],
)
def test_the_usage_line_names_what_to_write(command: str, usage: str) -> None:
    first = mlagent(command, "--help").stdout.splitlines()[0]
    assert first.endswith(f"mlagent {command} {usage}")


def test_an_unknown_command_is_a_usage_error_without_traceback() -> None:
    done = mlagent("fly")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "fly" in done.stderr


def test_an_unknown_flag_is_a_usage_error() -> None:
    done = mlagent("plan", "churn", "--speed", "11")
    assert done.returncode == 2
    assert "--speed" in done.stderr
