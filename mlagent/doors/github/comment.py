"""The comment: a view of the report, made where it is posted.

Guarantees: only the record and trusted links go in; the body stays under 60,000 characters by
leaving out whole sections, the least important first, and says which; equal report, equal body.
Does not: know GitHub, or keep anything.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.pr_report import PrReport

from .markdown import environment, length, render
from .view import values_of

MOST = 60_000
SECTIONS = ("gates", "metrics", "notes", "slices", "data", "plan", "cost", "plots")
"""After the headline, in the order of the page; the last are left out first."""
LEAVE_OUT = ("plots", "slices", "plan", "cost", "data", "notes", "metrics", "gates")
NO_COMMIT = "0" * 40
KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MARKER = re.compile(
    r"<!-- mlagent:report v1 key=([a-z0-9-]{1,40}) sha=([0-9a-f]{40}) hash=([0-9a-f]{64}) -->"
)


@dataclass(frozen=True)
class Links:
    """What the environment of the job or GitHub says, never a report.

    Attributes:
        run: the page of the workflow run with its artifacts; None outside of Actions.
        number: of the pull request; None where that is not known.
        privileged: the report came from another job, which ran the pull request's code.
        gates_checked: that report's gates were held against the base commit's.
    """

    run: str | None = None
    number: int | None = None
    privileged: bool = False
    gates_checked: bool = False


class Comment(NamedTuple):
    """What is posted. `hash` is of the body below the marker."""

    text: str
    sha: str
    hash: str
    left_out: tuple[str, ...]


class Marker(NamedTuple):
    """The hidden first line of a comment of ours."""

    key: str
    sha: str
    hash: str


def compose(
    report: PrReport, content: Content, key: str, links: Links, most: int = MOST
) -> Comment:
    """The comment of a report.

    Args:
        key: which of several reports of a repository this is.
        most: characters.

    Raises:
        MlagentError: not even the headline fits.
    """
    sha = report.head_commit or NO_COMMIT
    templates, values = environment(content), values_of(report, links)
    parts = {name: render(templates, name, values) for name in ("headline", *SECTIONS)}
    left_out: list[str] = []
    for name in (*LEAVE_OUT, ""):
        body = _body(templates, parts, values, left_out)
        digest = hashlib.sha256(body.encode()).hexdigest()
        marker = f"<!-- mlagent:report v1 key={key} sha={sha} hash={digest} -->"
        text = f"{marker}\n{body}\n"
        if length(text) < most:
            return Comment(text, sha, digest, tuple(left_out))
        if name and parts[name]:
            left_out.append(name)
    raise MlagentError(f"The headline alone has {length(text):,} characters.")


def _body(
    templates: Any, parts: dict[str, str], values: dict[str, Any], left_out: list[str]
) -> str:
    shown = [parts[name] for name in ("headline", *SECTIONS) if name not in left_out]
    footer = render(templates, "footer", {**values, "left_out": left_out})
    return "\n\n".join(part for part in (*shown, footer) if part)


def marker_of(body: str) -> Marker | None:
    """The marker, when the comment's first line is one."""
    match = MARKER.fullmatch(body.partition("\n")[0].rstrip("\r"))
    return Marker(*match.groups()) if match else None
