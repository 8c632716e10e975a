"""An answer of the Messages API, as the SDK read it and as calls/ keeps it.

The SDK takes what came as it is, whatever its types. Guarantees: what leaves here can be written as
JSON and read again by `load_json`, its blocks have the texts that their kinds must have, and its
usage are counts that can be billed. Does not fetch anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlagent.contracts.usage import Tokens

MOST_TOKENS = 1_000_000_000
"""No call has so many: a number beyond it is none that could be billed."""
MOST_WHOLE, DEEPEST = 10**18, 20
"""A larger whole number, and a deeper nest, is refused where answer.json is read."""
TEXTS = {"text": ("text",), "tool_use": ("id", "name")}
"""What must be text in a block of this kind."""
UNFIT = (AssertionError, AttributeError, LookupError, OverflowError, RecursionError, TypeError)
"""What the SDK raises over JSON that is no event of the Messages API."""


class NotWhole(Exception):
    """What came is no whole answer.

    Attributes:
        again: another attempt may do better.
    """

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.message, self.again = message, again


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    content: tuple[dict[str, Any], ...]
    stop_reason: str
    tokens: Tokens
    model: str

    def as_json(self) -> dict[str, Any]:
        """For answer.json."""
        return {
            "content": list(self.content),
            "stop_reason": self.stop_reason,
            "tokens": self.tokens.model_dump(mode="json"),
            "model": self.model,
        }

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Answer:
        """From answer.json."""
        tokens = Tokens.model_validate(saved["tokens"])
        return cls(tuple(saved["content"]), saved["stop_reason"], tokens, saved["model"])


def answer_of(message: Any) -> Answer:
    """The SDK's Message as ours. Raises NotWhole, or one of UNFIT."""
    if message.stop_reason is None:
        raise NotWhole("the answer broke off before its end.", again=True)
    return Answer(
        tuple(_block(block) for block in message.content),
        str(message.stop_reason),
        tokens_of(message.usage),
        str(message.model),
    )


def tokens_of(usage: Any) -> Tokens:
    """The SDK's Usage as ours. Raises NotWhole where it is nothing that could be billed."""
    found = {
        "input": getattr(usage, "input_tokens", None),
        "cache_write": getattr(usage, "cache_creation_input_tokens", None) or 0,
        "cache_read": getattr(usage, "cache_read_input_tokens", None) or 0,
        "output": getattr(usage, "output_tokens", None),
    }
    for name, count in found.items():
        if type(count) is not int or not 0 <= count <= MOST_TOKENS:
            raise NotWhole(
                f"the answer does not say what it used ({name} tokens: {str(count)[:20]}).",
                again=False,
            )
    return Tokens(**found)


def read_count(tokens: Any) -> int | None:
    """Tokens of a prompt as the service counted them; None where that is no such number."""
    return tokens if type(tokens) is int and 0 < tokens <= MOST_TOKENS else None


def _block(block: Any) -> dict[str, Any]:
    """A block as JSON that can be written and read. Raises NotWhole where it is none of the API."""
    plain: dict[str, Any] = _plain(block.to_dict(mode="python", warnings=False))
    kind = plain.get("type")
    if not isinstance(kind, str):
        raise NotWhole("the answer has a block of no kind.", again=False)
    for name in TEXTS.get(kind, ()):
        if not isinstance(plain.get(name), str):
            raise NotWhole(f"the answer has a block {kind[:40]!r} without {name!r}.", again=False)
    return plain


def _plain(value: Any, depth: int = 0) -> Any:
    """A model may answer with half of a surrogate pair, with numbers that are none or that fit
    nowhere, and with deep nests: those become text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) >= MOST_WHOLE:
        return str(value)
    if isinstance(value, list | dict) and depth >= DEEPEST:
        return "(nested too deeply)"
    if isinstance(value, list):
        return [_plain(part, depth + 1) for part in value]
    if isinstance(value, dict):
        kept = {str(name): part for name, part in value.items() if part is not None}
        return {_plain(name): _plain(part, depth + 1) for name, part in kept.items()}
    return value
