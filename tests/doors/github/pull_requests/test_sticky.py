"""One comment, whoever posts how often; never somebody else's, never an older commit's."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mlagent.doors.github.client import GitHub, Refused
from mlagent.doors.github.comment import Comment, marker_of
from mlagent.doors.github.sticky import BOT, Posted, Target, author_of, keep_one
from mlagent.testing.github import FakeGitHub, Fault

OLD, NEW = "a" * 40, "b" * 40
TARGET = Target("octo/churn", 7, "default", BOT)
LIST, ONE = "/issues/7/comments$", r"/issues/comments/\d+$"


def comment(sha: str = NEW, text: str = "body", key: str = "default") -> Comment:
    digest = f"{abs(hash(text)):064x}"[:64]
    marker = f"<!-- mlagent:report v1 key={key} sha={sha} hash={digest} -->"
    return Comment(f"{marker}\n{text}\n", sha, digest, ())


@pytest.fixture
def server(github: FakeGitHub) -> FakeGitHub:
    github.pull(7, [OLD, NEW], "c" * 40)
    return github


def post(server: FakeGitHub, what: Comment, target: Target = TARGET) -> Posted:
    with GitHub("job-token", server.url, sleep=lambda seconds: None) as client:
        return keep_one(client, target, what)


def bodies(server: FakeGitHub) -> list[str]:
    return [one.body for one in server.of(7)]


def test_posted_twice_is_one_comment_and_one_write(server: FakeGitHub) -> None:
    assert post(server, comment()).action == "created"
    assert post(server, comment()).action == "unchanged"
    assert bodies(server) == [comment().text]
    assert len(server.writes()) == 1


def test_another_report_changes_it_in_place(server: FakeGitHub) -> None:
    first = post(server, comment(text="one"))
    second = post(server, comment(text="two"))
    assert (second.action, second.comment) == ("updated", first.comment)
    assert bodies(server) == [comment(text="two").text]


def test_it_is_found_behind_hundreds_of_others(server: FakeGitHub) -> None:
    somebody = server.account("other", "somebody")
    for number in range(130):
        server.comment(7, somebody, f"before {number}")
    post(server, comment(text="one"))
    for number in range(130):
        server.comment(7, somebody, f"after {number}")
    assert post(server, comment(text="two")).action == "updated"
    assert len(server.of(7)) == 261


def test_a_marker_of_somebody_else_is_not_ours(server: FakeGitHub) -> None:
    stranger = server.account("other", "stranger")
    server.comment(7, stranger, comment(text="spoofed").text)
    lookalike = server.account("third", "github-actions-bot")
    server.comment(7, lookalike, comment(text="spoofed").text)
    assert post(server, comment()).action == "created"
    assert bodies(server).count(comment(text="spoofed").text) == 2


def test_a_comment_of_ours_without_the_marker_in_its_first_line_is_left_alone(
    server: FakeGitHub,
) -> None:
    me = server.accounts["job-token"]
    server.comment(7, me, "another tool\n" + comment().text)
    assert post(server, comment()).action == "created"
    assert len(server.of(7)) == 2


def test_two_reports_of_one_repository_do_not_meet(server: FakeGitHub) -> None:
    other = Target("octo/churn", 7, "other", BOT)
    post(server, comment())
    assert post(server, comment(key="other"), other).action == "created"
    assert len(server.of(7)) == 2


def test_a_newer_commits_report_is_never_overwritten(server: FakeGitHub) -> None:
    post(server, comment(NEW, "new"))
    late = post(server, comment(OLD, "old"))
    assert late.action == "stale"
    assert "newer" in late.why
    assert bodies(server) == [comment(NEW, "new").text]


def test_an_older_commits_report_is_replaced(server: FakeGitHub) -> None:
    post(server, comment(OLD, "old"))
    assert post(server, comment(NEW, "new")).action == "updated"


def test_the_order_is_the_pull_requests_and_not_the_clocks(server: FakeGitHub) -> None:
    commits = [f"{number:040x}" for number in range(300)]
    server.pulls[7].commits = [*commits, NEW]
    post(server, comment(commits[200], "later"))
    assert post(server, comment(commits[100], "earlier")).action == "stale"
    assert post(server, comment(commits[201], "latest")).action == "updated"


def test_after_a_forced_push_only_the_new_commits_count(server: FakeGitHub) -> None:
    post(server, comment(NEW, "before"))
    server.pulls[7].commits = ["d" * 40]
    assert post(server, comment(OLD, "gone")).action == "stale"
    assert post(server, comment("d" * 40, "after")).action == "updated"
    del server.comments[server.of(7)[0].id]
    assert post(server, comment(OLD, "gone")) == Posted(
        "stale", None, f"commit {OLD[:7]} is not in the pull request any more"
    )
    assert bodies(server) == []


def _race(server: FakeGitHub, reports: list[Comment]) -> list[Posted]:
    """Each report from its own job; every job has seen the empty list before the first writes."""
    server.gate = threading.Barrier(len(reports))
    said: list[Posted] = []
    errors: list[BaseException] = []

    def job(what: Comment) -> None:
        try:
            said.append(post(server, what))
        except BaseException as problem:
            errors.append(problem)

    jobs = [threading.Thread(target=job, args=(one,)) for one in reports]
    for one in jobs:
        one.start()
    for one in jobs:
        one.join(30)
    assert not errors
    created = [one for one in server.log if one[0] == "POST" and one[2] == 201]
    assert len(created) == len(reports)  # it really was a race
    return said


@pytest.mark.parametrize("attempt", range(5))
def test_two_racing_jobs_end_as_one_comment(server: FakeGitHub, attempt: int) -> None:
    _race(server, [comment(text="same"), comment(text="same")])
    assert bodies(server) == [comment(text="same").text]


@pytest.mark.parametrize("attempt", range(5))
def test_racing_jobs_of_two_commits_end_with_the_newer_report(
    server: FakeGitHub, attempt: int
) -> None:
    _race(server, [comment(OLD, "old"), comment(NEW, "new")])
    assert bodies(server) == [comment(NEW, "new").text]


def test_eight_racing_jobs_end_as_one_comment(server: FakeGitHub) -> None:
    _race(server, [comment(text=f"report {number}") for number in range(8)])
    assert len(bodies(server)) == 1
    assert server.of(7)[0].id == 1001  # the oldest stays


def test_what_a_dead_job_left_is_cleaned_up(server: FakeGitHub) -> None:
    me = server.accounts["job-token"]
    for text in ("one", "two", "three"):
        server.comment(7, me, comment(OLD, text).text)
    assert post(server, comment(NEW, "new")).action == "updated"
    assert bodies(server) == [comment(NEW, "new").text]


def test_a_dead_jobs_newer_report_is_not_removed_by_an_older_one(server: FakeGitHub) -> None:
    me = server.accounts["job-token"]
    server.comment(7, me, comment(OLD, "old").text)
    server.comment(7, me, comment(NEW, "new").text)
    post(server, comment(OLD, "older still"))
    assert comment(NEW, "new").text in bodies(server)


def test_a_comment_that_vanishes_meanwhile_is_made_again(server: FakeGitHub) -> None:
    post(server, comment(text="one"))
    server.faults.append(Fault("PATCH", ONE, 404, "Not Found"))
    removed = server.of(7)[0].id
    original = server.answer

    def answer(method: str, target: str, *rest: dict[str, str]):  # type: ignore[no-untyped-def]
        if method == "PATCH":
            server.comments.pop(removed, None)
        return original(method, target, *rest)

    server.answer = answer  # type: ignore[method-assign]
    assert post(server, comment(text="two")).action == "created"
    assert bodies(server) == [comment(text="two").text]


@pytest.mark.parametrize("status", [0, 502])
def test_a_post_whose_answer_was_lost_is_not_posted_again(server: FakeGitHub, status: int) -> None:
    server.faults.append(Fault("POST", LIST, status, then_do=True))
    post(server, comment())
    assert bodies(server) == [comment().text]


@pytest.mark.parametrize("status", [0, 502])
def test_a_post_that_never_arrived_is_posted(server: FakeGitHub, status: int) -> None:
    server.faults.append(Fault("POST", LIST, status))
    post(server, comment())
    assert bodies(server) == [comment().text]


def test_a_change_whose_answer_was_lost_is_looked_up(server: FakeGitHub) -> None:
    post(server, comment(text="one"))
    server.faults.append(Fault("PATCH", ONE, 502, then_do=True))
    post(server, comment(text="two"))
    assert bodies(server) == [comment(text="two").text]
    assert len([one for one in server.log if one[0] == "PATCH"]) == 1


def _locked(server: FakeGitHub) -> None:
    server.pulls[7].locked = True


def _off(server: FakeGitHub) -> None:
    server.issues_off = True


def _reader(server: FakeGitHub) -> None:
    server.accounts["job-token"].role = "read"


def _gone(server: FakeGitHub) -> None:
    server.pulls.clear()


@pytest.mark.parametrize(
    ("make", "status"), [(_locked, 403), (_off, 410), (_reader, 403), (_gone, 404)]
)
def test_a_no_is_handed_to_the_caller(
    server: FakeGitHub, make: Callable[[FakeGitHub], None], status: int
) -> None:
    make(server)
    with pytest.raises(Refused) as caught:
        post(server, comment())
    assert caught.value.status == status
    assert bodies(server) == []


def test_who_we_are_is_asked_outside_of_a_job(server: FakeGitHub) -> None:
    server.account("mine", "octocat")
    with GitHub("mine", server.url) as client:
        assert author_of(client, actions=False) == "octocat"
        assert author_of(client, actions=True) == BOT
    with GitHub("job-token", server.url) as client, pytest.raises(Refused):
        author_of(client, actions=False)


def test_the_marker_of_a_test_comment_is_a_real_one() -> None:
    assert marker_of(comment().text) is not None
