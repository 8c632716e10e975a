"""The first Ctrl-C is answered at once, the second leaves."""

from __future__ import annotations

import signal

import pytest

from mlagent.contracts.errors import Interrupted
from mlagent.orchestrator.state import StopFlag
from mlagent.orchestrator.wiring import interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_acknowledged_once_and_the_second_leaves(number: int) -> None:
    said: list[str] = []
    stop = StopFlag()
    with interruptible(stop, said.append):
        signal.raise_signal(number)
        assert stop()
        assert said == [
            "Stopping after the current step; the best model so far is kept. "
            "Press Ctrl-C again to stop now."
        ]
        with pytest.raises(Interrupted):
            signal.raise_signal(number)
    assert len(said) == 1


def test_a_signal_in_the_middle_of_a_print_is_acknowledged_on_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def entered_twice(sentence: str) -> None:
        raise RuntimeError("reentrant call")

    stop = StopFlag()
    with interruptible(stop, entered_twice):
        signal.raise_signal(signal.SIGINT)
    assert stop()
    assert "Stopping after the current step" in capfd.readouterr().err
