"""Which run `execute --resume` goes on with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.orchestrator.execute_flow import resumable, unfinished
from mlagent.orchestrator.looking import list_runs
from mlagent.store.journal import FileJournal
from mlagent.store.project import Project


def begun(project: Project, minute: int, *events: tuple[str, dict[str, object]]) -> str:
    run = project.runs.create(datetime(2026, 1, 1, 0, minute, tzinfo=UTC))
    (run.path / "plan.yaml").touch()
    with FileJournal(run.path / "journal.jsonl") as journal:
        for kind, facts in events:
            journal.append(kind, **facts)
    return run.id


def test_a_killed_try_and_a_refused_run_are_passed_over(tmp_path: Path) -> None:
    project = Project(tmp_path)
    wanted = begun(project, 1, ("run.start", {"command": "execute"}))
    refused = {"phase": "table", "error": "BadInput", "message": "no target"}
    begun(project, 2, ("run.start", {"command": "execute"}), ("phase.failed", refused))
    begun(project, 3, ("run.start", {"command": "try"}))
    assert unfinished(project).id == wanted


def test_only_a_killed_try_is_nothing_to_resume(tmp_path: Path) -> None:
    project = Project(tmp_path)
    begun(project, 1, ("run.start", {"command": "try"}))
    with pytest.raises(BadInput, match="no unfinished run"):
        unfinished(project)


def test_a_run_that_bad_input_ended_is_listed_as_refused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    refused = {"phase": "table", "error": "BadInput", "message": "no target"}
    broken = {"phase": "table", "error": "SandboxBroken", "message": "gone"}
    begun(project, 1, ("run.start", {"command": "execute"}), ("phase.failed", refused))
    begun(project, 2, ("run.start", {"command": "execute"}), ("phase.failed", broken))
    damaged = begun(project, 3, ("run.start", {"command": "execute"}), ("phase.failed", refused))
    (tmp_path / "runs" / damaged / "journal.jsonl").write_text("nothing\n")
    assert [row.state for row in list_runs(tmp_path)] == ["refused", "unfinished", "unfinished"]


EXECUTE: tuple[str, dict[str, object]] = ("run.start", {"command": "execute"})


def test_a_named_run_goes_on_beside_a_later_and_a_damaged_one(tmp_path: Path) -> None:
    project = Project(tmp_path)
    wanted, later, damaged = (begun(project, minute, EXECUTE) for minute in (1, 2, 3))
    assert resumable(project, wanted).id == wanted
    assert unfinished(project).id == damaged
    (tmp_path / "runs" / damaged / "journal.jsonl").write_text("nothing\n")
    with pytest.raises(BadInput, match="not a journal event"):
        unfinished(project)
    assert resumable(project, wanted).id == wanted
    assert resumable(project, later[:-1]).id == later
    with pytest.raises(BadInput, match="not a journal event"):
        resumable(project, damaged)


def test_a_run_that_cannot_go_on_is_refused_by_name(tmp_path: Path) -> None:
    project = Project(tmp_path / "here")
    finished, tried = (
        begun(project, 1, EXECUTE),
        begun(project, 2, ("run.start", {"command": "try"})),
    )
    (project.runs.root / finished / "manifest.json").touch()
    refused = begun(project, 3, EXECUTE, ("phase.failed", {"error": "BadInput"}))
    elsewhere = Project(tmp_path / "there")
    strange = elsewhere.runs.root / begun(elsewhere, 4, EXECUTE)
    for name, said in (
        (finished, "is finished: there is nothing to go on with"),
        (tried, "is a try"),
        (refused, "going on would end the same way"),
        (str(strange), "is no run of"),
        ("20200101", "No run named '20200101'"),
        ("2026", "Several runs named '2026'"),
    ):
        with pytest.raises(BadInput, match=said):
            resumable(project, name)
