"""A scripted Messages API, and `execute` in a planned project that asks it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlagent.testing.command_line import run_mlagent
from mlagent.testing.messages_api import MessagesApi, messages_api, says

sys.path.insert(0, str(Path(__file__).parent))

from searches import KEY, Run, Script, waving


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with messages_api(lambda _: [says("nothing")], keys=(KEY,)) as server:
        yield server


@pytest.fixture
def play(api: MessagesApi) -> Callable[[Script], MessagesApi]:
    """Give the server a script: (body, number of the step) -> answer."""

    def start(script: Script) -> MessagesApi:
        api.script = lambda body: script(body, len(api.seen))
        return api

    return start


@pytest.fixture
def execute(api: MessagesApi, tmp_path: Path) -> Run:
    waving().to_csv(tmp_path / "churn.csv", index=False)
    more = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}

    def run(*words: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return run_mlagent(cwd, *words, environment=more, longest_s=900.0)

    done = run("plan", "churn model")
    assert done.returncode == 0, done.stderr
    return run
