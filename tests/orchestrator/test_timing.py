"""Where the time of a run went, from its journal."""

from __future__ import annotations

from pathlib import Path

from mlagent.contracts.policy import Overrun
from mlagent.contracts.run import JournalEvent, Manifest
from mlagent.orchestrator.timing import over_budget, phase_seconds
from mlagent.store.journal import FileJournal, read_journal
from mlagent.testing.manifests import small_manifest

OVERRUN = Overrun(factor=1.1, seconds=3, strict_from_s=30)


def journal(path: Path, *events: tuple[float, str, str]) -> list[JournalEvent]:
    """Events at given seconds: (seconds, kind, phase)."""
    seconds = iter([0.0, *(at for at, _, _ in events)])
    with FileJournal(path, clock=lambda: next(seconds)) as made:
        for _, kind, phase in events:
            made.append(kind, phase=phase)
    return read_journal(path)


def finished(wall_s: float, budget_s: float = 20.0) -> Manifest:
    return small_manifest(wall_s=wall_s, budget_s=budget_s)


def test_a_late_run_says_what_took_the_time_by_phase(tmp_path: Path) -> None:
    events = journal(
        tmp_path / "journal.jsonl",
        (1.0, "phase.start", "folds"),
        (9.0, "phase.done", "folds"),
        (9.0, "phase.start", "fit"),
        (30.0, "phase.done", "fit"),
    )
    said = over_budget(finished(32.5), events, OVERRUN)
    assert said == (
        "12.5 s over the budget of 20 s; the time went to: the fit 21.0 s, baselines and folds "
        "8.0 s, start and end 3.5 s."
    )
    assert "machine" not in said
    assert over_budget(finished(25.0), events, OVERRUN) == ""


def test_a_resumed_phase_counts_what_it_finished(tmp_path: Path) -> None:
    events = journal(
        tmp_path / "journal.jsonl",
        (1.0, "phase.start", "folds"),  # the process was killed here
        (4.0, "phase.start", "folds"),
        (6.0, "phase.done", "folds"),
        (6.0, "phase.start", "folds"),
        (7.5, "phase.failed", "folds"),
    )
    assert phase_seconds(events) == {"folds": 3.5}


def test_a_search_is_named_apart_from_the_folds_around_it(tmp_path: Path) -> None:
    events = journal(
        tmp_path / "journal.jsonl",
        (1.0, "phase.start", "folds"),
        (3.0, "search.start", "search"),
        (9.0, "search.done", "search"),
        (10.0, "phase.done", "folds"),
    )
    assert phase_seconds(events) == {"search": 6.0, "folds": 3.0}
