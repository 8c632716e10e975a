"""A server on loopback that answers like a language model's API, from a script without a model.

For tests of code that speaks to `POST /v1/messages`, yours too: point ANTHROPIC_BASE_URL at `url`.
Guarantees: every request is kept; unless `strict` is off, each is held to the SDK's own types, and
an unknown or malformed field is a 400, as with the real API; tokens are counted (four bytes each)
and cached prefixes are remembered, so that bills can be checked; models that think answer with a
block that is signed for what stood before it; it misbehaves when the script says so. Does not
really think: the script says what each answer is, and thoughts are empty and cost nothing.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from .request_types import malformed
from .thinking import forged_thought, not_for_a_thinker, thinks, thought

Block = dict[str, Any]
BYTES_PER_TOKEN = 4
LEAST_CACHED = 1_024
"""A shorter prefix is not cached, as with the real API."""
PING_S, POLL_S = 0.1, 0.02


@dataclass(frozen=True)
class Says:
    """An answer with its stop reason (max_tokens, refusal ...); None is chosen by the blocks."""

    blocks: list[Block]
    stop_reason: str | None = None


@dataclass(frozen=True)
class Fails:
    """An answer that is an error of the service, such as 429, 500 or 529."""

    status: int
    kind: str = "api_error"
    message: str = "the script says so"
    retry_after: str | None = None


@dataclass(frozen=True)
class Breaks:
    """An answer that goes wrong in its middle.

    Attributes:
        how: cut (the connection closes before a byte of the answer), drop (it closes), error (an
            error event), stall (silence for `seconds`, then it closes), ping (for `seconds` it says
            that it is alive, then it closes), garble (a line that is no JSON), end (it ends early,
            in good order).
        after: so many events are sent before.
    """

    blocks: list[Block]
    how: str
    after: int = 3
    seconds: float = 0.0


@dataclass(frozen=True)
class Raw:
    """These bytes as they are, such as the page of a proxy, or events that are none."""

    body: bytes
    content_type: str = "text/event-stream"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Scripted = list[Block] | Says | Fails | Breaks | Raw
Script = Callable[[dict[str, Any]], Scripted]
"""From the body of a request to its answer. Called by one thread at a time."""


def says(text: str) -> Block:
    """A text block."""
    return {"type": "text", "text": text}


def calls(tool: str, identifier: str, **given: Any) -> Block:
    """A tool call."""
    return {"type": "tool_use", "id": identifier, "name": tool, "input": given}


@dataclass
class Counted:
    """What one answered request took, as it is billed."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int = 0


@dataclass
class Kept:
    """A request as it came: its body, the bytes, the key, and what its answer took."""

    body: dict[str, Any]
    data: bytes
    key: str
    counted: Counted | None = None


