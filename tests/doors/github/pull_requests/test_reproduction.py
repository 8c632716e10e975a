"""The lines under "Cost and reproduction" can be followed, in a clone, by whoever reads them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from git import Repo
from pull_projects import Heads, add_run, command, commit_all
from reported import report_of

from mlagent.content import Content
from mlagent.contracts.pr_report import PrReport
from mlagent.doors.github.comment import Links, compose
from mlagent.doors.github.run_facts import read_run, reproduce_of, side_of
from mlagent.doors.github.workflow_event import Event
from mlagent.store.runs import RunFolder


def section(report: PrReport, number: int | None = None) -> str:
    """Of the comment."""
    text = compose(report, Content(), "default", Links(number=number)).text
    return text.partition("<summary>Cost and reproduction</summary>")[2].partition("</details>")[0]


def lines(report: PrReport, number: int | None = None) -> list[str]:
    """The commands."""
    return section(report, number).partition("```sh\n")[2].partition("\n```")[0].splitlines()


def of_run(report: PrReport, heads: Heads, run: str) -> PrReport:
    """The report as it speaks of that run."""
    facts = read_run(RunFolder(heads.folder / "runs" / run))
    return report.model_copy(update={"reproduce": reproduce_of(facts), "head": side_of(facts)})


@pytest.fixture(scope="module")
def report(template: Heads, tmp_path_factory: pytest.TempPathFactory) -> PrReport:
    """Of a head that was made at its own commit."""
    folder = tmp_path_factory.mktemp("reproduced") / "project"
    shutil.copytree(template.folder, folder)
    heads = Heads(folder, template.base, template.head, template.base_run)
    add_run(heads, "better")
    return report_of(heads)


@pytest.mark.parametrize("folder", ["product", "my product"])
def test_execute_takes_the_line_of_a_run_with_a_candidate(
    heads: Heads, report: PrReport, folder: str
) -> None:
    """There is nothing to replay: the code is handed in again."""
    run = add_run(heads, "better", candidate=folder)
    made = of_run(report, heads, run)
    words = shlex.split(lines(made)[-1])
    kept = f"runs/{run}/artifacts/ml-engineer/product"
    assert words[-2:] == ["--candidate", kept if folder == "product" else "FOLDER"]
    assert "--replay" not in section(made)
    assert "lies in the run folder" in section(made)
    if folder == "product":
        done = command(heads.folder, *words[1:])
        assert "No container engine answers" in done.stderr, "only the container is missing here"


def test_a_run_without_a_schedule_is_not_replayed(heads: Heads, report: PrReport) -> None:
    run = add_run(heads, "linear")
    assert lines(of_run(report, heads, run))[-1].endswith(f" --replay {run}")
    (heads.folder / "runs" / run / "artifacts" / "ml-engineer" / "schedules.json").unlink()
    made = section(of_run(report, heads, run))
    assert "--replay" not in made
    assert "the linear baseline, which ships, does not depend on the clock" in made


def test_a_clone_fetches_the_head_by_the_number_of_the_pull_request(report: PrReport) -> None:
    checkout = f"git checkout {str(report.head_commit)[:12]}"
    assert lines(report, 7)[:2] == ["git fetch origin pull/7/head", checkout]
    assert lines(report)[0] == checkout, "no number is made up"
    bent = report.reproduce.model_copy(update={"merged": "f" * 40})
    for one in (report, report.model_copy(update={"reproduce": bent})):
        assert "merge" not in section(one, 7)


def test_the_files_of_githubs_test_merge_are_made_again_in_a_plain_clone(
    heads: Heads, tmp_path: Path
) -> None:
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "other.txt").write_text("meanwhile\n")
        tip = commit_all(heads.folder, "meanwhile")
        repo.git.checkout("-q", "-b", "merge", "main")
        repo.git.merge("-q", "--no-ff", "change", "-m", "test merge")
        merge = repo.head.commit.hexsha
        tree = repo.head.commit.tree.hexsha
        repo.git.checkout("-q", "change")
        origin = tmp_path / "origin.git"
        repo.git.clone("-q", "--bare", "--single-branch", "--branch", "main", ".", str(origin))
        repo.git.push("-q", str(origin), "change:refs/pull/7/head")
    add_run(heads, "better", commit=merge)
    report = report_of(heads, base=None, event=Event(7, heads.head, tip, merge, 1, False))
    said = section(report, 7)
    assert f"The run was made at <code>{merge[:7]}</code>, GitHub's test merge of the head" in said
    assert f"with <code>{tip[:7]}</code> of the base branch" in said
    clone = tmp_path / "clone"
    *before, execute = lines(report, 7)
    assert execute.startswith("mlagent execute ")
    who = "git config user.name a\ngit config user.email a@example.org"
    script = "\n".join([f"git clone -q {origin} {clone}", f"cd {clone}", who, *before])
    done = subprocess.run(
        ["bash", "-ec", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    with Repo(clone) as repo:
        assert repo.head.commit.tree.hexsha == tree
        assert merge[:12] not in "".join(before), "a clone does not have it"

    earlier = report.reproduce.model_copy(update={"merged": None})
    unknown = report.model_copy(update={"reproduce": earlier})
    assert lines(unknown, 7)[1] == f"git checkout {heads.head[:12]}"
    assert "the head's own files may differ" in section(unknown, 7)


def test_a_report_of_the_earlier_shape_is_still_read(report: PrReport) -> None:
    data = report.model_dump(mode="json", by_alias=True)
    for name in ("candidate", "schedule", "merged"):
        del data["reproduce"][name]
    read = PrReport.model_validate(data)
    assert section(read, 7) == section(report, 7)
