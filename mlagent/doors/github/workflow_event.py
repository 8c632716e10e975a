"""What GitHub Actions says of the pull request: the event file and the environment.

Guarantees: in a privileged `workflow_run` job the pull request comes from the event, never from an
artifact; `pull_request_target` is refused. Does not trust names of branches or titles: numbers,
commit ids and the repository's name are read, each checked; a branch is looked up by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json

SHA = re.compile(r"[0-9a-f]{40}")
REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
MOST_BYTES = 25_000_000


@dataclass(frozen=True)
class Event:
    """One pull request, as the event names it.

    Attributes:
        number: None in a `workflow_run` of a fork: GitHub's API knows it.
        base_sha: the base branch as it was at the last push to the pull request; None there too.
        base_branch: its name, for a look into the clone.
        merge_sha: GitHub's test merge, which `actions/checkout` takes.
        run_id: of the workflow run whose artifact is posted, or of this one.
        privileged: a `workflow_run` job: it posts, and computes nothing.
    """

    number: int | None
    head_sha: str
    base_sha: str | None
    merge_sha: str | None
    run_id: int | None
    privileged: bool
    head_owner: str | None = None
    head_branch: str | None = None
    base_branch: str | None = None


def read_event(environment: Mapping[str, str]) -> Event | None:
    """The event of this job; None outside of a pull request's workflows.

    Raises:
        BadInput: a `pull_request_target`, or an event that cannot be read.
    """
    name = environment.get("GITHUB_EVENT_NAME", "")
    if name == "pull_request_target":
        raise BadInput(
            "pull_request_target gives a writing token to code of the pull request.",
            remedy="Compute in pull_request, post in workflow_run: docs/howto-pull-requests.md.",
        )
    if name not in ("pull_request", "workflow_run"):
        return None
    body = _body(environment.get("GITHUB_EVENT_PATH", ""))
    if name == "pull_request":
        pull = _part(body, "pull_request")
        run = environment.get("GITHUB_RUN_ID", "")
        merge = environment.get("GITHUB_SHA", "")
        into = _part(pull, "base").get("ref")
        return Event(
            number=_number(pull.get("number")),
            head_sha=_sha(_part(pull, "head").get("sha"), "pull_request.head.sha"),
            base_sha=_sha(_part(pull, "base").get("sha"), "pull_request.base.sha"),
            merge_sha=merge if SHA.fullmatch(merge) else None,
            run_id=int(run) if run.isascii() and run.isdigit() else None,
            privileged=False,
            base_branch=into if isinstance(into, str) else None,
        )
    run_facts = _part(body, "workflow_run")
    if run_facts.get("event") != "pull_request":
        raise BadInput(
            f"The workflow run was started by {run_facts.get('event')!r}, not by a pull request.",
            remedy="Add to the job: if: github.event.workflow_run.event == 'pull_request'",
        )
    owner = run_facts.get("head_repository") or {}
    login = (owner.get("owner") or {}).get("login") if isinstance(owner, dict) else None
    branch = run_facts.get("head_branch")
    return Event(
        number=None,
        head_sha=_sha(run_facts.get("head_sha"), "workflow_run.head_sha"),
        base_sha=None,
        merge_sha=None,
        run_id=_number(run_facts.get("id")),
        privileged=True,
        head_owner=login if isinstance(login, str) else None,
        head_branch=branch if isinstance(branch, str) else None,
    )


def repository_name(said: str | None, environment: Mapping[str, str]) -> str:
    """'owner/name'. Raises BadInput."""
    name = said or environment.get("GITHUB_REPOSITORY", "")
    if not REPO.fullmatch(name):
        what = f"{name!r} is not OWNER/NAME" if name else "the repository on GitHub is not known"
        raise BadInput(f"{what[0].upper()}{what[1:]}.", remedy="Give --repo OWNER/NAME.")
    return name


def _body(path: str) -> dict[str, Any]:
    file = Path(path)
    if not path or not file.is_file() or file.stat().st_size > MOST_BYTES:
        raise BadInput(
            "GITHUB_EVENT_PATH names no event file.", remedy="Run this in a GitHub Actions job."
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput("The event file is not UTF-8.", remedy="GitHub writes it.") from None
    value = load_json(text, "the event file")
    if not isinstance(value, dict):
        raise BadInput("The event file holds no object.")
    return value


def _part(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise BadInput(f"The event file has no {name!r}.")
    return value


def _sha(value: Any, where: str) -> str:
    if not isinstance(value, str) or not SHA.fullmatch(value):
        raise BadInput(f"The event file: {where} is no commit id.")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadInput("The event file names no number where one belongs.")
    return value
