"""journal.jsonl: append-only events, each hashed together with the hash before it.

Guarantees: an event is on disk before `append` returns; an exception that comes from elsewhere in
the middle of `append` (a second Ctrl-C) leaves a chain that the next event continues; a changed,
removed or reordered line is found by `read_journal`. Does not guarantee that the whole file was not
replaced: for that the head stands in the manifest and in the last printed line of the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from mlagent.contracts.errors import BadInput
from mlagent.contracts.run import JournalEvent

START = "0" * 64


def _hash(body: dict[str, Any]) -> str:
    line = json.dumps(body, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return hashlib.sha256(line.encode()).hexdigest()


class FileJournal:
    """One run's journal. Opening an existing one continues its chain (after checking it).

    Args:
        path: journal.jsonl.
        clock: seconds, monotonic.
        now: wall clock for `at`.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        earlier = read_journal(path) if path.exists() else []
        self.path = path
        self.head = earlier[-1].hash if earlier else START
        self.count = len(earlier)
        self._offset = earlier[-1].elapsed_s if earlier else 0.0
        self._clock, self._now = clock, now
        self._start = clock()
        self._lock = Lock()
        if earlier:
            _drop_torn_line(path)
        self._file = path.open("ab", buffering=0)
        self._end = path.stat().st_size

    def append(self, kind: str, /, **facts: Any) -> None:
        """Write one event, flushed and synced before returning."""
        with self._lock:
            self._append(kind, facts)

    def _append(self, kind: str, facts: dict[str, Any]) -> None:
        if os.fstat(self._file.fileno()).st_size != self._end:
            self._catch_up()
        body = {
            "n": self.count,
            "at": self._now().isoformat(timespec="milliseconds"),
            "elapsed_s": round(self._offset + self._clock() - self._start, 3),
            "kind": kind,
            "facts": facts,
            "previous": self.head,
        }
        body = json.loads(json.dumps(body, allow_nan=False))
        event = JournalEvent.model_validate({**body, "hash": _hash(body)})
        line = event.model_dump_json().encode() + b"\n"
        self._file.write(line)  # in one piece, so that it is there or not
        os.fsync(self._file.fileno())
        self.head, self.count, self._end = event.hash, self.count + 1, self._end + len(line)

    def _catch_up(self) -> None:
        """An event was written and not noted: an exception came between the two."""
        _drop_torn_line(self.path)
        earlier = read_journal(self.path)
        self.head = earlier[-1].hash if earlier else START
        self.count, self._end = len(earlier), self.path.stat().st_size

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def __enter__(self) -> FileJournal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _drop_torn_line(path: Path) -> None:
    """A kill in the middle of a write leaves a last line without newline: cut it off."""
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def read_journal(path: Path) -> list[JournalEvent]:
    """All events, with the chain checked. A torn last line (no newline) is left out.

    Raises:
        BadInput: a line was changed, removed or reordered; says which.
    """
    events: list[JournalEvent] = []
    previous = START
    lines = path.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        try:
            event = JournalEvent.model_validate_json(line)
        except ValidationError as problem:
            raise BadInput(
                f"{path}, line {number}: this is not a journal event "
                f"({problem.error_count()} errors).",
                remedy="The journal was edited or damaged; the run cannot be trusted or resumed.",
            ) from None
        body = event.model_dump(mode="json", exclude={"hash"})
        if event.n != number - 1 or event.previous != previous or event.hash != _hash(body):
            raise BadInput(
                f"{path}, line {number}: the hash chain is broken.",
                remedy="The journal was edited or damaged; the run cannot be trusted or resumed.",
            )
        previous = event.hash
        events.append(event)
    return events


def ended_by_bad_input(events: Sequence[JournalEvent]) -> bool:
    """Whether a run stopped because its input cannot be used: going on would end the same way."""
    return any(e.kind == "phase.failed" and e.facts["error"] == "BadInput" for e in events[-1:])
