"""A project that a hook guards, and what it says of one use of a tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.doors.claude_code.hook.guard import tool_problem
from mlagent.doors.claude_code.policy import compile_policy, load_work

POLICY = compile_policy(
    Content(), load_contracts(Content()), load_work(Content()), "project"
).model_dump(mode="json")  # fmt: skip
ENGINEER = POLICY["agents"]["ml-engineer"]
EXPLORER = POLICY["agents"]["data-explorer"]


def make_project(home: Path) -> Path:
    """A project with a table, a candidate, a finished run and links that lead astray."""
    root = home / "project"
    for folder in ("candidates/one", "runs/r1/artifacts/data-explorer", "runs/r1/predictions"):
        (root / folder).mkdir(parents=True)
    outside = home / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("s")
    (outside / "solution.py").write_text("s")
    for file in ("churn.csv", "plan.yaml", "candidates/one/solution.py", "runs/r1/seal.json"):
        (root / file).write_text("x")
    (root / ".git").mkdir()
    for file in (".env", ".git/config", "runs/r1/predictions/vault.parquet"):
        (root / file).write_text("truth")
    (root / "below/runs/r2").mkdir(parents=True)
    (root / "below/runs/r2/vault.parquet").write_text("truth")
    (root / "linked.parquet").symlink_to(root / "runs/r1/predictions/vault.parquet")
    (root / "runs/r1/board.json").symlink_to(root / "churn.csv")
    (root / "mlagent.yaml").symlink_to(outside / "secret.txt")
    (root / "candidates/away").symlink_to(outside)
    (root / "candidates/two").mkdir()
    (root / "candidates/two/solution.py").symlink_to(root / "churn.csv")
    return root


def problem(project: Path, tool: str, agent: dict[str, Any] = ENGINEER, **given: Any) -> str | None:
    event = {"tool_name": tool, "tool_input": given, "cwd": str(project)}
    return tool_problem(event, agent)
