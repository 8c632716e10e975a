"""A server on loopback that answers like a language model's API, from a script without a model.

Guarantees: speaks enough of `POST /v1/messages`, streamed and not, for Claude Code to run a session
against it, subagents included; every request is kept. Does not think: the script says what each
answer is.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

Block = dict[str, Any]
Script = Callable[[dict[str, Any]], list[Block]]
"""From the body of a request to the content blocks of the answer."""


def says(text: str) -> Block:
    """A text block."""
    return {"type": "text", "text": text}


def calls(tool: str, identifier: str, **given: Any) -> Block:
    """A tool call."""
    return {"type": "tool_use", "id": identifier, "name": tool, "input": given}


class MessagesApi(ThreadingHTTPServer):
    """The server. `seen`: the bodies of all requests for messages, in order."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.seen: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """For `ANTHROPIC_BASE_URL`."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def messages_api(script: Script) -> Iterator[MessagesApi]:
    """The server, running."""
    server = MessagesApi(script)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._reply(200, b"")

    def do_GET(self) -> None:
        self._reply(404, b"{}")

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        if self.path.split("?")[0] != "/v1/messages":
            self._reply(404, b"{}")
            return
        server = cast(MessagesApi, self.server)
        with server.lock:
            server.seen.append(body)
            number, blocks = len(server.seen), server.script(body)
        called = any(block["type"] == "tool_use" for block in blocks)
        stop = "tool_use" if called else "end_turn"
        message = {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", ""),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        if body.get("stream"):
            events = "".join(
                f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                for event in _events(message, blocks, stop)
            )
            self._reply(200, events.encode(), "text/event-stream")
        else:
            whole = {**message, "content": blocks, "stop_reason": stop}
            self._reply(200, json.dumps(whole).encode())

    def _reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _events(message: Block, blocks: list[Block], stop: str) -> Iterator[Block]:
    yield {"type": "message_start", "message": message}
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": stop, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}
