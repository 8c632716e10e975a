"""The attached output stream of a container: raw frames in, bytes out, closed before anything is
killed.

Closing first matters: an engine whose client stopped reading hangs on kill and remove (moby issue
41827).
"""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING, Any

from .drain import Drain

if TYPE_CHECKING:
    from docker import DockerClient

_HEADER = 8
_STDERR = 2


class Attached:
    """Both streams of one container. Open it before the container starts, or early output is
    lost.
    """

    def __init__(self, client: DockerClient, container: str) -> None:
        params = {"stdout": 1, "stderr": 1, "stream": 1, "logs": 0, "stdin": 0}
        self._wrapper: Any = client.api.attach_socket(container, params=params)
        self._socket: socket.socket = getattr(self._wrapper, "_sock", self._wrapper)
        self._buffer = bytearray()
        self._left, self._kind = 0, 0

    def read(self, drain: Drain, timeout_s: float) -> bool:
        """Feed what has come within `timeout_s`. False: the stream has ended. Raises OSError."""
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        if not ready:
            return True
        data = self._socket.recv(1 << 16)
        if not data:
            return False
        self._buffer += data
        while self._buffer:
            if not self._left:
                if len(self._buffer) < _HEADER:
                    break
                self._kind = self._buffer[0]
                self._left = int.from_bytes(self._buffer[4:_HEADER], "big")
                del self._buffer[:_HEADER]
                continue
            piece = bytes(self._buffer[: self._left])
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            drain.feed(piece, stdout=self._kind != _STDERR)
        return True

    def close(self) -> None:
        """Close the connection. Idempotent."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for opened in (self._wrapper, self._socket):
            with contextlib.suppress(OSError):
                opened.close()
        response = getattr(self._wrapper, "_response", None)
        if response is not None:
            with contextlib.suppress(Exception):
                response.close()
