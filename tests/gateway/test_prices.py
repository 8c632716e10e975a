"""What a call can cost at the most, for any price that a user may write."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.contracts.prices import LongPrompt, ModelPrice
from mlagent.contracts.usage import Tokens
from mlagent.gateway.meter import BudgetSpent, Caps
from mlagent.testing.messages_api import messages_api, says
from tests.gateway.test_gateway import KEY, MODEL, PRICES, Bench

PLAIN = {"input": 2.0, "output": 10.0, "cache_write": 2.5, "cache_read": 0.2}


def price(long: dict[str, float] | None = None, above: int = 8_000, **own: float) -> ModelPrice:
    step = None if long is None else LongPrompt(**{**PLAIN, **long}, above_tokens=above)
    return ModelPrice(**{**PLAIN, **own}, max_output=1_000, long_prompt=step)


@pytest.mark.parametrize(
    "found",
    [
        price(),
        price(cache_read=900.0),
        price(input=900.0),
        price(long={"input": 5.0, "output": 30.0}),
        price(long={"input": 0.1, "output": 0.1, "cache_write": 0.1, "cache_read": 0.1}),
        price(long={"output": 0.1}),
        price(long={"cache_read": 900.0}, above=100),
    ],
)
def test_no_call_costs_more_than_its_bound(found: ModelPrice) -> None:
    for prompt in (1, 101, 5_000, 8_001, 20_000):
        bound = found.bound(prompt, 1_000)
        for sent in {1, prompt // 2, prompt}:
            for part in ("input", "cache_write", "cache_read"):
                tokens = Tokens(**{part: sent, "output": 1_000})
                assert found.cost(tokens) <= bound * (1 + 1e-12)
            mixed = Tokens(input=sent // 3, cache_read=sent // 3, cache_write=sent // 3, output=7)
            assert found.cost(mixed) <= bound


def test_a_dear_cache_does_not_pass_the_cap(tmp_path: Path) -> None:
    dear = PRICES.models[MODEL].model_copy(update={"cache_read": 900.0})
    with messages_api(lambda _: [says("fine")], keys=(KEY,)) as api:
        bench = Bench(api.url, tmp_path, Caps(usd=0.1))
        bench.meter.prices = PRICES.model_copy(update={"models": {MODEL: dear}})
        with closing(bench.service), pytest.raises(BudgetSpent, match=r"the next call can cost \$"):
            bench.ask()
        assert api.kept == []


def test_a_price_that_no_service_takes_is_refused(tmp_path: Path) -> None:
    with messages_api(lambda _: [says("fine")], keys=(KEY,)) as api:
        bench = Bench(api.url, tmp_path, Caps(usd=1.0))
        dear = PRICES.models[MODEL].model_copy(update={"output": 1e308})
        bench.meter.prices = PRICES.model_copy(update={"models": {MODEL: dear}})
        told = r"output is \$1e\+308 for a million tokens.*mlagent.yaml"
        with closing(bench.service), pytest.raises(BadInput, match=told):
            bench.ask()
        assert api.kept == []
