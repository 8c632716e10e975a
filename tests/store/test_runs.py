"""Run folders: made, found, removed, and never mistaken for each other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.store.files import write_atomically
from mlagent.store.runs import RunFolder, Runs
from mlagent.testing.manifests import small_manifest

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def make(runs: Runs, *, kind: str = "execute", finished: bool = True) -> RunFolder:
    run = runs.create(NOW)
    (run.path / "journal.jsonl").write_text("")
    if finished:
        run.write("manifest.json", small_manifest(run=run.id, kind=kind))
    return run


def test_the_latest_finished_execute_is_found_without_a_name(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    made = [make(runs).id for _ in range(12)]
    make(runs, kind="try")
    make(runs, finished=False)
    assert runs.find().id == made[-1]
    assert runs.find().finished


def test_a_prefix_that_fits_several_runs_is_refused(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    make(runs)
    make(runs)
    with pytest.raises(BadInput, match="Several runs named '2026'"):
        runs.find("2026")
    with pytest.raises(BadInput, match="No run named 'nothing'"):
        runs.find("nothing")


def test_no_run_at_all_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="mlagent plan"):
        Runs(tmp_path / "runs").find()


def test_runs_are_kept_out_of_git(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    make(runs)
    assert (tmp_path / "runs" / ".gitignore").read_text() == "*\n"


def test_nothing_outside_runs_is_ever_removed(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    precious = tmp_path / "precious"
    precious.mkdir()
    with pytest.raises(BadInput):
        runs.remove(RunFolder(precious))
    assert precious.is_dir()


def test_an_unfinished_run_says_so_when_its_evaluation_is_asked_for(tmp_path: Path) -> None:
    run = make(Runs(tmp_path / "runs"), finished=False)
    with pytest.raises(BadInput, match="unfinished"):
        run.manifest()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "plan.yaml"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]
