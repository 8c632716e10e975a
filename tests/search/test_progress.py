"""What the user sees while Claude writes: how much of its answer has come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from mlagent.cli.progress import LiveProgress
from mlagent.content import Content
from mlagent.gateway.call_log import CallLog
from mlagent.gateway.gateway import Gateway
from mlagent.gateway.meter import Caps, Meter
from mlagent.gateway.prices import load_prices
from mlagent.gateway.service import AnthropicService
from mlagent.orchestrator.consulting import Silent
from mlagent.orchestrator.search_scores import Search
from mlagent.settings import Settings
from mlagent.testing.messages_api import messages_api, says


class Here:
    """As much of a Search as it takes to show progress."""

    at_work = "draft 3"
    writes: Callable[..., None] = Search.writes

    def __init__(self, progress: Any) -> None:
        self.bench = cast(Any, type("Bench", (), {}))()
        self.bench.desk = cast(Any, type("Desk", (), {"progress": progress}))()


def test_a_live_line_tells_how_much_was_written(tmp_path: Path) -> None:
    progress = LiveProgress(60.0)
    here = Here(progress)
    shown: list[str] = []

    def on_text(agent: str, characters: int) -> None:
        here.writes(agent, characters)
        console = Console(width=200)
        with console.capture() as caught:
            console.print(progress)
        shown.append(caught.get())

    with messages_api(lambda _: [says("x" * 1_234)]) as api:
        service = AnthropicService({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": api.url})
        gateway = Gateway(
            service,
            Meter(load_prices(Content(), Settings()), Caps(usd=1.0), {}, lambda: 0.0),
            CallLog(tmp_path / "calls"),
            Silent(),
            clock=lambda: 0.0,
            sleep=lambda seconds: None,
            on_text=on_text,
        )
        message = {"role": "user", "content": "write"}
        request = {"model": "claude-sonnet-5-5", "max_tokens": 900, "messages": [message]}
        gateway.ask("ml-engineer", "draft", request)
        service.close()
    assert "draft 3" in shown[0]
    assert "claude thinks" in shown[0]
    assert "claude wrote 1,234 characters" in shown[-1]
