"""The meter: what was spent, what is reserved, and whether a call may be sent.

Each call reserves the most that it can cost before it is sent, so calls side by side never pass a
cap together. Guarantees: spent + reserved never exceeds a cap; what was sent and not answered stays
booked at its bound. Safe to use from several threads. Does not send anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.prices import PriceTable
from mlagent.contracts.usage import Spent, Tokens

from .prices import check_price


class BudgetSpent(MlagentError):
    """A cap does not leave room for the next call."""


@dataclass(frozen=True)
class Caps:
    """The most that may be spent; None where nothing is said.

    Raises:
        BadInput: the dollars are no number that could be a limit.
    """

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        if self.usd is not None and not (math.isfinite(self.usd) and self.usd >= 0):
            raise BadInput(
                f"{self.usd} dollars (--max-usd) are no limit.",
                remedy="Give a number from 0 on, such as --max-usd 2.",
            )


@dataclass(frozen=True)
class Reservation:
    """Room for one call."""

    agent: str
    model: str
    tokens: int
    usd: float


@dataclass
class _Account:
    caps: Caps
    name: str
    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    held_tokens: int = 0
    held_usd: float = 0.0

    def lacking(self, tokens: int, usd: float) -> str | None:
        """Which cap this call would pass, as a sentence."""
        cap = self.caps
        if cap.calls is not None and self.calls + 1 > cap.calls:
            return f"{self.name} may make {cap.calls:,} calls, and made them"
        if cap.usd is not None and self.usd + self.held_usd + usd > cap.usd:
            left = max(0.0, cap.usd - self.usd - self.held_usd)
            return (
                f"{self.name} has ${left:.4f} of ${cap.usd:g} left, and the next call can cost "
                f"${usd:.4f}"
            )
        if cap.tokens is not None and self.tokens + self.held_tokens + tokens > cap.tokens:
            left_tokens = max(0, cap.tokens - self.tokens - self.held_tokens)
            return (
                f"{self.name} has {left_tokens:,} of {cap.tokens:,} tokens left, and the next call "
                f"can take {tokens:,}"
            )
        return None


class Meter:
    """One meter for a run or a plan.

    Args:
        caps: of all agents together.
        by_agent: caps of each agent, from its contract.
        until: by the clock, no call is sent after it; None for no such limit.
    """

    def __init__(
        self,
        prices: PriceTable,
        caps: Caps,
        by_agent: Mapping[str, Caps],
        clock: Callable[[], float],
        until: float | None = None,
    ) -> None:
        self.prices = prices
        self._clock, self._until = clock, until
        self._all = _Account(caps, "the run")
        self._agents = {name: _Account(cap, f"the {name}") for name, cap in by_agent.items()}
        self._lock = Lock()

    def reserve(self, agent: str, model: str, prompt: int, answer: int) -> Reservation:
        """Room for a call with at most so many tokens.

        Raises:
            BudgetSpent: a cap leaves no room, or the time is up.
            BadInput: the model has no price, or one that cannot be.
        """
        usd = self._bound(model, prompt, answer)
        self.check_time()
        with self._lock:
            self._check(agent, prompt + answer, usd)
            for account in self._accounts(agent):
                account.calls += 1
                account.held_tokens += prompt + answer
                account.held_usd += usd
        return Reservation(agent, model, prompt + answer, usd)

    def has_room(self, agent: str, model: str, prompt: int, answer: int) -> bool:
        """Whether a call with so many tokens could be sent now. Reserves nothing."""
        usd = self._bound(model, prompt, answer)
        try:
            self.check_time()
            with self._lock:
                self._check(agent, prompt + answer, usd)
        except BudgetSpent:
            return False
        return True

    def check_left(self, agent: str) -> None:
        """Raises BudgetSpent when not even the smallest call could be sent any more."""
        self.check_time()
        with self._lock:
            self._check(agent, 1, 0.0)

    def check_time(self, wait_s: float = 0.0) -> None:
        """Raises BudgetSpent when after so many seconds no call may be sent."""
        if self._until is not None and self._clock() + wait_s >= self._until:
            raise BudgetSpent("The time for calls is used up.", remedy="Give a larger --budget.")

    def settle(self, held: Reservation, tokens: Tokens) -> float:
        """The call was answered: book what it took. Dollars."""
        usd = self.prices.of(held.model).cost(tokens)
        self._end(held, tokens.total, usd)
        return usd

    def release(self, held: Reservation, *, made: bool) -> None:
        """The call was not taken: nothing is billed.

        Args:
            made: it left this machine, so it still counts as a call.
        """
        self._end(held, 0, 0.0, calls=0 if made else -1)

    def keep(self, held: Reservation) -> float:
        """The call was sent and not answered: its bound stays booked. Dollars."""
        self._end(held, held.tokens, held.usd)
        return held.usd

    def book(self, agent: str, tokens: int, usd: float) -> None:
        """A call of an earlier process."""
        with self._lock:
            for account in self._accounts(agent):
                account.calls += 1
                account.tokens += tokens
                account.usd += usd

    def spent(self, agent: str | None = None) -> Spent:
        """Calls and dollars so far; the tokens of it stand in the bill."""
        with self._lock:
            account = self._all if agent is None else self._agents[agent]
            return Spent(calls=account.calls, usd=account.usd)

    def _bound(self, model: str, prompt: int, answer: int) -> float:
        """The most that it can cost, in dollars. Raises BadInput: no price, or none that can be."""
        price = self.prices.of(model)
        check_price(model, price)
        return price.bound(prompt, answer)

    def _accounts(self, agent: str) -> list[_Account]:
        own = self._agents.get(agent)
        return [self._all] if own is None else [self._all, own]

    def _check(self, agent: str, tokens: int, usd: float) -> None:
        for account in self._accounts(agent):
            if lacking := account.lacking(tokens, usd):
                raise BudgetSpent(
                    f"No further call: {lacking}.",
                    remedy="--max-usd, --max-tokens and --max-calls are the run's caps; an "
                    "agent's are in its contract.",
                )

    def _end(self, held: Reservation, tokens: int, usd: float, calls: int = 0) -> None:
        with self._lock:
            for account in self._accounts(held.agent):
                account.calls += calls
                account.held_tokens -= held.tokens
                account.held_usd = max(0.0, account.held_usd - held.usd)
                account.tokens += tokens
                account.usd += usd
