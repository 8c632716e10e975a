"""The bot's queue: nothing twice, nothing lost, also over a restart."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.doors.github.events import Comment
from mlagent.doors.github.queue import Queue

HEAD, BASE = "a" * 40, "b" * 40


def comment(number: int = 1, repository: str = "octo/churn") -> Comment:
    return Comment(repository, 7, number, "alice", 11, "/mlagent help")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite3"


def test_a_delivery_is_accepted_once_also_after_a_restart(file: Path) -> None:
    assert Queue(file).accept("delivery-1", comment())
    again = Queue(file)
    assert not again.accept("delivery-1", comment())
    assert not again.accept("delivery-1", comment(2)), "the id came before, whatever it holds"
    assert len(again.jobs()) == 1


def test_a_comment_is_accepted_once_under_any_delivery_id(file: Path) -> None:
    queue = Queue(file)
    assert queue.accept("delivery-1", comment())
    assert not queue.accept("delivery-2", comment())
    assert not queue.accept("delivery-3", comment(repository="Octo/Churn"))
    assert queue.accept("delivery-4", comment(2))


def test_ignored_deliveries_are_remembered_too(file: Path) -> None:
    queue = Queue(file)
    assert not queue.seen("delivery-1")
    assert queue.seen("delivery-1")
    assert not queue.accept("delivery-1", comment())


def test_the_file_is_for_its_owner_only(file: Path) -> None:
    Queue(file)
    assert file.stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_a_sentence(file: Path) -> None:
    file.write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(BadInput, match=r"queue\.sqlite3.* cannot be used"):
        Queue(file)
    assert file.read_bytes().startswith(b"not a database")


def test_a_job_goes_from_received_to_done(file: Path) -> None:
    queue = Queue(file)
    queue.accept("delivery-1", comment())
    job = queue.claim("received")
    assert job is not None
    assert (job.state, job.author, job.head) == ("checking", "alice", None)
    assert queue.claim("received") is None
    queue.pin(job, HEAD, BASE)
    ready = queue.claim("ready")
    assert ready is not None
    assert (ready.head, ready.base, ready.attempts) == (HEAD, BASE, 1)
    queue.keep_answer(ready, "text", "")
    assert queue.job(ready.id).answer == "text"
    queue.finish(ready, "done", "")
    assert queue.open() == 0


def test_jobs_at_work_return_after_a_restart_in_their_order(file: Path) -> None:
    before = Queue(file)
    for number in (1, 2, 3):
        before.accept(f"delivery-{number}", comment(number))
    first, second = before.claim("received"), before.claim("received")
    assert first is not None
    assert second is not None
    before.pin(first, HEAD, BASE)
    before.claim("ready")
    after = Queue(file)
    assert after.claim("ready") is None, "the dead process still holds it"
    assert [job.id for job in after.recover()] == [second.id, first.id]
    ready = after.claim("ready")
    assert ready is not None
    assert (ready.id, ready.attempts, ready.head) == (first.id, 2, HEAD)
    again = after.claim("received")
    assert again is not None
    assert again.id == second.id
    assert after.recover() != [], "a claim is again at work"


def test_a_later_job_waits_for_its_time(file: Path) -> None:
    now = [1000.0]
    queue = Queue(file, clock=lambda: now[0])
    queue.accept("delivery-1", comment())
    job = queue.claim("received")
    assert job is not None
    queue.later(job, 30, "GitHub was away")
    assert queue.claim("received") is None
    now[0] += 31
    again = queue.claim("received")
    assert again is not None
    assert again.attempts == 2


def test_many_threads_claim_each_job_once(file: Path) -> None:
    queue = Queue(file)
    for number in range(30):
        queue.accept(f"delivery-{number}", comment(number + 1))
    taken: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while (job := queue.claim("received")) is not None:
            with lock:
                taken.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 31))
