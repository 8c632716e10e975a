"""A request that is cut: it ends at once, what never left is not booked, and nothing stays held."""

from __future__ import annotations

import gc
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput, Interrupted
from mlagent.gateway.gateway import Refused
from mlagent.gateway.meter import BudgetSpent, Caps
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
        bench = Bench(url, tmp_path, Caps(tokens=200), stop=lambda: time.monotonic() > begun + 0.5)
        begun = time.monotonic()
        with closing(bench.service), pytest.raises(Interrupted):
            bench.ask()
        assert time.monotonic() - begun < 4
    assert bench.log.calls() == ()


def test_a_count_that_does_not_come_ends_with_the_time_for_calls(tmp_path: Path) -> None:
    with full() as url:
        begun = time.monotonic()
        bench = Bench(url, tmp_path, Caps(tokens=200), clock=time.monotonic, cut_at=begun + 0.5)
        with closing(bench.service), pytest.raises(BudgetSpent, match="the next call can take"):
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


class Listens:
    """Stands for a screen, and for the tables that hang on it."""

    def __call__(self, agent: str, characters: int) -> None:
        """Nothing."""


def stopped_in_a_stream(url: str, folder: Path) -> weakref.ref[Listens]:
    listens = Listens()
    bench = Bench(
        url,
        folder,
        Caps(usd=1),
        on_text=listens,
        stop=lambda: time.monotonic() > begun + 0.5,
    )
    begun = time.monotonic()
    with closing(bench.service), suppress(Interrupted):
        bench.ask()
    assert [call.outcome for call in bench.log.calls()] == ["possibly billed"]
    assert time.monotonic() - begun < 4
    return weakref.ref(listens)


@pytest.mark.parametrize("events", [0, 3])
def test_a_stream_that_was_cut_is_not_read_on_and_holds_nothing(
    tmp_path: Path, events: int
) -> None:
    stalls = Breaks([says("half of it")], "stall", after=events, seconds=8.0)
    before = set(threading.enumerate())
    with messages_api(lambda _: stalls) as api:
        held = stopped_in_a_stream(api.url, tmp_path)
        gc.collect()
        assert held() is None, "what is held at exit is never closed: nanobind tells of it"
        reads = [one for one in set(threading.enumerate()) - before if "in_flight" in one.name]
        assert reads == []
