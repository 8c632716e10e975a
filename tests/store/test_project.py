"""The project: one run at a time, counted openings, private scratch."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.contracts.run import Seal
from mlagent.store.project import Project


def seal(**changes: object) -> Seal:
    facts: dict[str, object] = {
        "id": "abc",
        "data_sha256": "0" * 64,
        "kind": "random",
        "share": 0.2,
        "seed": 0,
        "dev_rows": 8,
        "vault_rows": (1, 2),
        "vault_hashes": ("a", "b"),
        "grouped_duplicates": True,
    }
    return Seal.model_validate(facts | changes)


def test_each_opening_of_a_vault_is_counted_on_disk(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.save_seal(seal())
    assert project.count_opening(seal()).openings == 1
    assert Project(tmp_path).count_opening(seal()).openings == 2
    assert [item.openings for item in project.seals()] == [2]


def _hold(folder: str, ready: object, go: object) -> None:
    with Project(Path(folder)).lock():
        ready.set()  # type: ignore[attr-defined]
        go.wait(20)  # type: ignore[attr-defined]


def test_a_second_run_in_one_folder_is_refused(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path), ready, go))
    other.start()
    try:
        assert ready.wait(20)
        with pytest.raises(BadInput, match="Another run is at work"), Project(tmp_path).lock():
            pass
    finally:
        go.set()
        other.join(20)
    with Project(tmp_path).lock():
        pass


def test_scratch_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path)
    leftover = tmp_path / ".mlagent" / "scratch" / "old"
    leftover.mkdir(parents=True)
    with project.lock(), project.scratch() as scratch:
        assert stat.S_IMODE(scratch.parent.stat().st_mode) == 0o700
        assert not leftover.exists()
        (scratch / "rows.parquet").write_bytes(b"x")
    assert not scratch.exists()


def test_what_predict_wrote_is_known_until_somebody_changes_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    ours, theirs, elsewhere = folder / "p.csv", folder / "churn.csv", tmp_path / "q.csv"
    for path in (ours, theirs, elsewhere):
        path.write_text("a,prediction\n1,2\n")
    project = Project(folder)
    assert not project.is_output(ours)
    project.note_output(ours)
    project.note_output(elsewhere)
    assert Project(folder).is_output(ours)
    assert not project.is_output(theirs)
    assert project.is_output(elsewhere)
    elsewhere.unlink()
    ours.write_text("a,churned\n1,yes\n")
    assert not project.is_output(ours)
    ours.unlink()
    project.note_output(theirs)
    assert list(json.loads((folder / ".mlagent" / "outputs.json").read_text())) == ["churn.csv"]


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "null"])
def test_a_damaged_record_of_outputs_costs_nothing_but_the_memory(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "p.csv").write_text("a,prediction\n1,2\n")
    project = Project(tmp_path)
    project.note_output(tmp_path / "p.csv")
    (tmp_path / ".mlagent" / "outputs.json").write_text(text)
    assert not project.is_output(tmp_path / "p.csv")
    project.note_output(tmp_path / "p.csv")
    assert project.is_output(tmp_path / "p.csv")
