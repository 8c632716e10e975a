"""The base that a change is held against: named, of the event, in another tree, or missing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from git import Repo
from pull_projects import Heads, add_run, commit_all
from reported import gate, report_of, text_of

from mlagent.contracts.errors import BadInput, PrerequisiteMissing
from mlagent.doors.github.reporting import build_report
from mlagent.doors.github.workflow_event import Event


def test_of_two_runs_of_the_base_the_one_with_the_heads_budget_is_taken(heads: Heads) -> None:
    add_run(heads, "alike", commit=heads.base, number=10, budget_s=30)
    add_run(heads, "worse", commit=heads.base, number=11)
    add_run(heads, "better", budget_s=30)
    report = report_of(heads)
    assert report.base is not None
    assert report.base.run.endswith("-10")
    assert report.verdict == "better"


def test_a_base_that_was_not_evaluated_is_said_and_no_difference_is_shown(heads: Heads) -> None:
    add_run(heads, "better")
    shutil.rmtree(heads.folder / "runs" / heads.base_run)
    report = report_of(heads)
    assert report.standing == "base not evaluated"
    assert report.verdict == "not compared"
    assert all(row.difference is None and row.base is None for row in report.metrics)
    assert gate(report, "not-worse-than-base") == "not measured"
    assert not report.failed
    text = text_of(report)
    assert "### ⚠️ Base not evaluated" in text
    assert f"no finished run of commit {heads.base[:7]} is here" in text
    assert report.data.same_file  # known from git, without a base run


def test_without_any_base_the_report_says_so(heads: Heads) -> None:
    add_run(heads, "better")
    report = report_of(heads, base=None)
    assert "no base was named" in report.reason
    assert any("working folder" in note for note in report.notes)


@pytest.mark.parametrize("name", ["--upload-pack=touch /tmp/x", "nowhere", "", "main..change"])
def test_a_base_that_is_nothing_is_refused(heads: Heads, name: str) -> None:
    add_run(heads, "better")
    with pytest.raises(BadInput, match="neither a run here nor a commit"):
        report_of(heads, base=name)


def test_a_base_run_can_be_named(heads: Heads) -> None:
    add_run(heads, "better")
    report = report_of(heads, base=heads.base_run)
    assert report.base is not None
    assert report.base.run == heads.base_run
    assert report.policy_commit == heads.base


def test_a_base_run_with_uncommitted_changes_does_not_stand_for_the_commit(heads: Heads) -> None:
    shutil.rmtree(heads.folder / "runs" / "x", ignore_errors=True)
    dirty = add_run(heads, "worse", commit=heads.base, number=1, dirty=True)
    shutil.rmtree(heads.folder / "runs" / heads.base_run)
    _, head = dirty, _rename_base(heads, dirty)
    report = build_report(heads.folder, head, "main", None)
    assert report.standing == "base not evaluated"
    assert "uncommitted changes" in report.reason


def _rename_base(heads: Heads, source: str) -> str:
    """A second run folder, made at the head."""
    run = heads.folder / "runs" / "20990101-000000-50"
    shutil.copytree(heads.folder / "runs" / source, run)
    file = run / "environment.json"
    facts = json.loads(file.read_text()) | {"git_commit": heads.head, "git_dirty": False}
    file.write_text(json.dumps(facts))
    return run.name


def test_the_base_run_is_found_in_another_working_tree(heads: Heads, tmp_path: Path) -> None:
    add_run(heads, "better")
    tree = tmp_path / "base-tree"
    with Repo(heads.folder) as repo:
        repo.git.worktree("add", "--detach", str(tree), heads.base)
    (tree / "runs").mkdir()
    shutil.move(heads.folder / "runs" / heads.base_run, tree / "runs" / heads.base_run)
    report = report_of(heads)
    assert report.verdict == "better"


def test_in_a_job_the_base_commit_of_the_event_holds(heads: Heads) -> None:
    add_run(heads, "better")
    event = Event(7, heads.head, heads.base, None, 1, False)
    report = report_of(heads, base=None, event=event)
    assert report.policy_commit == heads.base
    assert report.verdict == "better"
    gone = Event(7, heads.head, "a" * 40, None, 1, False)
    with pytest.raises(PrerequisiteMissing, match="fetch-depth"):
        report_of(heads, base="main", event=gone)


def test_a_run_at_githubs_test_merge_is_held_against_the_base_branch(heads: Heads) -> None:
    """The event's base is the branch of the last push: what others merged since then is no change
    of this pull request."""
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "other.txt").write_text("meanwhile\n")
        tip = commit_all(heads.folder, "meanwhile")
        repo.git.checkout("-q", "-b", "merge", "main")
        repo.git.merge("-q", "--no-ff", "change", "-m", "test merge")
        merge = repo.head.commit.hexsha
        repo.git.checkout("-q", "change")
    add_run(heads, "worse", commit=tip, number=50)
    add_run(heads, "better", commit=merge, number=99)
    event = Event(7, heads.head, heads.base, merge, 1, False)
    report = report_of(heads, base=None, event=event)
    assert report.base is not None
    assert report.base.commit == tip
    assert report.base_commit == report.policy_commit == tip
    assert report.head_commit == heads.head
    assert not [note for note in report.notes if "was made at" in note]


def test_the_heads_own_run_is_no_base(heads: Heads) -> None:
    run = add_run(heads, "better")
    with pytest.raises(BadInput, match="is the head's own run"):
        report_of(heads, base=run)


def test_a_base_in_no_repository_or_an_empty_one_is_said(heads: Heads) -> None:
    add_run(heads, "better")
    shutil.rmtree(heads.folder / ".git")
    with pytest.raises(BadInput, match="in no git repository"):
        report_of(heads)
    Repo.init(heads.folder).close()
    with pytest.raises(BadInput, match="this repository has none yet"):
        report_of(heads)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the folder to somebody else")
def test_a_folder_that_git_refuses_to_work_in_is_said(
    heads: Heads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a job's container the clone often belongs to another user."""
    add_run(heads, "better")
    monkeypatch.setenv("HOME", str(tmp_path))
    for file in (heads.folder, heads.folder / ".git"):
        os.chown(file, 65534, 65534)
    with pytest.raises(PrerequisiteMissing, match="somebody else's") as caught:
        report_of(heads)
    assert "safe.directory" in caught.value.remedy
