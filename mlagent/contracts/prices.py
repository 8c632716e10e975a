"""Prices of models: agents/prices.yaml, and what mlagent.yaml puts over it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Finite, Record
from .errors import BadInput
from .usage import Tokens

MILLION = 1_000_000


class Rates(Record):
    """US dollars for a million tokens."""

    input: Finite = Field(ge=0)
    output: Finite = Field(ge=0)
    cache_write: Finite = Field(ge=0)
    cache_read: Finite = Field(ge=0)

    def usd(self, tokens: Tokens) -> float:
        """What these tokens cost."""
        return (
            tokens.input * self.input
            + tokens.output * self.output
            + tokens.cache_write * self.cache_write
            + tokens.cache_read * self.cache_read
        ) / MILLION


class LongPrompt(Rates):
    """The rates of calls whose prompt, cached parts included, is longer than this."""

    above_tokens: int = Field(ge=1)


class ModelPrice(Rates):
    """One model. `max_output`: the most tokens of an answer, its thinking included."""

    max_output: int = Field(64_000, ge=1)
    thinks: bool = Field(
        False, description="requests say how much it thinks before it answers (`effort`)"
    )
    long_prompt: LongPrompt | None = None

    def cost(self, tokens: Tokens) -> float:
        """Dollars for one call with these tokens."""
        long = self.long_prompt
        if long is not None and tokens.prompt > long.above_tokens:
            return long.usd(tokens)
        return self.usd(tokens)

    def bound(self, prompt: int, answer: int) -> float:
        """The most that a call can cost: each token at the dearest rate that it may have.

        Args:
            prompt: at most so many tokens are sent, in the cache or not.
            answer: at most so many come back (`max_tokens`).
        """
        long = self.long_prompt
        steps: list[Rates] = [self]
        if long is not None and prompt > long.above_tokens:
            steps.append(long)
        return (
            max(
                prompt * max(step.input, step.cache_write, step.cache_read) + answer * step.output
                for step in steps
            )
            / MILLION
        )


class PriceTable(Record):
    """agents/prices.yaml, with what mlagent.yaml overrides."""

    schema_: Literal["mlagent/prices/v1"] = Field("mlagent/prices/v1", alias="schema")
    version: str
    source: str
    tiers: dict[Literal["fast", "balanced", "deep"], str] = Field(
        description="model_tier of a contract -> the model that mlagent.yaml does not name"
    )
    models: dict[str, ModelPrice]

    def of(self, model: str) -> ModelPrice:
        """The price of a model. Raises BadInput when it has none."""
        found = self.models.get(model)
        if found is None:
            raise BadInput(
                f"There is no price for the model {model!r}, so its calls cannot be metered.",
                remedy="Give one in mlagent.yaml: prices: {"
                f"{model}: {{input: ..., output: ..., cache_write: ..., cache_read: ...}}}}, in US "
                f"dollars for a million tokens. Known: {', '.join(self.models)}.",
            )
        return found
