"""A real client of the SDK over stdio, and one project that was planned and run through it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

pytest.importorskip("mcp", reason="the extra mlagent[mcp] is not installed")

from mcp import Client, StdioServerParameters
from mcp.client.session import ElicitationFnT
from mcp.client.stdio import stdio_client
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitResult,
    Implementation,
    ListRootsResult,
    Root,
)

from mlagent.testing.tables import build_tree, churn_frame, write_csv

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}
KEPT = ("HOME", "PATH", "LD_LIBRARY_PATH", "DOCKER_HOST", "XDG_CACHE_HOME", "TMPDIR")
MODES = ("auto", "legacy")
"""2026-07-28, where the server asks in its answer, and the handshake of 2025-11-25 and before."""
TRAPS = ("json.py", "pandas.py", "sitecustomize.py", "mlagent/__init__.py", "mlagent/__main__.py")
TRAP = "import pathlib\npathlib.Path({marker!r}).write_text('ran')\n"


@dataclass
class Talk:
    """A connected client with short words for what tests do."""

    client: Client
    progress: list[tuple[float, float | None, str | None]] = field(default_factory=list)

    async def call(self, name: str, **arguments: Any) -> CallToolResult:
        async def told(at: float, total: float | None, message: str | None) -> None:
            self.progress.append((at, total, message))

        return await self.client.call_tool(f"mlagent_{name}", arguments, progress_callback=told)

    async def facts(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a call that must succeed."""
        done = await self.call(name, **arguments)
        assert not done.is_error, text_of(done)
        assert done.structured_content is not None
        return dict(done.structured_content)

    async def refused(self, name: str, **arguments: Any) -> str:
        """The sentence of a call that must fail."""
        done = await self.call(name, **arguments)
        assert done.is_error, text_of(done)
        return text_of(done)


def text_of(done: CallToolResult) -> str:
    return "\n".join(part.text for part in done.content if part.type == "text")


Connect = Callable[..., Any]


@asynccontextmanager
async def connected(
    folder: Path,
    *,
    mode: str = "auto",
    roots: Sequence[Path] | None = None,
    no_roots: bool = False,
    args: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    user: ElicitationFnT | None = None,
    name: str = "tests",
    errors: TextIO | None = None,
) -> AsyncIterator[Talk]:
    """`mlagent mcp` as a client starts it. The client's root is `folder` unless said otherwise.

    Args:
        user: who answers the server's questions; None for a client that cannot put any.
        name: what the client calls itself.
        errors: a real file for the server's stderr; None for the one of these tests.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "mlagent", "mcp", *args],
        env=kept | (NO_ENGINE if env is None else env),
        cwd=cwd or folder,
    )

    async def listed(_: Any) -> ListRootsResult:
        shown = (folder,) if roots is None else roots
        return ListRootsResult(roots=[Root(uri=path.as_uri()) for path in shown])

    callback = None if no_roots else listed
    async with Client(
        stdio_client(parameters, errors or sys.stderr),
        mode=mode,
        list_roots_callback=callback,
        elicitation_callback=user,
        client_info=Implementation(name=name, version="1"),
    ) as client:
        yield Talk(client)


@pytest.fixture(scope="session")
def connect() -> Connect:
    return connected


Session = Callable[..., Any]


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


@dataclass
class Answer:
    """What a script said or what went wrong in it, raised where no task group wraps it."""

    said: list[Any] = field(default_factory=list)
    wrong: list[BaseException] = field(default_factory=list)

    async def take(self, script: Callable[[Talk], Awaitable[Any]], talk: Talk) -> None:
        try:
            with anyio.fail_after(240):
                self.said.append(await script(talk))
        except (Exception, pytest.fail.Exception) as problem:
            self.wrong.append(problem)

    def given(self) -> Any:
        if self.wrong:
            raise self.wrong[0]
        return self.said[0]


class Standing:
    """`standing(folder, script, ...)`: as `session`, on a server that is already there.

    Roots and user are asked for with each call, so that both are this test's alone. Not for a test
    that starts a run, which a server remembers, nor for one about how a server begins or ends.
    """

    def __init__(self, portal: BlockingPortal, ends: ExitStack, home: Path) -> None:
        self._portal, self._ends, self._home = portal, ends, home
        self._clients: dict[tuple[str, bool], Client] = {}
        self._roots: list[Path] = []
        self._user: ElicitationFnT | None = None

    def __call__(
        self,
        folder: Path,
        script: Callable[[Talk], Awaitable[Any]],
        *,
        mode: str = "auto",
        roots: Sequence[Path] | None = None,
        user: ElicitationFnT | None = None,
    ) -> Any:
        self._roots[:] = (folder,) if roots is None else roots
        self._user = user
        client = self._client(mode, user is not None)
        answer = Answer()
        self._portal.call(answer.take, script, Talk(client))
        return answer.given()

    def _client(self, mode: str, asks: bool) -> Client:
        """One server for each mode and each kind of client: with and without a user to ask."""
        if (mode, asks) not in self._clients:
            opened = connected(
                self._home, mode=mode, roots=self._roots, user=self._answered if asks else None
            )
            talk = self._ends.enter_context(self._portal.wrap_async_context_manager(opened))
            self._clients[mode, asks] = talk.client
        return self._clients[mode, asks]

    async def _answered(
        self, context: Any, question: ElicitRequestFormParams
    ) -> ElicitResult | Any:
        assert self._user is not None
        return await self._user(context, question)


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
        async with connected(folder) as talk:
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
                async with connected(folder, mode=mode) as talk:
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
