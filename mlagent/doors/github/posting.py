"""From a report to a comment on the right pull request, or to the job's summary.

Guarantees: in a `workflow_run` job the pull request is the one that GitHub names for the event's
commit, and a report of another commit is refused; so is, in every job, a report of another job that
lacks a gate of the base commit, and where that commit is not in the clone the comment says so;
without a comment the report stands in the job summary, or else in the output. That is an error
unless GitHub does not let this job comment (no right, locked, issues off, a limit) or the pull
request has moved on. Computes no number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from mlagent.content import Content
from mlagent.contracts.contract import QualityGate
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.pr_report import PrGate, PrReport

from .base_ref import Policy, Repository, policy_at
from .client import API, GitHub, Refused, token_from
from .comment import KEY, Comment, Links, compose
from .foreign import ForeignReport
from .gating import LEAKAGE, NOT_WORSE, OWN
from .reporting import content_override, open_repository
from .sticky import Posted, Target, author_of, keep_one
from .workflow_event import Event, repository_name

SHORT = 30_000
"""Characters of the second try, should GitHub find the first one too long."""
NOT_ALLOWED = (403, 410, 429)
"""No right or a locked conversation, issues off, a limit: no fault of whoever runs the job."""


@dataclass(frozen=True)
class PostFlags:
    """`mlagent pr-comment`, where it posts.

    Attributes:
        repo, number: given; else of the event.
        key: which of several reports of a repository.
        author: whose comments are ours; None: as the token says.
        from_file: the report was written by another job.
        require: no comment is an error.
    """

    repo: str | None = None
    number: int | None = None
    key: str = "default"
    author: str | None = None
    from_file: bool = False
    require: bool = False


class PullBase(NamedTuple):
    """A commit of the base branch, as it was at the last push to the pull request, and its name."""

    sha: str | None
    branch: str | None


class MovedOn(MlagentError):
    """No one open pull request has the event's commit as its head: closed, or pushed to since."""


def links_of(environment: Mapping[str, str], event: Event | None, checked: bool) -> Links:
    """What this job says. The run is the one that computed the report."""
    run = None
    server = environment.get("GITHUB_SERVER_URL", "")
    parts = urlsplit(server)
    if event is not None and event.run_id is not None and parts.scheme == "https":
        repo = repository_name(None, environment)
        run = f"https://{quote(parts.netloc, safe=':')}/{repo}/actions/runs/{event.run_id}"
    privileged = event is not None and event.privileged
    number = None if event is None else event.number
    return Links(run=run, number=number, privileged=privileged, gates_checked=checked)


def check_key(key: str) -> None:
    """Raises BadInput for a name that cannot stand in the marker."""
    if not KEY.fullmatch(key):
        raise BadInput(
            f"--name {key!r} is no name for a report.",
            remedy="Lower case letters, digits and hyphens, at most 40.",
        )


def post(
    report: PrReport,
    content: Content,
    flags: PostFlags,
    event: Event | None,
    environment: Mapping[str, str],
    folder: Path,
    say: Callable[[str], None],
    *,
    connect: Callable[[str, str], GitHub] = GitHub,
) -> Posted:
    """Post the report.

    Args:
        folder: with the clone of the base, for a report of another job.
        say: told the comment's text when there is neither comment nor summary.
        connect: token, address -> client.

    Raises:
        BadInput: the pull request is not known, or the report does not belong to it.
        PrerequisiteMissing: no token.
        MlagentError: there is no comment, and `flags.require` or a fault that somebody can mend:
            a bad token, a wrong number or repository, no connection.
    """
    if report.head_commit is None:
        raise BadInput(
            "The report names no head commit, so its comment could not be told from an older one.",
            remedy="Run `mlagent execute` inside the repository, at a commit.",
        )
    repo = repository_name(flags.repo, environment)
    token, api = token_from(environment), environment.get("GITHUB_API_URL") or API
    actions = environment.get("GITHUB_ACTIONS") == "true"
    links = links_of(environment, event, False)
    number = flags.number if event is None else event.number
    with connect(token, api) as github:
        try:
            number, base = _pull(github, repo, flags, event, report)
            links = replace(links, number=number)
            if flags.from_file:
                checked = check_gates(report, folder, base.sha, base.branch)
                links = replace(links, gates_checked=checked)
                if checked and isinstance(report, ForeignReport):
                    report.mark_checked()
            author = flags.author or author_of(github, actions=actions)
            target = Target(repo, number, flags.key, author)
            return _kept(github, target, report, content, links)
        except (Refused, MovedOn) as problem:
            why = problem
    comment = compose(report, content, flags.key, links)
    in_summary = to_summary(comment, environment)
    if not in_summary:
        say(comment.text)
    way_out = _way_out(why, repo, number, api)
    if way_out or flags.require:
        where = "in the job summary" if in_summary else "in the output"
        raise MlagentError(
            f"There is no comment on {_named(repo, number)}: {why.message} The report stands "
            f"{where}.",
            remedy=way_out or "Without --require-comment this is no error.",
        )
    return Posted("summary" if in_summary else "printed", None, str(why))


