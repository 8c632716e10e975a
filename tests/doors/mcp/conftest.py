"""A real client of the SDK over stdio, and one project that was planned and run through it."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

pytest.importorskip("mcp", reason="the extra mlagent[mcp] is not installed")

sys.path.insert(0, str(Path(__file__).parent))

from mcp_clients import Answer, Standing, Talk, connected, text_of
from mcp_types import CallToolResult

from mlagent.testing.tables import build_tree, churn_frame, write_csv

TRAPS = ("json.py", "pandas.py", "sitecustomize.py", "mlagent/__init__.py", "mlagent/__main__.py")
TRAP = "import pathlib\npathlib.Path({marker!r}).write_text('ran')\n"
Connect = Callable[..., Any]
Session = Callable[..., Any]


@pytest.fixture(scope="session")
def connect() -> Connect:
    return connected


@pytest.fixture(scope="session")
def session() -> Session:
    """`session(folder, script, ...)`: run an async script against a server; its result."""

    def run(folder: Path, script: Callable[[Talk], Awaitable[Any]], **how: Any) -> Any:
        answer = Answer()

        async def main() -> None:
            async with connected(folder, **how) as talk:
                await answer.take(script, talk)

        anyio.run(main)
        return answer.given()

    return run


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Servers in a folder that is nobody's root, for all tests that only ask."""
    with start_blocking_portal() as portal, ExitStack() as ends:
        yield Standing(portal, ends, tmp_path_factory.mktemp("standing"))


@pytest.fixture
def churn(tmp_path: Path) -> Path:
    """A fresh folder with a small table."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_csv(churn_frame(200), folder / "churn.csv")
    return folder


@dataclass(frozen=True)
class Recorded:
    """What one whole session said."""

    folder: Path
    marker: Path
    planned: dict[str, Any]
    run: dict[str, Any]
    progress: list[tuple[float, float | None, str | None]]
    report: dict[str, Any]
    sizes: dict[str, int]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """List, plan, run to the end with progress, report: once, in the process tier.

    The project folder is full of modules that would be imported by a careless server or child.
    """
    folder = tmp_path_factory.mktemp("mcp-project")
    marker = tmp_path_factory.mktemp("marker") / "ran"
    write_csv(churn_frame(400), folder / "churn.csv")
    build_tree(folder, {name: TRAP.format(marker=str(marker)) for name in TRAPS})

    async def main() -> Recorded:
        sizes: dict[str, int] = {}
        async with connected(folder, args=("--allow-runs",)) as talk:
            assert len((await talk.client.list_tools()).tools) == 10
            planned = await talk.facts("plan", task="churn model", budget="10s")
            with anyio.fail_after(240):
                run = await talk.facts("run", wait=True, vault="0.2")
            progress = list(talk.progress)
            report = await talk.facts("report")
            for name in ("profile", "plan", "review_plan", "run_status", "report", "gates"):
                words = {"task": "churn model", "budget": "10s"} if name == "plan" else {}
                sizes[name] = size_of(await talk.call(name, **words))
            sizes["contract"] = size_of(await talk.call("contract", agent="ml-engineer"))
        return Recorded(folder, marker, planned, run, progress, report, sizes)

    return anyio.run(main)


def size_of(done: CallToolResult) -> int:
    """Characters of an answer: text and structured content."""
    return len(text_of(done)) + len(json.dumps(done.structured_content))


@dataclass(frozen=True)
class Interrupted:
    """The life of one run that was cut in every way, and then went to its end."""

    folder: Path
    run: str
    cancelled: dict[str, Any]
    seconds_to_end: float
    background: dict[str, Any]
    watched: dict[str, Any]
    second: str
    survived: dict[str, Any]
    stopped: dict[str, Any]
    deserted: dict[str, Any]
    finished: dict[str, Any]


async def until_begun(talk: Talk, folder: Path, known: set[str]) -> str:
    """The id of a new run that has begun its first phase."""
    with anyio.fail_after(60):
        while True:
            fresh = {path.parent.name for path in folder.glob("runs/*/journal.jsonl")} - known
            if fresh:
                found = await talk.facts("run_status", run=min(fresh))
                if found.get("phase") is not None:
                    return min(fresh)
            await anyio.sleep(0.1)


async def until_state(talk: Talk, run: str, *states: str) -> dict[str, Any]:
    """The status of a run once it is in one of these states."""
    with anyio.fail_after(60):
        while True:
            found = await talk.facts("run_status", run=run)
            if found["state"] in states:
                return found
            await anyio.sleep(0.1)


@pytest.fixture(scope="session")
def interrupted(recorded: Recorded) -> Interrupted:
    """Cancelled, resumed in the background, left by its server, stopped by the next one, resumed
    by a client that goes away, resumed to its end. In the folder of `recorded`, after it."""
    folder = recorded.folder
    said: dict[str, Any] = {}

    async def first(talk: Talk) -> None:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                await talk.call(
                    "run", wait=True, vault="0.2", budget="12s", select={"ml-engineer": "option_a"}
                )

            group.start_soon(call)
            said["run"] = await until_begun(talk, folder, {recorded.run["run"]})
            begin = anyio.current_time()
            group.cancel_scope.cancel()
        said["cancelled"] = await until_state(talk, said["run"], "stopped", "failed", "finished")
        said["seconds_to_end"] = anyio.current_time() - begin
        said["background"] = await talk.facts("run", action="resume")
        said["watched"] = await talk.facts("run_status")
        said["second"] = await talk.refused("run")

    async def second(talk: Talk) -> None:
        said["survived"] = await talk.facts("run_status", run=said["run"])
        said["stopped"] = await talk.facts("run", action="stop", run=said["run"])

    async def third(talk: Talk) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: talk.call("run", action="resume", wait=True))
            await until_state(talk, said["run"], "running")
            await anyio.sleep(1)
            raise Gone

    async def fourth(talk: Talk) -> None:
        said["deserted"] = await until_state(talk, said["run"], "stopped", "failed", "finished")
        said["finished"] = await talk.facts("run", action="resume", wait=True)

    async def main() -> None:
        for mode, part in (
            ("legacy", first),
            ("auto", second),
            ("legacy", third),
            ("auto", fourth),
        ):
            try:
                async with connected(folder, mode=mode, args=("--allow-runs",)) as talk:
                    with anyio.fail_after(120):
                        await part(talk)
            except BaseExceptionGroup as group:
                if group.split(Gone)[1] is not None:
                    raise

    anyio.run(main)
    return Interrupted(folder=folder, **said)


class Gone(Exception):
    """The client leaves in the middle."""


@dataclass(frozen=True)
class Twice:
    """Two finished runs under one seal."""

    folder: Path
    runs: tuple[str, str]

    def __getitem__(self, index: int) -> str:
        return self.runs[index]


@pytest.fixture(scope="session")
def twice(recorded: Recorded, interrupted: Interrupted) -> Twice:
    return Twice(recorded.folder, (recorded.run["run"], interrupted.run))


@pytest.fixture(scope="session", name="size_of")
def _size_of() -> Callable[[CallToolResult], int]:
    return size_of
