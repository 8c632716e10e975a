"""Every call to a language model passes here: metered, retried, on disk, and never paid twice.

Guarantees: a call is sent only after its bound was reserved; the exact bytes of its body are on
disk before they leave; an answer that an earlier process of the same run paid for is used again; a
call that left and was not answered is booked as possibly billed, and one that never left is not;
after a stop nothing is sent. Errors of the service become sentences without the key, and a cap that
is reached while the service fails names that failure. Does not read answers: authors do.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, Protocol

from mlagent.contracts.errors import Interrupted, MlagentError
from mlagent.contracts.usage import Call, CallOutcome, Tokens

from .call_log import Begun, CallLog, bound_of, canonical
from .meter import BudgetSpent, Meter, Reservation
from .service import Answer, Busy, Dropped, NotTaken, Service

OVERHEAD_TOKENS = 2_000
"""Of a prompt beside its bytes: the service's own words around tools and roles."""
COUNT_MARGIN = 1.05, 200
"""A counted prompt is reserved with a little more: counts are estimates, says the vendor."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


class Unavailable(MlagentError):
    """The service gave no answer for as long as we were willing to wait."""


class Refused(MlagentError):
    """The service did not take the request, and would not take it again."""


class Journal(Protocol):
    def append(self, kind: str, /, **facts: Any) -> object: ...


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        content: blocks as the API has them.
        known: it was paid for by an earlier process of the run.
        n: number of the call, as in calls/.
    """

    content: tuple[dict[str, Any], ...]
    stop_reason: str
    tokens: Tokens
    usd: float
    known: bool = False
    n: int = 0

    @property
    def text(self) -> str:
        """All text blocks."""
        return "".join(str(block["text"]) for block in self.content if block["type"] == "text")