def check_ready(flags: PostFlags, event: Event | None, environment: Mapping[str, str]) -> None:
    """What posting needs and no report has to be made for.

    Raises:
        BadInput: repository or pull request is not known.
        PrerequisiteMissing: no token.
    """
    repository_name(flags.repo, environment)
    if event is None and flags.number is None:
        raise BadInput("Which pull request is not known.", remedy="Give --pr NUMBER.")
    token_from(environment)


def _named(repo: str, number: int | None) -> str:
    return f"a pull request of {repo}" if number is None else f"pull request {number} of {repo}"


def _way_out(why: Refused | MovedOn, repo: str, number: int | None, api: str) -> str:
    """What to do about it; '' where GitHub does not let this job comment, or the pull request has
    moved on: nobody here can mend that."""
    if isinstance(why, MovedOn):
        return ""
    if why.status == 403 and why.what == "GET /user" and not why.limited:
        return "The token is an app's, which has no user: give --author LOGIN."
    if why.status in NOT_ALLOWED:
        return ""
    if why.status == 0:
        return f"Check the connection and GITHUB_API_URL ({api}), then run the command again."
    if why.status == 401:
        return (
            "The token in GITHUB_TOKEN (else GH_TOKEN) is not valid or has expired: give another."
        )
    if why.status in (301, 302, 307, 308):
        return f"The repository has another name now than {repo}: give --repo OWNER/NAME."
    if why.status == 404:
        return (
            f"Check that {_named(repo, number)} exists and that the token may read it: --repo, "
            "--pr, or the event's."
        )
    return "Run the command again; if it lasts, see https://www.githubstatus.com."


def _kept(
    github: GitHub, target: Target, report: PrReport, content: Content, links: Links
) -> Posted:
    try:
        return keep_one(github, target, compose(report, content, target.key, links))
    except Refused as problem:
        if problem.status != 422 or "too long" not in problem.said:
            raise
    return keep_one(github, target, compose(report, content, target.key, links, SHORT))


def _pull(
    github: GitHub, repo: str, flags: PostFlags, event: Event | None, report: PrReport
) -> tuple[int, PullBase]:
    """Number of the pull request, and its base where GitHub named it."""
    if event is not None and event.head_sha != report.head_commit:
        raise BadInput(
            f"The report is of commit {str(report.head_commit)[:7]}, the event of "
            f"{event.head_sha[:7]}: it does not belong here.",
            remedy="Make the report in a workflow of this pull request's head.",
        )
    if event is not None and event.privileged:
        pull = pull_of(github, repo, event)
        return int(pull["number"]), _base_of(pull)
    if event is not None and event.number is not None:
        return event.number, PullBase(event.base_sha, event.base_branch)
    if flags.number is None:
        raise BadInput("Which pull request is not known.", remedy="Give --pr NUMBER.")
    if not flags.from_file:
        return flags.number, PullBase(None, None)
    return flags.number, _base_of(github.get(f"/repos/{repo}/pulls/{flags.number}"))


def _base_of(pull: Mapping[str, Any]) -> PullBase:
    return PullBase(str(pull["base"]["sha"]), str(pull["base"]["ref"]))


