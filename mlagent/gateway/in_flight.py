"""One request on its way: whether its body left this machine, and how to end it from outside.

A thread of its own reads the answer, for a model that thinks may say nothing for minutes.
Guarantees: once `cut`, no body leaves, the thread that reads wakes and ends, and it holds nothing
of the caller's any longer (what a thread holds at exit is never closed: tables, for one). A name
that is being looked up and a connection that is being made are not woken: they end by their own
timeout, and then send nothing.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from mlagent.contracts.errors import Interrupted

T = TypeVar("T")
NOTICED_S = 0.2
"""Within so many seconds a stop is noticed, also while a stream says nothing."""
LEAVES_S = 0.3
"""So long the thread that reads is waited for, once its connection was ended."""

HEADERS, BODY = ".send_request_headers.started", ".send_request_body.started"
PROXY = b"CONNECT"
"""The method of a request for a proxy, which holds nothing of ours."""


class Cut(Exception):
    """Nobody waits for this request any more."""


class InFlight:
    """A request, as both threads know it.

    Args:
        on_body: told the body just before the request leaves.
        on_text: told how many characters the answer has so far.

    Attributes:
        left: its body began to leave: from here on it may be billed.
        begun: its answer began.
        came_as: content type of the answer.
        problem: what `on_body` raised.
    """

    def __init__(
        self,
        on_body: Callable[[bytes], None],
        on_text: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> None:
        self.left = self.begun = False
        self.came_as = ""
        self.problem: Exception | None = None
        self._body = b""
        self._on_body, self._on_text, self._stop = on_body, on_text, stop
        self._socket: socket.socket | None = None
        self._cut = False
        self._lock = threading.Lock()

    def board(self, request: Any) -> None:
        """A hook of the HTTP client, before it connects: follow this request from here on."""
        self._body = request.read()
        request.extensions = {**request.extensions, "trace": self._on_event}

    def _on_event(self, event: str, facts: dict[str, Any]) -> None:
        """What the HTTP client does, step by step, in the thread that reads."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = facts["return_value"]
            with self._lock:
                self._socket = stream.get_extra_info("socket")
                if self._cut:
                    stream.close()
                    raise Cut
        elif event.endswith(HEADERS) and facts["request"].method != PROXY:
            self._leave()
        elif event.endswith(BODY) and facts["request"].method != PROXY:
            with self._lock:
                if self._cut:
                    raise Cut
                self.left = True

    def _leave(self) -> None:
        """Before the first byte."""
        with self._lock:
            if self._cut:
                raise Cut
            try:
                self._on_body(self._body)
            except Exception as problem:
                self.problem = problem
                raise

    def text(self, characters: int) -> None:
        """The answer has so many characters by now."""
        self._on_text(characters)

    def stopped(self) -> bool:
        """The user stopped it, or nobody waits for it."""
        return self._cut or self._stop()

    def wait(self, work: Callable[[], T]) -> T:
        """What `work` gives, read by a thread of its own. `work` holds nothing of the caller's.

        Raises:
            Interrupted: `stop` said so.
            Exception: what `work` raised.
        """
        came: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def read() -> None:
            try:
                came.put((work(), None))
            except BaseException as problem:  # handed to the one who waits
                came.put((None, problem))

        reader = threading.Thread(target=read, name="in_flight", daemon=True)
        try:
            reader.start()
            while True:
                try:
                    found, problem = came.get(timeout=NOTICED_S)
                except queue.Empty:
                    if self._stop():
                        raise Interrupted("Stopped in the middle of an answer.") from None
                    continue
                break
        except BaseException:  # a second Ctrl-C too
            self.cut()
            reader.join(LEAVES_S)
            raise
        if problem is not None:
            raise problem
        return found  # type: ignore[return-value]

    def cut(self) -> None:
        """End it now: wake the thread that reads, and hold nothing for it."""
        with self._lock:
            self._cut = True
            self._on_body, self._on_text, self._stop = _ignore, _ignore, _always
            if self._socket is not None:
                with suppress(OSError):  # the plain one: TLS would wait for its peer
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _ignore(_: object) -> None:
    """Nobody listens."""


def _always() -> bool:
    return True
