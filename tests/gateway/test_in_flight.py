"""A request that is cut: it ends at once, what never left is not booked, and nothing stays held."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput, Interrupted
from mlagent.gateway.gateway import Refused
from mlagent.gateway.meter import Caps
from mlagent.gateway.service import AnthropicService
from mlagent.testing.messages_api import Breaks, MessagesApi, messages_api, says
from tests.gateway.test_gateway import KEY, Bench


@contextmanager
def full() -> Iterator[str]:
    """The address of a server that takes no connection and refuses none."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for one in waiting:
            one.close()


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with messages_api(lambda _: [says("fine")], keys=(KEY,)) as server:
        yield server


def test_what_was_stopped_before_it_left_is_not_booked(tmp_path: Path) -> None:
    with full() as url:
        bench = Bench(url, tmp_path, Caps(usd=1), stop=lambda: time.monotonic() > begun + 0.5)
        begun = time.monotonic()
        with closing(bench.service), pytest.raises(Interrupted):
            bench.ask()
        assert time.monotonic() - begun < 4, "it did not wait for the connection"
    (call,) = bench.log.calls()
    assert (call.outcome, call.usd, call.why) == ("failed", 0.0, "stopped before it was sent")
    assert bench.meter.spent().usd == 0
    assert list(tmp_path.rglob("request.json")) == []


def test_after_a_stop_nothing_is_sent(api: MessagesApi, tmp_path: Path) -> None:
    bench = Bench(api.url, tmp_path, Caps(usd=1), stop=lambda: True)
    with closing(bench.service), pytest.raises(Interrupted):
        bench.ask()
    assert api.kept == []
    assert bench.log.calls() == ()


def test_counting_is_stopped_too(tmp_path: Path) -> None:
    with full() as url:
        bench = Bench(url, tmp_path, Caps(tokens=50), stop=lambda: time.monotonic() > begun + 0.5)
        begun = time.monotonic()
        with closing(bench.service), pytest.raises(Interrupted):
            bench.ask()
        assert time.monotonic() - begun < 4
    assert bench.log.calls() == ()


def test_a_header_that_cannot_be_sent_is_refused_once_and_costs_nothing(
    api: MessagesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Gateway: hush\rhush")
    bench = Bench(api.url, tmp_path, Caps(usd=1))
    with closing(bench.service), pytest.raises(Refused) as refused:
        bench.ask()
    assert "ANTHROPIC_CUSTOM_HEADERS" in str(refused.value)
    assert "hush" not in str(refused.value)
    assert api.kept == []
    assert [(call.outcome, call.usd) for call in bench.log.calls()] == [("refused", 0.0)]


def test_a_key_file_with_windows_line_ends_works(api: MessagesApi, tmp_path: Path) -> None:
    bench = Bench(api.url, tmp_path, Caps(usd=1), key=f"{KEY}\r\n")
    with closing(bench.service):
        assert bench.ask().text == "fine"
    assert api.kept[0].key == KEY


def test_a_full_disk_is_no_fault_of_the_service(api: MessagesApi, tmp_path: Path) -> None:
    bench = Bench(api.url, tmp_path, Caps(usd=1))

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device", "request.json")

    bench.log.sent = full_disk  # type: ignore[method-assign]
    with closing(bench.service), pytest.raises(OSError, match="No space left"):
        bench.ask()
    assert api.kept == []
    assert bench.meter.spent().usd == 0


def test_a_proxy_that_is_none_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy:1")
    with pytest.raises(BadInput, match="HTTPS_PROXY"):
        AnthropicService({"ANTHROPIC_API_KEY": KEY})


LEAVING = """
import sys, time
from pathlib import Path
import duckdb
sys.path.insert(0, sys.argv[3])
from mlagent.contracts.errors import Interrupted
from mlagent.gateway.meter import Caps
from tests.gateway.test_gateway import Bench
table = duckdb.connect()
begun = time.monotonic()
class Listens:
    def __init__(self): self.table = table
    def __call__(self, agent, characters): pass
bench = Bench(sys.argv[1], Path(sys.argv[2]), Caps(usd=1), on_text=Listens(),
              stop=lambda: time.monotonic() > begun + 0.5)
try:
    bench.ask()
except Interrupted:
    print("stopped")
"""


def test_a_cut_stream_holds_nothing_at_exit(tmp_path: Path) -> None:
    stalls = Breaks([says("half of it")], "stall", after=3, seconds=15.0)
    with messages_api(lambda _: stalls) as api:
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-c", LEAVING, api.url, str(tmp_path), root],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("stopped\n", "")
