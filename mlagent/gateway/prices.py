"""The price table: shipped, with the user's own prices over it.

Guarantees: a model without a price is an error, never free; a prompt above a threshold costs
the higher rates on every token of that call, as it is billed. Does not know discounts, batches or
regional surcharges: users override the table in mlagent.yaml.
"""

from __future__ import annotations

from mlagent.content import Content
from mlagent.contracts.prices import PriceTable
from mlagent.documents import read_record
from mlagent.settings import Settings

FILE = "agents/prices.yaml"


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
