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
NODES: tuple[Told, ...] = (
    (12.0, "search.node", {"id": 1, "seconds": 1.5}),
    (15.0, "search.node", {"id": 2, "seconds": 2.5}),
)
TOOK = {1: 1.5, 2: 2.5}
RESUMED: Told = (16.0, "run.resumed", {})


def done(why: str) -> Told:
    return (20.0, "search.done", {"stopped": why})


def test_a_first_run_has_nothing_behind_it(tmp_path: Path) -> None:
    assert before(tmp_path, (1.0, "run.start", {})) == Before()


def test_a_search_that_was_killed_goes_on_with_the_time_that_is_left(tmp_path: Path) -> None:
    assert before(tmp_path, STARTED, *NODES, RESUMED) == Before(2, 5.0, None, TOOK)


def test_time_of_several_processes_is_summed(tmp_path: Path) -> None:
    again: Told = (17.0, "search.start", {})
    known: Told = (17.5, "search.node", {"id": 2, "seconds": 0.1})
    more: Told = (19.0, "search.node", {"id": 3, "seconds": 1.0})
    last: Told = (21.0, "run.resumed", {})
    found = before(tmp_path, STARTED, *NODES, RESUMED, again, known, more, last)
    assert found == Before(3, 7.0, None, {**TOOK, 3: 1.0}), "a node took what it took at first"


def test_tools_that_were_used_are_used(tmp_path: Path) -> None:
    def used(tool: str, refused: str = "") -> Told:
        return (13.0, "tool.used", {"tool": tool, "refused": refused})

    analyses = [used("run_analysis"), used("run_analysis", "it does not parse"), RESUMED]
    found = before(tmp_path, STARTED, *analyses, used("run_analysis"), used("ask_user"))
    assert found.used == {"run_analysis": 2, "ask_user": 1}


def test_a_search_that_ended_stays_ended(tmp_path: Path) -> None:
    resumed: Told = (30.0, "run.resumed", {})
    assert before(tmp_path, STARTED, *NODES, done(MONEY), resumed) == Before(2, 10.0, MONEY, TOOK)


def test_what_the_user_stopped_goes_on_unless_the_vault_was_judged(tmp_path: Path) -> None:
    resumed: Told = (30.0, "run.resumed", {})
    stopped = done(USER_STOPPED)
    assert before(tmp_path, STARTED, *NODES, stopped, resumed).stopped is None
    (tmp_path / "journal.jsonl").unlink()
    opened: Told = (25.0, "vault.opened", {})
    found = before(tmp_path, STARTED, *NODES, stopped, opened, resumed)
    assert found.stopped == USER_STOPPED
