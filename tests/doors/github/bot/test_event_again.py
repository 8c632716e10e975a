"""A job of Actions that is run again, or was cancelled: no command is left without a word."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlagent.contracts.errors import MlagentError
from mlagent.doors.github.bot import BotFlags, assembled, handle_event
from mlagent.doors.github.events import Comment as Command
from mlagent.doors.github.queue import Queue
from mlagent.testing.github import Comment, FakeGitHub, Fault

from .bot_case import AUTHOR, AUTHOR_ID, REPO, TOKEN, accounts, connect, created, reactions

HEAD, MOVED, BASE = "1" * 40, "3" * 40, "2" * 40


class Actions:
    """One pull request whose commands come by workflow, each job with the state of the last."""

    def __init__(self, root: Path, hub: FakeGitHub) -> None:
        self.root, self.hub = root, hub
        self.flags = BotFlags(root / "state", (REPO,), 60.0)
        self.environment = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": hub.url,
            "GITHUB_SERVER_URL": "file:///nonexistent",
            "GITHUB_EVENT_NAME": "issue_comment",
        }

    def comment(self, body: str) -> Comment:
        return self.hub.comment(1, self.hub.accounts["authors-token"], body)

    def job(self, comment: Comment) -> str:
        """The job of this comment's event, from its begin to its end."""
        file = self.root / "event.json"
        file.write_text(json.dumps(created(comment.body, comment.id)))
        return handle_event(self.flags, file, self.environment, connect)

    def cut_short(self, comment: Comment, prepare: Callable[[Queue], None]) -> None:
        """The job of this comment's event, killed at work."""
        with assembled(self.flags, self.environment, threading.Event(), connect) as parts:
            command = Command(REPO, 1, comment.id, AUTHOR, AUTHOR_ID, comment.body)
            assert parts.queue.accept(f"comment-{comment.id}", command)
            prepare(parts.queue)

    def states(self) -> list[str]:
        return [job.state for job in Queue(self.flags.state / "queue.sqlite3").jobs()]

    def answers(self) -> list[str]:
        return [one.body for one in self.hub.of(1) if one.author.login == "github-actions[bot]"]


@pytest.fixture
def actions(tmp_path: Path) -> Iterator[Actions]:
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.actions(TOKEN)
        hub.pull(1, [HEAD], BASE)
        yield Actions(tmp_path, hub)


def at_work(queue: Queue) -> None:
    """The command is checked and runs."""
    job = queue.claim("received")
    assert job is not None
    queue.pin(job, HEAD, BASE)
    assert queue.claim("ready") is not None


def answered(queue: Queue) -> None:
    """The work is done; only its answer is left to be posted."""
    at_work(queue)
    (job,) = queue.jobs()
    queue.keep_answer(job, "What came of it.", "")


def test_a_command_that_failed_is_taken_up_when_its_job_is_run_again(actions: Actions) -> None:
    comment = actions.comment("/mlagent help")
    actions.hub.faults.append(Fault("POST", r"/issues/1/comments$", 502))
    with pytest.raises(MlagentError, match="502"):
        actions.job(comment)
    assert actions.job(comment).startswith("Done")
    assert actions.states() == ["done"]
    assert reactions(comment)[-1] == "rocket"
    assert len(actions.answers()) == 1
    assert "came before" in actions.job(comment)
    assert len(actions.answers()) == 1


def test_an_answer_that_was_not_posted_is_posted_and_its_work_not_repeated(
    actions: Actions,
) -> None:
    comment = actions.comment("/mlagent execute")
    actions.cut_short(comment, answered)
    actions.hub.faults.append(Fault("POST", r"/issues/1/comments$", 502, times=3))
    with pytest.raises(MlagentError, match="did not take the answer"):
        actions.job(comment)
    assert reactions(comment) == ["-1"]
    actions.hub.faults.clear()
    assert actions.job(comment).startswith("Done"), "there is no commit to fetch: nothing ran"
    assert [text.partition("\n")[2] for text in actions.answers()] == ["What came of it."]
    assert reactions(comment)[-1] == "rocket"


def test_a_command_that_was_cancelled_gets_its_reaction_from_the_next_one(
    actions: Actions,
) -> None:
    """It is not run in the job of another one; in its own again for the head of its time only."""
    comment, other = actions.comment("/mlagent execute"), actions.comment("/mlagent help")
    actions.cut_short(comment, at_work)
    assert actions.job(other).startswith("Done")
    assert reactions(comment) == ["-1"]
    assert actions.states() == ["failed", "done"]
    assert len(actions.answers()) == 1
    actions.hub.pull(1, [HEAD, MOVED], BASE)
    with pytest.raises(MlagentError, match="give the command again for the new head"):
        actions.job(comment)
    assert actions.states() == ["refused", "done"]
