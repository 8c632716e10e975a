"""`mlagent pr-comment` as a job types it, against a GitHub on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from git import Repo
from pull_projects import (
    SETTINGS,
    Heads,
    add_run,
    command,
    commit_all,
    mlagent,
    pull_event,
)

from mlagent.contracts.pr_report import PrReport
from mlagent.testing.github import FakeGitHub, Fault


@pytest.fixture
def job(heads: Heads, github: FakeGitHub, tmp_path: Path) -> dict[str, str]:
    """Environment of a `pull_request` job for pull request 7."""
    github.pull(7, [heads.head], heads.base)
    env = pull_event(tmp_path / "event.json", heads)
    return env | {"GITHUB_API_URL": github.url}


def test_posted_twice_is_one_comment(heads: Heads, github: FakeGitHub, job: dict[str, str]) -> None:
    add_run(heads, "worse")
    first = mlagent(heads.folder, "pr-comment", **job)  # the real process
    assert first.returncode == 0, first.stderr
    assert "created" in first.stderr
    second = command(heads.folder, "pr-comment", **job)
    assert "unchanged" in second.stderr
    (comment,) = github.of(7)
    assert "### ❌ Worse than the base" in comment.body
    assert "actions/runs/4242" in comment.body
    assert len(github.writes()) == 1


def test_a_new_report_changes_the_comment(
    heads: Heads, github: FakeGitHub, job: dict[str, str]
) -> None:
    add_run(heads, "worse", number=10)
    command(heads.folder, "pr-comment", **job)
    add_run(heads, "better", number=11)
    done = command(heads.folder, "pr-comment", **job)
    assert "updated" in done.stderr
    (comment,) = github.of(7)
    assert "### ✅ Better than the base" in comment.body


def test_gates_end_with_3_after_the_comment_is_posted(
    heads: Heads, github: FakeGitHub, job: dict[str, str], tmp_path: Path
) -> None:
    add_run(heads, "worse")
    file = tmp_path / "report.json"
    done = command(heads.folder, "pr-comment", "--gates", "--json", str(file), **job)
    assert done.returncode == 3
    assert "not-worse-than-base" in done.stderr
    assert len(github.of(7)) == 1
    assert PrReport.model_validate_json(file.read_text(), strict=True).verdict == "worse"
    assert command(heads.folder, "pr-comment", **job).returncode == 0


def test_a_dry_run_calls_nobody(
    heads: Heads, github: FakeGitHub, job: dict[str, str], tmp_path: Path
) -> None:
    add_run(heads, "better")
    summary = tmp_path / "summary.md"
    env = job | {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_TOKEN": ""}
    done = command(heads.folder, "pr-comment", "--dry-run", **env)
    assert done.returncode == 0
    assert "### ✅ Better than the base" in done.stdout
    assert "### ✅ Better than the base" in summary.read_text()
    assert github.log == []


@pytest.mark.parametrize("what", ["locked", "reader", "issues off", "limited"])
def test_when_github_says_no_the_report_stands_in_the_job_summary(
    heads: Heads, github: FakeGitHub, job: dict[str, str], tmp_path: Path, what: str
) -> None:
    add_run(heads, "better")
    if what == "locked":
        github.pulls[7].locked = True
    elif what == "reader":
        github.accounts["job-token"].role = "read"
    elif what == "issues off":
        github.issues_off = True
    else:
        github.faults.append(
            Fault("POST", "comments", 403, "secondary", {"retry-after": "9000"}, times=9)
        )
    summary = tmp_path / "summary.md"
    env = job | {"GITHUB_STEP_SUMMARY": str(summary)}
    done = command(heads.folder, "pr-comment", **env)
    assert done.returncode == 0, done.stderr
    assert "summary (GitHub refused" in done.stderr
    text = summary.read_text()
    assert "### ✅ Better than the base" in text
    assert "mlagent:report" not in text
    assert "job-token" not in done.stdout + done.stderr + text
    strict = command(heads.folder, "pr-comment", "--require-comment", **env)
    assert strict.returncode == 1
    assert "GitHub refused" in strict.stderr


FAULTS = {
    "bad token": ("401 Bad credentials", "GITHUB_TOKEN"),
    "no such number": ("404 Not Found", "Check that pull request 7 of octo/churn exists"),
    "moved": ("301", "--repo OWNER/NAME"),
    "never answered": ("no usable answer", "githubstatus"),
}
LASTING = {
    "broken": ("502", "githubstatus"),
    "no connection": ("GitHub did not answer", "Check the connection and GITHUB_API_URL"),
}
"""Tried again for seconds, as they might pass."""


@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.parametrize("summed", [True, False])
def test_a_fault_that_somebody_can_mend_is_an_error_and_the_report_is_kept(
    heads: Heads, github: FakeGitHub, job: dict[str, str], tmp_path: Path, what: str, summed: bool
) -> None:
    add_run(heads, "better")
    env, file, summary = dict(job), tmp_path / "report.json", tmp_path / "summary.md"
    if summed:
        env["GITHUB_STEP_SUMMARY"] = str(summary)
    if what == "bad token":
        env["GITHUB_TOKEN"] = "ghp_expired"
    elif what == "no such number":
        github.pulls.clear()
    elif what == "moved":
        github.faults.append(Fault("GET", "/pulls/7", 301, "Moved Permanently", times=99))
    else:
        github.faults.append(Fault("POST", "comments", 500, times=99))
    done = command(heads.folder, "pr-comment", "--json", str(file), **env)
    is_an_error_and_the_report_is_kept(done, FAULTS[what], file, summary if summed else None)


Ended = subprocess.CompletedProcess[str]


def is_an_error_and_the_report_is_kept(
    done: Ended, wanted: tuple[str, str], file: Path, summary: Path | None
) -> None:
    said, way_out = wanted
    assert done.returncode == 1
    assert said in done.stderr
    assert way_out in done.stderr
    assert "There is no comment on pull request 7 of octo/churn" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ghp_expired" not in done.stdout + done.stderr
    assert PrReport.model_validate_json(file.read_text(), strict=True).verdict == "better"
    kept = done.stdout if summary is None else summary.read_text()
    assert "### ✅ Better than the base" in kept
    assert ("in the output" if summary is None else "in the job summary") in done.stderr


@pytest.fixture(scope="module")
def waited(
    template: Heads, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, bool], tuple[Ended, Path]]:
    """What each lasting fault came to, and the folder of its files. All wait at the same time."""
    home = tmp_path_factory.mktemp("waited")
    heads = Heads(home / "project", template.base, template.head, template.base_run)
    shutil.copytree(template.folder, heads.folder)
    add_run(heads, "better")
    cases = [(what, summed) for what in LASTING for summed in (True, False)]

    def post(case: tuple[str, bool]) -> tuple[Ended, Path]:
        what, summed = case
        place = home / f"{what}, {summed}"
        place.mkdir()
        env = pull_event(place / "event.json", heads)
        env["GITHUB_API_URL"] = github.url if what == "broken" else nobody
        if summed:
            env["GITHUB_STEP_SUMMARY"] = str(place / "summary.md")
        words = ("pr-comment", "--json", str(place / "report.json"))
        return mlagent(heads.folder, *words, **env), place

    with FakeGitHub() as github, socket.socket() as unused, ThreadPoolExecutor() as pool:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        github.actions("job-token")
        github.pull(7, [heads.head], heads.base)
        github.faults.append(Fault("GET", "/pulls/7", 502, times=99))
        return dict(zip(cases, pool.map(post, cases), strict=True))


@pytest.mark.parametrize("what", LASTING)
@pytest.mark.parametrize("summed", [True, False])
def test_a_fault_that_lasts_is_such_an_error_too(
    waited: dict[tuple[str, bool], tuple[Ended, Path]], what: str, summed: bool
) -> None:
    done, place = waited[what, summed]
    summary = place / "summary.md" if summed else None
    is_an_error_and_the_report_is_kept(done, LASTING[what], place / "report.json", summary)


def test_stdout_holds_one_document_also_when_the_comment_and_a_gate_fail(
    heads: Heads, github: FakeGitHub, job: dict[str, str]
) -> None:
    add_run(heads, "worse")
    env = job | {"GITHUB_TOKEN": "ghp_expired"}
    done = command(heads.folder, "pr-comment", "--json", "-", "--gates", **env)
    assert done.returncode == 3, "the gates' code says more"
    assert PrReport.model_validate_json(done.stdout, strict=True).verdict == "worse"
    assert "401" in done.stderr
    assert "not-worse-than-base" in done.stderr
    assert "1 required gate did not pass" in done.stderr


def test_an_apps_token_outside_of_a_job_is_told_to_name_its_author(
    heads: Heads, github: FakeGitHub
) -> None:
    add_run(heads, "better")
    github.pull(7, [heads.head], heads.base)
    env = {"GITHUB_API_URL": github.url, "GH_TOKEN": "job-token"}
    words = ("pr-comment", "--base", "main", "--repo", "octo/churn", "--pr", "7")
    done = command(heads.folder, *words, **env)
    assert done.returncode == 1
    assert "--author LOGIN" in done.stderr
    named = command(heads.folder, *words, "--author", "github-actions[bot]", **env)
    assert named.returncode == 0, named.stderr
    assert "created" in named.stderr


def test_nothing_is_computed_for_a_comment_that_cannot_be_posted(
    heads: Heads, job: dict[str, str], tmp_path: Path
) -> None:
    add_run(heads, "better")
    file = tmp_path / "report.json"
    done = command(heads.folder, "pr-comment", "--json", str(file), **job | {"GITHUB_TOKEN": ""})
    assert done.returncode == 4
    assert not file.exists()


def test_a_body_that_github_finds_too_long_is_made_shorter(
    heads: Heads, github: FakeGitHub, job: dict[str, str]
) -> None:
    add_run(heads, "better")
    message = "Validation Failed body is too long (maximum is 65536 characters)"
    github.faults.append(Fault("POST", "comments", 422, message))
    done = command(heads.folder, "pr-comment", **job)
    assert "created" in done.stderr, done.stderr
    assert len(github.of(7)) == 1


def test_outside_of_a_job_the_author_is_the_tokens_user(
    heads: Heads, github: FakeGitHub, tmp_path: Path
) -> None:
    add_run(heads, "better")
    github.pull(7, [heads.head], heads.base)
    github.account("mine", "octocat")
    env = {"GITHUB_API_URL": github.url, "GH_TOKEN": "mine"}
    words = ("pr-comment", "--base", "main", "--repo", "octo/churn", "--pr", "7")
    for wanted in ("created", "unchanged"):
        done = command(heads.folder, *words, **env)
        assert wanted in done.stderr, done.stderr
    (comment,) = github.of(7)
    assert comment.author.login == "octocat"


@pytest.mark.parametrize(
    ("words", "drop", "code", "said"),
    [
        (("pr-comment",), ("GITHUB_TOKEN",), 4, "no GitHub token"),
        (("pr-comment",), ("GITHUB_REPOSITORY",), 2, "repository on GitHub is not known"),
        (("pr-comment", "--name", "Not A Name"), (), 2, "no name for a report"),
        (("pr-comment", "--repo", "../x"), (), 2, "not OWNER/NAME"),
        (("pr-comment", "--json", "nowhere/report.json"), (), 2, "does not exist"),
        (("pr-comment", "--json", "."), (), 2, "is a folder"),
        (("pr-comment", "--run", "nothing"), (), 2, "No run named"),
        (("pr-comment", "--from", "absent.json"), (), 2, "not a plain file"),
    ],
)
def test_what_is_missing_is_said(
    heads: Heads,
    job: dict[str, str],
    words: tuple[str, ...],
    drop: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    env = {name: value for name, value in job.items() if name not in drop}
    done = command(heads.folder, *words, **env)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_commit_there_is_a_report_but_no_comment(
    heads: Heads, github: FakeGitHub, tmp_path: Path
) -> None:
    folder = tmp_path / "outside"
    shutil.copytree(heads.folder, folder, ignore=shutil.ignore_patterns(".git"))
    file = folder / "runs" / heads.base_run / "environment.json"
    facts = json.loads(file.read_text()) | {"git_commit": None, "git_dirty": None}
    file.write_text(json.dumps(facts))
    words = ("pr-comment", "--repo", "octo/churn", "--pr", "7")
    dry = command(folder, *words, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "### ⚠️ Base not evaluated" in dry.stdout
    done = command(folder, *words, GH_TOKEN="job-token", GITHUB_API_URL=github.url)
    assert done.returncode == 2
    assert "no head commit" in done.stderr
    assert github.log == []


def test_pull_request_target_is_refused(heads: Heads, job: dict[str, str]) -> None:
    add_run(heads, "better")
    done = command(heads.folder, "pr-comment", **job | {"GITHUB_EVENT_NAME": "pull_request_target"})
    assert done.returncode == 2
    assert "workflow_run" in done.stderr


def test_a_higher_floor_of_the_base_reaches_the_comment(
    heads: Heads, github: FakeGitHub, tmp_path: Path
) -> None:
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "mlagent.yaml").write_text(SETTINGS.replace("0.55", "0.99"))
        base = commit_all(heads.folder, "a higher floor")
        repo.git.checkout("-q", "change")
    add_run(heads, "better")
    github.pull(7, [heads.head], base)
    env = pull_event(tmp_path / "event.json", Heads(heads.folder, base, heads.head, ""))
    done = command(heads.folder, "pr-comment", "--gates", **env, GITHUB_API_URL=github.url)
    assert done.returncode == 3
    assert "auc-floor" in done.stderr
    assert "1 of 8 required gates did not pass" in github.of(7)[0].body


def test_a_summary_that_cannot_be_written_loses_nothing(
    heads: Heads, github: FakeGitHub, job: dict[str, str]
) -> None:
    add_run(heads, "better")
    env = job | {"GITHUB_STEP_SUMMARY": "/nonexistent/summary.md"}
    done = command(heads.folder, "pr-comment", "--dry-run", **env)
    assert done.returncode == 0, done.stderr
    assert "### ✅ Better than the base" in done.stdout
    github.pulls[7].locked = True
    done = command(heads.folder, "pr-comment", **env)
    assert done.returncode == 0, done.stderr
    assert "### ✅ Better than the base" in done.stdout
    assert "comment: printed" in done.stderr


def test_an_event_file_that_is_no_text_is_said(heads: Heads, job: dict[str, str]) -> None:
    Path(job["GITHUB_EVENT_PATH"]).write_bytes(b"\xff\xfe")
    done = command(heads.folder, "pr-comment", **job)
    assert done.returncode == 2
    assert "The event file is not UTF-8" in done.stderr
