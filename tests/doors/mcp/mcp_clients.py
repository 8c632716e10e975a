"""Clients of the SDK over stdio: one for each script, or one whose server stands for many."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import anyio
import pytest
from anyio.from_thread import BlockingPortal
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

MODES = ("auto", "legacy")
"""2026-07-28, where the server asks in its answer, and the handshake of 2025-11-25 and before."""
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}
KEPT = ("HOME", "PATH", "LD_LIBRARY_PATH", "DOCKER_HOST", "XDG_CACHE_HOME", "TMPDIR")


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
