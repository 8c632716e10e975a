"""Tables that cannot be held against each other are a sentence of the report, and no failure."""

from __future__ import annotations

import hashlib
import shutil

from git import Repo
from pull_projects import Heads, add_run, commit_all
from reported import report_of, text_of

from mlagent.contracts.plan import Plan
from mlagent.contracts.pr_report import PrReport
from mlagent.data.door import open_table
from mlagent.documents import dump_yaml, read_record
from mlagent.store.runs import RunFolder

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 123456\n"


def renamed(heads: Heads) -> tuple[str, ...]:
    """A head whose run was made on the base's table with other headers; the names of these."""
    run = RunFolder(heads.folder / "runs" / add_run(heads, "better"))
    file = heads.folder / "churn.csv"
    header, rows = file.read_text().split("\n", 1)
    file.write_text(f"{header.upper()}\n{rows}")
    with open_table(file) as table:
        ref = table.ref.model_copy(update={"path": "churn.csv"})
    plan = read_record(Plan, (run.path / "plan.yaml").read_text(), "plan.yaml")
    (run.path / "plan.yaml").write_text(dump_yaml(plan.model_copy(update={"data": ref})))
    manifest = run.manifest().model_copy(update={"data_sha256": ref.sha256})
    run.write("manifest.json", manifest)
    (run.path / "distributions.json").unlink()
    return ref.columns


def with_pointer(heads: Heads, sha256: str) -> None:
    """The base commit holds a Git LFS pointer, and there is no base run."""
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "churn.csv").write_text(POINTER.format(sha256))
        commit_all(heads.folder, "Git LFS")
        repo.git.checkout("-q", "change")
    shutil.rmtree(heads.folder / "runs" / heads.base_run, ignore_errors=True)


def check_said(report: PrReport, said: str) -> None:
    assert not report.data.same_file
    assert said in report.data.not_measured
    assert not [one for one in report.data.columns if one.psi is not None]
    assert text_of(report)


def test_tables_without_one_common_column_have_their_schema_compared(heads: Heads) -> None:
    names = renamed(heads)
    report = report_of(heads)
    check_said(report, "'churn.csv' has none of the columns that the base's plan names.")
    assert set(report.data.added) == set(names)
    assert {name.upper() for name in report.data.removed} == set(names)


def test_a_git_lfs_pointer_at_the_base_is_called_by_its_name(heads: Heads) -> None:
    add_run(heads, "better")
    with_pointer(heads, "0" * 64)
    check_said(report_of(heads), "The base's table 'churn.csv' is a Git LFS pointer")
    with_pointer(heads, hashlib.sha256((heads.folder / "churn.csv").read_bytes()).hexdigest())
    assert report_of(heads).data.same_file, "the pointer names the head's own table"
