"""Desks of agents without a sandbox, a journal file or a screen behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlagent.agents.jobs import Desk
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.ports import Sandbox, never


class EmptySandbox:
    """What a sandbox says of itself when nothing runs in it; a subclass gives `run`."""

    image = None

    def packages(self) -> dict[str, str]:
        return {}

    def describe(self) -> str:
        return "nothing"

    def enforced(self) -> frozenset[str]:
        return frozenset()

    def close(self) -> None: ...


class Notes:
    """A journal in memory."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def append(self, kind: str, /, **facts: Any) -> None:
        self.kinds.append(kind)


class Silence:
    """Shows nothing."""

    def phase(self, name: str, detail: str = "") -> None: ...

    def update(self, /, **facts: Any) -> None: ...

    def say(self, sentence: str) -> None: ...

    def ask(self, question: str, stop: Callable[[], bool] = never) -> str | None:
        return None


def desk_at(sandbox: Sandbox, scratch: Path, memory_mb: int, cpus: int, **changes: Any) -> Desk:
    """A desk of this machine size, whose clock stands still."""
    content = Content()
    return Desk(
        content=content,
        sandbox=sandbox,
        journal=Notes(),
        progress=Silence(),
        scratch=scratch,
        clock=lambda: 0.0,
        memory_mb=memory_mb,
        cpus=cpus,
        contracts=load_contracts(content),
        **changes,
    )
