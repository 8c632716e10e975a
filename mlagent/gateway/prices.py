"""The price table: shipped, with the user's own prices over it.

Guarantees: a model without a price is an error, never free; a prompt above a threshold costs
the higher rates on every token of that call, as it is billed; a price that no service takes is
refused, for no cap could be held to it. Does not know discounts, batches or
regional surcharges: users override the table in mlagent.yaml.
"""

from __future__ import annotations

from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.prices import PriceTable, Rates
from mlagent.documents import read_record
from mlagent.settings import Settings

FILE = "agents/prices.yaml"
MOST_USD = 100_000.0
"""For a million tokens. The dearest price of the shipped table is 50."""


def load_prices(content: Content, settings: Settings) -> PriceTable:
    """The shipped table with the prices and models of mlagent.yaml over it. Raises BadInput."""
    shipped = read_record(PriceTable, content.text(FILE), FILE, format="yaml")
    own = settings.prices
    version = f"{shipped.version} and {len(own)} of mlagent.yaml" if own else shipped.version
    return shipped.model_copy(
        update={
            "version": version,
            "models": {**shipped.models, **own},
            "tiers": {**shipped.tiers, **settings.models},
        }
    )


def check_price(model: str, rates: Rates) -> None:
    """Raises BadInput for a price that cannot be one."""
    for name in ("input", "output", "cache_write", "cache_read"):
        if (usd := getattr(rates, name)) > MOST_USD:
            raise BadInput(
                f"The price of the model {model!r} cannot be right: {name} is ${usd:g} for a "
                f"million tokens, and at most ${MOST_USD:,.0f} is taken.",
                remedy="Correct `prices` in mlagent.yaml: US dollars for a million tokens.",
            )
    if (long := getattr(rates, "long_prompt", None)) is not None:
        check_price(f"{model}, long_prompt", long)