def pull_of(github: GitHub, repo: str, event: Event) -> dict[str, Any]:
    """The one open pull request whose head is the event's commit.

    GitHub lists the commits of this repository's branches; a fork's branch is looked up by name.

    Raises:
        MovedOn: there is none, or more than one.
    """
    path = f"/repos/{repo}/commits/{event.head_sha}/pulls"
    found = list(github.every(path))
    if not found and event.head_owner and event.head_branch:
        head = quote(f"{event.head_owner}:{event.head_branch}", safe="")
        found = list(github.every(f"/repos/{repo}/pulls?state=open&head={head}"))
    fit: list[dict[str, Any]] = [
        pull
        for pull in found
        if pull["state"] == "open"
        and pull["head"]["sha"] == event.head_sha
        and str(pull["base"]["repo"]["full_name"]).lower() == repo.lower()
    ]
    if len(fit) != 1:
        raise MovedOn(f"{len(fit)} open pull requests have the head {event.head_sha[:7]}.")
    return fit[0]


def check_gates(
    report: PrReport, folder: Path, base_sha: str | None, branch: str | None = None
) -> bool:
    """Hold a foreign report's gates against those of the base commit in this clone.

    Args:
        base_sha: the base as GitHub names it.
        branch: its name; its commits since then may be the report's base, too.

    Returns:
        False when this folder has no clone with that commit: nothing was checked.

    Raises:
        BadInput: a gate of the base commit is absent from the report, or is another one there.
    """
    repository = open_repository(folder, needed=False)
    if repository is None:
        return False
    try:
        commit = repository.commit(base_sha) if base_sha is not None else None
        if commit is None:
            return False
        commit = deciding_commit(report, repository, commit, branch)
        policy = policy_at(repository, commit, content_override())
    finally:
        repository.close()
    refuse_loosened(report, policy)
    return True


def deciding_commit(
    report: PrReport, repository: Repository, commit: str, branch: str | None
) -> str:
    """The commit of the base branch whose gates hold for a report: GitHub's, or the report's own
    base where that is a later one. A report of an earlier one is not measured by less.

    Raises:
        BadInput: the base that the report names is no commit of the base branch.
    """

    def contains(later: str, earlier: str) -> bool:
        return repository.merge_base(earlier, later) == earlier

    said = report.base_commit
    known = None if said is None else repository.commit(said)
    if known is not None and contains(commit, known):
        return commit
    tip = branch and (repository.commit(f"origin/{branch}") or repository.commit(branch))
    if known is not None and tip and contains(known, commit) and contains(tip, known):
        return known
    raise BadInput(
        f"The report's base {str(said)[:7]} is no commit of the base branch ({commit[:7]}).",
        remedy="Run the pull request's workflow again.",
    )


def refuse_loosened(report: PrReport, policy: Policy) -> None:
    """Raises BadInput when the report's gates are weaker than the policy's, or bent: each gate of
    the policy, and the two of every pull request, stands there as often and in the same terms; what
    is more is a constraint of the head's own run."""

    def terms(gate: PrGate | QualityGate, source: str) -> tuple[Any, ...]:
        return gate.name, gate.metric, gate.comparison, gate.threshold, gate.required, source

    demanded = Counter(terms(one.gate, one.source) for one in policy.gates)
    evaluated = report.base is not None
    demanded.update(
        [
            (NOT_WORSE, report.metrics[0].metric, "not_worse_than_base", None, evaluated, OWN),
            (LEAKAGE, "leakage_suspects", "at_most", 0.0, evaluated, OWN),
        ]
    )
    here = Counter(terms(gate, gate.source) for gate in report.gates)
    gone = [str(asked[0]) for asked, times in demanded.items() if here[asked] != times]
    ours = Counter(asked[0] for asked in demanded.elements())
    for name, times in Counter(gate.name for gate in report.gates).items():
        if times > max(1, ours[name]):
            gone.append(name)
    own_run = f"run {report.head.run}"
    gone += [g.name for g in report.gates if g.name not in ours and g.source != own_run]
    if gone:
        raise BadInput(
            f"The report's gate {gone[0]!r} is not the one of the base commit "
            f"{str(policy.commit)[:7]}.",
            remedy="Run the pull request's workflow again; gates come from its base commit.",
        )
    for gate in report.gates:
        if not gate.evidence_agrees():
            raise BadInput(
                f"The evidence of the report's gate {gate.name!r} is not of its numbers.",
                remedy="Run the pull request's workflow again; do not edit its report.",
            )


def to_summary(comment: Comment, environment: Mapping[str, str]) -> bool:
    """Add the comment to the job's summary; False when there is none that can be written."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    if not path:
        return False
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(comment.text.partition("\n")[2] + "\n")
    except OSError:  # the comment is printed instead
        return False
    return True
