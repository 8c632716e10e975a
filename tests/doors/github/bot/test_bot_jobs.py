"""Commands from webhook to answer, without running anything: who, which commit, how often."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlagent.doors.github.answers import Answers
from mlagent.doors.github.hub import marker
from mlagent.doors.github.queue import MOST_ATTEMPTS
from mlagent.doors.github.runner import MARK, end_leftovers
from mlagent.doors.github.workers import run_one
from mlagent.testing.github import FakeGitHub, Fault

from .bot_case import REPO, Case, accounts, bot, created, reactions

HEAD, MOVED, BASE = "1" * 40, "3" * 40, "2" * 40


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    with FakeGitHub(REPO) as made:
        accounts(made)
        made.pull(1, [HEAD], BASE)
        yield made


@pytest.fixture
def case(tmp_path: Path, hub: FakeGitHub) -> Iterator[Case]:
    with bot(tmp_path / "state", hub) as made:
        yield made


def states(case: Case) -> list[str]:
    return [job.state for job in case.drain()]


def test_help_is_answered_with_reactions(case: Case) -> None:
    comment, answer = case.tell("Hm.\r\n/mlagent help")
    assert answer.status_code == 202
    assert states(case) == ["done"]
    assert reactions(comment) == ["eyes", "rocket"]
    (text,) = case.answers()
    assert text.startswith(f"{marker(comment.id)}\n")
    for verb in ("plan", "execute", "compare", "help"):
        assert f"/mlagent {verb}" in text
    assert "Not understood" not in text


@pytest.mark.parametrize("role", ["none", "read", "triage"])
def test_a_stranger_is_not_heard(tmp_path: Path, role: str) -> None:
    with FakeGitHub(REPO) as hub:
        accounts(hub, role)
        hub.pull(1, [HEAD], BASE)
        with bot(tmp_path / "state", hub) as case:
            comment, _ = case.tell("/mlagent execute")
            (job,) = case.drain()
            assert (job.state, job.head) == ("refused", None)
            assert reactions(comment) == ["-1"]
            assert case.answers() == []
            assert not any("/pulls/" in path for _, path, _ in hub.log)


def test_the_payload_is_not_asked_who_may(tmp_path: Path) -> None:
    with FakeGitHub(REPO) as hub:
        accounts(hub, "read")
        hub.pull(1, [HEAD], BASE)
        with bot(tmp_path / "state", hub) as case:
            value = created("/mlagent execute", case.comment("/mlagent execute").id)
            assert value["comment"]["author_association"] == "OWNER"
            case.send(value)
            assert states(case) == ["refused"]


@pytest.mark.parametrize("role", ["write", "maintain", "admin"])
def test_writers_are_heard(tmp_path: Path, role: str) -> None:
    with FakeGitHub(REPO) as hub:
        accounts(hub, role)
        hub.pull(1, [HEAD], BASE)
        with bot(tmp_path / "state", hub) as case:
            case.tell("/mlagent help")
            assert states(case) == ["done"]


@pytest.mark.parametrize(
    "body", ["/mlagent execute --force", "/mlagent fly", "/mlagent help\n/mlagent help"]
)
def test_what_is_not_understood_gets_help_and_runs_nothing(case: Case, body: str) -> None:
    comment, _ = case.tell(body)
    (job,) = case.drain()
    assert (job.state, job.head) == ("refused", None)
    assert reactions(comment) == ["eyes", "-1"]
    (text,) = case.answers()
    assert "**Not understood:**" in text
    assert "Nothing ran." in text
    assert "/mlagent plan" in text


def test_words_of_the_comment_stay_text_in_the_answer(case: Case) -> None:
    case.tell("/mlagent <!--x-->**@all**<b>#1|`")
    case.drain()
    (text,) = case.answers()
    assert not any(mark in text.partition("\n\nOne command")[0] for mark in ("@all", "<b>", "#1|"))


def test_a_head_that_moved_before_the_run_is_not_run(case: Case) -> None:
    comment, _ = case.tell("/mlagent execute")
    assert run_one(case.parts.queue, "received", case.parts.jobs.check)
    assert case.parts.queue.jobs()[0].head == HEAD
    case.hub.pulls[1].commits.append(MOVED)
    assert states(case) == ["refused"]
    assert reactions(comment) == ["eyes", "-1"]
    (text,) = case.answers()
    assert HEAD[:7] in text
    assert MOVED[:7] in text
    assert "Nothing ran" in text


def test_a_permission_that_was_taken_before_the_run_counts(case: Case) -> None:
    comment, _ = case.tell("/mlagent execute")
    run_one(case.parts.queue, "received", case.parts.jobs.check)
    case.author.role = "read"
    assert states(case) == ["refused"]
    assert reactions(comment) == ["eyes", "-1"]


def test_a_pull_request_that_was_closed_before_the_run_is_not_run(case: Case) -> None:
    case.tell("/mlagent execute")
    run_one(case.parts.queue, "received", case.parts.jobs.check)
    case.hub.pulls[1].state = "closed"
    assert states(case) == ["refused"]


def test_a_named_head_must_be_the_head(case: Case) -> None:
    case.tell(f"/mlagent execute --at {MOVED[:10]}")
    (job,) = case.drain()
    assert (job.state, job.head) == ("refused", None)
    assert "Nothing ran" in case.answers()[0]


def test_a_commit_that_cannot_be_fetched_is_a_failure_with_a_sentence(case: Case) -> None:
    comment, _ = case.tell('/mlagent plan "churn model"')
    (job,) = case.drain()
    assert job.state == "failed"
    assert reactions(comment) == ["eyes", "-1"]
    assert "could not be fetched" in case.answers()[0]


def test_the_queue_survives_a_restart(tmp_path: Path, hub: FakeGitHub) -> None:
    """Three commands; the first bot dies with one answered, one being checked, one waiting."""
    with bot(tmp_path / "state", hub) as before:
        comments = [before.tell("/mlagent help")[0] for _ in range(3)]
        assert run_one(before.parts.queue, "received", before.parts.jobs.check)
        assert before.parts.queue.claim("received") is not None
    assert [reactions(one) for one in comments] == [["eyes", "rocket"], [], []]
    with bot(tmp_path / "state", hub) as after:
        after.parts.queue.recover()
        assert states(after) == ["done"] * 3
        assert len(after.answers()) == 3
    assert [reactions(one) for one in comments] == [["eyes", "rocket"]] * 3


def test_the_workers_take_up_what_was_left(tmp_path: Path, hub: FakeGitHub) -> None:
    with bot(tmp_path / "state", hub) as before:
        comment, _ = before.tell("/mlagent help")
        before.parts.queue.claim("received")
    with bot(tmp_path / "state", hub) as after:
        after.parts.workers.start()
        try:
            for _ in range(200):
                if not after.parts.queue.open():
                    break
                after.stop.wait(0.05)
        finally:
            after.parts.workers.end()
    assert reactions(comment) == ["eyes", "rocket"]


def test_an_answer_that_was_posted_before_a_crash_is_not_posted_twice(
    tmp_path: Path, hub: FakeGitHub
) -> None:
    with bot(tmp_path / "state", hub) as case:
        case.tell("/mlagent help")
        hub.faults.append(Fault("POST", r"/issues/1/comments$", 502, then_do=True))
        assert states(case) == ["done"]
        assert len(case.answers()) == 1


def test_work_that_is_cut_short_again_and_again_is_given_up(case: Case) -> None:
    comment, _ = case.tell("/mlagent execute")
    run_one(case.parts.queue, "received", case.parts.jobs.check)
    for _ in range(MOST_ATTEMPTS):
        assert case.parts.queue.claim("ready") is not None
        case.parts.queue.recover()
    assert states(case) == ["refused"]
    assert "cut short" in case.answers()[0]
    assert reactions(comment) == ["eyes", "-1"]


def test_a_github_that_is_away_is_asked_again_later(case: Case) -> None:
    comment, _ = case.tell("/mlagent help")
    case.hub.faults.append(Fault("GET", r"/permission$", 502, times=10))
    assert states(case) == ["received"]
    assert reactions(comment) == []
    (job,) = case.parts.queue.jobs()
    assert "502" in job.reason
    case.hub.faults.clear()
    case.parts.queue.later(replace(job, state="checking"), -60, "")
    assert states(case) == ["done"]


def test_a_locked_conversation_ends_as_a_failure_with_its_reaction(case: Case) -> None:
    comment, _ = case.tell("/mlagent help")
    case.hub.pulls[1].locked = True
    (job,) = case.drain()
    assert job.state == "failed"
    assert "403" in job.reason
    assert reactions(comment) == ["eyes", "-1"]


@pytest.mark.parametrize("status", [401, 404, 410, 422])
def test_an_answer_that_github_refuses_leaves_the_reaction_for_it(case: Case, status: int) -> None:
    comment, _ = case.tell("/mlagent help")
    case.hub.faults.append(Fault("POST", r"/issues/1/comments$", status, times=9))
    (job,) = case.drain()
    assert (job.state, case.answers()) == ("failed", [])
    assert str(status) in job.reason
    assert reactions(comment) == ["eyes", "-1"]


def test_a_github_that_stays_away_ends_with_the_reaction_once_it_is_back(case: Case) -> None:
    comment, _ = case.tell("/mlagent help")
    case.hub.faults.append(Fault("GET", r"/permission$", 502, times=99))
    for _ in range(MOST_ATTEMPTS):
        case.drain()
        (job,) = case.parts.queue.jobs()
        if job.state == "received":
            case.parts.queue.later(replace(job, state="checking"), -60, job.reason)
    assert job.state == "failed"
    assert reactions(comment) == ["-1"]


def test_a_pull_request_that_github_describes_strangely_is_a_failure_with_its_reaction(
    case: Case,
) -> None:
    comment, _ = case.tell("/mlagent execute")
    case.hub.faults.append(Fault("GET", r"/pulls/1$", 200, body={"state": "open"}))
    (job,) = case.drain()
    assert (job.state, job.reason) == (
        "failed",
        "GitHub's answer does not describe a pull request.",
    )
    assert reactions(comment) == ["eyes", "-1"]


def test_a_defect_of_the_bot_leaves_the_reaction_too(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Answers, problem: str | None) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(Answers, "help", broken)
    comment, _ = case.tell("/mlagent help")
    (job,) = case.drain()
    assert (job.state, job.reason) == ("failed", "ZeroDivisionError: this is a defect.")
    assert reactions(comment) == ["eyes", "-1"]


def test_a_budget_that_is_too_long_after_a_restart_is_answered(
    tmp_path: Path, hub: FakeGitHub
) -> None:
    """The command was checked by a bot that gave more."""
    with bot(tmp_path / "state", hub, max_budget_s=120) as before:
        comment, _ = before.tell("/mlagent execute --budget 100s")
        assert run_one(before.parts.queue, "received", before.parts.jobs.check)
    with bot(tmp_path / "state", hub, max_budget_s=60) as after:
        assert states(after) == ["failed"]
        assert "above 60 s" in after.answers()[0]
    assert reactions(comment) == ["eyes", "-1"]


def test_a_job_that_is_done_again_answers_in_the_same_comment(case: Case) -> None:
    """The process died between the answer and the note that the job is done."""
    comment, _ = case.tell("/mlagent help")
    assert states(case) == ["done"]
    first = case.answers()
    case.hub.comment(1, case.author, f"{marker(comment.id)}\nnot the bot's")
    (job,) = case.parts.queue.jobs()
    case.parts.queue.later(replace(job, state="checking"), -60, "")
    assert states(case) == ["done"]
    assert case.answers() == first


def test_children_of_a_killed_bot_are_ended_and_no_others(tmp_path: Path) -> None:
    mine, other = (
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            env={MARK: str((tmp_path / name).resolve())},
        )
        for name in ("mine", "other")
    )
    try:
        assert end_leftovers(tmp_path / "mine") == 1
        assert mine.wait(10) != 0
        assert other.poll() is None
        assert end_leftovers(tmp_path / "mine") == 0
    finally:
        other.kill()
        other.wait()
