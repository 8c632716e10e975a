"""One comment that stays: found by its marker and its author, changed in place.

Guarantees: however often and from however many jobs a report is posted, it ends as one comment,
the oldest; an equal report is no write; a report of a newer commit is never overwritten; comments
of others are never touched, whatever they begin with. REST has no compare-and-swap: after each POST
the comments are listed again, and a job that is not the oldest hands its text over and removes its
own. A listing that GitHub serves late can leave a second comment until the next report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .client import GitHub, Lost, Refused
from .comment import Comment, Marker, marker_of

BOT = "github-actions[bot]"
ROUNDS = 4
GONE = "commit {} is not in the pull request any more"

Action = Literal["created", "updated", "unchanged", "stale", "summary", "printed"]


@dataclass(frozen=True)
class Target:
    """Where the comment belongs.

    Attributes:
        author: login whose comments are ours.
    """

    repo: str
    number: int
    key: str
    author: str

    @property
    def path(self) -> str:
        return f"/repos/{self.repo}/issues/{self.number}/comments"

    def one(self, comment: int) -> str:
        return f"/repos/{self.repo}/issues/comments/{comment}"


class Posted(NamedTuple):
    """What came of it. `comment` is its id; None when nothing of ours stands there."""

    action: Action
    comment: int | None
    why: str = ""


class Ours(NamedTuple):
    """A comment of ours."""

    id: int
    marker: Marker


def author_of(github: GitHub, *, actions: bool) -> str:
    """The login that this token comments as. Raises Refused."""
    if actions:
        return BOT
    return str(github.get("/user")["login"])


def keep_one(github: GitHub, target: Target, comment: Comment) -> Posted:
    """Make the pull request show this report, once.

    Raises:
        Refused: GitHub does not let us, or cannot; the caller falls back to the job summary.
    """
    newest = _order(github, target)
    said: Posted | None = None
    made: int | None = None
    lost = False
    for _ in range(ROUNDS):
        ours = _ours(github, target)
        if not ours:
            said = _create(github, target, comment, newest)
            if said is None:
                lost = True
                continue
            if said.comment is None:
                return said
            made = said.comment
            ours = _ours(github, target)
        oldest = ours[0] if ours else None
        if oldest is None:
            continue  # removed meanwhile
        if said is None or said.comment != oldest.id:
            said = _change(github, target, comment, oldest, newest)
            if said is None:
                continue  # removed meanwhile: look again
        for extra in ours[1:]:
            if extra.id == made or not _is_newer(extra.marker.sha, comment.sha, newest):
                _remove(github, target, extra.id)
        return said
    if lost:
        raise Refused(500, f"POST {target.path}", f"or no usable answer, {ROUNDS} times")
    raise Refused(409, f"POST {target.path}", "comments kept changing meanwhile")


def _ours(github: GitHub, target: Target) -> list[Ours]:
    """Comments with our marker and key by our author, oldest first."""
    found = []
    for one in github.every(target.path):
        user = one.get("user") or {}
        marker = marker_of(str(one.get("body") or ""))
        same = str(user.get("login", "")).lower() == target.author.lower()
        if same and marker is not None and marker.key == target.key:
            found.append(Ours(int(one["id"]), marker))
    return sorted(found)


def _order(github: GitHub, target: Target) -> Callable[[str], int | None]:
    """Commit -> its place in the pull request, newest highest; None for one that is not in it."""
    pull = github.get(f"/repos/{target.repo}/pulls/{target.number}")
    commits: list[str] = []

    def place(sha: str) -> int | None:
        if sha == pull["head"]["sha"]:
            return 10**9
        if not commits:
            path = f"/repos/{target.repo}/pulls/{target.number}/commits"
            commits.extend(str(one["sha"]) for one in github.every(path))
        return commits.index(sha) if sha in commits else None

    return place


def _create(
    github: GitHub, target: Target, comment: Comment, newest: Callable[[str], int | None]
) -> Posted | None:
    """A new comment; None when its answer was lost, so that the next look decides."""
    if newest(comment.sha) is None:
        return Posted("stale", None, GONE.format(comment.sha[:7]))
    try:
        made = github.post(target.path, {"body": comment.text})
    except Lost:
        return None
    return Posted("created", int(made["id"]))


def _change(
    github: GitHub,
    target: Target,
    comment: Comment,
    oldest: Ours,
    newest: Callable[[str], int | None],
) -> Posted | None:
    """Bring the oldest comment up to date; None when it is gone."""
    there = oldest.marker
    if there.hash == comment.hash and there.sha == comment.sha:
        return Posted("unchanged", oldest.id)
    if newest(comment.sha) is None:
        return Posted("stale", oldest.id, GONE.format(comment.sha[:7]))
    if _is_newer(there.sha, comment.sha, newest):
        why = f"the comment reports commit {there.sha[:7]}, which is newer"
        return Posted("stale", oldest.id, why)
    try:
        github.patch(target.one(oldest.id), {"body": comment.text})
    except Lost:
        return None
    except Refused as problem:
        if problem.status == 404:
            return None
        raise
    return Posted("updated", oldest.id)


def _is_newer(there: str, mine: str, newest: Callable[[str], int | None]) -> bool:
    """Is the commit `there` later in the pull request than `mine`? One that left it is not."""
    if there == mine:
        return False
    other, own = newest(there), newest(mine)
    return other is not None and (own is None or other > own)


def _remove(github: GitHub, target: Target, comment: int) -> None:
    """Remove a comment of ours; one that is gone is fine."""
    try:
        github.delete(target.one(comment))
    except Lost:
        return
    except Refused as problem:
        if problem.status != 404:
            raise
