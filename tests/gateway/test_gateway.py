"""The gateway against a server on loopback: metered, retried, on disk, never paid twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlagent.content import Content
from mlagent.contracts.errors import BadInput, Interrupted, MlagentError, PrerequisiteMissing
from mlagent.gateway.call_log import CallLog
from mlagent.gateway.gateway import Gateway, Refused, Unavailable
from mlagent.gateway.meter import BudgetSpent, Caps, Meter
from mlagent.gateway.prices import load_prices
from mlagent.gateway.service import AnthropicService
from mlagent.settings import Settings
from mlagent.testing.messages_api import Breaks, Fails, MessagesApi, Says, messages_api, says

KEY = "sk-ant-test-0123456789"
MODEL = "claude-sonnet-5-5"
PRICES = load_prices(Content(), Settings())


class Clock:
    """Time passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Events(list[tuple[str, dict[str, Any]]]):
    def append(self, kind: str, /, **facts: Any) -> None:  # type: ignore[override]
        super().append((kind, facts))


def request(text: str = "hello", **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": text}
    return {"model": MODEL, "max_tokens": 100, "messages": [message], **more}


def form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


class Bench:
    """A gateway at a scripted server."""

    def __init__(
        self,
        url: str,
        folder: Path,
        caps: Caps,
        *,
        key: str = KEY,
        until: float | None = None,
        clock: Callable[[], float] | None = None,
        **more: Any,
    ) -> None:
        self.clock, self.events = Clock(), Events()
        now = clock or self.clock
        environment = {"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": url}
        own = {"ml-engineer": Caps(tokens=400_000, usd=5)}
        self.meter = Meter(PRICES, caps, own, now, until)
        self.log = CallLog(folder / "calls")
        self.service = AnthropicService(environment)
        self.gateway = Gateway(
            self.service,
            self.meter,
            self.log,
            self.events,
            clock=now,
            sleep=self.clock.sleep,
            chance=lambda: 0.5,
            **more,
        )

    def ask(self, text: str = "hello", **more: Any) -> Any:
        return self.gateway.ask("ml-engineer", "plan", request(text, **more))


Make = Callable[..., Bench]


@pytest.fixture
def answers() -> list[Any]:
    """What the server answers, one after the other; the last one again and again."""
    return [[says("fine")]]


@pytest.fixture
def api(answers: list[Any]) -> Iterator[MessagesApi]:
    def script(_: dict[str, Any]) -> Any:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with messages_api(script, keys=(KEY,), models=(MODEL,)) as server:
        yield server


@pytest.fixture
def make(api: MessagesApi, tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def build(caps: Caps | None = None, **more: Any) -> Bench:
        made.append(Bench(api.url, tmp_path, caps or Caps(usd=2.0), **more))
        return made[-1]

    yield build
    for bench in made:
        bench.service.close()


def test_an_answer_is_billed_as_the_service_counts_it(api: MessagesApi, make: Make) -> None:
    bench = make()
    reply = bench.ask()
    assert (reply.text, reply.stop_reason, reply.known) == ("fine", "end_turn", False)
    took = api.kept[0].counted
    assert took is not None
    usd = (took.input_tokens * 2 + took.output_tokens * 10) / 1e6
    assert reply.usd == pytest.approx(usd)
    bill = bench.log.bill(PRICES.version)
    assert bill.total.usd == pytest.approx(usd)
    assert bill.by_agent["ml-engineer"].tokens.output == took.output_tokens
    assert bench.meter.spent("ml-engineer").usd == pytest.approx(usd)


def test_a_cached_prefix_is_billed_as_such(api: MessagesApi, make: Make) -> None:
    bench = make()
    system = [{"type": "text", "text": "x" * 8_000, "cache_control": {"type": "ephemeral"}}]
    first, second = bench.ask("a", system=system), bench.ask("b", system=system)
    assert first.tokens.cache_write > 1_900
    assert first.tokens.cache_read == 0
    assert second.tokens.cache_write == 0
    assert second.tokens.cache_read == first.tokens.cache_write
    assert second.usd < first.usd / 5


def test_the_bytes_that_were_sent_are_on_disk_without_the_key(
    api: MessagesApi, make: Make, tmp_path: Path
) -> None:
    make().ask("a cell with ünïcode")
    assert (tmp_path / "calls" / "0000" / "request.json").read_bytes() == api.kept[0].data
    everything = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert KEY.encode() not in everything
    assert api.kept[0].key == KEY


def test_what_was_paid_for_is_not_asked_again_after_a_restart(
    api: MessagesApi, make: Make, answers: list[Any]
) -> None:
    answers[:] = [[says("one")], [says("two")], [says("three")]]
    bench = make()
    assert [bench.ask("same").text, bench.ask("same").text] == ["one", "two"]
    before = bench.log.bill(PRICES.version)
    again = make()
    replies = [again.ask("same"), again.ask("same"), again.ask("same")]
    assert [reply.text for reply in replies] == ["one", "two", "three"]
    assert [reply.known for reply in replies] == [True, True, False]
    assert len(api.seen) == 3
    assert again.log.bill(PRICES.version).total.usd > before.total.usd
    assert again.meter.spent().calls == 3


def test_a_call_in_flight_at_a_kill_is_possibly_billed(make: Make, tmp_path: Path) -> None:
    bench = make()
    bench.log.sent(bench.log.begin("ml-engineer", "plan", MODEL, "a" * 64, 5_000, 0.25), b"{}")
    bench.log.begin("ml-engineer", "plan", MODEL, "b" * 64, 5_000, 1.5)
    again = make()
    call, unsent = again.log.calls()
    assert (call.outcome, call.usd) == ("possibly billed", 0.25)
    assert (unsent.outcome, unsent.usd, unsent.sent) == ("failed", 0.0, False), "it never left"
    assert again.log.bill(PRICES.version).possibly.usd == 0.25
    assert again.meter.spent().usd == 0.25
    assert make().log.bill(PRICES.version).possibly.calls == 1, "booked once"


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fails(429, "rate_limit_error", retry_after="7"), [7.0, 7.0]),
        (Fails(429, "rate_limit_error"), [1.0, 2.0]),
        (Fails(529, "overloaded_error"), [1.0, 2.0]),
        (Fails(500), [1.0, 2.0]),
        (Fails(429, "rate_limit_error", retry_after="Wed, 21 Oct"), [1.0, 2.0]),
    ],
)
def test_a_busy_service_is_asked_again_as_it_wants(
    make: Make, answers: list[Any], fault: Fails, waits: list[float]
) -> None:
    answers[:] = [fault, fault, [says("at last")]]
    bench = make()
    assert bench.ask().text == "at last"
    assert bench.clock.slept == waits
    outcomes = [call.outcome for call in bench.log.calls()]
    assert outcomes == ["failed", "failed", "answered"]
    assert bench.log.bill(PRICES.version).possibly.usd == 0


