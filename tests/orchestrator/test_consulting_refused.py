"""A service that cannot be asked: no usable key, address, price or limit is refused before anything
is done; a busy one is waited for, an absent one named."""

from __future__ import annotations

import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from consultations import KEY, Run, Team, bill_here, plan_here, role_of

from mlagent.cli.main import main
from mlagent.orchestrator import consulting
from mlagent.testing.messages_api import Breaks, Fails, MessagesApi, Raw, says


def executed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *flags: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["mlagent", "execute", *flags])
    with pytest.raises(SystemExit) as left:
        main()
    return int(str(left.value.code)), capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("ANTHROPIC_BASE_URL", "nonsense", "ANTHROPIC_BASE_URL 'nonsense' cannot be used"),
        ("ANTHROPIC_BASE_URL", "ftp://x", "ANTHROPIC_BASE_URL 'ftp://x' cannot be used"),
        ("ANTHROPIC_BASE_URL", "http://[::1", "ANTHROPIC_BASE_URL 'http://[::1' cannot be used"),
        ("ANTHROPIC_API_KEY", "sk-ant two", "ANTHROPIC_API_KEY cannot be sent"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "execute"])
def test_what_cannot_reach_a_service_is_refused_before_anything_is_done(
    api: MessagesApi,
    planned: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    name: str,
    given: str,
    said: str,
) -> None:
    assert planned()[0] == 0
    before = Path("plan.yaml").read_bytes()
    monkeypatch.setenv(name, given)
    if command == "plan":
        code, _, err = planned("--author", "claude")
    else:
        code, err = executed(monkeypatch, capsys, "--author", "both")
    assert code == 2
    assert said in err
    assert "sk-ant" not in err
    assert not Path("plans/calls").exists()
    assert not Path("runs").exists()
    assert Path("plan.yaml").read_bytes() == before


def test_dollars_without_end_are_refused(
    api: MessagesApi,
    planned: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = planned("--author", "claude", "--max-usd", "inf")
    assert code == 2
    assert "inf dollars (--max-usd) are no limit" in err
    assert planned()[0] == 0
    code, err = executed(monkeypatch, capsys, "--author", "both", "--max-usd", "inf")
    assert code == 2
    assert "inf dollars (--max-usd) are no limit" in err
    assert api.kept == []


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("1.0e+308", "The price of the model 'mine' cannot be right: output is $1e+308"),
        ("1.0e+12", "The price of the model 'mine' cannot be right: output is $1e+12"),
        ("-1", "prices.mine.output"),
        (".nan", "prices.mine.output"),
        ("dear", "prices.mine.output"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "execute"])
def test_a_price_that_cannot_be_one_is_refused_before_anything_is_done(
    api: MessagesApi,
    planned: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    price: str,
    said: str,
) -> None:
    if command == "execute":
        assert planned()[0] == 0
    Path("mlagent.yaml").write_text(
        "schema: mlagent/settings/v1\nmodels: {balanced: mine}\n"
        f"prices: {{mine: {{input: 1, output: {price}, cache_write: 1, cache_read: 1}}}}\n"
    )
    if command == "plan":
        code, _, err = planned("--author", "claude")
    else:
        code, err = executed(monkeypatch, capsys, "--author", "both")
    assert code == 2
    assert said in err
    assert "mlagent.yaml" in err
    assert not Path("runs").exists()
    assert api.kept == []


def test_execute_refuses_a_model_without_a_price_before_anything_is_done(
    api: MessagesApi,
    planned: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert planned()[0] == 0
    Path("mlagent.yaml").write_text("schema: mlagent/settings/v1\nmodels: {balanced: mine}\n")
    code, err = executed(monkeypatch, capsys, "--author", "both")
    assert code == 2
    assert "There is no price for the model 'mine'" in err
    assert not Path("runs").exists()
    assert api.kept == []


def test_a_service_that_is_not_there_is_named_and_costs_no_call(
    planned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("mlagent.gateway.gateway.FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("mlagent.gateway.gateway.UNREACHED_S", 0.1)
    code, _, err = planned("--author", "claude", "--max-calls", "3")
    assert code == 0
    notes = plan_here().notes
    assert len(notes) == 3
    for note in notes:
        assert "The language model gave no answer within 0 s and" in note
        assert "the service cannot be reached" in note
    assert "Claude: 0 calls, 0 tokens" in err
    bill = bill_here()
    assert (bill.total.calls, bill.total.usd) == (0, 0)
    assert len(bill.calls) > 3, "each attempt is told"


def test_a_cap_that_is_reached_names_what_the_service_answered(
    api: MessagesApi, planned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.script = lambda _: Fails(529, "overloaded_error", retry_after="0")
    monkeypatch.setattr("mlagent.gateway.gateway.FIRST_WAIT_S", 0.01)
    assert planned("--author", "claude", "--max-calls", "3")[0] == 0
    notes = plan_here().notes
    assert len(notes) == 3
    for note in notes:
        assert "may make 3 calls, and made them; the last attempt failed" in note
        assert "the service answers 529" in note
    assert (bill_here().total.calls, bill_here().total.usd) == (3, 0)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Raw(b"<html>log in</html>", "text/html"), "no answer of the Messages API (text/html"),
        (Raw(b"", "text/html", 302, {"location": "/login"}), "another address (302: /login)"),
    ],
)
def test_what_is_no_answer_leaves_the_template_s_plan(
    api: MessagesApi, planned: Run, answer: Raw, told: str
) -> None:
    api.script = lambda _: answer
    code, _, err = planned("--author", "claude")
    assert code == 0
    assert len(api.seen) == 3, "nobody asks again"
    notes = plan_here().notes
    assert len(notes) == 3
    for note in notes:
        assert told in note
        assert note.endswith("The template's plan stands.")


def test_a_busy_service_is_waited_for(
    api: MessagesApi, planned: Run, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = team.answer
    busy = Fails(529, "overloaded_error", retry_after="0")
    team.answer = lambda body, n: busy if n == 1 else good(body, n)
    monkeypatch.setattr("mlagent.gateway.gateway.FIRST_WAIT_S", 0.01)
    assert planned("--author", "claude")[0] == 0
    assert plan_here().notes == ()
    assert bill_here().total.calls == 6


def test_a_cap_on_tokens_holds_for_all_agents_together(api: MessagesApi, planned: Run) -> None:
    code, _, err = planned("--author", "claude", "--max-tokens", "100")
    assert code == 0
    assert (api.kept, api.asked_to_count) == ([], [])
    assert len(plan_here().notes) == 3
    assert "the run has 100 of 100 tokens left" in err


def test_a_plan_has_an_end_also_when_answers_have_none(
    api: MessagesApi, planned: Run, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One agent's service only says that it is alive; how far it is, is told; the others' plans
    are Claude's."""
    monkeypatch.setattr(consulting, "CUT_S", 3.0)
    monkeypatch.setattr(consulting, "TOLD_EVERY_S", 0.0)
    good = team.answer

    def answer(body: dict[str, Any], n: int) -> Any:
        if role_of(body) != "ml-engineer":
            return good(body, n)
        return Breaks([says("x" * 50), says("y")], "ping", after=6, seconds=30)

    team.answer = answer
    begun = time.monotonic()
    code, _, err = planned("--author", "claude")
    assert code == 0
    assert time.monotonic() - begun < 15
    (note,) = plan_here().notes
    assert re.search(r"ml-engineer: Claude (thinks|wrote \d+ characters)\.", err)
    assert "the time for calls is used up" in note
    assert note.endswith("The template's plan stands.")
    assert bill_here().possibly.calls == 1