class MessagesApi(ThreadingHTTPServer):
    """The server.

    Attributes:
        seen: the bodies of all requests for messages, in order.
        kept: the same with their bytes; of those that were refused as well.
        asked_to_count: requests for the tokens of a prompt, which are no answers, in order.
        counting: the answer to a question for the tokens of a prompt, instead of their number.
    """

    daemon_threads = True

    def __init__(
        self,
        script: Script,
        *,
        strict: bool = True,
        keys: tuple[str, ...] = (),
        models: tuple[str, ...] = (),
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.strict, self.keys, self.models = script, strict, keys, models
        self.seen: list[dict[str, Any]] = []
        self.kept: list[Kept] = []
        self.asked_to_count: list[Kept] = []
        self.counting: Raw | None = None
        self.lock = threading.Lock()
        self._cached: set[str] = set()

    @property
    def url(self) -> str:
        """For `ANTHROPIC_BASE_URL`."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def refusal(self, body: Any, key: str, *, counting: bool = False) -> Fails | None:
        """Why the real API would not take this request.

        Args:
            counting: it only asks for the tokens of its prompt.
        """
        if self.keys and key not in self.keys:
            return Fails(401, "authentication_error", "invalid x-api-key")
        if self.strict and (problem := malformed(body, counting=counting)):
            return Fails(400, "invalid_request_error", problem)
        if self.strict and (problem := not_for_a_thinker(body) or forged_thought(body)):
            return Fails(400, "invalid_request_error", problem)
        if self.models and body.get("model") not in self.models:
            return Fails(404, "not_found_error", f"model: {body.get('model')}")
        return None

    def prompt_tokens(self, body: dict[str, Any]) -> int:
        """Tokens of a whole prompt. Caches nothing."""
        return max(1, sum(len(text) for text, _ in _prompt_parts(body)) // BYTES_PER_TOKEN)

    def count(self, body: dict[str, Any]) -> Counted:
        """Tokens of a prompt, its cached prefix apart."""
        parts = _prompt_parts(body)
        whole = sum(len(text) for text, _ in parts)
        prefix, cached, last = hashlib.sha256(), 0, 0
        read = written = 0
        for text, marked in parts:
            prefix.update(text)
            last += len(text)
            if marked and last // BYTES_PER_TOKEN >= LEAST_CACHED:
                digest = f"{body.get('model')} {prefix.hexdigest()}"
                if digest in self._cached:
                    read, written = last // BYTES_PER_TOKEN, 0
                else:
                    self._cached.add(digest)
                    written = last // BYTES_PER_TOKEN - read
                cached = last
        return Counted(max(1, (whole - cached) // BYTES_PER_TOKEN), written, read)


@contextmanager
def messages_api(
    script: Script,
    *,
    strict: bool = True,
    keys: tuple[str, ...] = (),
    models: tuple[str, ...] = (),
) -> Iterator[MessagesApi]:
    """The server, running.

    Args:
        strict: hold each request to the SDK's types, and to what models that think refuse.
        keys: keys that are valid; any when empty.
        models: models that exist; any when empty.
    """
    server = MessagesApi(script, strict=strict, keys=keys, models=models)
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _prompt_parts(body: dict[str, Any]) -> list[tuple[bytes, bool]]:
    """The prompt in the order in which it is cached, and whether a cached prefix may end there."""
    parts: list[tuple[bytes, bool]] = []

    def add(part: Any) -> None:
        marked = isinstance(part, dict) and bool(part.get("cache_control"))
        plain = {k: v for k, v in part.items() if k != "cache_control"} if marked else part
        parts.append((json.dumps(plain, sort_keys=True).encode(), marked))

    for tool in body.get("tools", ()):
        add(tool)
    system = body.get("system", ())
    for part in [system] if isinstance(system, str) else system:
        add(part)
    for message in body.get("messages", ()):
        content = message["content"]
        for part in [content] if isinstance(content, str) else content:
            add(part)
    return parts


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
        data = self.rfile.read(length)
        path, server = self.path.split("?")[0], cast(MessagesApi, self.server)
        try:
            body = json.loads(data or b"{}")
        except ValueError:
            self._fail(Fails(400, "invalid_request_error", "the body is no JSON"))
            return
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        key = self.headers.get("x-api-key") or bearer  # the SDK sends one or the other
        if path == "/v1/messages/count_tokens":
            with server.lock:
                server.asked_to_count.append(Kept(body, data, key))
                refused = server.refusal(body, key, counting=True)
                total = 0 if refused is not None else server.prompt_tokens(body)
            if server.counting is not None:
                self._raw(server.counting)
            elif refused is not None:
                self._fail(refused)
            else:
                self._reply(200, json.dumps({"input_tokens": total}).encode())
            return
        if path != "/v1/messages":
            self._reply(404, b"{}")
            return
        with server.lock:
            kept = Kept(body, data, key)
            server.kept.append(kept)
            refused = server.refusal(body, key)
            if refused is None:
                server.seen.append(body)
                number, answer = len(server.seen), server.script(body)
                if not isinstance(answer, Fails | Raw):
                    kept.counted = server.count(body)
        if refused is not None:
            self._fail(refused)
        elif isinstance(answer, Fails):
            self._fail(answer)
        elif isinstance(answer, Raw):
            self._raw(answer)
        else:
            self._answer(body, number, answer, cast(Counted, kept.counted))

    def _answer(
        self, body: dict[str, Any], number: int, answer: list[Block] | Says | Breaks, took: Counted
    ) -> None:
        blocks = answer if isinstance(answer, list) else answer.blocks
        took.output_tokens = max(1, len(json.dumps(blocks)) // BYTES_PER_TOKEN)
        if thinks(body):
            blocks = thought(body, blocks)
        called = any(block["type"] == "tool_use" for block in blocks)
        stop = "tool_use" if called else "end_turn"
        if isinstance(answer, Says) and answer.stop_reason is not None:
            stop = answer.stop_reason
        message = {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", ""),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**vars(took), "output_tokens": 1},
        }
        if not body.get("stream"):
            whole = {**message, "content": blocks, "stop_reason": stop, "usage": vars(took)}
            self._reply(200, json.dumps(whole).encode())
            return
        events = list(_events(message, blocks, stop, took.output_tokens))
        if isinstance(answer, Breaks):
            self._break(answer, events)
        else:
            self._reply(200, "".join(map(_line, events)).encode(), "text/event-stream")

    def _break(self, how: Breaks, events: list[Block]) -> None:
        """Send some events, then go wrong. The length is not said, so a close is an end."""
        if how.how == "cut":
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # the client may have had enough
            for event in events[: how.after]:
                self._chunk(_line(event))
            if how.how == "error":
                wrong = {"type": "overloaded_error", "message": "Overloaded"}
                self._chunk(_line({"type": "error", "error": wrong}))
            elif how.how == "garble":
                self._chunk('event: content_block_delta\ndata: {"type": "content_bl\n\n')
            elif how.how == "stall":
                time.sleep(how.seconds)
            elif how.how == "ping":
                until = time.monotonic() + how.seconds
                while time.monotonic() < until:
                    self._chunk(_line({"type": "ping"}))
                    time.sleep(PING_S)
            if how.how in ("error", "end", "garble"):
                self._chunk("")
        if how.how in ("drop", "stall", "ping"):
            self.connection.close()

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _fail(self, how: Fails) -> None:
        error = {"type": "error", "error": {"type": how.kind, "message": how.message}}
        more = {} if how.retry_after is None else {"retry-after": how.retry_after}
        self._reply(how.status, json.dumps(error).encode(), more=more)

    def _raw(self, how: Raw) -> None:
        self._reply(how.status, how.body, how.content_type, how.headers)

    def _reply(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("request-id", "req_scripted")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _line(event: Block) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _events(message: Block, blocks: list[Block], stop: str, output: int) -> Iterator[Block]:
    yield {"type": "message_start", "message": message}
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        elif block["type"] == "thinking":
            start = {**block, "signature": ""}
            delta = {"type": "signature_delta", "signature": block["signature"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": stop, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": output}}
    yield {"type": "message_stop"}
