"""The two threads of the bot: one checks commands quickly, one does the work, one job at a time.

Guarantees: a job that fails in an unforeseen way ends as failed and stops neither thread; when the
bot goes down, a job at work stays in the queue. Does not: run two jobs at once, because the budget
of a run is wall clock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Literal

from .jobs import Jobs
from .queue import Job, Queue
from .runner import Stopped

IDLE_S = 5.0
"""Between two looks at the queue when nobody wakes it: jobs that wait for a retry."""
JOIN_S = 30.0
log = logging.getLogger("mlagent.bot")


class Workers:
    """Threads over a queue; a context manager.

    Args:
        stop: set to end them; shared with the runner of child processes.
    """

    def __init__(self, queue: Queue, jobs: Jobs, stop: threading.Event) -> None:
        self._queue, self._stop = queue, stop
        self._news = {name: threading.Event() for name in ("received", "ready")}
        self._threads = [
            threading.Thread(target=self._loop, args=("received", jobs.check), daemon=True),
            threading.Thread(target=self._loop, args=("ready", jobs.work), daemon=True),
        ]

    def wake(self) -> None:
        """There is something in the queue."""
        for event in self._news.values():
            event.set()

    def start(self) -> None:
        """Take up what an earlier process left, then begin."""
        self._queue.recover()
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop; a job at work stays in the queue."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(JOIN_S)

    def _loop(self, state: Literal["received", "ready"], act: Callable[[Job], None]) -> None:
        while not self._stop.is_set():
            if not run_one(self._queue, state, act):
                self._news[state].wait(IDLE_S)
                self._news[state].clear()
            elif state == "received":
                self._news["ready"].set()


def run_one(queue: Queue, state: Literal["received", "ready"], act: Callable[[Job], None]) -> bool:
    """Do the oldest job of this state. False when there was none. Raises nothing."""
    job = queue.claim(state)
    if job is None:
        return False
    try:
        act(job)
    except Stopped:
        log.info("job %d stays in the queue", job.id)
    except Exception as problem:
        log.error("job %d failed: %s", job.id, type(problem).__name__)
        log.debug("job %d", job.id, exc_info=True)
        queue.finish(job, "failed", f"{type(problem).__name__}: this is a defect.")
    return True
