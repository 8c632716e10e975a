"""The last lines of `execute`: what was judged on what, gates that are not met, where time went."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlagent.cli.main import main
from mlagent.cli.run_commands import show_verdict
from mlagent.contracts.evaluation import Difference, Evaluation, Gate, Score, SealRef
from mlagent.store.files import write_json
from mlagent.store.journal import FileJournal
from mlagent.store.runs import RunFolder
from mlagent.testing.manifests import small_manifest

SCORE = Score(value=0.85, low=0.83, high=0.87, n=998)
SAME = Difference(value=0.0, low=0.0, high=0.0, verdict="not distinguishable")


def finished(folder: Path, *, wall_s: float = 19.0, **more: Any) -> SimpleNamespace:
    """A run whose linear baseline shipped."""
    run = RunFolder(folder / "runs" / "r-1")
    run.path.mkdir(parents=True)
    seconds = iter((0.0, 1.0, 31.0))
    with FileJournal(run.path / "journal.jsonl", clock=lambda: next(seconds)) as journal:
        journal.append("phase.start", phase="folds")
        journal.append("phase.done", phase="folds")
    values: dict[str, Any] = {
        "metric": "roc_auc",
        "direction": "maximize",
        "judged_on": "vault",
        "model_name": "linear",
        "model": SCORE,
        "baselines": {"linear": SCORE},
        "difference_to_linear": SAME,
        "difference_to_dummy": SAME,
        "seal": SealRef(id="s", opening=1),
        "tries": 2,
        "tier": "T3",
        "verdict": "linear: ROC AUC 0.85. A note of the verdict.",
    }
    evaluation = Evaluation(**(values | more))
    manifest = small_manifest(run="r-1", wall_s=wall_s, budget_s=20.0, journal_events=2)
    write_json(run.path / "manifest.json", manifest)
    notes = ("A note of the verdict.", "A later note.")
    return SimpleNamespace(run=run, evaluation=evaluation, notes=notes)


def shown(folder: Path, capsys: pytest.CaptureFixture[str], **more: Any) -> str:
    """What the terminal shows of it."""
    show_verdict(finished(folder, **more))
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("judged_on", "words"),
    [
        ("vault", "roc_auc on 998 vault rows: 0.8500"),
        ("test file", "roc_auc on 998 rows of the test file: 0.8500"),
        ("out-of-fold", "roc_auc on 998 out-of-fold rows: 0.8500"),
    ],
)
def test_the_judged_rows_are_named_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged_on: str, words: str
) -> None:
    assert words in shown(tmp_path, capsys, judged_on=judged_on)


def test_a_late_run_names_its_phases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = shown(tmp_path, capsys, wall_s=32.0)
    assert "took 32.0s of 20s" in late
    assert "12.0 s over the budget of 20 s; the time went to: baselines and folds 30.0 s" in late
    assert "machine" not in late


def test_a_note_of_the_verdict_is_not_printed_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(tmp_path, capsys)
    assert out.count("A note of the verdict.") == 1
    assert "note: A later note." in out
    assert "over the budget" not in out


def test_a_required_gate_that_does_not_apply_is_not_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = Gate(
        name="beats-linear",
        metric="primary",
        comparison="better_than_linear",
        threshold=None,
        value=None,
        required=True,
        outcome="not applicable",
        evidence="the linear baseline itself ships",
    )
    out = shown(tmp_path, capsys, gates=(gate,))
    assert "gate not met: beats-linear" in out
    assert "the linear baseline itself ships" in out


@pytest.mark.parametrize(("outcome", "code"), [("fail", 3), ("not measured", 3), ("pass", 0)])
def test_with_check_a_required_gate_decides_the_code_and_json_is_one_document(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Any,
    code: int,
) -> None:
    gate = Gate(
        name="good-enough",
        metric="primary",
        comparison="at_least",
        threshold=0.9,
        value=0.85,
        required=True,
        outcome=outcome,
        evidence="ROC AUC 0.85",
    )
    run = finished(tmp_path, gates=(gate,))
    monkeypatch.setattr("mlagent.orchestrator.execute_flow.execute_here", lambda *_: run)
    monkeypatch.setattr(sys, "argv", ["mlagent", "execute", "--check", "--json"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == code
    out, err = capsys.readouterr()
    assert json.loads(out)["evaluation"]["gates"][0]["outcome"] == outcome
    assert ("Gate 'good-enough' wants primary at_least 0.9" in err) == bool(code)
