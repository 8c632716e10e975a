"""Ctrl-C while `plan --author claude` asks: at once, one sentence, what it cost, no plan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from consultations import KEY, Run, Team

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import Interrupted
from mlagent.contracts.usage import Bill
from mlagent.gateway.meter import Caps
from mlagent.gateway.prices import load_prices
from mlagent.orchestrator.consulting import Silent, open_gateway
from mlagent.orchestrator.state import StopFlag
from mlagent.settings import Settings
from mlagent.testing.messages_api import Breaks, Fails, MessagesApi, says
from mlagent.testing.tables import churn_frame, write_csv


def test_ctrl_c_ends_the_wait_for_a_busy_service_at_once(api: MessagesApi, tmp_path: Path) -> None:
    api.script = lambda _: Fails(429, "rate_limit_error", retry_after="60")
    content, stop = Content(), StopFlag()
    prices, contracts = load_prices(content, Settings()), load_contracts(content)
    pressed = threading.Timer(0.3, stop.press)
    with open_gateway(
        prices, contracts, tmp_path / "calls", Caps(usd=1.0), Silent(), stop=stop
    ) as gateway:
        message = {"role": "user", "content": "hello"}
        request = {"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": [message]}
        begun = time.monotonic()
        pressed.start()
        with pytest.raises(Interrupted):
            gateway.ask("ml-engineer", "draft", request)
    assert time.monotonic() - begun < 3


BUSY = Fails(529, "overloaded_error", retry_after="1")
STALLS = Breaks([says("half of it")], "stall", after=3, seconds=20.0)


@pytest.mark.parametrize("fault", [STALLS, Breaks([says("x")], "stall", 0, 20.0), BUSY])
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_a_plan_at_once_and_says_what_it_cost(
    api: MessagesApi, team: Team, tmp_path: Path, fault: Any, presses: int
) -> None:
    team.answer = lambda body, n: fault
    write_csv(churn_frame(400), tmp_path / "churn.csv")
    process = subprocess.Popen(
        [sys.executable, "-m", "mlagent", "plan", "churn model", "--author", "claude"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url},
    )
    while len(api.kept) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.8)
    begun = time.monotonic()
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
    sent = len(api.kept)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begun < 5, "about half a second on an idle machine"
    assert process.returncode == 130
    assert len(api.kept) - sent <= 1, "at most what was on its way"
    (file,) = (tmp_path / "plans" / "calls").rglob("bill.json")
    bill = Bill.model_validate_json(file.read_bytes())
    total = bill.total
    assert total.calls >= len(api.kept)
    if fault is BUSY:
        assert (total.usd, bill.possibly.calls) == (0, 0)
    else:
        assert bill.possibly.calls == 3
    line = f"Claude: {total.calls} calls, {total.tokens.total:,} tokens, ${total.usd:.4f}"
    assert f"mlagent: Stopped, no plan is written. {line}" in err
    assert str(file.parent) in err
    assert "--resume" not in err
    assert "Traceback" not in err
    assert not (tmp_path / "plan.yaml").exists()


def test_ctrl_c_before_claude_is_asked_is_a_sentence(
    planned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlagent.orchestrator.plan_flow.open_table", pressed)
    code, _, err = planned()
    assert (code, err) == (130, "mlagent: Stopped.\n")
