"""What goes to which stream: one JSON document on stdout, whole lines in a pipe, a closed pipe."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, Run

from mlagent.cli import progress as module
from mlagent.cli.progress import LiveProgress, PlainProgress
from mlagent.orchestrator.planning import read_plan
from mlagent.testing.command_line import NO_ENGINE
from mlagent.testing.tables import churn_frame, write_csv

# --- one document on stdout ---


def documents(text: str) -> list[Any]:
    found, decoder, rest = [], json.JSONDecoder(), text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def test_json_puts_exactly_one_document_on_stdout(planned: Path, mlagent: Run) -> None:
    (plan,) = documents(mlagent("plan", "churn model", "--json").out)
    assert plan["schema"] == "mlagent/plan/v1"
    assert documents(mlagent("runs", "--json").out) == [{"runs": []}]
    (agents,) = documents(mlagent("agents", "list", "--json").out)
    assert set(agents) == {"data-explorer", "statistical-analyst", "ml-engineer"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("plan", "churn model", "--metric", "x"), "BadInput"),
        (("execute", "--vault", "most"), "BadInput"),
        (("board",), "BadInput"),
        (("compare", "a"), "BadInput"),
        (("report",), "BadInput"),
        (("predict", "nope.csv"), "BadInput"),
        (("try", "nowhere"), "BadInput"),
        (("plan",), "Usage"),
        (("plan", "churn model", "--speed", "11"), "Usage"),
        (("execute", "--seed", "-1"), "Usage"),
    ],
)
def test_an_error_is_one_json_document_too_and_a_sentence_on_stderr(
    planned: Path, mlagent: Run, words: tuple[str, ...], kind: str
) -> None:
    done = mlagent(*words, "--json")
    assert done.code == 2
    (error,) = documents(done.out)
    assert error["schema"] == "mlagent/error/v1"
    assert error["error"] == kind
    assert error["message"]
    assert error["message"] in done.err


# --- what is printed where nobody sits ---


def piped(folder: Path, *words: str, stdout: int = subprocess.PIPE, **more: str) -> Done:
    """The command line in a process of its own, whose stdout is no terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "mlagent", *words],
        cwd=folder,
        env=os.environ | NO_ENGINE | more,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout or "", done.stderr)


def test_piped_text_has_whole_lines_without_padding(tmp_path: Path) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    planned = [piped(tmp_path, "plan", "churn model", **more) for more in ({}, {"COLUMNS": "60"})]
    wide, narrow = (
        [line for line in done.out.splitlines() if "plans/" not in line] for done in planned
    )
    assert planned[0].code == 0, planned[0].err
    assert wide == narrow
    assert [line for line in wide if line != line.rstrip()] == []
    long = [line for line in wide if line.startswith("      + ")]
    assert any(len(line) > 60 for line in long)
    assert any("Commas in 'income'" in line for line in wide)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_closed_pipe_ends_in_silence_and_the_plan_is_written(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = piped(tmp_path, "plan", "churn model", *more, stdout=writer)
    finally:
        os.close(writer)
    assert (done.code, done.err) == (0, "")
    assert read_plan(tmp_path / "plan.yaml").task.target == "churned"


def test_a_run_goes_on_when_nobody_reads_its_progress(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out, PlainProgress(out) as progress:
        progress.phase("table", "read the table")
        progress.say("still there")
        out.write("no error at the end either")
    assert capfd.readouterr().err == ""


def test_without_a_terminal_nobody_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    with PlainProgress(out) as progress:
        assert progress.ask("Is fee known then?") is None
    assert "not asked, for nobody is here: Is fee known then?" in out.getvalue()
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n"))  # a pipe, not a keyboard
    with LiveProgress(1.0) as live:
        assert live.ask("Is fee known then?") is None


def test_at_a_terminal_the_user_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.3)
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal) as stdin, LiveProgress(1.0) as live:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, b" only later \n")
        assert live.ask("Is [bold]fee[/bold] known then?") == "only later"
        os.write(keyboard, b"half a li")
        assert live.ask("and now?") is None, "nobody answers in time"
        os.write(keyboard, b"ne\n")
        monkeypatch.setattr(module, "ANSWER_S", 60.0)
        assert live.ask("and now?") == "half a line"
        assert live.ask("and now?", lambda: True) is None, "Ctrl-C"
        os.write(keyboard, b"\xff\n")
        assert live.ask("and now?") is None, "no letter of this encoding"
        os.write(keyboard, b"\x04")
        assert live.ask("and now?") is None, "the keyboard is closed"
    os.close(keyboard)
    out = capsys.readouterr().out
    assert "Claude asks: Is [bold]fee[/bold] known then?" in out
    assert "No answer; it goes on without one." in out
