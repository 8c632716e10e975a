"""What `FakeGitHub` keeps and says: accounts, comments, pull requests, faults, answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MOST_CHARACTERS = 65_536
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
)
ABUSE = "You have triggered an abuse detection mechanism. Please wait a few minutes."
READER = "Resource not accessible by integration"
LOCKED = "Unable to create comment because issue is locked."
WRITERS = ("write", "maintain", "admin")


@dataclass
class Account:
    """Somebody with a token. `role`: none, read, triage, write, maintain, admin."""

    login: str
    id: int
    role: str = "write"
    bot: bool = False
    installation: bool = False
    """GITHUB_TOKEN of a job: it may not GET /user."""

    def as_json(self) -> dict[str, Any]:
        return {"login": self.login, "id": self.id, "type": "Bot" if self.bot else "User"}


@dataclass
class Comment:
    """One comment of an issue or pull request."""

    id: int
    number: int
    author: Account
    body: str
    reactions: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "body": self.body, "user": self.author.as_json()}


@dataclass
class Pull:
    """One open pull request; `commits` oldest first, the last one is the head."""

    number: int
    commits: list[str]
    base_sha: str
    head_owner: str = "octo"
    head_branch: str = "change"
    state: str = "open"
    locked: bool = False


@dataclass
class Fault:
    """An answer instead of the usual one, `times` times.

    `then_do`: the request still takes effect, only its answer is replaced (an answer that is lost).
    `status` 0 closes the connection without an answer; `body` replaces the message.
    """

    method: str
    path: str
    status: int
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    then_do: bool = False
    body: Any = None

    def answer(self) -> Answer:
        """The answer to send."""
        body = {"message": self.message} if self.body is None else self.body
        return Answer(self.status, body, dict(self.headers))


@dataclass
class Answer:
    """Status, JSON and headers of one reply."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
