"""The processes of one session, found through /proc: who they are, what memory they use, how to
end them.

Without /proc (macOS) only the leader's process group is known. A child that starts a session of
its own escapes:
that is why this tier is for code that ships with mlagent.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_PROC = Path("/proc")


class Session:
    """The session that `leader` (a pid, started with start_new_session) leads."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def pids(self) -> list[int]:
        """Live processes of the session."""
        found: list[int] = []
        if not (_PROC / "self" / "stat").exists():
            return found
        for entry in os.listdir(_PROC):  # noqa: PTH208 (names only, four times a second)
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (_PROC / entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.leader and fields[0] != "Z":
                    found.append(int(entry))
        return found

    def memory_mb(self, limit_mb: int) -> float:
        """Resident memory of all processes together, in MB; shared pages count once where it
        matters.

        The cheap sum counts pages that forks share in each of them; only when it passes
        `limit_mb` is the exact proportional sum read.
        """
        pids = self.pids()
        total = sum(self._resident(pid) for pid in pids)
        if total > limit_mb and len(pids) > 1:
            total = sum(self._proportional(pid) for pid in pids)
        return total

    @staticmethod
    def _resident(pid: int) -> float:
        try:
            pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def _proportional(self, pid: int) -> float:
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        except (OSError, ValueError, IndexError, StopIteration):
            return self._resident(pid)

    def kill(self, number: signal.Signals) -> None:
        """Signal every process of the session (and the leader's group). Gone ones are no error."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.leader, number)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
