"""The web server of `mlagent bot`: one address that GitHub posts to. Needs `mlagent[bot]`.

Guarantees, in this order: a body above 25 MB is refused by its length or while it is read, signed
or not, and an unsigned one is never kept; the signature is checked on the raw bytes before anything
is parsed; a delivery that came before is refused; the answer goes out as soon as the job is stored.
An answer before the body's end is sent at once, and what still comes is thrown away for a while, so
that the client can read it. Does not: call GitHub, run anything, or terminate TLS: put a reverse
proxy before it.

| status | when |
|---:|---|
| 202 | a command is in the queue |
| 200 | `ping`, or nothing to do: edited comment, a bot's or its own comment, no command |
| 400 | no delivery id or a malformed one, a form, no JSON, a payload that does not fit its event |
| 401 | no signature, or one that does not hold |
| 403 | a repository that is not served |
| 408, 413 | the body came too slowly, or is above 25 MB |
| 409 | this delivery or this comment came before |
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json

from .events import Comment, Ignored, read_event
from .queue import Queue
from .signature import Verifier

PATH = "/webhook"
MOST_BYTES = 25 * 1000 * 1000
"""GitHub sends at most 25 MB."""
FORM = "application/x-www-form-urlencoded"
"""GitHub's default for a new webhook."""
READ_S = 20.0
IN_MEMORY = 1_000_000
"""Bytes of a body that are held in memory before its signature holds; more of it waits on disk."""
LINGER_S = 5.0
LINGER_BODIES = 4
"""After an early answer this much is still taken in, in seconds and in largest bodies: a connection
that is closed on unread bytes is reset, and the client loses the answer."""
HEALTH = "/health"
_DELIVERY = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)


@dataclass(frozen=True)
class Door:
    """What the server needs to know.

    Attributes:
        own_id: user id of the account that answers; None when GitHub does not say.
        wake: called after a job was stored.
    """

    secret: bytes
    repositories: Collection[str]
    own_id: int | None
    queue: Queue
    wake: Callable[[], None]
    most_bytes: int = MOST_BYTES
    read_s: float = READ_S


class _Refused(Exception):
    """Ends a request with a status and a sentence. `early`: the body was not read to its end."""

    def __init__(self, status: int, sentence: str, *, early: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.early = status, early


class _Early(JSONResponse):
    """An answer before the request's end: sent whole, then the rest of the body is thrown away."""

    most_bytes: int = LINGER_BODIES * MOST_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._drain(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drain(self, receive: Receive) -> None:
        size, more = 0, True
        while more and size <= self.most_bytes:
            message = await receive()
            size += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)


def make_app(door: Door) -> FastAPI:
    """The application: POST /webhook and GET /health. No pages that describe it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.post(PATH)
    async def webhook(request: Request) -> JSONResponse:
        try:
            body = await _signed_body(request, door)
            return await _handle(request, body, door)
        except _Refused as refused:
            return _answer(refused.status, "refused", str(refused), early=refused.early)

    @app.get(HEALTH)
    async def health() -> JSONResponse:
        return JSONResponse({"open_jobs": await run_in_threadpool(door.queue.open)})

    return app


def _answer(status: int, outcome: str, reason: str = "", *, early: bool = False) -> JSONResponse:
    kind = _Early if early else JSONResponse
    close = {"connection": "close"} if early else None
    return kind({"outcome": outcome, "reason": reason}, status_code=status, headers=close)


async def _signed_body(request: Request, door: Door) -> bytes:
    """The raw body, once its signature holds. Raises _Refused."""
    length = request.headers.get("content-length")
    if length is not None:
        known = length.isdecimal() and len(length) <= 18
        if not known or int(length) > door.most_bytes:
            raise _too_large(door)
    verifier, unsigned = None, ""
    try:
        verifier = Verifier(door.secret, request.headers.get("x-hub-signature-256"))
    except BadInput as problem:
        unsigned = problem.message
        if length is not None:  # without one it may still turn out to be too large
            raise _Refused(401, unsigned, early=True) from None
    size = 0
    with SpooledTemporaryFile(max_size=IN_MEMORY) as kept:
        try:
            async with asyncio.timeout(door.read_s):
                async for piece in request.stream():
                    size += len(piece)
                    if size > door.most_bytes:
                        raise _too_large(door)
                    if verifier is not None:
                        verifier.add(piece)
                        kept.write(piece)
        except TimeoutError:
            said = f"The body did not come within {door.read_s:g} s."
            raise _Refused(408, said, early=True) from None
        if verifier is None:
            raise _Refused(401, unsigned)
        if not verifier.holds():
            raise _Refused(401, "The signature does not fit the body.")
        kept.seek(0)
        return kept.read()


def _too_large(door: Door) -> _Refused:
    return _Refused(413, f"The body is larger than {door.most_bytes:,} bytes.", early=True)


async def _handle(request: Request, body: bytes, door: Door) -> JSONResponse:
    """What to do with a body that GitHub signed. Raises _Refused."""
    delivery = request.headers.get("x-github-delivery", "")
    if not delivery:
        raise _Refused(400, "The request has no delivery id (X-GitHub-Delivery).")
    if not _DELIVERY.fullmatch(delivery):
        raise _Refused(
            400,
            f"The delivery id (X-GitHub-Delivery) {delivery[:80]!r} is none: GitHub sends a UUID; "
            "8 to 64 letters, digits and hyphens are taken.",
        )
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() == FORM:
        raise _Refused(
            400,
            f"The content type of this delivery is {FORM}; set it to application/json in the "
            'settings of the webhook ("Content type").',
        )
    event = request.headers.get("x-github-event", "")
    found = await run_in_threadpool(_read, event, body, door)
    if isinstance(found, Ignored):
        if await run_in_threadpool(door.queue.seen, delivery):
            raise _Refused(409, "This delivery came before.")
        if found.foreign:
            raise _Refused(403, found.reason)
        return _answer(200, "ignored", found.reason)
    if not await run_in_threadpool(door.queue.accept, delivery, found):
        raise _Refused(409, "This delivery, or this comment, came before.")
    door.wake()
    return _answer(202, "queued")


def _read(event: str, body: bytes, door: Door) -> Comment | Ignored:
    """The event as what it asks for. Raises _Refused."""
    try:
        payload = load_json(body.decode("utf-8"), "The payload")
        if event == "ping":
            return Ignored("pong")
        return read_event(event, payload, repositories=door.repositories, own_id=door.own_id)
    except UnicodeDecodeError:
        raise _Refused(400, "The payload is not UTF-8.") from None
    except BadInput as problem:
        raise _Refused(400, problem.message) from None
