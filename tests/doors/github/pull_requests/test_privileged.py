"""`mlagent pr-comment --from`: a record of another job, posted by one with rights or by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pull_projects import Heads, add_run, command, pull_event, workflow_run_event

from mlagent.testing.github import FakeGitHub

Records = dict[str, Path]


@pytest.fixture
def privileged(heads: Heads, github: FakeGitHub, tmp_path: Path) -> dict[str, str]:
    """Environment of the `workflow_run` job after it."""
    github.pull(7, [heads.head], heads.base)
    env = workflow_run_event(tmp_path / "run-event.json", heads.head)
    return env | {"GITHUB_API_URL": github.url}


@pytest.fixture(scope="session")
def records(template: Heads, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """report.json of a better and a worse head, each made once by the unprivileged job."""
    home = tmp_path_factory.mktemp("records")
    made = {}
    for model in ("better", "worse"):
        folder = home / model
        shutil.copytree(template.folder, folder)
        heads = Heads(folder, template.base, template.head, template.base_run)
        add_run(heads, model)
        env = pull_event(home / "event.json", heads) | {"GITHUB_TOKEN": ""}
        made[model] = home / f"{model}.json"
        done = command(folder, "pr-comment", "--json", str(made[model]), "--dry-run", **env)
        assert done.returncode == 0, done.stderr
    return made


def record(records: Records, tmp_path: Path, model: str = "better") -> Path:
    """A copy of one of them, as the artifact of the privileged job."""
    return Path(shutil.copy(records[model], tmp_path / "report.json"))


def edited(file: Path, **changes: Any) -> None:
    value = json.loads(file.read_text())
    file.write_text(json.dumps(value | changes))


def test_the_two_jobs_together_post_once(
    heads: Heads, records: Records, github: FakeGitHub, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path, "worse")
    for wanted in ("created", "unchanged"):
        done = command(heads.folder, "pr-comment", "--from", str(file), **privileged)
        assert done.returncode == 0, done.stderr
        assert wanted in done.stderr
    (comment,) = github.of(7)
    assert "### ❌ Worse than the base" in comment.body
    assert "its gates are those of the base commit" in comment.body
    assert "actions/runs/4242" in comment.body
    assert "\ngit fetch origin pull/7/head\n" in comment.body


def test_a_forks_pull_request_is_found_by_its_branch(
    heads: Heads, records: Records, github: FakeGitHub, tmp_path: Path
) -> None:
    file = record(records, tmp_path)
    github.pull(3, [heads.head], heads.base, head_owner="stranger", head_branch="change")
    github.pull(4, ["e" * 40], heads.base, head_owner="stranger", head_branch="change")
    env = workflow_run_event(tmp_path / "e.json", heads.head, owner="stranger")
    env["GITHUB_API_URL"] = github.url
    done = command(heads.folder, "pr-comment", "--from", str(file), **env)
    assert "created" in done.stderr, done.stderr
    assert len(github.of(3)) == 1
    assert github.of(4) == []


def test_the_artifact_cannot_choose_the_pull_request(
    heads: Heads, records: Records, github: FakeGitHub, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path)
    github.pull(8, ["f" * 40], heads.base)
    edited(file, head_commit="f" * 40)
    done = command(heads.folder, "pr-comment", "--from", str(file), "--pr", "8", **privileged)
    assert done.returncode == 2
    assert "does not belong here" in done.stderr
    edited(file, head_commit=heads.head)
    done = command(heads.folder, "pr-comment", "--from", str(file), "--pr", "8", **privileged)
    assert done.returncode == 0
    assert github.of(8) == []
    assert len(github.of(7)) == 1


def test_a_privileged_job_computes_nothing(heads: Heads, privileged: dict[str, str]) -> None:
    add_run(heads, "better")
    done = command(heads.folder, "pr-comment", **privileged)
    assert done.returncode == 2
    assert "--from" in done.stderr


def test_an_artifact_with_loosened_gates_is_not_posted(
    heads: Heads, records: Records, github: FakeGitHub, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path, "worse")
    for gates in loosened(file):
        edited(file, gates=gates)
        done = command(heads.folder, "pr-comment", "--from", str(file), **privileged)
        assert done.returncode == 2
        assert "not the one of the base commit" in done.stderr
    assert github.of(7) == []


def test_a_gate_whose_evidence_is_of_other_numbers_is_not_posted(
    heads: Heads, records: Records, github: FakeGitHub, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path, "worse")
    kept = json.loads(file.read_text())["gates"]
    bent = {
        "better-than-dummy": {"value": 0.1, "low": 0.05, "high": 0.2, "outcome": "pass"},
        "auc-floor": {"value": 0.99, "outcome": "pass"},
    }
    for name, numbers in bent.items():
        gates = [gate | (numbers if gate["name"] == name else {}) for gate in kept]
        edited(file, gates=gates)
        done = command(heads.folder, "pr-comment", "--from", str(file), **privileged)
        assert done.returncode == 2
        assert f"gate '{name}' is not of its numbers" in done.stderr
    assert github.of(7) == []


def loosened(file: Path) -> list[list[dict[str, Any]]]:
    """Gates of a report, made weaker in four ways."""
    gates = json.loads(file.read_text())["gates"]

    def changed(name: str, **facts: Any) -> list[dict[str, Any]]:
        return [gate | (facts if gate["name"] == name else {}) for gate in gates]

    return [
        [gate for gate in gates if gate["name"] != "auc-floor"],
        changed("auc-floor", threshold=0.0),
        changed("not-worse-than-base", required=False),
        [*gates, next(gate for gate in gates if gate["outcome"] == "pass")],
    ]


def by_hand(github: FakeGitHub) -> dict[str, str]:
    """Environment of somebody who posts a file outside of any job."""
    github.account("mine", "octocat")
    return {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": "octo/churn",
        "GH_TOKEN": "mine",
    }


def test_a_file_with_loosened_gates_is_not_posted_by_hand_either(
    heads: Heads, records: Records, github: FakeGitHub, tmp_path: Path
) -> None:
    github.pull(7, [heads.head], heads.base)
    file, env = record(records, tmp_path, "worse"), by_hand(github)
    words = ("pr-comment", "--from", str(file), "--pr", "7", "--gates")
    gates = json.loads(file.read_text())["gates"]
    for weaker in loosened(file):
        edited(file, gates=weaker)
        done = command(heads.folder, *words, **env)
        assert done.returncode in (2, 3)
        assert "not the one of the base commit" in done.stderr
        assert command(heads.folder, *words[:-1], **env).returncode == 2
    assert github.of(7) == []
    edited(file, gates=gates)
    assert command(heads.folder, *words, **env).returncode == 3, "the worse model's own gate"
    assert "gates are those of the base commit" in github.of(7)[0].body


@pytest.mark.parametrize("where", ["no clone", "a clone without the base", "dry run"])
def test_gates_that_nobody_checked_have_not_passed(
    heads: Heads, records: Records, github: FakeGitHub, tmp_path: Path, where: str
) -> None:
    github.pull(7, [heads.head], "d" * 40 if where == "a clone without the base" else heads.base)
    file, env = record(records, tmp_path), by_hand(github)
    folder = tmp_path if where == "no clone" else heads.folder
    words = ["pr-comment", "--from", str(file), "--pr", "7"]
    words += ["--dry-run"] if where == "dry run" else []
    done = command(folder, *words, **env)
    assert done.returncode == 0, done.stderr
    text = done.stdout if where == "dry run" else github.of(7)[0].body
    assert "**The gates were not checked against the base commit.**" in text
    assert "### ⚠️ Better than the base" in text
    assert "gates are those of the base commit" not in text
    assert "gates passed" not in text
    strict = command(folder, *words, "--gates", **env)
    assert strict.returncode == 3
    assert "were not checked against the base commit" in strict.stderr
    assert "fetch-depth: 0" in strict.stderr


def test_gates_that_were_checked_pass(
    heads: Heads, records: Records, github: FakeGitHub, tmp_path: Path
) -> None:
    github.pull(7, [heads.head], heads.base)
    file = record(records, tmp_path)
    words = ("pr-comment", "--from", str(file), "--pr", "7", "--gates")
    done = command(heads.folder, *words, **by_hand(github))
    assert done.returncode == 0, done.stderr
    assert "### ✅ Better than the base" in github.of(7)[0].body
    assert "required gates passed" in github.of(7)[0].body


def test_gates_that_could_not_be_checked_are_said(
    heads: Heads, records: Records, github: FakeGitHub, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = command(elsewhere, "pr-comment", "--from", str(file), **privileged)
    assert done.returncode == 0, done.stderr
    assert "were not held against the base commit" in github.of(7)[0].body


def test_a_hostile_artifact_is_refused_and_nothing_is_called(
    heads: Heads, records: Records, github: FakeGitHub, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path)
    good = file.read_text()
    for text in (
        "x" * 2_000_000,
        "[" * 100_000,
        good.replace("pr-report/v1", "pr-report/v2"),
        "{}",
    ):
        file.write_text(text)
        done = command(heads.folder, "pr-comment", "--from", str(file), **privileged)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert github.log == []


def test_a_run_that_no_pull_request_started_is_refused(
    heads: Heads, records: Records, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path)
    event = Path(privileged["GITHUB_EVENT_PATH"])
    body = json.loads(event.read_text())
    body["workflow_run"]["event"] = "push"
    event.write_text(json.dumps(body))
    done = command(heads.folder, "pr-comment", "--from", str(file), **privileged)
    assert done.returncode == 2
    assert "not by a pull request" in done.stderr


def test_a_closed_pull_request_gets_no_comment(
    heads: Heads, records: Records, github: FakeGitHub, privileged: dict[str, str], tmp_path: Path
) -> None:
    file = record(records, tmp_path)
    github.pulls[7].state = "closed"
    done = command(heads.folder, "pr-comment", "--from", str(file), **privileged)
    assert done.returncode == 0
    assert "0 open pull requests" in done.stderr
    assert github.of(7) == []
