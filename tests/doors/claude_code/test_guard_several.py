"""PreToolUse in a repository of several projects: each is guarded as one at the root is."""

from __future__ import annotations

from pathlib import Path

import pytest
from guarded import ENGINEER, make_project, problem

from mlagent.doors.claude_code.hook.guard import tool_problem


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one that Claude Code is open in."""
    root = make_project(tmp_path)
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(root))
    return root


@pytest.fixture
def several(project: Path) -> Path:
    """A repository with two projects of mlagent below, and a folder that is none."""
    plan = "# Written by `mlagent plan`.\nschema: mlagent/plan/v1\n"
    for name in ("services/churn", "services/prices", "other"):
        for folder in ("runs/r1/artifacts/ml-engineer", "runs/r1/predictions", "candidates/one"):
            (project / name / folder).mkdir(parents=True)
        for file in ("t.csv", "runs/r1/evaluation.json", "candidates/one/solution.py"):
            (project / name / file).write_text("x")
    (project / "services/churn/plan.yaml").write_text(plan)
    (project / "services/prices/.mlagent/seals").mkdir(parents=True)
    (project / "other/plan.yaml").write_text("steps: [deploy]\n")
    (project / "runs/r1/artifacts/plan.yaml").write_text(plan)
    (project / "runs/r1/predictions/plan.yaml").write_text(plan)
    return project


@pytest.mark.parametrize("below", ["services/churn", "services/prices"])
def test_a_project_below_the_repository_is_as_readable_as_one_at_its_root(
    several: Path, below: str
) -> None:
    for file in ("plan.yaml", "runs/r1/evaluation.json", "candidates/one/solution.py"):
        assert problem(several, "Read", file_path=f"{below}/{file}") is None
        event = {"tool_name": "Read", "cwd": str(several / below)}
        assert tool_problem({**event, "tool_input": {"file_path": file}}, ENGINEER) is None
    assert problem(several, "Grep", pattern="x", path=f"{below}/runs/r1/artifacts") is None
    assert problem(several, "Write", file_path=f"{below}/candidates/two/solution.py") is None


@pytest.mark.parametrize(
    "path",
    [
        "services/churn/t.csv",
        "services/churn/runs/r1/seal.json",
        "services/churn/runs/r1/predictions/vault.parquet",
        "services/prices/.mlagent/seals/a.json",
        "services/churn/.env",
        "services/churn/candidates/one/notes.md",
        "services/plan.yaml",
        "other/plan.yaml",
        "other/runs/r1/evaluation.json",
        "runs/r1/predictions/plan.yaml",
        "below/runs/r2/vault.parquet",
    ],
)
def test_tables_and_records_of_a_project_below_stay_closed(several: Path, path: str) -> None:
    assert problem(several, "Read", file_path=path)
    assert problem(several, "Grep", pattern="x", path=path)


def test_a_link_does_not_make_a_project(several: Path) -> None:
    (several / "other/.mlagent").symlink_to(several / "services/prices/.mlagent")
    assert problem(several, "Read", file_path="other/runs/r1/evaluation.json")
    (several / "other/.mlagent").unlink()
    (several / "other/plan.yaml").unlink()
    (several / "other/plan.yaml").symlink_to(several / "services/churn/plan.yaml")
    assert problem(several, "Read", file_path="other/runs/r1/evaluation.json")
    for path in ("services", "services/churn", "services/churn/runs", "services/churn/runs/r1"):
        assert problem(several, "Grep", pattern="x", path=path)
