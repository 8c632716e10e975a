"""`doctor` and `sandbox build`: what this machine has, and whether the sandbox keeps its
promises."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mlagent.content import Content
from mlagent.contracts.errors import BadInput, PrerequisiteMissing, SandboxBroken
from mlagent.sandbox.choose import choose_sandbox
from mlagent.sandbox.doctor import Prerequisite, prerequisites, run_canaries
from mlagent.sandbox.engine import connect
from mlagent.sandbox.image import build_image
from mlagent.sandbox.orphans import sweep
from mlagent.settings import read_settings


@dataclass(frozen=True)
class CheckUp:
    """What `doctor` found. A failed canary is a required item that is not ok."""

    items: tuple[Prerequisite, ...]
    sentence: str

    def as_json(self) -> dict[str, Any]:
        return {"items": [vars(item) for item in self.items], "sentence": self.sentence}


def check_up(*, fresh: bool) -> CheckUp:
    """Prerequisites, then the canaries in the strongest sandbox here. Sweeps orphans on the way."""
    items = prerequisites()
    try:
        removed = sweep_orphans()
    except PrerequisiteMissing:  # no engine: the prerequisites say so
        removed = []
    if removed:
        items.append(Prerequisite("orphans", True, f"removed {len(removed)} left-overs"))
    choice = choose_sandbox(content=Content(), need="B")
    with closing(cast(Any, choice.sandbox)):
        try:
            canaries = run_canaries(choice.sandbox, fresh=fresh)
        except SandboxBroken as broken:
            items.append(Prerequisite("canaries", False, broken.message, True, broken.remedy))
            canaries = []
        remedy = "Use an engine with cgroups and seccomp; `mlagent doctor --fresh` tries again."
        items += [
            Prerequisite(f"canary: {one.name}", one.ok, one.detail, True, remedy)
            for one in canaries
        ]
        tier, line = choice.sandbox.tier, choice.sandbox.describe()
    sentence = f"Tier {tier}: {line}."
    if tier != "T3":
        sentence += " Only code that ships with mlagent runs here; `try` needs a container."
    return CheckUp(tuple(items), sentence)


def build_sandbox(base: str | None, wheelhouse: Path | None, on_line: Callable[[str], None]) -> str:
    """Build the image; its id. Raises BadInput, PrerequisiteMissing, SandboxBroken."""
    if wheelhouse is not None and not wheelhouse.is_dir():
        raise BadInput(
            f"The wheelhouse {str(wheelhouse)!r} is not a folder.",
            remedy="Fill one with `pip download --only-binary=:all: -r sandbox/requirements.lock`.",
        )
    chosen = base or read_settings(Path.cwd()).sandbox.base_image
    return build_image(base=chosen, wheelhouse=wheelhouse, on_line=on_line)


def sweep_orphans() -> list[str]:
    """Remove what dead mlagent processes left in the engine; its names."""
    client = connect()
    try:
        return sweep(client)
    finally:
        client.close()
