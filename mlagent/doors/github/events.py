"""What a webhook (or an Actions event file) says, as far as it is a command; else why it is none.

Guarantees: only fresh comments of people on open pull requests of the served repositories become a
`Comment`; nothing is believed that could lead elsewhere: of the payload only names, ids and the
text are read, never a URL. Does not: know who may give commands (the API is asked for that, later).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlagent.contracts.errors import BadInput

from .command_lines import command_lines

EVENT = "issue_comment"
LONGEST_BODY = 70_000
"""Characters of a comment; GitHub's own limit is 65,536."""
FULL_NAME = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", re.ASCII)
Number = Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]


@dataclass(frozen=True)
class Comment:
    """A comment that holds a command."""

    repository: str
    number: int
    comment: int
    author: str
    author_id: int
    body: str


@dataclass(frozen=True)
class Ignored:
    """Why nothing is done. `foreign`: the repository is not served here."""

    reason: str
    foreign: bool = False


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _User(_Part):
    login: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}(\[bot\])?$")]
    id: Number
    type: str


class _Comment(_Part):
    id: Number
    body: Annotated[str, Field(max_length=LONGEST_BODY)]
    user: _User
    performed_via_github_app: Any = None


class _Issue(_Part):
    number: Number
    state: str
    pull_request: dict[str, Any] | None = None


class _Repository(_Part):
    full_name: str


class _Payload(_Part):
    action: str
    issue: _Issue
    comment: _Comment
    repository: _Repository
    sender: _User


def read_event(
    event: str, payload: Any, *, repositories: Collection[str], own_id: int | None
) -> Comment | Ignored:
    """The command of an event, or why there is none.

    Args:
        event: `X-GitHub-Event`. It is not part of what is signed, so the payload must fit it.
        payload: parsed JSON, whose signature held.
        repositories: `owner/name` of those that are served.
        own_id: user id that answers are posted with, when it is known.

    Raises:
        BadInput: the payload is not one of an `issue_comment` event.
    """
    if event != EVENT:
        return Ignored(f"Events of the kind {event[:40]!r} are not read.")
    if isinstance(payload, Mapping) and payload.get("action") in ("edited", "deleted"):
        return Ignored("Only a fresh comment is read, not one that was edited or deleted.")
    try:
        found = _Payload.model_validate(payload)
    except ValidationError as problem:
        where = ".".join(str(part) for part in problem.errors()[0]["loc"])
        raise BadInput(
            f"The payload does not fit {EVENT!r}: {where or 'it is no object'}."
        ) from None
    name = found.repository.full_name
    if not FULL_NAME.fullmatch(name) or name.lower() not in {one.lower() for one in repositories}:
        return Ignored("This repository is not served here.", foreign=True)
    if found.action != "created":
        return Ignored("Only a fresh comment is read, not one that was edited or deleted.")
    if found.issue.pull_request is None:
        return Ignored("The comment is on an issue, not on a pull request.")
    if found.issue.state != "open":
        return Ignored("The pull request is not open.")
    author = found.comment.user
    if own_id in (author.id, found.sender.id) and own_id is not None:
        return Ignored("The comment is this bot's own.")
    machine = found.comment.performed_via_github_app is not None or any(
        one.type != "User" or one.login.endswith("[bot]") for one in (author, found.sender)
    )
    if machine:
        return Ignored("Comments of bots and apps are not read.")
    if found.sender.id != author.id:
        return Ignored("The comment's author is not who sent it.")
    if not command_lines(found.comment.body):
        return Ignored("The comment holds no command.")
    return Comment(
        repository=name,
        number=found.issue.number,
        comment=found.comment.id,
        author=author.login,
        author_id=author.id,
        body=found.comment.body,
    )
