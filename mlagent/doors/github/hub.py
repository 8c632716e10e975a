"""What the bot asks and tells GitHub beside the sticky comment: who may, which head, reactions,
answers.

Guarantees: a permission is asked of the API and never read from a payload; an answer to a comment
exists once, also when its job was started twice. Does not: keep anything between two jobs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from mlagent.contracts.errors import MlagentError

from .client import GitHub, Lost, Refused

Reaction = Literal["eyes", "rocket", "-1"]
WRITERS = frozenset({"admin", "maintain", "write"})
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True)
class Pull:
    """A pull request now. `head` and `base`: commits; `open`: neither merged nor closed."""

    open: bool
    head: str
    base: str


def own_id(api: GitHub) -> int | None:
    """Id of the user that the token belongs to; None for an app's token, which is no user's.

    Raises:
        Refused: the token is not valid.
    """
    try:
        found = api.get("/user")
    except Refused as refused:
        if refused.status in (403, 404):
            return None
        raise
    number = found.get("id") if isinstance(found, dict) else None
    return number if isinstance(number, int) else None


def may_command(api: GitHub, repository: str, login: str) -> bool:
    """Whether this person may write to the repository."""
    try:
        found = api.get(f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission")
    except Refused as refused:
        if refused.status == 404:  # no such person, or none of this repository
            return False
        raise
    return isinstance(found, dict) and found.get("permission") in WRITERS


def read_pull(api: GitHub, repository: str, number: int) -> Pull:
    """The pull request as it is now. Raises Refused, or MlagentError for a strange answer."""
    found = api.get(f"/repos/{repository}/pulls/{number}")
    try:
        head, base = found["head"]["sha"], found["base"]["sha"]
        is_open = found["state"] == "open"
    except (KeyError, TypeError):
        raise MlagentError("GitHub's answer does not describe a pull request.") from None
    if not all(isinstance(sha, str) and _SHA.fullmatch(sha) for sha in (head, base)):
        raise MlagentError("GitHub's answer names no commit of the pull request.")
    return Pull(is_open, head, base)


def react(api: GitHub, repository: str, comment: int, reaction: Reaction) -> None:
    """Leave a reaction. A missing comment, a locked conversation or a lost answer is no matter."""
    try:
        api.post(f"/repos/{repository}/issues/comments/{comment}/reactions", {"content": reaction})
    except Lost:
        return
    except Refused as refused:
        if refused.status not in (403, 404, 410, 422) or refused.limited:
            raise


def marker(comment: int) -> str:
    """The hidden first line of the answer to a comment."""
    return f"<!-- mlagent:answer v1 comment={comment} -->"


def answer(api: GitHub, repository: str, number: int, comment: int, body: str) -> None:
    """Answer a comment; an answer that is there is replaced. Raises Refused or Lost."""
    text = f"{marker(comment)}\n{body}"
    found = _own_answer(api, repository, number, comment)
    if found is not None:
        api.patch(f"/repos/{repository}/issues/comments/{found}", {"body": text})
        return
    try:
        api.post(f"/repos/{repository}/issues/{number}/comments", {"body": text})
    except Lost:
        if _own_answer(api, repository, number, comment) is None:
            raise


def _own_answer(api: GitHub, repository: str, number: int, comment: int) -> int | None:
    """Id of the answer to a comment, by its first line and its author; None: there is none."""
    me = own_id(api)
    for item in api.every(f"/repos/{repository}/issues/{number}/comments"):
        if _is_answer(item, comment, me):
            return int(item["id"])
    return None


def _is_answer(item: Any, comment: int, me: int | None) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("user"), dict):
        return False
    user, body = item["user"], str(item.get("body", ""))
    ours = user.get("id") == me if me is not None else user.get("type") == "Bot"
    return ours and body.partition("\n")[0].rstrip("\r") == marker(comment)
