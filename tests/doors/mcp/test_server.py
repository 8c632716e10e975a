"""The server object itself: what becomes of errors that nobody foresaw, and of long schemas."""

from __future__ import annotations

import json
import logging

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult

from mlagent.doors.mcp.answers import RunAnswer
from mlagent.doors.mcp.calls import answer, rounded
from mlagent.doors.mcp.server import APPROVAL, build, untitled


def test_an_error_that_nobody_foresaw_is_a_sentence_and_a_log_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def mlagent_broken() -> str:
        return str(1 // 0) + "a secret"

    async def main() -> CallToolResult:
        server = build()
        server.add_tool(mlagent_broken)
        async with Client(server) as client:
            return await client.call_tool("mlagent_broken", {})

    with caplog.at_level(logging.ERROR):
        done = anyio.run(main)
    assert done.is_error
    (part,) = done.content
    assert part.type == "text"
    assert part.text.startswith("mlagent_broken met an error that should not happen: ZeroDivision")
    assert "line" not in part.text
    assert "1 // 0" in caplog.text


def test_the_list_of_tools_is_short() -> None:
    """Clients that load every tool at the start pay for this: under 10,000 tokens."""

    async def main() -> str:
        tools = [item.model_dump(mode="json", exclude_none=True) for item in await tools_of()]
        return json.dumps(tools)

    async def tools_of() -> list[object]:
        return list(await build().list_tools())

    assert len(anyio.run(main)) < 30_000


def test_titles_go_and_a_property_called_title_stays() -> None:
    schema = {
        "title": "X",
        "type": "object",
        "properties": {"title": {"title": "Title", "type": "string"}},
        "$defs": {"title": {"title": "T", "anyOf": [{"title": "U", "type": "null"}]}},
    }
    assert untitled(schema) == {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "$defs": {"title": {"anyOf": [{"type": "null"}]}},
    }


def test_answers_leave_out_defaults_and_round_to_six_digits() -> None:
    record = RunAnswer(
        folder="f",
        roots_from="client",
        total=0,
        run="r",
        state="running",
        seconds=1.23456789,
        next="n",
    )
    done = answer(record, "one", "", "two")
    assert done.structured_content == {
        "folder": "f",
        "roots_from": "client",
        "total": 0,
        "run": "r",
        "state": "running",
        "seconds": 1.23457,
        "next": "n",
    }
    assert RunAnswer.model_validate(done.structured_content).seconds == 1.23457
    assert rounded({"a": [0.1234567891, 3, True, "x", None]}) == {
        "a": [0.123457, 3, True, "x", None]
    }


def test_approval_is_what_claude_code_reads() -> None:
    assert APPROVAL == {"anthropic/requiresUserInteraction": True}
