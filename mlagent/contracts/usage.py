"""What calls of a language model cost: tokens, dollars, and who made them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Finite, Record, Sha256

CallOutcome = Literal["answered", "refused", "failed", "possibly billed"]
"""answered: a whole answer with its usage. refused: the service did not take the request, nothing
is billed. failed: the service gave up on it before an answer began. possibly billed: it was sent
and no whole answer came, so its bound is booked."""


class Tokens(Record):
    """As the API reports them. `input` counts neither cache writes nor cache reads."""

    input: int = Field(0, ge=0)
    cache_write: int = Field(0, ge=0)
    cache_read: int = Field(0, ge=0)
    output: int = Field(0, ge=0)

    @property
    def prompt(self) -> int:
        """All tokens that were sent."""
        return self.input + self.cache_write + self.cache_read

    @property
    def total(self) -> int:
        """All tokens that were sent or answered."""
        return self.prompt + self.output

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            input=self.input + other.input,
            cache_write=self.cache_write + other.cache_write,
            cache_read=self.cache_read + other.cache_read,
            output=self.output + other.output,
        )


class Call(Record):
    """One call, as the run's bill holds it.

    Attributes:
        request_sha256: of the bytes that were sent as its body.
        tokens, usd: as billed; of one that is possibly billed, the bound that was reserved.
        seconds: from the first attempt to the end, waits between attempts included.
        sent: it left this machine; one that did not is no call in any sum.
    """

    n: int = Field(ge=0)
    agent: str
    purpose: str
    model: str
    outcome: CallOutcome
    request_sha256: Sha256
    tokens: Tokens
    usd: Finite = Field(ge=0)
    seconds: Finite = Field(ge=0)
    attempts: int = Field(ge=1)
    sent: bool = True
    stop_reason: str | None = None
    why: str = ""


class Spent(Record):
    """A sum over calls."""

    calls: int = Field(0, ge=0)
    tokens: Tokens = Tokens()
    usd: Finite = Field(0.0, ge=0)


class Bill(Record):
    """What a run, or a plan, cost.

    Attributes:
        prices: version of the price table that it was computed with.
        possibly: the part of `total` that was sent without an answer, at its bound.
    """

    schema_: Literal["mlagent/bill/v1"] = Field("mlagent/bill/v1", alias="schema")
    prices: str
    total: Spent
    possibly: Spent
    by_agent: dict[str, Spent]
    by_model: dict[str, Spent]
    calls: tuple[Call, ...]
