"""Answers that are none of the Messages API, and calls that do not end: a sentence, and booked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.gateway import gateway as module
from mlagent.gateway.gateway import Refused, Unavailable
from mlagent.gateway.meter import BudgetSpent, Caps
from mlagent.gateway.service import AnthropicService
from mlagent.testing.messages_api import Breaks, MessagesApi, Raw, messages_api, says
from tests.gateway.test_gateway import KEY, Bench

USED = {"input_tokens": 9, "output_tokens": 1}
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USED,
    },
}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
ENDED = {"stop_reason": "end_turn", "stop_sequence": None}


def lines(*events: Any) -> Raw:
    """Events as a stream; text stands for the data of an event as it is."""
    found = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        kind = event["type"] if isinstance(event, dict) else "message_delta"
        found.append(f"event: {kind}\ndata: {data}\n\n")
    return Raw("".join(found).encode())


def whole(usage: Any, more: Any) -> Raw:
    """A whole answer that says that it used this."""
    message: dict[str, Any] = {**START["message"], "usage": usage}  # type: ignore[dict-item]
    delta = {"type": "message_delta", "delta": ENDED, "usage": more}
    return lines({"type": "message_start", "message": message}, delta, {"type": "message_stop"})


def text(delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


OUT = {"output_tokens": 1}


def with_block(block: Any, *deltas: Any) -> Raw:
    """A whole answer with this block."""
    began = {"type": "content_block_start", "index": 0, "content_block": block}
    ended = {"type": "message_delta", "delta": ENDED, "usage": OUT}
    stop = {"type": "content_block_stop", "index": 0}
    return lines(START, began, *map(text, deltas), stop, ended, {"type": "message_stop"})


TOOL = {"type": "tool_use", "id": "t1", "name": "submit", "input": {}}
UNFIT = {
    "a page": (Raw(b"<html>login</html>", "text/html"), "text/html"),
    "nothing": (Raw(b"", "text/html"), "text/html"),
    "no content": (Raw(b"", "", 204), "no answer of the Messages API"),
    "a whole JSON": (Raw(b'{"content": []}', "application/json"), "application/json"),
    "no usage": (whole(None, OUT), "no answer of the Messages API"),
    "usage without input": (whole({"output_tokens": 1}, OUT), "input tokens: None"),
    "negative input": (whole({**USED, "input_tokens": -5}, OUT), "input tokens: -5"),
    "half a token": (whole({**USED, "input_tokens": 1.5}, OUT), "input tokens: 1.5"),
    "tokens as text": (whole({**USED, "input_tokens": "many"}, OUT), "input tokens: many"),
    "tokens without end": (whole({**USED, "input_tokens": 10**400}, OUT), "input tokens: 1000"),
    "negative output": (whole(USED, {"output_tokens": -1}), "output tokens: -1"),
    "no output": (whole(USED, {"output_tokens": None}), "does not say what it used"),
    "null for an event": (lines(START, "null"), "no answer of the Messages API"),
    "a list for an event": (lines(START, "[1]"), "no answer of the Messages API"),
    "no message": (
        lines({"type": "message_start", "message": None}),
        "no answer of the Messages API",
    ),
    "a block nobody began": (
        lines(START, text({"type": "text_delta", "text": "x"})),
        "no answer of the Messages API",
    ),
    "text before the start": (
        lines(text({"type": "text_delta", "text": "x"})),
        "no answer of the Messages API",
    ),
    "a block of no kind": (with_block({"text": "x"}), "a block of no kind"),
    "a text without its text": (with_block({"type": "text"}), "without 'text'"),
    "a text that is a number": (with_block({"type": "text", "text": 5}), "without 'text'"),
    "a tool without a name": (with_block({**TOOL, "name": None}), "without 'name'"),
    "a tool whose name is a list": (with_block({**TOOL, "name": ["x"]}), "without 'name'"),
    "a tool without an id": (with_block({**TOOL, "id": None}), "without 'id'"),
    "text that is null": (
        lines(START, TEXT, text({"type": "text_delta", "text": None})),
        "no answer of the Messages API",
    ),
}


@contextmanager
def answering(answer: Any) -> Iterator[MessagesApi]:
    with messages_api(lambda _: answer, keys=(KEY,)) as server:
        yield server


@pytest.mark.parametrize("what", UNFIT)
def test_what_is_no_answer_is_booked_and_not_asked_for_again(what: str, tmp_path: Path) -> None:
    answer, told = UNFIT[what]
    with answering(answer) as api:
        bench = Bench(api.url, tmp_path, Caps(usd=2))
        with closing(bench.service), pytest.raises(Unavailable) as caught:
            bench.ask()
        assert len(api.kept) == 1, "it would answer the same again"
    assert told in caught.value.message
    assert KEY not in caught.value.message
    (call,) = bench.log.calls()
    assert call.outcome == "possibly billed"
    assert call.usd > 0
    assert bench.meter.spent().usd == pytest.approx(call.usd)


def test_an_empty_stream_is_asked_for_again(tmp_path: Path) -> None:
    answers: list[Any] = [Raw(b""), [says("fine")]]
    with messages_api(lambda _: answers.pop(0), keys=(KEY,)) as api:
        bench = Bench(api.url, tmp_path, Caps(usd=2))
        with closing(bench.service):
            assert bench.ask().text == "fine"
    assert [call.outcome for call in bench.log.calls()] == ["possibly billed", "answered"]


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'{"input_tokens": -99999}', b'{"input_tokens": "many"}', b"null"]
)
def test_a_count_that_is_none_leaves_the_cap_as_it_is(body: bytes, tmp_path: Path) -> None:
    with answering([says("fine")]) as api:
        api.counting = Raw(body, "application/json")
        bench = Bench(api.url, tmp_path, Caps(tokens=200))
        with closing(bench.service), pytest.raises(BudgetSpent, match="the next call can take"):
            bench.ask()
        assert (api.kept, len(api.asked_to_count)) == ([], 1)


def test_a_count_without_end_is_not_believed(tmp_path: Path) -> None:
    with answering([says("fine")]) as api:
        api.counting = Raw(b'{"input_tokens": 1' + b"0" * 400 + b"}", "application/json")
        bench = Bench(api.url, tmp_path, Caps(tokens=200))
        with closing(bench.service), pytest.raises(BudgetSpent, match=r"can take 2,\d\d\d"):
            bench.ask()
        assert len(api.asked_to_count) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_is_sent_on_to_another_address(status: int, tmp_path: Path) -> None:
    with answering([says("not asked")]) as other:
        on = Raw(b"", "text/html", status, {"location": f"{other.url}/v1/messages"})
        with answering(on) as api:
            bench = Bench(api.url, tmp_path, Caps(usd=2))
            with closing(bench.service), pytest.raises(Refused) as caught:
                bench.ask()
            assert (len(api.kept), other.kept) == (1, [])
    assert f"{status}: {other.url}" in caught.value.message
    assert "ANTHROPIC_BASE_URL" in caught.value.remedy
    assert [call.outcome for call in bench.log.calls()] == ["refused"]
    assert bench.meter.spent().usd == 0


def test_a_stream_that_only_says_it_is_alive_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_CALL_S", 0.5)
    with answering(Breaks([says("fine")], "ping", after=1, seconds=30)) as api:
        bench = Bench(api.url, tmp_path, Caps(usd=2), clock=time.monotonic)
        begun = time.monotonic()
        with closing(bench.service), pytest.raises(Unavailable, match="no call may take more than"):
            bench.ask()
        assert time.monotonic() - begun < 10
    (call,) = bench.log.calls()
    assert (call.outcome, call.sent) == ("possibly billed", True)


def test_a_call_ends_when_its_time_is_used_up(tmp_path: Path) -> None:
    with answering(Breaks([says("fine")], "ping", after=1, seconds=30)) as api:
        begun = time.monotonic()
        bench = Bench(api.url, tmp_path, Caps(usd=2), clock=time.monotonic, cut_at=begun + 0.5)
        with closing(bench.service), pytest.raises(Unavailable, match="time for calls is used up"):
            bench.ask()
        assert time.monotonic() - begun < 10
    assert bench.log.bill("p").possibly.calls == 1


def test_an_address_where_nobody_listens_is_no_call_and_is_not_tried_for_long(
    tmp_path: Path,
) -> None:
    with answering([says("fine")]) as api:
        gone = api.url
    bench = Bench(gone, tmp_path, Caps(usd=2, calls=1))
    with closing(bench.service), pytest.raises(Unavailable, match="cannot be reached"):
        bench.ask()
    assert sum(bench.clock.slept) < module.UNREACHED_S
    assert len(bench.log.calls()) > 2, "each attempt is on disk"
    assert not any(call.sent for call in bench.log.calls())
    assert bench.log.bill("p").total.calls == bench.meter.spent().calls == 0


@pytest.mark.parametrize("file", ["/nonexistent", "/dev/null"])
def test_certificates_that_cannot_be_read_are_named(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", file)
    with pytest.raises(BadInput, match="certificates of the environment") as caught:
        AnthropicService({"ANTHROPIC_API_KEY": KEY})
    assert "SSL_CERT_FILE" in caught.value.remedy


DEEP = '{"a": ' * 40 + "1" + "}" * 40


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('{"x": NaN}', {"x": "nan"}),
        ('{"x": 1e999}', {"x": "inf"}),
        ('{"x": 123456789012345678901234567890}', {"x": "123456789012345678901234567890"}),
        (DEEP, None),
    ],
)
def test_an_odd_input_of_a_tool_is_kept_in_a_form_that_can_be_read_again(
    given: str, kept: Any, tmp_path: Path
) -> None:
    answer = with_block(TOOL, {"type": "input_json_delta", "partial_json": given})
    with answering(answer) as api:
        bench = Bench(api.url, tmp_path, Caps(usd=2))
        with closing(bench.service):
            first = bench.ask()
        again = Bench(api.url, tmp_path, Caps(usd=2))
        with closing(again.service):
            second = again.ask()
        assert len(api.kept) == 1, "the answer on disk is used"
    assert second.known
    assert second.content == first.content
    if kept is not None:
        assert first.content[0]["input"] == kept


def test_an_error_of_the_service_cannot_steer_a_terminal(tmp_path: Path) -> None:
    error = {"type": "error", "error": {"type": "x", "message": "\x1b[2Jgone\u202e"}}
    with answering(Raw(json.dumps(error).encode(), "application/json", 400)) as api:
        bench = Bench(api.url, tmp_path, Caps(usd=2))
        with closing(bench.service), pytest.raises(Refused) as refused:
            bench.ask()
    assert refused.value.message.isprintable()
    assert "gone" in refused.value.message
