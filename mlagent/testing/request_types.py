"""Whether a request fits the types of the anthropic SDK, strictly: an unknown field is a fault, as
for the real API. Says where and what; knows of what types cannot say that tool calls want their
results, and little more.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

import typing_extensions

PLAIN: dict[Any, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}
REQUIRED: tuple[Any, ...] = (typing.Required, typing_extensions.Required)
SCHEMA_WORDS = {"type", "properties", "required", "additionalProperties", "items", "enum", "const"}
SCHEMA_WORDS |= {"anyOf", "$ref", "$defs", "description", "title", "default"}
"""Of JSON Schema, what the vendor's guide to structured outputs takes, as far as we use it."""
WRAPPERS = (*REQUIRED, typing.NotRequired, typing_extensions.NotRequired, typing.Annotated)


def fault(value: Any, wanted: Any, where: str = "") -> str | None:
    """A sentence on the first thing that does not fit, or None."""
    origin: Any = get_origin(wanted)
    if origin in WRAPPERS:
        return fault(value, get_args(wanted)[0], where)
    if wanted is Any or wanted is object:
        return None
    if wanted is None or wanted is type(None):
        return None if value is None else _wrong(value, "null", where)
    if origin in (typing.Union, types.UnionType):
        return _of_several(value, get_args(wanted), where)
    if origin in (typing.Literal, typing_extensions.Literal):
        allowed = get_args(wanted)
        return None if value in allowed else _wrong(value, f"one of {allowed}", where)
    if typing_extensions.is_typeddict(wanted):
        return _of_map(value, wanted, where)
    plain = PLAIN.get(wanted)
    if plain is not None:
        right = isinstance(value, plain) and (wanted is bool) == isinstance(value, bool)
        return None if right else _wrong(value, wanted.__name__, where)
    if origin is dict or (origin is not None and issubclass(origin, Mapping)):
        if not isinstance(value, dict):
            return _wrong(value, "an object", where)
        inner = get_args(wanted)[1]
        return _first(fault(part, inner, f"{where}.{key}") for key, part in value.items())
    if origin is not None and issubclass(origin, Iterable):
        if not isinstance(value, list):
            return _wrong(value, "an array", where)
        inner = get_args(wanted)[0]
        return _first(fault(part, inner, f"{where}[{i}]") for i, part in enumerate(value))
    if get_args(wanted) and isinstance(value, list):  # SequenceNotStr[str]
        inner = get_args(wanted)[0]
        return _first(fault(part, inner, f"{where}[{i}]") for i, part in enumerate(value))
    return _wrong(value, str(wanted), where)


def _of_map(value: Any, wanted: Any, where: str) -> str | None:
    if not isinstance(value, dict):
        return _wrong(value, "an object", where)
    hints: dict[str, Any] = typing_extensions.get_type_hints(wanted, include_extras=True)
    for key in value:
        if key not in hints:
            return f"{where}.{key}: Extra inputs are not permitted".lstrip(".")
    needed = {key for key, hint in hints.items() if get_origin(hint) in REQUIRED}
    for key in sorted(needed | wanted.__required_keys__):  # the SDK's own annotations are texts
        if key not in value:
            return f"{where}.{key}: Field required".lstrip(".")
    return _first(fault(part, hints[key], f"{where}.{key}") for key, part in value.items())


def _of_several(value: Any, choices: tuple[Any, ...], where: str) -> str | None:
    """Fits one of them; else the fault of the choice whose `type` is the value's, or the last."""
    found = None
    for choice in choices:
        problem = fault(value, choice, where)
        if problem is None:
            return None
        if found is None or _same_type(value, choice):
            found = problem
    return found


def _same_type(value: Any, choice: Any) -> bool:
    if not (isinstance(value, dict) and typing_extensions.is_typeddict(choice)):
        return False
    hint = typing_extensions.get_type_hints(choice).get("type")
    return value.get("type") in get_args(hint)


def _first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem), None)


def _wrong(value: Any, wanted: str, where: str) -> str:
    return f"{where.lstrip('.')}: {str(value)[:60]!r} is not {wanted}"


def malformed(body: Any, *, counting: bool = False) -> str | None:
    """Why the real API would not take this body; None when it would.

    Args:
        counting: it asks for the tokens of a prompt, not for an answer.
    """
    from anthropic.types import MessageCountTokensParams
    from anthropic.types import message_create_params as wanted

    kind: Any = wanted.MessageCreateParamsNonStreaming
    if counting:
        kind = MessageCountTokensParams
    elif isinstance(body, dict) and body.get("stream"):
        kind = wanted.MessageCreateParamsStreaming
    problem = fault(body, kind)
    if problem is None and not counting and body["max_tokens"] < 1:
        return "max_tokens: must be at least 1"
    if problem is None and (not body["messages"] or body["messages"][0]["role"] != "user"):
        return "messages: first message must use the user role"
    return problem or _unanswered(body["messages"]) or _of_form(body)


def _of_form(body: dict[str, Any]) -> str | None:
    """What the schema of a structured answer may not hold: limits, open objects, unknown words."""
    form = (body.get("output_config") or {}).get("format") or {}
    return _of_schema(form["schema"], "output_config.format.schema") if form else None


def _of_schema(schema: Any, where: str) -> str | None:
    if not isinstance(schema, dict):
        return f"{where}: a schema is an object"
    if strange := set(schema) - SCHEMA_WORDS:
        return f"{where}: For '{schema.get('type')}' type, '{min(strange)}' is not supported"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return f"{where}: For 'object' type, 'additionalProperties' must be explicitly false"
    named = [*schema.get("properties", {}).items(), *schema.get("$defs", {}).items()]
    parts = [(f"{where}.{name}", part) for name, part in named]
    parts += [(f"{where}.anyOf", part) for part in schema.get("anyOf", ())]
    if "items" in schema:
        parts.append((f"{where}.items", schema["items"]))
    return _first(_of_schema(part, place) for place, part in parts)


def _unanswered(messages: list[dict[str, Any]]) -> str | None:
    """Tool calls and their results belong together: a result for each call, in the next message."""
    for n, message in enumerate(messages):
        called, answered = _ids(message, "tool_use", "id"), set[str]()
        if n + 1 < len(messages):
            answered = _ids(messages[n + 1], "tool_result", "tool_use_id")
        if missing := called - answered:
            return f"messages.{n}: `tool_use` ids without `tool_result`: {min(missing)}"
        if strange := answered - called:
            return f"messages.{n + 1}: `tool_result` without its `tool_use`: {min(strange)}"
        parts = message["content"]
        if any(part.get("type") == "text" and not part["text"].strip() for part in _blocks(parts)):
            return f"messages.{n}: text content blocks must be non-empty"
    return None


def _ids(message: dict[str, Any], kind: str, key: str) -> set[str]:
    return {part[key] for part in _blocks(message["content"]) if part.get("type") == kind}


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [] if isinstance(content, str) else content
