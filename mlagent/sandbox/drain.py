"""What a job prints, kept small while it runs.

Guarantees: memory stays bounded whatever the job prints; `on_line` gets sanitised lines of
stdout; `text()` is the sanitised head and tail of stdout and stderr together. Past the hard cap
`flooded` is true and the job is to be killed.
"""

from __future__ import annotations

from collections.abc import Callable

from .sanitize import clean, clean_line

HARD_CAP = 64
"""A job is killed for output when it printed this many times its `stdout_kb`."""
_LONGEST_LINE = 16_384


class Drain:
    """Collects both streams of one job.

    Args:
        keep_kb: kilobytes of head and tail that are kept (Limits.stdout_kb).
        on_line: gets each stdout line; a line longer than 16 KiB comes in pieces.
    """

    def __init__(self, keep_kb: int, on_line: Callable[[str], None] | None = None) -> None:
        self._half = max(1, keep_kb) * 512
        self._head, self._tail, self._line = bytearray(), bytearray(), bytearray()
        self._on_line = on_line
        self.total = 0
        self.flooded = False
        self._cap = max(1, keep_kb) * 1024 * HARD_CAP

    def feed(self, data: bytes, stdout: bool = True) -> None:
        """Take the next bytes of one stream."""
        self.total += len(data)
        self.flooded = self.flooded or self.total > self._cap
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        if len(self._tail) > 2 * self._half:
            del self._tail[: len(self._tail) - self._half]
        if stdout and self._on_line and not self.flooded:
            self._line += data
            *lines, rest = self._line.split(b"\n")
            self._line = bytearray(rest)
            for line in lines:
                self._emit(bytes(line))
            while len(self._line) > _LONGEST_LINE:
                self._emit(bytes(self._line[:_LONGEST_LINE]))
                del self._line[:_LONGEST_LINE]

    def close(self) -> None:
        """The stream ended: hand on a last line that had no newline."""
        if self._line:
            self._emit(bytes(self._line))
            self._line.clear()

    def text(self) -> str:
        """Head and tail, sanitised."""
        tail = bytes(self._tail[-self._half :])
        gap = self.total - len(self._head) - len(tail)
        middle = f"\n[... {gap} bytes left out ...]\n".encode() if gap > 0 else b""
        whole = bytes(self._head) + middle + tail
        return clean(whole.decode("utf-8", "replace"), len(whole) + 1)

    def _emit(self, raw: bytes) -> None:
        if self._on_line:
            self._on_line(clean_line(raw.decode("utf-8", "replace"), _LONGEST_LINE))
