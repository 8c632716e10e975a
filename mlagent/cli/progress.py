"""What the user sees while a run works: one live line in a terminal, plain lines elsewhere.

Never shows raw cells; text from candidates is cut and shown as a claim, never as a score.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from mlagent.contracts.ports import never

from .output import deliver

ANSWER_S, NOTICED_S = 60.0, 0.2
"""So long an answer is waited for; a stop is noticed within so many seconds."""


class PlainProgress:
    """One line per phase and per sentence, with the seconds since the start. A run goes on when
    nobody reads them any more."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock, self._start = out, clock, clock()
        self._last = ""

    def _line(self, text: str) -> None:
        deliver(self._out, f"[{self._clock() - self._start:6.1f}s] {text}\n")

    def phase(self, name: str, detail: str = "") -> None:
        self._line(detail or name)

    def update(self, /, **facts: Any) -> None:
        candidate = str(facts.get("candidate", ""))
        if candidate and candidate != self._last:
            self._last = candidate
            self._line(f"  candidate {candidate}")

    def say(self, sentence: str) -> None:
        self._line(f"  {sentence}")

    def ask(self, question: str, stop: Callable[[], bool] = never) -> str | None:
        """Nobody is at a terminal: None."""
        self._line(f"  not asked, for nobody is here: {question}")
        return None

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


class LiveProgress:
    """A rich status line: phase, candidate, its own claims, time left."""

    def __init__(
        self, budget_s: float, clock: Callable[[], float] = time.monotonic, *, stderr: bool = False
    ) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=stderr, highlight=False)
        self._budget, self._clock, self._start = budget_s, clock, clock()
        self._phase = "start"
        self._facts: dict[str, Any] = {}
        self._live = Live(self, console=self.console, refresh_per_second=4, transient=True)

    def __rich__(self) -> Any:
        from rich.spinner import Spinner
        from rich.text import Text

        gone = self._clock() - self._start
        left = max(0.0, self._budget - gone)
        text = Text(f" {self._phase}", style="bold")
        shown = {key: value for key, value in self._facts.items() if key != "candidate"}
        if candidate := self._facts.get("candidate"):
            text.append(f"  {candidate}", style="cyan")
        if shown:
            words = "  ".join(f"{key} {_short(value)}" for key, value in shown.items())
            text.append(f"  ({words})", style="dim")
        text.append(f"  {left:.0f}s left", style="dim")
        return Spinner("dots", text=text)

    def phase(self, name: str, detail: str = "") -> None:
        if self._phase != "start":
            self.console.print(f"  done  {self._phase}", style="dim")
        self._phase, self._facts = detail or name, {}

    def update(self, /, **facts: Any) -> None:
        if facts.get("candidate") != self._facts.get("candidate"):
            self._facts = {}
        self._facts |= facts

    def say(self, sentence: str) -> None:
        from rich.text import Text

        self.console.print(Text(f"  {sentence}"))

    def ask(self, question: str, stop: Callable[[], bool] = never) -> str | None:
        """One line from the keyboard, while the live line rests; None without a keyboard, and
        when nothing was typed for `ANSWER_S`: the budget is running."""
        from rich.text import Text

        if not sys.stdin.isatty():
            return None
        self._live.stop()
        try:
            self.console.print(Text(f"  Claude asks: {question}"))
            self.console.print(f"  your answer within {ANSWER_S:.0f} s (empty for none): ", end="")
            line = _typed(ANSWER_S, stop)
            if line is None:
                self.console.print("\n  No answer; it goes on without one.")
            return line.strip() if line else None
        finally:
            self._live.start()

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()


def _typed(longest_s: float, stop: Callable[[], bool]) -> str | None:
    """A line from the keyboard, '' when it is closed; None when none came in time."""
    until = time.monotonic() + longest_s
    while not stop() and (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], min(NOTICED_S, left))[0]:
            try:
                return sys.stdin.readline()
            except UnicodeDecodeError:  # a byte that is no letter here
                return None
    return None


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
