"""The web server of `mlagent bot`: one address that GitHub posts to. Needs `mlagent[bot]`.

Guarantees, in this order: a body above 25 MB is refused while it is read; the signature is checked
on the raw bytes before anything is parsed; a delivery that came before is refused; the answer goes
out as soon as the job is stored. Does not: call GitHub, run anything, or terminate TLS: put a
reverse proxy before it.

| status | when |
|---:|---|
| 202 | a command is in the queue |
| 200 | `ping`, or nothing to do: edited comment, a bot's or its own comment, no command |
| 400 | no delivery id, no JSON, or a payload that does not fit its event |
| 401 | no signature, or one that does not hold |
| 403 | a repository that is not served |
| 408, 413 | the body came too slowly, or is above 25 MB |
| 409 | this delivery or this comment came before |
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json

from .events import Comment, Ignored, read_event
from .queue import Queue
from .signature import Verifier

PATH = "/webhook"
MOST_BYTES = 25 * 1000 * 1000
"""GitHub sends at most 25 MB."""
READ_S = 20.0
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
    """Ends a request with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def make_app(door: Door) -> FastAPI:
    """The application: POST /webhook and GET /health. No pages that describe it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.post(PATH)
    async def webhook(request: Request) -> JSONResponse:
        try:
            body = await _signed_body(request, door)
            return await _handle(request, body, door)
        except _Refused as refused:
            return _answer(refused.status, "refused", str(refused))

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"open_jobs": await run_in_threadpool(door.queue.open)})

    return app


def _answer(status: int, outcome: str, reason: str = "") -> JSONResponse:
    close = {"connection": "close"} if status in (401, 408, 413) else None
    return JSONResponse({"outcome": outcome, "reason": reason}, status_code=status, headers=close)


async def _signed_body(request: Request, door: Door) -> bytes:
    """The raw body, once its signature holds. Raises _Refused."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 18 or int(length) > door.most_bytes:
        raise _Refused(413, f"The body is larger than {door.most_bytes:,} bytes.")
    try:
        verifier = Verifier(door.secret, request.headers.get("x-hub-signature-256"))
    except BadInput as problem:
        raise _Refused(401, problem.message) from None
    pieces, size = [], 0
    try:
        async with asyncio.timeout(door.read_s):
            async for piece in request.stream():
                size += len(piece)
                if size > door.most_bytes:
                    raise _Refused(413, f"The body is larger than {door.most_bytes:,} bytes.")
                verifier.add(piece)
                pieces.append(piece)
    except TimeoutError:
        raise _Refused(408, f"The body did not come within {door.read_s:g} s.") from None
    if not verifier.holds():
        raise _Refused(401, "The signature does not fit the body.")
    return b"".join(pieces)


async def _handle(request: Request, body: bytes, door: Door) -> JSONResponse:
    """What to do with a body that GitHub signed. Raises _Refused."""
    delivery = request.headers.get("x-github-delivery", "")
    if not _DELIVERY.fullmatch(delivery):
        raise _Refused(400, "The request has no delivery id (X-GitHub-Delivery).")
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
