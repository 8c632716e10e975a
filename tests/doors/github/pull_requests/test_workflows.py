"""action.yml and the example workflows keep the rules that they teach."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pull_projects import NO_ENGINE, Heads, add_run, pull_event

from mlagent.content import Content
from mlagent.testing.github import FakeGitHub

ROOT = Path(__file__).parents[4]
ACTION = yaml.load((ROOT / "action.yml").read_text(), yaml.BaseLoader)
COMPUTE, POST = (
    yaml.load(Content().text(f"templates/pr/workflows/{name}.yml"), yaml.BaseLoader)
    for name in ("mlagent", "mlagent-comment")
)
STEPS = [
    *ACTION["runs"]["steps"],
    *COMPUTE["jobs"]["report"]["steps"],
    *POST["jobs"]["comment"]["steps"],
]


def using(workflow: dict[str, Any], job: str, name: str) -> list[dict[str, Any]]:
    return [step for step in workflow["jobs"][job]["steps"] if name in step.get("uses", "")]


def test_no_script_has_text_of_an_event_or_an_input_in_it() -> None:
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert len(scripts) >= 4
    for script in scripts:
        assert "${{" not in script


def test_the_job_that_runs_the_pull_requests_code_has_no_rights() -> None:
    assert COMPUTE["on"] == {"pull_request": ""}
    assert COMPUTE["permissions"] == {"contents": "read"}
    assert "permissions" not in COMPUTE["jobs"]["report"]
    text = Content().text("templates/pr/workflows/mlagent.yml")
    assert "secrets." not in text
    assert "github.token" not in text
    (checkout,) = using(COMPUTE, "report", "actions/checkout")
    assert checkout["with"]["persist-credentials"] == "false"
    assert checkout["with"]["fetch-depth"] == "0"


def test_the_job_with_rights_checks_out_no_head_and_runs_no_script() -> None:
    assert list(POST["on"]) == ["workflow_run"]
    assert POST["permissions"] == {}
    job = POST["jobs"]["comment"]
    assert job["permissions"] == {
        "actions": "read",
        "contents": "read",
        "pull-requests": "write",
    }
    assert job["if"].split(" && ")[0] == "github.event.workflow_run.event == 'pull_request'"
    (checkout,) = using(POST, "comment", "actions/checkout")
    assert not {"ref", "repository"} & set(checkout["with"])
    assert [step for step in job["steps"] if "run" in step] == []
    assert POST["on"]["workflow_run"]["workflows"] == [COMPUTE["name"]]


def test_a_run_without_a_report_is_no_failure_of_the_job_that_posts() -> None:
    """One that was cancelled for a newer push, or that failed before: its own check is red."""
    job = POST["jobs"]["comment"]
    assert job["if"].split(" && ")[1:] == ["github.event.workflow_run.conclusion != 'cancelled'"]
    (download,) = using(POST, "comment", "actions/download-artifact")
    assert download["continue-on-error"] == "true"
    (post,) = using(POST, "comment", "/mlagent@")
    assert post["if"] == f"steps.{download['id']}.outcome == 'success'"


def test_the_base_is_evaluated_at_the_commit_that_the_head_was_merged_with() -> None:
    (base,) = [s for s in COMPUTE["jobs"]["report"]["steps"] if "worktree" in s.get("run", "")]
    assert '"$(git rev-parse HEAD^1)"' in base["run"]
    assert "base.sha }}" not in Content().text("templates/pr/workflows/mlagent.yml")


def test_branches_of_two_forks_with_one_name_do_not_push_each_others_comment_aside() -> None:
    """GitHub drops the job that waits in a group when another one comes."""
    fork, branch = (
        f"${{{{ github.event.workflow_run.{name} }}}}"
        for name in ("head_repository.id", "head_branch")
    )
    assert POST["concurrency"] == {
        "group": f"mlagent-comment-{fork}-{branch}",
        "cancel-in-progress": "false",
    }


@pytest.mark.parametrize("name", ["mlagent", "mlagent-comment"])
def test_pull_request_target_is_nowhere(name: str) -> None:
    text = Content().text(f"templates/pr/workflows/{name}.yml")
    assert "pull_request_target" not in text


def test_the_workflows_use_inputs_that_the_action_has() -> None:
    known = set(ACTION["inputs"])
    for step in using(COMPUTE, "report", "/mlagent@") + using(POST, "comment", "/mlagent@"):
        assert set(step["with"]) <= known


def test_every_input_of_the_action_reaches_the_command() -> None:
    (report,) = [step for step in ACTION["runs"]["steps"] if step["name"] == "Report"]
    used = set(re.findall(r"inputs\.([a-z-]+)", str(report)))
    assert used == set(ACTION["inputs"])


def test_the_actions_script_posts_the_comment(
    heads: Heads, github: FakeGitHub, tmp_path: Path
) -> None:
    add_run(heads, "better")
    github.pull(7, [heads.head], heads.base)
    (report,) = [step for step in ACTION["runs"]["steps"] if step["name"] == "Report"]
    home = tmp_path / "runner" / "mlagent-venv" / "bin"
    home.mkdir(parents=True)
    (home / "mlagent").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlagent "$@"\n')
    (home / "mlagent").chmod(0o755)
    inputs = {
        "INPUT_RUN": "",
        "INPUT_BASE": "",
        "INPUT_GATES": "true",
        "INPUT_JSON": str(tmp_path / "a b.json"),
        "INPUT_FROM": "",
        "INPUT_NAME": "default",
        "INPUT_AUTHOR": "",
        "INPUT_DRY_RUN": "false",
        "INPUT_REQUIRE": "true",
    }
    env = pull_event(tmp_path / "event.json", heads)
    done = subprocess.run(
        ["bash", "-c", report["run"]],
        cwd=heads.folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "RUNNER_TEMP": str(tmp_path / "runner"),
            "GITHUB_API_URL": github.url,
            **inputs,
            **env,
            **NO_ENGINE,
        },
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a b.json").is_file()
    assert len(github.of(7)) == 1


def test_modules_of_the_repository_do_not_stand_in_for_pythons_own(tmp_path: Path) -> None:
    """The action is installed while the working folder is a stranger's `logging.py`."""
    (install,) = [step for step in ACTION["runs"]["steps"] if step["name"] == "Install mlagent"]
    work, bin_ = tmp_path / "work", tmp_path / "runner" / "mlagent-venv" / "bin"
    work.mkdir()
    bin_.mkdir(parents=True)
    (work / "logging.py").write_text("raise SystemExit('the repository was imported')\n")
    for python in (tmp_path / "python3", bin_ / "python"):  # imports with the flags that it gets
        python.write_text(
            '#!/bin/sh\nflags=""\nwhile [ "$1" != -m ]; do flags="$flags $1"; shift; done\n'
            f'echo "$*" >> "{tmp_path}/said"\nexec "{sys.executable}" $flags -c "import logging"\n'
        )
        python.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", install["run"]],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(tmp_path / "runner"),
            "GITHUB_ACTION_PATH": "/action",
            "GITHUB_PATH": str(tmp_path / "path"),
        },
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "said").read_text().splitlines()
    assert [line.split()[1] for line in said] == ["venv", "pip"]


def test_an_input_is_never_read_as_a_script(heads: Heads, tmp_path: Path) -> None:
    (report,) = [step for step in ACTION["runs"]["steps"] if step["name"] == "Report"]
    home = tmp_path / "mlagent-venv" / "bin"
    home.mkdir(parents=True)
    (home / "mlagent").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (home / "mlagent").chmod(0o755)
    evil = f'"; touch {tmp_path}/pwned; "$(touch {tmp_path}/pwned)'
    names = re.findall(r"INPUT_[A-Z_]+", report["run"])
    done = subprocess.run(
        ["bash", "-c", report["run"]],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path)} | dict.fromkeys(names, evil),
    )
    assert done.returncode == 0, done.stderr
    assert f"--base={evil}" in done.stdout.splitlines()
    assert not (tmp_path / "pwned").exists()
