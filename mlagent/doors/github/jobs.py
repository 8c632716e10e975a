"""What becomes of a command: checked, pinned to a commit, run, answered.

Guarantees: nothing runs before the API said that the author may write; what runs is the commit
that was the head when the command was checked, and only if it still is; no code of the pull request
runs on this machine outside of a container; an answer is posted once, and work that is done is not
repeated for it; a command that ends without an answer still gets its reaction, where GitHub lets it
through.
Does not: read webhooks (`webhook.py`), or decide what runs next (`workers.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mlagent.contracts.errors import BadInput, MlagentError

from .answers import Answers
from .client import GitHub, Lost, Refused
from .commands import (
    Command,
    ExecuteCommand,
    HelpCommand,
    PlanCommand,
    parse_command,
)
from .hub import Pull, answer, may_command, react, read_pull
from .queue import MOST_ATTEMPTS, Job, Queue
from .runner import Stopped
from .work import Work

log = logging.getLogger("mlagent.bot")
RETRY_S = 30.0
"""Before a step that GitHub did not let through is tried again; doubled with each attempt."""


@dataclass(frozen=True)
class Site:
    """Where commands come from, and how far they may go.

    Attributes:
        api: makes a connection to the REST API; closed by who asked for it.
        max_budget_s: of one `execute`, in seconds of wall clock.
    """

    api: Callable[[], GitHub]
    max_budget_s: float


class Jobs:
    """The two steps of a command: `check` and `work`."""

    def __init__(self, site: Site, queue: Queue, work: Work, answers: Answers) -> None:
        self._site, self._queue, self._work, self._answers = site, queue, work, answers

    def check(self, job: Job) -> None:
        """First step: may the author, what is meant, which commit. Quick."""
        self._step(job, self._check)

    def work(self, job: Job) -> None:
        """Second step: run it and answer. Long. Raises Stopped."""
        self._step(job, self._work_and_tell)

    def give_up(self, job: Job, reason: str) -> None:
        """The job ends without an answer; its comment gets the reaction for that.

        With an answer that could not be posted the reason stays that of the work: '' if it went
        well.
        """
        log.warning("job %d failed: %s", job.id, reason)
        self._react_failed(job)
        self._queue.finish(job, "failed", reason if job.answer is None else job.reason)

    def _step(self, job: Job, step: Callable[[Job], None]) -> None:
        """Do a step; whatever comes of it, the comment is not left without a word."""
        try:
            step(job)
        except (Refused, Lost) as problem:
            self._again(job, problem)
        except Stopped:
            raise
        except MlagentError as problem:
            self.give_up(job, problem.message)
        except Exception:
            self._react_failed(job)
            raise

    def _react_failed(self, job: Job) -> None:
        with suppress(MlagentError), self._site.api() as api:  # GitHub may be what is away
            react(api, job.repository, job.comment, "-1")

    def _check(self, job: Job) -> None:
        with self._site.api() as api:
            self._checked(api, job)

    def _checked(self, api: GitHub, job: Job) -> None:
        if not may_command(api, job.repository, job.author):
            react(api, job.repository, job.comment, "-1")
            self._queue.finish(job, "refused", f"{job.author} may not write to {job.repository}.")
            return
        react(api, job.repository, job.comment, "eyes")
        try:
            command = self._parsed(job)
        except BadInput as problem:
            self._refuse(api, job, problem.message, self._answers.help(problem.message))
            return
        if isinstance(command, HelpCommand):
            answer(api, job.repository, job.number, job.comment, self._answers.help(None))
            react(api, job.repository, job.comment, "rocket")
            self._queue.finish(job, "done", "")
            return
        pull = read_pull(api, job.repository, job.number)
        unfit = _unfit(pull, command)
        if unfit is not None:
            self._refuse(api, job, unfit, self._answers.refused(unfit))
            return
        self._queue.pin(job, pull.head, pull.base)

    def _work_and_tell(self, job: Job) -> None:
        if job.answer is None:
            with self._site.api() as api:
                refusal = self._still_fit(api, job)
                if refusal is not None:
                    self._refuse(api, job, refusal, self._answers.refused(refusal))
                    return
            job = self._run(job)
        with self._site.api() as api:
            self._tell(api, job)

    def _still_fit(self, api: GitHub, job: Job) -> str | None:
        """Why the job must not run now; None: it may. Asked again right before it runs."""
        if job.attempts > MOST_ATTEMPTS:
            return f"The work was cut short {MOST_ATTEMPTS} times and is not tried again."
        if not may_command(api, job.repository, job.author):
            return f"{job.author} may not write to this repository any more."
        pull = read_pull(api, job.repository, job.number)
        if not pull.open:
            return "The pull request is not open any more."
        if pull.head != job.head:
            return (
                f"The pull request moved on from {str(job.head)[:7]} to {pull.head[:7]} after the "
                "command was given. Nothing ran; give the command again for the new head."
            )
        return None

    def _run(self, job: Job) -> Job:
        """The job with its answer, which is kept before it is posted. Raises Stopped."""
        assert job.head is not None
        assert job.base is not None
        failed = ""
        try:
            command = self._parsed(job)
            if isinstance(command, PlanCommand):
                text = self._answers.plan(self._work.plan(job, command), job)
            elif isinstance(command, ExecuteCommand):
                text = self._answers.execute(self._work.execute(job, command), job)
            else:
                text = self._answers.compare(self._work.compare(job), job)
        except (Refused, Lost):
            raise
        except MlagentError as problem:
            failed = problem.message or "It failed."
            text = self._answers.failed(problem, job)
        self._queue.keep_answer(job, text, failed)
        return self._queue.job(job.id)

    def _tell(self, api: GitHub, job: Job) -> None:
        answer(api, job.repository, job.number, job.comment, job.answer or "")
        react(api, job.repository, job.comment, "-1" if job.reason else "rocket")
        self._queue.told(job)

    def _refuse(self, api: GitHub, job: Job, reason: str, text: str) -> None:
        answer(api, job.repository, job.number, job.comment, text)
        react(api, job.repository, job.comment, "-1")
        self._queue.finish(job, "refused", reason)

    def _again(self, job: Job, problem: MlagentError) -> None:
        """GitHub did not let a step through: later, or never."""
        final = isinstance(problem, Refused) and not problem.limited and 400 <= problem.status < 500
        if final or job.attempts >= MOST_ATTEMPTS:
            self.give_up(job, problem.message)
            return
        log.info("job %d: %s", job.id, problem.message)
        reason = problem.message if job.answer is None else job.reason  # that is of the work
        self._queue.later(job, RETRY_S * 2.0 ** (job.attempts - 1), reason)

    def _parsed(self, job: Job) -> Command:
        """The command of a job. Raises BadInput."""
        command = parse_command(job.body, max_budget_s=self._site.max_budget_s)
        if command is None:
            raise BadInput("The comment holds no command.")
        return command


def _unfit(pull: Pull, command: Command) -> str | None:
    """Why a command does not fit the pull request as it is; None: it fits."""
    if not pull.open:
        return "The pull request is not open."
    if command.at is not None and not pull.head.startswith(command.at):
        return f"The head is {pull.head[:7]}, not {command.at[:7]}. Nothing ran."
    return None