@pytest.mark.parametrize("how", ["cut", "drop", "error", "garble", "end", "stall"])
def test_a_broken_answer_is_booked_and_asked_again(
    make: Make, answers: list[Any], how: str
) -> None:
    answers[:] = [Breaks([says("half of it")], how, after=3, seconds=0.1), [says("whole")]]
    bench = make()
    assert bench.ask().text == "whole"
    first, second = bench.log.calls()
    assert (first.outcome, second.outcome) == ("possibly billed", "answered")
    assert first.usd > second.usd > 0


def test_ten_minutes_of_overload_end_in_a_sentence(make: Make, answers: list[Any]) -> None:
    answers[:] = [Fails(529, "overloaded_error", "Overloaded")]
    bench = make(patience_s=600)
    with pytest.raises(Unavailable, match=r"no answer within \d+ s and \d+ attempts.*529"):
        bench.ask()
    assert 500 < bench.clock.now <= 600
    assert bench.meter.spent().usd == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"temperature": 0}, "temperature: Extra inputs are not permitted"),
        ({"model": "claude-haiku-5-5"}, "model: claude-haiku-5-5"),
        (form({"type": "object"}), "'additionalProperties' must be explicitly false"),
        (form({"type": "array", "items": {"type": "string", "maxLength": 3}}), "'maxLength'"),
    ],
)
def test_what_the_service_does_not_take_is_not_sent_twice(
    api: MessagesApi, make: Make, more: dict[str, Any], said: str
) -> None:
    bench = make()
    extra = {"extra_body": {"temperature": 0}} if "temperature" in more else more
    with pytest.raises(Refused) as refused:
        bench.ask(**extra)
    assert said in refused.value.message
    assert len(api.kept) == 1
    assert bench.log.calls()[0].outcome == "refused"
    assert bench.meter.spent().usd == 0


