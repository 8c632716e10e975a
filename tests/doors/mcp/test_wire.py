"""The bytes on stdout, and the command around the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOISE = """\
import os, sys, threading, time


def speak():
    while not os.path.samestat(os.fstat(1), os.fstat(2)):  # it does not serve yet
        time.sleep(0.05)
    while True:
        time.sleep(0.05)
        print("noise by print")
        os.write(1, b"noise by descriptor\\n")


if "noisy" in os.environ:
    threading.Thread(target=speak, daemon=True).start()
"""
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "0"},
}


def message(method: str, number: int | None = None, **params: Any) -> bytes:
    body: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if number is not None:
        body["id"] = number
    return json.dumps(body).encode() + b"\n"


def test_stdout_carries_the_protocol_only_however_much_is_printed(churn: Path) -> None:
    """A client without the SDK: every line is a JSON-RPC message, while a thread prints."""
    noise = churn / "noise"
    noise.mkdir()
    (noise / "sitecustomize.py").write_text(NOISE)
    environment = os.environ | {
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "PYTHONPATH": str(noise),
        "noisy": "1",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "mlagent", "mcp", "--allow-runs"],
        cwd=churn,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    lines: list[bytes] = []

    def ask(method: str, number: int, **params: Any) -> dict[str, Any]:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(message(method, number, **params))
        server.stdin.flush()
        while True:
            lines.append(server.stdout.readline())
            found = json.loads(lines[-1])
            if found.get("id") == number:
                return dict(found)

    with server:
        ask("initialize", 1, **HELLO)
        server.stdin.write(message("notifications/initialized"))
        words = {"task": "churn model", "budget": "20s"}
        planned = ask("tools/call", 2, name="mlagent_plan", arguments=words)
        assert planned["result"]["structuredContent"]["target"] == "churned"
        wrong = ask("tools/call", 3, name="mlagent_profile", arguments={"data": "no.csv"})
        assert wrong["result"]["isError"] is True
        run = ask("tools/call", 4, name="mlagent_run", arguments={})
        assert run["result"]["structuredContent"]["state"] == "running"
        stopped = ask("tools/call", 5, name="mlagent_run", arguments={"action": "stop"})
        assert stopped["result"]["structuredContent"]["state"] == "stopped"
        server.stdin.write(b"this is not JSON\n")
        assert len(ask("tools/list", 6)["result"]["tools"]) == 10
        server.stdin.close()
        rest = server.stdout.read()
        assert server.stderr is not None
        log = server.stderr.read()
    for line in (*lines, *rest.splitlines()):
        assert json.loads(line)["jsonrpc"] == "2.0"
    assert b"noise by print" in log
    assert b"noise by descriptor" in log
    assert b"mlagent_profile refused: BadInput" in log


def mlagent(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys\n{code}\nfrom mlagent.cli.main import main\n"
        f"sys.argv = ['mlagent', *{list(words)!r}]\nmain()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    done = mlagent("sys.modules['mcp'] = None", "mcp")
    assert done.returncode == 4
    assert done.stdout == ""
    assert "pip install 'mlagent[mcp]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_old_sdk_is_a_sentence_too() -> None:
    old = "import importlib.metadata as m\nm.version = lambda name: '1.28.0'"
    done = mlagent(old, "mcp")
    assert done.returncode == 4
    assert "1.28.0" in done.stderr
    assert "mlagent[mcp]" in done.stderr


def test_a_root_that_is_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    done = mlagent("", "mcp", "--root", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("words", [("--help",), ("mcp", "--help")])
def test_help_does_not_import_the_sdk(words: tuple[str, ...]) -> None:
    code = (
        "import atexit\n"
        "heavy = {'mcp', 'mcp_types', 'anyio', 'pandas'}\n"
        "atexit.register(lambda: sys.stderr.write(repr(sorted(heavy & set(sys.modules)))))"
    )
    done = mlagent(code, *words)
    assert done.returncode == 0
    assert done.stderr == "[]"
    assert "mcp" in done.stdout


def test_a_client_that_closes_stdin_at_once_ends_the_server_quietly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlagent", "mcp"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
