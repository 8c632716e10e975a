"""Every call to a language model passes here: metered, retried, on disk, and never paid twice.

Guarantees: a call is sent only after its bound was reserved; the exact bytes of its body are on
disk before they leave, also where only its tokens are asked for; nothing leaves where no prompt
would fit; an answer that an earlier process of the same run paid for is used again; a
call that left and was not answered is booked as possibly billed, and one that never left is not;
no call lasts longer than `LONGEST_CALL_S`, whatever the service sends meanwhile; after a stop
nothing is sent. Errors of the service become sentences without the key, and a cap that
is reached while the service fails names that failure. Does not read answers: authors do.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any, Protocol

from mlagent.contracts.errors import Interrupted, MlagentError
from mlagent.contracts.usage import Call, CallOutcome, Tokens

from .answers import Answer
from .call_log import Begun, CallLog, bound_of, canonical
from .meter import BudgetSpent, Meter, Reservation
from .service import Busy, Dropped, NotTaken, Service

OVERHEAD_TOKENS = 2_000
"""Of a prompt beside its bytes: the service's own words around tools and roles."""
COUNT_MARGIN = 1.05, 200
"""A counted prompt is reserved with a little more: counts are estimates, says the vendor."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
LONGEST_CALL_S, LONGEST_COUNT_S = 600.0, 20.0
"""A call is ended then, also one whose stream says all the time that it is alive; and so is a
question for the tokens of a prompt."""
UNREACHED_S = 20.0
"""An address that never answered is tried for so long: it is rather wrong than busy."""


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


@dataclass(frozen=True)
class _Attempt:
    """One attempt at a call.

    Attributes:
        n: from 1.
        first_at, sent_at: by the clock, when the first attempt and this one began.
        left: its body left this machine.
    """

    n: int
    begun: Begun
    held: Reservation
    first_at: float
    sent_at: float
    left: Event = field(default_factory=Event)


class Gateway:
    """The gateway of one run or plan.

    Args:
        service: None when nobody is asked any more; what was answered before is there.
        patience_s: how long one call may wait for a busy service, all attempts together.
        cut_at: by the clock, a call that is still on its way is ended; None for no such limit.
        sleep: seconds; returns early when `stop` says so.
    """

    def __init__(
        self,
        service: Service | None,
        meter: Meter,
        log: CallLog,
        journal: Journal,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        stop: Callable[[], bool] = lambda: False,
        on_text: Callable[[str, int], None] = lambda agent, characters: None,
        patience_s: float = 300.0,
        cut_at: float | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.meter, self.log = meter, log
        self._service, self.journal = service, journal
        self._clock, self._sleep, self._stop, self._chance = clock, sleep, stop, chance
        self._on_text, self._patience_s, self._cut_at = on_text, patience_s, cut_at
        self._failure = ""  # of the service, of any agent's last attempt; '' once it answered
        self._reached = False
        for begun in log.cut:
            self._book_cut(begun)
        for call in log.calls():
            if call.sent:
                meter.book(call.agent, call.tokens.total, call.usd)

    def ask(self, agent: str, purpose: str, request: dict[str, Any]) -> Reply:
        """Send one request; its answer.

        Args:
            request: body of POST /v1/messages: model, max_tokens, messages ...

        Raises:
            BudgetSpent: a cap leaves no room for it, or for another attempt.
            Refused: the service did not take it (bad key, unknown model, malformed).
            Unavailable: busy or broken for longer than `patience_s`, or no answer that can be read.
            Interrupted: `stop` said so, before it was sent or while it waited.
        """
        sha = _sha256(request)
        if (known := self.log.known(sha)) is not None:
            answer, call = known
            return _reply(Answer.of(answer), call.usd, known=True, n=call.n)
        service = self._service
        if service is None:
            raise Refused("Nobody is asked any more: --author template.")
        begin = self._clock()
        attempts, failure = 0, ""
        while True:
            if self._stop():
                raise Interrupted("Stopped before the language model was asked.")
            attempts += 1
            try:
                held = self._reserve(service, agent, request)
            except BudgetSpent as spent:
                raise _with_failure(spent, failure or self._failure) from None
            begun = self.log.begin(agent, purpose, held.model, sha, held.tokens, held.usd)
            self.journal.append(
                "call.begun", n=begun.n, agent=agent, purpose=purpose, request_sha256=sha
            )
            attempt = _Attempt(attempts, begun, held, begin, self._clock())
            try:
                answer_ = service.send(
                    request,
                    partial(self._leaves, attempt),
                    lambda characters: self._on_text(agent, characters),
                    partial(self._ends, attempt),
                )
            except NotTaken as refusal:
                self._give_up_on(attempt, "refused", refusal.message)
                raise Refused(refusal.message, remedy=refusal.remedy) from None
            except Busy as problem:
                self._give_up_on(attempt, "failed", problem.message)
                failure = self._wait(attempt, problem)
                continue
            except Dropped as problem:
                self._give_up_on(attempt, "possibly billed", problem.message)
                if not problem.again:
                    raise Unavailable(
                        f"The language model gave no answer: {problem.message}"
                    ) from None
                failure = self._wait(attempt, problem)
                continue
            except Interrupted:
                late = "" if self._stop() else self._too_long(attempt.sent_at, LONGEST_CALL_S)
                self._give_up_on_cut(attempt, late)
                if not late:
                    raise
                raise Unavailable(
                    "The language model gave no whole answer within "
                    f"{self._clock() - attempt.sent_at:.0f} s: {late}",
                    remedy="Give a larger --budget, or try again later.",
                ) from None
            except BaseException:  # a second Ctrl-C, or a disk that is full
                self._give_up_on_cut(attempt)
                raise
            self._failure, self._reached = "", True
            usd = self.meter.settle(held, answer_.tokens)
            self._end(attempt, "answered", answer_.tokens, usd, answer_)
            return _reply(answer_, usd, known=False, n=begun.n)

    def _ends(self, attempt: _Attempt) -> bool:
        """Nobody waits for it any longer."""
        return self._stop() or bool(self._too_long(attempt.sent_at, LONGEST_CALL_S))

    def _too_long(self, begun: float, longest_s: float) -> str:
        """Why what is on its way since `begun` is ended now; '' when it is not."""
        now = self._clock()
        if self._cut_at is not None and now >= self._cut_at:
            return "the time for calls is used up."
        if now - begun >= longest_s:
            return f"no call may take more than {longest_s:.0f} s."
        return ""

    def _leaves(self, attempt: _Attempt, body: bytes) -> None:
        """The body is about to leave: from here on the call may be billed."""
        self.log.sent(attempt.begun, body)
        attempt.left.set()

    def _reserve(self, service: Service, agent: str, request: dict[str, Any]) -> Reservation:
        """Room for the call: by the bytes of its body, or, where that is too much, by a count."""
        model, answer = str(request["model"]), int(request["max_tokens"])
        bound = len(canonical(request)) + OVERHEAD_TOKENS
        try:
            return self.meter.reserve(agent, model, bound, answer)
        except BudgetSpent:
            if not self.meter.has_room(agent, model, 1, answer):
                raise  # whatever its prompt takes: nothing leaves
            begun = self._clock()
            try:
                counted = service.count(
                    request,
                    self.log.counted,
                    lambda: self._stop() or bool(self._too_long(begun, LONGEST_COUNT_S)),
                )
            except Interrupted:
                if self._stop():
                    raise
                counted = None
            if counted is None:
                raise
            share, more = COUNT_MARGIN
            prompt = min(bound, int(counted * share) + more)
            return self.meter.reserve(agent, model, prompt, answer)

    def _give_up_on(self, attempt: _Attempt, outcome: CallOutcome, why: str) -> None:
        """Book an attempt without an answer: one that may be billed, at its bound."""
        held, usd, tokens = attempt.held, 0.0, Tokens()
        if outcome == "possibly billed":
            usd, tokens = self.meter.keep(held), bound_of(held.tokens)
        else:
            self.meter.release(held, made=attempt.left.is_set())
        self._end(attempt, outcome, tokens, usd, why=why)

    def _give_up_on_cut(self, attempt: _Attempt, why: str = "") -> None:
        """The same for one that was ended here."""
        if attempt.left.is_set():
            self._give_up_on(attempt, "possibly billed", why or "cut")
        else:
            self._give_up_on(attempt, "failed", why or "stopped before it was sent")

    def _wait(self, attempt: _Attempt, problem: Busy | Dropped) -> str:
        """Wait before the next attempt, as the service asked, else longer each time; not at all
        where no attempt could follow. What went wrong."""
        self._failure = problem.message
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt.n - 1)) * (
            0.75 + self._chance() / 2
        )
        if isinstance(problem, Busy) and problem.retry_after_s is not None:
            wait = max(wait, problem.retry_after_s)
        waited = self._clock() - attempt.first_at
        self._reached = self._reached or attempt.left.is_set()
        patience = self._patience_s if self._reached else min(UNREACHED_S, self._patience_s)
        if waited + wait > patience:
            raise Unavailable(
                f"The language model gave no answer within {waited:.0f} s and {attempt.n} "
                f"attempts: {problem.message}",
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
        return problem.message

    def _end(
        self,
        attempt: _Attempt,
        outcome: CallOutcome,
        tokens: Tokens,
        usd: float,
        answer: Answer | None = None,
        why: str = "",
    ) -> None:
        call = _call(
            attempt.begun,
            outcome=outcome,
            tokens=tokens,
            usd=usd,
            seconds=round(max(0.0, self._clock() - attempt.first_at), 3),
            attempts=attempt.n,
            sent=attempt.left.is_set(),
            stop_reason=None if answer is None else answer.stop_reason,
            why=why,
        )
        self._keep(call, answer)

    def _book_cut(self, begun: Begun) -> None:
        """A call of a process that died in the middle of it, or right after its answer came."""
        if (answer := self.log.answer_to(begun)) is not None:
            tokens = Tokens.model_validate(answer["tokens"])
            usd = self.meter.prices.of(begun.model).cost(tokens)
            call = _call(
                begun,
                outcome="answered",
                tokens=tokens,
                usd=usd,
                seconds=0.0,
                attempts=1,
                stop_reason=answer["stop_reason"],
                why="the process ended when the answer had come",
            )
            self._keep(call, Answer.of(answer), used=False)
            return
        left = self.log.has_left(begun)
        call = _call(
            begun,
            outcome="possibly billed" if left else "failed",
            tokens=bound_of(begun.bound_tokens) if left else Tokens(),
            usd=begun.bound_usd if left else 0.0,
            seconds=0.0,
            attempts=1,
            sent=left,
            why=f"the process ended before {'the answer came' if left else 'it was sent'}",
        )
        self._keep(call, None)

    def _keep(self, call: Call, answer: Answer | None, *, used: bool = True) -> None:
        self.log.end(call, None if answer is None else answer.as_json(), used=used)
        self.journal.append(
            "call.ended",
            n=call.n,
            agent=call.agent,
            outcome=call.outcome,
            answer_sha256=None if answer is None else _sha256(answer.as_json()),
            tokens=call.tokens.model_dump(mode="json"),
            usd=call.usd,
            why=call.why,
        )


def _call(begun: Begun, **came: Any) -> Call:
    return Call(
        n=begun.n,
        agent=begun.agent,
        purpose=begun.purpose,
        model=begun.model,
        request_sha256=begun.request_sha256,
        **came,
    )


def _sha256(record: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(record)).hexdigest()


def _with_failure(spent: BudgetSpent, failure: str) -> BudgetSpent:
    """A cap that is reached, and what the service did last."""
    if not failure:
        return spent
    return BudgetSpent(
        f"{spent.message.rstrip('.')}; the last attempt failed: {failure}", remedy=spent.remedy
    )


def _reply(answer: Answer, usd: float, *, known: bool, n: int) -> Reply:
    return Reply(answer.content, answer.stop_reason, answer.tokens, usd, known, n)
