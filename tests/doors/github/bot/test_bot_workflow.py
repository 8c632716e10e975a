"""The example workflow for commands: its event, its rights, no text of others in a script."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlagent.cli.bot_commands import bot
from mlagent.content import Content
from mlagent.documents import load_yaml
from mlagent.doors.github.checkout import MOST_CANDIDATES
from mlagent.doors.github.hub import WRITERS
from mlagent.doors.github.work import SLACK_S, TRY_BUDGET_S
from mlagent.settings import parse_duration

NAME = "templates/pr/workflows/mlagent-command.yml"


@pytest.fixture(scope="module")
def text() -> str:
    return Content().text(NAME)


@pytest.fixture(scope="module")
def workflow(text: str) -> Any:
    return load_yaml(text, NAME)


def test_only_fresh_comments_start_it(workflow: Any) -> None:
    assert workflow["on"] == {"issue_comment": {"types": ["created"]}}
    condition = workflow["jobs"]["may"]["if"]
    assert "github.event.issue.pull_request" in condition
    assert "github.event.comment.user.type == 'User'" in condition


def test_it_has_no_more_rights_than_it_needs(workflow: Any) -> None:
    assert workflow["permissions"] == {}
    assert "permissions" not in workflow["jobs"]["may"]
    job = workflow["jobs"]["command"]
    assert job["permissions"] == {
        "contents": "read",
        "issues": "write",
        "pull-requests": "write",
    }


def test_commands_of_one_pull_request_run_one_at_a_time_and_none_is_cut_short(
    workflow: Any,
) -> None:
    assert "concurrency" not in workflow, "of the workflow: any comment would take a place"
    assert workflow["jobs"]["command"]["concurrency"] == {
        "group": "mlagent-command-${{ github.event.issue.number }}",
        "cancel-in-progress": False,
    }


@pytest.mark.parametrize("role", ["admin", "maintain", "write", "triage", "read", "none", ""])
def test_nobody_who_may_not_write_takes_a_place_or_starts_the_long_job(
    workflow: Any, tmp_path: Path, role: str
) -> None:
    """'': GitHub does not answer, which is red and not silent."""
    may, command = workflow["jobs"]["may"], workflow["jobs"]["command"]
    assert "concurrency" not in may
    assert (command["needs"], command["if"]) == ("may", "needs.may.outputs.write == 'true'")
    (step,) = may["steps"]
    assert may["outputs"] == {"write": f"${{{{ steps.{step['id']}.outputs.write }}}}"}
    assert step["env"]["LOGIN"] == "${{ github.event.comment.user.login }}"
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho {role}\ntest -n "{role}"\n')
    gh.chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        check=False,
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_REPOSITORY": "octo/churn",
            "LOGIN": "somebody",
        },
    )
    assert (done.returncode != 0) == (role == "")
    said = (tmp_path / "output").read_text() if (tmp_path / "output").exists() else ""
    assert said == ("write=true\n" if role in WRITERS else "")
    assert "repos/octo/churn/collaborators/somebody/permission" in (tmp_path / "asked").read_text()


def test_a_job_that_is_run_again_keeps_its_state_too(workflow: Any) -> None:
    """An entry of the cache is written once: each attempt has its own, and finds the latest."""
    restore, save = (
        step["with"]
        for step in workflow["jobs"]["command"]["steps"]
        if "actions/cache" in step.get("uses", "")
    )
    assert restore["key"] == save["key"]
    assert save["key"].endswith("-${{ github.run_id }}-${{ github.run_attempt }}")
    assert save["key"].startswith(restore["restore-keys"])


def test_the_job_is_not_ended_before_the_bots_own_limits(workflow: Any) -> None:
    """The longest command: a run and its candidates, each as long as the bot lets it."""
    default = inspect.signature(bot).parameters["max_budget"].default
    seconds = parse_duration(default)
    run = seconds * 1.5 + SLACK_S
    tries = MOST_CANDIDATES * (TRY_BUDGET_S * 2 + SLACK_S)
    job = workflow["jobs"]["command"]
    assert int(job["timeout-minutes"]) * 60 > run + tries


def test_it_checks_nothing_out_and_puts_no_text_of_others_into_a_script(
    workflow: Any, text: str
) -> None:
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert not any("checkout" in step.get("uses", "") for step in steps)
    assert "pull_request_target" not in text
    for step in steps:
        assert "${{" not in step.get("run", "")
    used = set(re.findall(r"\$\{\{ *([a-z_.]+) *\}\}", text))
    assert used <= {
        "github.event.comment.user.login",  # into the environment
        "github.event.issue.number",
        "github.run_attempt",
        "github.run_id",
        "github.token",
        "runner.temp",
        "steps.ask.outputs.write",
    }


def test_the_command_that_it_runs_exists_with_these_flags(workflow: Any) -> None:
    (run,) = [
        step["run"] for step in workflow["jobs"]["command"]["steps"] if "bot" in step.get("run", "")
    ]
    program, command, *words = shlex.split(run)
    assert (program, command) == ("mlagent", "bot")
    shown = subprocess.run(
        [sys.executable, "-m", "mlagent", "bot", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    flags = [word for word in words if word.startswith("--")]
    assert flags == ["--repo", "--event", "--state"]
    assert all(flag in shown for flag in flags)
