"""The command line in an empty folder or beside a plan; a command that fails changes no file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from command_line import Done, Run, user_files

from mlagent.cli.main import main
from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here
from mlagent.testing.command_line import NO_ENGINE
from mlagent.testing.tables import build_tree, churn_frame, write_csv


@pytest.fixture
def mlagent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The command line in an empty folder, without an engine. A command that fails must leave
    every file as it was."""
    monkeypatch.chdir(tmp_path)
    for name, value in NO_ENGINE.items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> Done:
        before = user_files(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mlagent", *words])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        done = Done(int(str(left.value.code)), out, err)
        assert "Traceback" not in out + err
        assert "should not happen" not in err
        if done.code:
            assert user_files(tmp_path) == before
        return done

    return run


@pytest.fixture
def refused(tmp_path: Path, mlagent: Run) -> Callable[..., str]:
    """Runs a command that must be refused: the exit code, one sentence and a remedy at most,
    nothing started (and what `mlagent` asks of every failure). Returns the words on stderr."""

    def run(*words: str, code: int = 2) -> str:
        done = mlagent(*words)
        assert done.code == code, done.err
        assert done.err.startswith("mlagent: ")
        assert 1 <= len(done.err.splitlines()) <= 2
        assert done.out == ""
        assert not (tmp_path / "runs").exists()
        return done.err

    return run


@pytest.fixture(scope="session")
def churn_plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | bytes]:
    """churn.csv and its plan.yaml, made once."""
    folder = tmp_path_factory.mktemp("planned")
    write_csv(churn_frame(300), folder / "churn.csv")
    make_plan_here(folder, PlanFlags("churn model"), None)
    return dict(user_files(folder))


@pytest.fixture
def planned(tmp_path: Path, churn_plan: dict[str, str | bytes]) -> Path:
    """A folder with churn.csv and its plan.yaml."""
    return build_tree(tmp_path, churn_plan)
