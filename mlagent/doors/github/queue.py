"""The queue of `mlagent bot`: deliveries that were seen and jobs to do, in one sqlite file.

Guarantees: a delivery and a comment are accepted once, whatever their order, also after a restart
(both are kept: the delivery's id is not part of what is signed, so the comment's id counts too); a
job is stored before the webhook is answered; a job that a dead process left at work is taken up
again, at most `MOST_ATTEMPTS` times. Does not: keep the payload, or order jobs of several pull
requests by anything but their arrival.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlagent.contracts.errors import BadInput

from .events import Comment

State = Literal["received", "checking", "ready", "running", "done", "failed", "refused"]
OPEN: tuple[State, ...] = ("received", "checking", "ready", "running")
NEXT: dict[State, State] = {"received": "checking", "ready": "running"}
"""What a claim makes of a state; a restart turns it back."""
MOST_ATTEMPTS = 3
_TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
    delivery TEXT PRIMARY KEY, received REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    delivery TEXT NOT NULL UNIQUE,
    repository TEXT NOT NULL COLLATE NOCASE,
    number INTEGER NOT NULL,
    comment INTEGER NOT NULL,
    author TEXT NOT NULL,
    author_id INTEGER NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    head TEXT,
    base TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    answer TEXT,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    UNIQUE (repository, comment)
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, not_before, id);
"""
_COLUMNS = "id, delivery, repository, number, comment, author, author_id, body, state, head, base"
_COLUMNS += ", attempts, reason, answer"


@dataclass(frozen=True)
class Job:
    """One command on its way.

    Attributes:
        head: the pull request's last commit when the command was checked; None before.
        base: the base branch's commit at that time.
        attempts: how often it was claimed for its present step.
        answer: what is left to be posted, once the work is done.
    """

    id: int
    delivery: str
    repository: str
    number: int
    comment: int
    author: str
    author_id: int
    body: str
    state: State
    head: str | None
    base: str | None
    attempts: int
    reason: str
    answer: str | None


class Queue:
    """Deliveries and jobs in `file`; made when it is not there. Safe to use from several threads.

    Args:
        clock: seconds since the epoch.

    Raises:
        BadInput: the file is no queue, or cannot be written.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        file.touch(mode=0o600)
        try:
            with self._transaction() as base:
                for statement in _TABLES.split(";"):
                    base.execute(statement)
        except sqlite3.DatabaseError as problem:
            raise BadInput(
                f"The queue {str(file)!r} cannot be used: {problem}.",
                remedy="Move the file away to begin with an empty queue; jobs in it are lost, and "
                "commands that came before may be answered again.",
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=30, isolation_level=None)) as base:
            base.execute("PRAGMA synchronous = FULL")
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                base.execute("ROLLBACK")
                raise
            base.execute("COMMIT")

    def seen(self, delivery: str) -> bool:
        """Note a delivery without a command. True when it had come before."""
        with self._transaction() as base:
            return not self._note(base, delivery)

    def accept(self, delivery: str, comment: Comment) -> bool:
        """Store a command as a job; False when its delivery or its comment had come before."""
        with self._transaction() as base:
            if not self._note(base, delivery):
                return False
            now = self._clock()
            done = base.execute(
                "INSERT OR IGNORE INTO jobs (delivery, repository, number, comment, author,"
                " author_id, body, state, created, updated) VALUES (?,?,?,?,?,?,?,'received',?,?)",
                (
                    delivery,
                    comment.repository,
                    comment.number,
                    comment.comment,
                    comment.author,
                    comment.author_id,
                    comment.body,
                    now,
                    now,
                ),
            )
            return done.rowcount == 1

    def _note(self, base: sqlite3.Connection, delivery: str) -> bool:
        row = (delivery, self._clock())
        return base.execute("INSERT OR IGNORE INTO deliveries VALUES (?, ?)", row).rowcount == 1

    def claim(self, state: Literal["received", "ready"]) -> Job | None:
        """The oldest job in this state, marked as at work; None when there is none to do now."""
        with self._transaction() as base:
            row = base.execute(
                "UPDATE jobs SET state = ?, attempts = attempts + 1, updated = ? WHERE id = ("
                "SELECT id FROM jobs WHERE state = ? AND not_before <= ? ORDER BY id LIMIT 1)"
                f" RETURNING {_COLUMNS}",
                (NEXT[state], self._clock(), state, self._clock()),
            ).fetchone()
        return None if row is None else Job(*row)

    def pin(self, job: Job, head: str, base_commit: str) -> None:
        """The job is checked: it may run, for these two commits."""
        self._move(job, "ready", head=head, base=base_commit, attempts=0)

    def keep_answer(self, job: Job, answer: str, reason: str) -> None:
        """The work is done, and only its answer is left to be posted; a restart does not repeat it.

        Args:
            reason: why it failed; empty when it did not.
        """
        self._move(job, job.state, answer=answer, reason=reason[:2000], attempts=0)

    def finish(self, job: Job, state: Literal["done", "failed", "refused"], reason: str) -> None:
        """The job has ended. An answer that it kept was not posted."""
        self._move(job, state, reason=reason[:2000])

    def told(self, job: Job) -> None:
        """The kept answer was posted: nothing is left to do."""
        self._move(job, "failed" if job.reason else "done", answer=None)

    def begin_again(self, job: Job) -> None:
        """A job that ended is taken up because somebody asks for it: at the commit that it was
        pinned to, with the answer that was not posted, if there is one."""
        state: State = "received" if job.head is None else "ready"
        reason = "" if job.answer is None else job.reason
        self._move(job, state, not_before=0.0, attempts=0, reason=reason)

    def later(self, job: Job, seconds: float, reason: str) -> None:
        """Try this step again after some time."""
        back = next(waiting for waiting, at_work in NEXT.items() if at_work == job.state)
        self._move(job, back, not_before=self._clock() + seconds, reason=reason[:2000])

    def _move(self, job: Job, state: State, **values: str | float | int | None) -> None:
        names = "".join(f", {name} = ?" for name in values)
        with self._transaction() as base:
            base.execute(
                f"UPDATE jobs SET state = ?, updated = ?{names} WHERE id = ?",
                (state, self._clock(), *values.values(), job.id),
            )

    def recover(self) -> list[Job]:
        """After a start: jobs that a dead process was at work on go back into the queue. Those."""
        found = []
        with self._transaction() as base:
            for waiting, at_work in NEXT.items():
                rows = base.execute(
                    "UPDATE jobs SET state = ?, not_before = 0, updated = ? WHERE state = ?"
                    f" RETURNING {_COLUMNS}",
                    (waiting, self._clock(), at_work),
                ).fetchall()
                found += [Job(*row) for row in rows]
        return found

    def jobs(self) -> list[Job]:
        """Every job, oldest first."""
        with self._transaction() as base:
            return [Job(*row) for row in base.execute(f"SELECT {_COLUMNS} FROM jobs ORDER BY id")]

    def job(self, number: int) -> Job:
        """One job as it stands now."""
        with self._transaction() as base:
            row = base.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (number,)).fetchone()
        return Job(*row)

    def open(self) -> int:
        """How many jobs have not ended."""
        return sum(job.state in OPEN for job in self.jobs())
