"""How the scripted server treats models that think: what they refuse, and thoughts that are signed.

Guarantees: a request that such a model's real API refuses is refused here (a forced tool, a switch
or a budget for thinking, an answer that is begun for it); a thought that comes
back is held to everything that stood before it, and one of an answer with tools must come back.
Source: the vendor's migration guides for the models of 2026. Does not think.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

Block = dict[str, Any]
ALWAYS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5", "claude-mythos-5")
BY_DEFAULT = ("claude-haiku-5-5", "claude-opus-5", "claude-sonnet-5")
"""Prefixes of ids. These can be told not to think."""


def thinks(body: dict[str, Any]) -> bool:
    """Whether the model of this request thinks before it answers."""
    model = str(body.get("model", ""))
    if model.startswith(ALWAYS):
        return True
    return model.startswith(BY_DEFAULT) and _kind(body) != "disabled"


def not_for_a_thinker(body: dict[str, Any]) -> str | None:
    """Why a model that thinks would not take this request."""
    model = str(body.get("model", ""))
    if not model.startswith(ALWAYS + BY_DEFAULT):
        return None
    if _kind(body) == "enabled" or (_kind(body) == "disabled" and model.startswith(ALWAYS)):
        return f'"thinking.type.{_kind(body)}" is not supported for this model.'
    if thinks(body) and (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        return "tool_choice: Thinking may not be enabled when tool_choice forces tool use."
    if body["messages"][-1]["role"] == "assistant":
        return "messages: the conversation must end with a user message."
    return None


def thought(body: dict[str, Any], blocks: list[Block]) -> list[Block]:
    """The blocks of an answer, with a thought before them that is bound to what was asked."""
    made = [block for block in blocks if block["type"] != "thinking"]  # a cassette has its own
    return [_thought(_prefix(body, len(body["messages"]))), *made]


def forged_thought(body: dict[str, Any]) -> str | None:
    """Why the thoughts in a conversation would not be taken back."""
    for n, message in enumerate(body["messages"]):
        content = message["content"]
        if message["role"] != "assistant" or isinstance(content, str):
            continue
        kinds = [part["type"] for part in content]
        if kinds[-1] == "thinking":
            return f"messages.{n}: The final block in an assistant message cannot be `thinking`."
        if "tool_use" in kinds and "thinking" not in kinds and thinks(body):
            return f"messages.{n}.content.0.type: Expected `thinking`, but found `{kinds[0]}`."
        for i, part in enumerate(content):
            if part["type"] == "thinking" and part != _thought(_prefix(body, n)):
                return (
                    f"messages.{n}.content.{i}: Invalid `signature` in `thinking` block. The block "
                    "is bound to a different conversation."
                )
    return None


def _kind(body: dict[str, Any]) -> str:
    return str((body.get("thinking") or {}).get("type", ""))


def _thought(prefix: str) -> Block:
    return {"type": "thinking", "thinking": "", "signature": prefix}


def _prefix(body: dict[str, Any], messages: int) -> str:
    """Everything before a message; marks of the cache do not count."""
    before = [
        body.get("model"),
        body.get("system"),
        body.get("tools"),
        [_plain(message["content"]) for message in body["messages"][:messages]],
    ]
    return hashlib.sha256(json.dumps(_plain(before), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if name != "cache_control"}
    return value