def test_a_bad_key_is_a_sentence_without_the_key(api: MessagesApi, make: Make) -> None:
    api.keys = ("another",)
    with pytest.raises(Refused) as refused:
        make().ask()
    assert "authentication_error" in str(refused.value)
    assert "ANTHROPIC_API_KEY" in str(refused.value)
    assert KEY not in str(refused.value)


def test_no_key_is_what_is_missing() -> None:
    with pytest.raises(PrerequisiteMissing, match="ANTHROPIC_API_KEY is empty"):
        AnthropicService({"ANTHROPIC_API_KEY": " "})


def test_a_service_that_is_not_there_is_waited_for_and_then_a_sentence(tmp_path: Path) -> None:
    with messages_api(lambda _: [says("x")]) as gone:
        pass
    bench = Bench(gone.url, tmp_path, Caps(usd=1), patience_s=5)
    with closing(bench.service), pytest.raises(Unavailable, match="cannot be reached.*refused"):
        bench.ask()
    assert {(call.outcome, call.usd) for call in bench.log.calls()} == {("failed", 0.0)}


def test_a_cap_that_is_reached_while_the_service_fails_names_its_failure(
    make: Make, answers: list[Any]
) -> None:
    answers[:] = [Fails(529, "overloaded_error", "Overloaded")]
    bench = make(Caps(calls=3))
    told = r"may make 3 calls, and made them; the last attempt failed: the service answers 529 \(ov"
    with pytest.raises(BudgetSpent, match=told):
        bench.ask()
    with pytest.raises(BudgetSpent, match=told):
        bench.ask("of somebody who was not even tried")
    answers[:] = [[says("fine")]]
    again = make(Caps(calls=4))
    again.ask()
    with pytest.raises(BudgetSpent) as spent:
        again.ask("one more")
    assert "failed" not in spent.value.message, "it answered since"


@pytest.mark.parametrize("retry_after", [None, "7", "60"])
def test_a_busy_service_is_not_waited_for_beyond_the_time_for_calls(
    make: Make, answers: list[Any], retry_after: str | None
) -> None:
    answers[:] = [Fails(529, "overloaded_error", "Overloaded", retry_after)]
    bench = make(until=18.0)
    told = r"The time for calls is used up; the last attempt failed: the service answers 529 \(over"
    with pytest.raises(BudgetSpent, match=told):
        bench.ask()
    assert bench.clock.now < 18


@pytest.mark.parametrize("usd", [float("inf"), float("nan"), -1.0])
def test_a_cap_that_is_no_limit_is_refused(usd: float) -> None:
    with pytest.raises(BadInput, match="--max-usd"):
        Caps(usd=usd)


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        (Caps(usd=0.0), r"the run has \$0.0000 of \$0 left"),
        (Caps(tokens=50), "the run has 50 of 50 tokens left"),
        (Caps(calls=0), "the run may make 0 calls"),
    ],
)
def test_without_room_nothing_is_sent(api: MessagesApi, make: Make, caps: Caps, said: str) -> None:
    with pytest.raises(BudgetSpent, match=said):
        make(caps).ask()
    assert api.kept == []
    assert api.asked_to_count == [], "nor to be counted: no prompt would fit"


def test_after_its_time_no_prompt_leaves_to_be_counted(api: MessagesApi, make: Make) -> None:
    bench = make(Caps(tokens=8_000), until=0.0)
    with pytest.raises(BudgetSpent, match="time for calls is used up"):
        bench.ask("word " * 4_000)
    assert api.asked_to_count == []


