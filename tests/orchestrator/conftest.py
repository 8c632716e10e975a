"""A scripted Messages API, and a folder with a table in which `plan` asks it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlagent.cli.main import main
from mlagent.testing.messages_api import MessagesApi, messages_api
from mlagent.testing.tables import churn_frame, write_csv

sys.path.insert(0, str(Path(__file__).parent))

from consultations import CANARY_NUMBER, CANARY_TEXT, KEY, Run, Team


@pytest.fixture
def team() -> Team:
    return Team()


@pytest.fixture
def api(team: Team, monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesApi]:
    with messages_api(team, keys=(KEY,)) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


@pytest.fixture
def planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Plans in a folder with a table that holds canaries; (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    table = churn_frame(400)
    table.loc[3, "contract"] = CANARY_TEXT
    table.loc[5, "fee"] = CANARY_NUMBER
    write_csv(table, tmp_path / "churn.csv")

    def run(*flags: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mlagent", "plan", "churn model", *flags])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(str(left.value.code)), out, err

    return run
