"""What a resumed run takes over of its search: how far it was, what it took, whether it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlagent.orchestrator.search_before import USER_STOPPED, Before, searched_before
from mlagent.store.journal import FileJournal, read_journal

Told = tuple[float, str, dict[str, Any]]
MONEY = "the run has $0 of $1 left"


def before(path: Path, *events: Told) -> Before:
    seconds = iter([0.0, *(at for at, _, _ in events)])
    with FileJournal(path / "journal.jsonl", clock=lambda: next(seconds)) as made:
        for _, kind, facts in events:
            made.append(kind, **facts)
    return searched_before(read_journal(path / "journal.jsonl"))


STARTED: Told = (10.0, "search.start", {})
NODES: tuple[Told, ...] = ((12.0, "search.node", {"id": 1}), (15.0, "search.node", {"id": 2}))
RESUMED: Told = (16.0, "run.resumed", {})


def done(why: str) -> Told:
    return (20.0, "search.done", {"stopped": why})


def test_a_first_run_has_nothing_behind_it(tmp_path: Path) -> None:
    assert before(tmp_path, (1.0, "run.start", {})) == Before()


def test_a_search_that_was_killed_goes_on_with_the_time_that_is_left(tmp_path: Path) -> None:
    assert before(tmp_path, STARTED, *NODES, RESUMED) == Before(2, 5.0, None)


def test_time_of_several_processes_is_summed(tmp_path: Path) -> None:
    again: Told = (17.0, "search.start", {})
    more: Told = (19.0, "search.node", {"id": 3})
    last: Told = (21.0, "run.resumed", {})
    assert before(tmp_path, STARTED, *NODES, RESUMED, again, more, last) == Before(3, 7.0, None)


def test_a_search_that_ended_stays_ended(tmp_path: Path) -> None:
    resumed: Told = (30.0, "run.resumed", {})
    assert before(tmp_path, STARTED, *NODES, done(MONEY), resumed) == Before(2, 10.0, MONEY)


def test_what_the_user_stopped_goes_on_unless_the_vault_was_judged(tmp_path: Path) -> None:
    resumed: Told = (30.0, "run.resumed", {})
    stopped = done(USER_STOPPED)
    assert before(tmp_path, STARTED, *NODES, stopped, resumed).stopped is None
    (tmp_path / "journal.jsonl").unlink()
    opened: Told = (25.0, "vault.opened", {})
    found = before(tmp_path, STARTED, *NODES, stopped, opened, resumed)
    assert found.stopped == USER_STOPPED
