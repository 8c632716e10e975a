"""The language model that an agent gets: its id, and what a request to it says beside the question.

Guarantees: no request forces a tool or forbids thinking: models that think always refuse both. Does
not know prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Effort = Literal["low", "medium", "high"]


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        thinks: it takes `output_config.effort`: how much it thinks before it answers.
        max_output: the most tokens of an answer, its thinking included.
    """

    id: str
    thinks: bool = False
    max_output: int = 64_000

    def request(self, effort: Effort, most: int) -> dict[str, Any]:
        """The first fields of a request. `most`: tokens of the answer, its thinking included."""
        found: dict[str, Any] = {"model": self.id, "max_tokens": min(most, self.max_output)}
        if self.thinks:
            found["output_config"] = {"effort": effort}
        return found
