"""The bot before a small GitHub, a git server on disk, and the package's own payloads."""

from __future__ import annotations

import copy
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from mlagent.doors.github.bot import BotFlags, Parts, assembled
from mlagent.doors.github.client import GitHub
from mlagent.doors.github.queue import Job
from mlagent.doors.github.signature import sign
from mlagent.doors.github.webhook import PATH, Door, make_app
from mlagent.doors.github.workers import run_one
from mlagent.testing.github import Account, Comment, FakeGitHub

PAYLOADS = Path(__file__).parents[1] / "payloads"
SECRET = b"It's a Secret to Everybody"
REPO = "Codertocat/Hello-World"
AUTHOR = "Codertocat"
AUTHOR_ID = 21031067
TOKEN = "bot-token-0123456789"


def payload(name: str) -> dict[str, Any]:
    """One payload of the package, as it is."""
    found = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def on_a_pull_request(found: dict[str, Any], number: int) -> dict[str, Any]:
    """The payload with its issue turned into a pull request: the links of the package's own."""
    changed = copy.deepcopy(found)
    links = ("url", "html_url", "diff_url", "patch_url")
    pull = payload("pull_request.opened")["pull_request"]
    changed["issue"]["pull_request"] = {name: pull[name] for name in links}
    changed["issue"]["number"] = number
    return changed


def created(body: str, comment: int, number: int = 1) -> dict[str, Any]:
    """`issue_comment` `created` with this text."""
    found = on_a_pull_request(payload("issue_comment.created"), number)
    found["comment"] |= {"body": body, "id": comment}
    return found


@dataclass
class Case:
    """A bot that was put together but runs nothing by itself."""

    hub: FakeGitHub
    author: Account
    parts: Parts
    address: str
    stop: threading.Event

    def comment(self, body: str) -> Comment:
        """Somebody comments on the pull request."""
        return self.hub.comment(1, self.author, body)

    def send(
        self,
        value: dict[str, Any] | bytes,
        *,
        event: str = "issue_comment",
        delivery: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Post a signed webhook."""
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        said = {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": delivery or f"delivery-{time.monotonic_ns()}",
            "x-hub-signature-256": sign(SECRET, raw),
            **(headers or {}),
        }
        kept = {name: value for name, value in said.items() if value}
        return httpx.post(f"{self.address}{PATH}", content=raw, headers=kept, timeout=30)

    def tell(self, body: str) -> tuple[Comment, httpx.Response]:
        """Comment, and have GitHub report it."""
        made = self.comment(body)
        return made, self.send(created(body, made.id))

    def drain(self) -> list[Job]:
        """Do everything in the queue."""
        while run_one(self.parts.queue, "received", self.parts.jobs.check):
            pass
        while run_one(self.parts.queue, "ready", self.parts.jobs.work):
            pass
        return self.parts.queue.jobs()

    def answers(self) -> list[str]:
        """Texts of the bot's comments."""
        return [one.body for one in self.hub.of(1) if one.author.login == "mlagent-bot"]

    def nothing_happened(self) -> bool:
        """No job, no answer, no reaction."""
        return not self.parts.queue.jobs() and not self.hub.writes()


def reactions(comment: Comment) -> list[str]:
    """What was left on a comment, in order."""
    return [str(one["content"]) for one in comment.reactions]


def connect(token: str, address: str) -> GitHub:
    """A client that does not wait between writes."""
    return GitHub(token, address, sleep=lambda seconds: None)


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """The application on a free port of loopback."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        config = uvicorn.Config(app, log_level="error", server_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def bot(
    state: Path,
    hub: FakeGitHub,
    server: str = "file:///nonexistent",
    *,
    max_budget_s: float = 120.0,
    **door: Any,
) -> Iterator[Case]:
    """The bot and its webhook over a state folder; jobs run when the test says so."""
    stop = threading.Event()
    environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": hub.url, "GITHUB_SERVER_URL": server}
    flags = BotFlags(state, (REPO,), max_budget_s)
    author = next(one for one in hub.accounts.values() if one.login == AUTHOR)
    with assembled(flags, environment, stop, connect) as parts:
        found = Door(SECRET, flags.repositories, parts.own_id, parts.queue, lambda: None, **door)
        with listening(make_app(found)) as address:
            yield Case(hub, author, parts, address, stop)


def accounts(hub: FakeGitHub, role: str = "write") -> None:
    """The bot's own account, and the author of the payloads."""
    hub.account(TOKEN, "mlagent-bot", role="write")
    hub.account("authors-token", AUTHOR, role=role).id = AUTHOR_ID