class Gateway:
    """The gateway of one run or plan.

    Args:
        patience_s: how long one call may wait for a busy service, all attempts together.
        sleep: seconds; returns early when `stop` says so.
    """

    def __init__(
        self,
        service: Service,
        meter: Meter,
        log: CallLog,
        journal: Journal,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        stop: Callable[[], bool] = lambda: False,
        on_text: Callable[[str, int], None] = lambda agent, characters: None,
        patience_s: float = 300.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.meter, self.log = meter, log
        self._service, self.journal = service, journal
        self._clock, self._sleep, self._stop, self._chance = clock, sleep, stop, chance
        self._on_text, self._patience_s = on_text, patience_s
        self._failure = ""  # of the service, of any agent's last attempt; '' once it answered
        for begun in log.cut:
            self._book_cut(begun)
        for call in log.calls():
            meter.book(call.agent, call.tokens.total, call.usd)

    def ask(self, agent: str, purpose: str, request: dict[str, Any]) -> Reply:
        """Send one request; its answer.

        Args:
            request: body of POST /v1/messages: model, max_tokens, messages ...

        Raises:
            BudgetSpent: a cap leaves no room for it, or for another attempt.
            Refused: the service did not take it (bad key, unknown model, malformed).
            Unavailable: busy or broken for longer than `patience_s`.
            Interrupted: `stop` said so, before it was sent or while it waited.
        """
        sha = hashlib.sha256(canonical(request)).hexdigest()
        if (known := self.log.known(sha)) is not None:
            answer, call = known
            return _reply(Answer.of(answer), call.usd, known=True, n=call.n)
        begin = self._clock()
        attempts, failure = 0, ""
        while True:
            if self._stop():
                raise Interrupted("Stopped before the language model was asked.")
            attempts += 1
            try:
                held = self._reserve(agent, request)
            except BudgetSpent as spent:
                raise _with_failure(spent, failure or self._failure) from None
            begun = self.log.begin(agent, purpose, held.model, sha, held.tokens, held.usd)
            self.journal.append("call.begun", n=begun.n, agent=agent, purpose=purpose)
            left = Event()
            try:
                answer_ = self._service.send(
                    request,
                    partial(self._leaves, begun, left),
                    lambda characters: self._on_text(agent, characters),
                    self._stop,
                )
            except NotTaken as refusal:
                self.meter.release(held)
                self._end(begun, "refused", Tokens(), 0.0, begin, attempts, why=refusal.message)
                raise Refused(refusal.message, remedy=refusal.remedy) from None
            except (Busy, Dropped) as problem:
                self._failure = failure = problem.message
                billed = isinstance(problem, Dropped)
                self._give_up_on(begun, held, billed, problem.message, begin, attempts)
                self._wait(problem, begin, attempts)
                continue
            except BaseException:  # Ctrl-C in the middle of an answer
                why = "cut" if left.is_set() else "stopped before it was sent"
                self._give_up_on(begun, held, left.is_set(), why, begin, attempts)
                raise
            self._failure = ""
            usd = self.meter.settle(held, answer_.tokens)
            self._end(begun, "answered", answer_.tokens, usd, begin, attempts, answer_)
            return _reply(answer_, usd, known=False, n=begun.n)

    def _leaves(self, begun: Begun, left: Event, body: bytes) -> None:
        """The body is about to leave: from here on the call may be billed."""
        self.log.sent(begun, body)
        left.set()

    def _reserve(self, agent: str, request: dict[str, Any]) -> Reservation:
        """Room for the call: by the bytes of its body, or, where that is too much, by a count."""
        model, answer = str(request["model"]), int(request["max_tokens"])
        bound = len(canonical(request)) + OVERHEAD_TOKENS
        try:
            return self.meter.reserve(agent, model, bound, answer)
        except BudgetSpent:
            counted = self._service.count(request, self._stop)
            if counted is None:
                raise
            share, more = COUNT_MARGIN
            return self.meter.reserve(agent, model, int(counted * share) + more, answer)

    def _give_up_on(
        self, begun: Begun, held: Reservation, billed: bool, why: str, begin: float, attempts: int
    ) -> None:
        """Book an attempt without an answer: one that left may be billed, at its bound."""
        if billed:
            usd = self.meter.keep(held)
            tokens = bound_of(held.tokens)
            self._end(begun, "possibly billed", tokens, usd, begin, attempts, why=why)
        else:
            self.meter.release(held)
            self._end(begun, "failed", Tokens(), 0.0, begin, attempts, why=why)

    def _wait(self, problem: Busy | Dropped, begin: float, attempts: int) -> None:
        """Wait before the next attempt, as the service asked, else longer each time; not at all
        where no attempt could follow."""
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempts - 1)) * (0.75 + self._chance() / 2)
        if isinstance(problem, Busy) and problem.retry_after_s is not None:
            wait = max(wait, problem.retry_after_s)
        waited = self._clock() - begin
        if waited + wait > self._patience_s:
            raise Unavailable(
                f"The language model gave no answer within {waited:.0f} s and {attempts} attempts: "
                f"{problem.message}",
                remedy="Try again later; what was paid for is kept, `--resume` goes on.",
            )
        try:
            self.meter.check_time(wait)
        except BudgetSpent as spent:
            raise _with_failure(spent, problem.message) from None
        self.journal.append("call.waits", seconds=round(wait, 1), why=problem.message)
        self._sleep(wait)
        if self._stop():
            raise Interrupted("Stopped while waiting for the language model.")

    def _end(
        self,
        begun: Begun,
        outcome: CallOutcome,
        tokens: Tokens,
        usd: float,
        begin: float,
        attempts: int,
        answer: Answer | None = None,
        why: str = "",
    ) -> None:
        call = Call(
            n=begun.n,
            agent=begun.agent,
            purpose=begun.purpose,
            model=begun.model,
            outcome=outcome,
            request_sha256=begun.request_sha256,
            tokens=tokens,
            usd=usd,
            seconds=round(max(0.0, self._clock() - begin), 3),
            attempts=attempts,
            stop_reason=None if answer is None else answer.stop_reason,
            why=why,
        )
        self.log.end(call, None if answer is None else answer.as_json())
        self.journal.append(
            "call.ended",
            n=call.n,
            agent=call.agent,
            outcome=outcome,
            tokens=tokens.model_dump(mode="json"),
            usd=usd,
            why=why,
        )

    def _book_cut(self, begun: Begun) -> None:
        """A call of a process that died in the middle of it."""
        self._end(
            begun,
            "possibly billed",
            bound_of(begun.bound_tokens),
            begun.bound_usd,
            self._clock(),
            1,
            why="the process ended before the answer came",
        )


def _with_failure(spent: BudgetSpent, failure: str) -> BudgetSpent:
    """A cap that is reached, and what the service did last."""
    if not failure:
        return spent
    return BudgetSpent(
        f"{spent.message.rstrip('.')}; the last attempt failed: {failure}", remedy=spent.remedy
    )


def _reply(answer: Answer, usd: float, *, known: bool, n: int) -> Reply:
    return Reply(answer.content, answer.stop_reason, answer.tokens, usd, known, n)