def test_an_answer_that_came_right_before_the_end_is_not_paid_twice(
    api: MessagesApi, make: Make
) -> None:
    """Killed between answer.json and call.json: the answer is on disk, so it is what was paid."""
    first = make()
    assert first.ask().text == "fine"
    (paid,) = first.log.calls()
    (first.log.folder / "0000" / "call.json").unlink()
    again = make()
    (booked,) = again.log.calls()
    assert (booked.outcome, booked.usd, booked.tokens) == ("answered", paid.usd, paid.tokens)
    assert again.meter.spent().usd == pytest.approx(paid.usd)
    assert again.ask().known
    assert len(api.kept) == 1
    assert not again.ask().known, "the same question for a second time is a new one"
    assert len(api.kept) == 2


def test_whether_any_call_is_left_is_known_before_its_prompt_is(make: Make) -> None:
    for caps in (Caps(calls=1), Caps(tokens=12)):
        bench = make(caps)
        bench.meter.check_left("ml-engineer")
        bench.meter.book("ml-engineer", tokens=12, usd=0.01)
        with pytest.raises(BudgetSpent, match="No further call: the run"):
            bench.meter.check_left("ml-engineer")


def test_a_large_prompt_is_counted_before_it_is_refused(api: MessagesApi, make: Make) -> None:
    text = "word " * 4_000  # 20,000 bytes, 5,000 tokens by the server's count
    bench = make(Caps(tokens=8_000))
    assert bench.ask(text).text == "fine"
    (counted,) = api.asked_to_count
    (kept,) = (bench.log.folder / "counts").iterdir()
    assert kept.read_bytes() == counted.data, "the bytes that left are on disk"
    assert counted.body["messages"] == api.kept[0].body["messages"]
    assert CallLog(bench.log.folder).calls() == bench.log.calls(), "a count is no call"


def test_a_cap_holds_for_calls_side_by_side(api: MessagesApi, make: Make) -> None:
    bench = make(Caps(usd=0.02))
    said: list[str] = []

    def one(number: int) -> None:
        try:
            bench.gateway.ask("ml-engineer", "plan", request(f"{number} " * 200, max_tokens=300))
        except MlagentError as problem:
            said.append(type(problem).__name__)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    bill = bench.log.bill(PRICES.version)
    assert bill.total.usd <= 0.02
    assert set(said) <= {"BudgetSpent"}
    assert bill.total.calls + len(said) == 40


def test_a_stop_in_the_middle_of_an_answer_keeps_its_bound(make: Make) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    bench = make(stop=stop)
    with pytest.raises(Interrupted):
        bench.ask()
    (call,) = bench.log.calls()
    assert call.outcome == "possibly billed"
    assert bench.meter.spent().usd == pytest.approx(call.usd)


def test_a_stop_is_noticed_while_the_stream_says_nothing(make: Make, answers: list[Any]) -> None:
    answers[:] = [Breaks([says("half of it")], "stall", after=3, seconds=20.0)]
    begun = time.monotonic()
    bench = make(stop=lambda: time.monotonic() > begun + 0.5)
    with pytest.raises(Interrupted):
        bench.ask()
    assert time.monotonic() - begun < 15, "it did not wait for the stream"
    assert [call.outcome for call in bench.log.calls()] == ["possibly billed"]


def test_why_an_answer_ended_is_told(make: Make, answers: list[Any]) -> None:
    answers[:] = [Says([says("cut")], "max_tokens"), Says([says("no")], "refusal")]
    bench = make()
    assert [bench.ask("a").stop_reason, bench.ask("b").stop_reason] == ["max_tokens", "refusal"]


def test_a_text_that_is_no_unicode_is_an_answer_and_not_a_crash(
    make: Make, answers: list[Any]
) -> None:
    answers[:] = [[says("half a pair: \ud800")]]
    reply = make().ask()
    assert reply.text == "half a pair: ?"


def test_the_journal_tells_of_every_call(make: Make) -> None:
    bench = make()
    bench.ask()
    assert [kind for kind, _ in bench.events] == ["call.begun", "call.ended"]
    assert json.dumps(bench.events[1][1])
