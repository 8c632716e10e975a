"""Models that think: what they refuse is not sent, and their thoughts go back as they came."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from mlagent.agents.tool_loop import mended_request
from mlagent.contracts.usage import Tokens
from mlagent.gateway.gateway import Reply
from mlagent.testing.messages_api import MessagesApi, calls, messages_api, says

TOOL = {"name": "look", "description": "d", "input_schema": {"type": "object"}}
ASK: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "max_tokens": 500,
    "tools": [TOOL],
    "messages": [{"role": "user", "content": "begin"}],
}
RESULT = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "seen"}],
}


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        return [says("so"), calls("look", "t1")] if len(body["messages"]) == 1 else [says("done")]

    with messages_api(answer) as server:
        yield server


@pytest.fixture
def client(api: MessagesApi) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="k", base_url=api.url, max_retries=0) as found:
        yield found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tool_choice": {"type": "any"}}, "forces tool use"),
        ({"tool_choice": {"type": "tool", "name": "look"}}, "forces tool use"),
        ({"thinking": {"type": "disabled"}}, "thinking.type.disabled"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "thinking.type.enabled"),
        (
            {"messages": [*ASK["messages"], {"role": "assistant", "content": "{"}]},
            "end with a user message",
        ),
    ],
)
def test_what_a_thinking_model_refuses(
    client: anthropic.Anthropic, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=said):
        client.messages.create(**{**ASK, **change})


def test_a_model_that_may_be_told_not_to_think_can_be_forced(client: anthropic.Anthropic) -> None:
    off = {"thinking": {"type": "disabled"}, "tool_choice": {"type": "any"}}
    quiet = client.messages.create(**{**ASK, "model": "claude-haiku-5-5", **off})
    assert [block.type for block in quiet.content] == ["text", "tool_use"]


def answered(client: anthropic.Anthropic) -> list[dict[str, Any]]:
    with client.messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    return [block.to_dict() for block in message.content]


def test_an_answer_begins_with_a_signed_thought(client: anthropic.Anthropic) -> None:
    first = answered(client)[0]
    assert first["type"] == "thinking"
    assert len(first["signature"]) == 64


def continued(content: list[dict[str, Any]], **change: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content}
    return {**ASK, **change, "messages": [*ASK["messages"], said, RESULT]}


def test_a_conversation_goes_on_with_its_thoughts_as_they_came(client: anthropic.Anthropic) -> None:
    found = client.messages.create(**continued(answered(client)))
    assert [block.type for block in found.content] == ["thinking", "text"]


def test_a_conversation_that_was_changed_is_refused(client: anthropic.Anthropic) -> None:
    content = answered(client)
    with pytest.raises(anthropic.BadRequestError, match="Expected `thinking`"):
        client.messages.create(**continued(content[1:]))
    with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
        client.messages.create(**continued(content, system="other rules"))
    forged = copy.deepcopy(content)
    forged[0]["signature"] = "0" * 64
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        client.messages.create(**continued(forged))


@pytest.mark.parametrize(
    ("came", "kept"),
    [
        (["thinking", "text"], ["thinking", "text"]),
        (["thinking", "text", "thinking"], ["thinking", "text"]),
        (["redacted_thinking"], "(no answer)"),
    ],
)
def test_no_message_that_goes_back_ends_with_a_thought(came: list[str], kept: Any) -> None:
    blocks = {
        "text": says("half"),
        "thinking": {"type": "thinking", "thinking": "", "signature": "s"},
        "redacted_thinking": {"type": "redacted_thinking", "data": "d"},
    }
    reply = Reply(tuple(blocks[kind] for kind in came), "max_tokens", Tokens(), 0.0)
    content = mended_request(ASK, reply, "it was cut")["messages"][1]["content"]
    assert content == kept or [block["type"] for block in content] == kept
