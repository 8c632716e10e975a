"""`mlagent bot` as typed: it refuses to start without what it needs, and survives being killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mlagent.doors.github.signature import SECRET as SECRET_NAME
from mlagent.doors.github.signature import sign
from mlagent.testing.github import FakeGitHub

from .bot_case import AUTHOR_ID, REPO, SECRET, TOKEN, accounts, created, reactions
from .pull_request import make
from .test_bot_work import children

NO_ENGINE = "unix:///nonexistent.sock"


def environment(**more: str) -> dict[str, str]:
    """This process's, without anything of GitHub's or the bot's."""
    hidden = ("GITHUB_", "GH_TOKEN", "MLAGENT_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
    return kept | more


def run(*words: str, code: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-c", code] if code else [sys.executable, "-m", "mlagent", "bot"]
    return subprocess.run(
        [*start, *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment(**more),
        timeout=60,
    )


@pytest.mark.parametrize(
    ("more", "exit_code", "said"),
    [
        ({"GITHUB_TOKEN": TOKEN}, 2, SECRET_NAME),
        ({"GITHUB_TOKEN": TOKEN, SECRET_NAME: "  "}, 2, SECRET_NAME),
        ({"GITHUB_TOKEN": TOKEN, SECRET_NAME: "short"}, 2, "shorter than"),
        ({SECRET_NAME: SECRET.decode()}, 4, "GITHUB_TOKEN"),
    ],
)
def test_it_does_not_start_without_a_secret_or_a_token(
    tmp_path: Path, more: dict[str, str], exit_code: int, said: str
) -> None:
    done = run("--repo", REPO, "--state", str(tmp_path / "state"), **more)
    assert done.returncode == exit_code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(text in done.stderr + done.stdout for text in (TOKEN, SECRET.decode()))


def test_the_remedy_for_a_missing_token_is_one_that_the_bot_takes(tmp_path: Path) -> None:
    done = run("--repo", REPO, "--state", str(tmp_path / "state"), **{SECRET_NAME: SECRET.decode()})
    assert "--dry-run" not in done.stderr
    assert "Set GITHUB_TOKEN" in done.stderr


def test_an_event_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text("{}")
    state = str(tmp_path / "state")
    done = run("--repo", REPO, "--state", state, "--event", str(event), GITHUB_TOKEN=TOKEN)
    assert done.returncode == 2
    assert "GITHUB_EVENT_NAME is empty" in done.stderr


def test_there_is_no_flag_for_the_secret() -> None:
    done = run("--help")
    assert "--secret" not in done.stdout
    assert "--token" not in done.stdout
    assert "[default: 127.0.0.1]" in done.stdout
    assert run("--repo", REPO, "--secret", "x").returncode == 2


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_without_the_extra_it_says_so(package: str) -> None:
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "sys.argv = ['mlagent', 'bot', '--repo', 'a/b']\n"
        "from mlagent.cli.main import main\nmain()"
    )
    done = run(code=code)
    assert done.returncode == 4
    assert package in done.stderr
    assert "mlagent[bot]" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_event_needs_neither_the_extra_nor_the_secret(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        author = hub.accounts["authors-token"]
        hub.pull(1, ["1" * 40], "2" * 40)
        comment = hub.comment(1, author, "/mlagent help")
        event.write_text(json.dumps(created("/mlagent help", comment.id)))
        words = ["bot", "--repo", REPO, "--event", str(event), "--state", str(tmp_path / "state")]
        code = (
            "import sys\nsys.modules['fastapi'] = None\nsys.modules['uvicorn'] = None\n"
            f"sys.argv = ['mlagent', *{words!r}]\n"
            "from mlagent.cli.main import main\nmain()"
        )
        done = run(
            code=code,
            GITHUB_TOKEN=TOKEN,
            GITHUB_API_URL=hub.url,
            GITHUB_EVENT_NAME="issue_comment",
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "Done" in done.stdout
        assert reactions(comment) == ["eyes", "rocket"]


@contextmanager
def started(
    state: Path, hub: FakeGitHub, server: str, port: int
) -> Iterator[subprocess.Popen[str]]:
    """A real bot process that listens."""
    more = {
        SECRET_NAME: SECRET.decode(),
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_API_URL": hub.url,
        "GITHUB_SERVER_URL": server,
        "DOCKER_HOST": NO_ENGINE,
    }
    words = ["--repo", REPO, "--state", str(state), "--port", str(port)]
    with (state.parent / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlagent", "bot", *words],
            env=environment(**more),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        wait(lambda: answers_on(port), "the bot listens")
        yield process
    finally:
        process.kill()
        process.wait()


def answers_on(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx.TransportError:
        return False


def wait(until: object, what: str, seconds: float = 60) -> None:
    assert callable(until)
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def post(port: int, body: str, comment: int) -> int:
    raw = json.dumps(created(body, comment)).encode()
    headers = {
        "x-github-event": "issue_comment",
        "x-github-delivery": f"delivery-{comment}",
        "x-hub-signature-256": sign(SECRET, raw),
    }
    answer = httpx.post(f"http://127.0.0.1:{port}/webhook", content=raw, headers=headers)
    return answer.status_code


def test_polls_of_health_leave_no_line_in_the_log(tmp_path: Path) -> None:
    port = free_port()
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        with started(tmp_path / "state", hub, "file:///nonexistent", port):
            for query in ("", "?from=probe"):
                assert httpx.get(f"http://127.0.0.1:{port}/health{query}").status_code == 200
            assert httpx.post(f"http://127.0.0.1:{port}/webhook").status_code == 401
            wait(lambda: "/webhook" in (tmp_path / "log").read_text(), "the access log")
    assert "/health" not in (tmp_path / "log").read_text()


def test_a_killed_bot_goes_on_where_it_was(tmp_path: Path) -> None:
    pull, state, port = make(tmp_path, hostile=True), tmp_path / "state", free_port()
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.pull(1, [pull.head], pull.base)
        author = hub.accounts["authors-token"]
        assert author.id == AUTHOR_ID
        first = hub.comment(1, author, '/mlagent plan "churn model"')
        second = hub.comment(1, author, "/mlagent help")
        with started(state, hub, pull.server, port) as process:
            assert post(port, first.body, first.id) == 202
            wait(lambda: len(children(state)) > 0, "the plan is being made")
            process.send_signal(signal.SIGKILL)
            process.wait()
        left = children(state)
        with started(state, hub, pull.server, port) as process:
            assert not set(left) & set(children(state)), "the earlier bot's child is gone"
            assert post(port, first.body, first.id) == 409
            assert post(port, second.body, second.id) == 202
            done = ["eyes", "rocket"]
            wait(lambda: reactions(first)[-1:] == reactions(second)[-1:] == ["rocket"], "answers")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert reactions(second) == done
        assert reactions(first) == done
        said = [one.body for one in hub.of(1) if one.author.login == "mlagent-bot"]
        assert len(said) == 2
        assert sum("### Plan for" in text for text in said) == 1
    log = (tmp_path / "log").read_text()
    assert not any(text in log for text in (TOKEN, SECRET.decode(), "Traceback"))
    assert not pull.canary.exists()
    assert list((state / "scratch").iterdir()) == [], "nothing of the killed bot is left"
    assert (state.stat().st_mode & 0o077) == 0
