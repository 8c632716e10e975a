"""How long the Claude Code hooks take, as a shell runs them, beside a bare interpreter: a table.

An agent that ends without a plan has its transcript read, so that is measured with long ones.

Limits: 100 ms for PreToolUse, 400 ms for SubagentStop. `--runs N` sets how often each is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mlagent.content import Content
from mlagent.doors.claude_code.exporting import export_agents
from mlagent.doors.claude_code.files import hook_groups

OPTION = {
    "approach": "Gradient boosting on 13 features, tuned with Optuna on 2 cores",
    "description": "Trees that correct each other; early stopping keeps to the budget.",
    "pros": ["Takes missing cells in 2 columns as they are."] * 4,
    "cons": ["13 features in many trees cannot be read one by one."] * 4,
    "time_estimate_hours": 0.05,
    "complexity": "medium",
    "risks": ["Tuning on 12,000 rows partly tunes to chance."] * 3,
    "dependencies": ["python: lightgbm", "artifact: column_roles", "artifact: validation_plan"],
}


def plan(complexity: str) -> str:
    """A plan of the usual size as an agent would write it, in a fenced block."""
    options = {f"option_{letter}": dict(OPTION) for letter in "abc"}
    options["option_a"]["complexity"] = complexity
    chosen = {"selected": "option_b", "rationale": "For this table.", "conditions": ["As found."]}
    body = {"agent_name": "ml-engineer", "task": "churn model", "implementation_options": options}
    import yaml

    text = yaml.safe_dump({"agent_plan": {**body, "recommendation": chosen}}, sort_keys=False)
    return f"Here is the plan.\n\n```yaml\n{text}```\n"


def work(megabytes: int) -> str:
    """A subagent's transcript of this size: one request, then calls of tools, what they gave, and
    what was said in between."""
    told = "The board holds four candidates; option_c is ahead of linear on the dev folds. " * 12
    call = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": told}}
    turns = (
        line_of("assistant", [{"type": "text", "text": told}])
        + line_of("assistant", [call])
        + line_of("user", [{"type": "tool_result", "tool_use_id": "t", "content": told * 2}])
        + line_of("user", "Go on: look at the slices, then write the next candidate. " * 4)
    )
    asked = line_of("user", "Execution mode: write a candidate for churn.csv.")
    return asked + turns * (megabytes * 1_000_000 // len(turns))


def line_of(who: str, content: Any) -> str:
    """One line of a transcript."""
    return json.dumps({"type": who, "message": {"role": who, "content": content}}) + "\n"


def measured(command: str, event: dict[str, Any], project: Path, runs: int) -> tuple[float, float]:
    """Median and 95th percentile of the wall time in milliseconds."""
    text = json.dumps(event).encode()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"CLAUDE_PROJECT_DIR": str(project), "PATH": path}
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        done = subprocess.run(
            ["sh", "-c", command], input=text, capture_output=True, env=environment
        )
        times.append((time.perf_counter() - begun) * 1000)
        assert done.returncode == 0, done.stderr
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def main() -> None:
    """Export, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=60)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        export_agents(Content(), "project", project, force=False)
        groups = hook_groups("project")
        tool, stop = (groups[event]["hooks"][0]["command"] for event in groups)
        who = {"agent_type": "ml-engineer", "agent_id": "1", "cwd": name}
        bash = {"tool_name": "Bash", "tool_input": {"command": "mlagent board --json"}}
        write = {
            "tool_name": "Write",
            "tool_input": {"file_path": f"{name}/x.py", "content": "x = 1\n" * 20_000},
        }
        rows = [
            ("python3 -I -S -c pass", "python3 -I -S -c pass", {}, "-"),
            ("PreToolUse, no agent of ours", tool, bash, "100 ms"),
            ("PreToolUse, `mlagent board`, allowed", tool, {**who, **bash}, "100 ms"),
            ("PreToolUse, a file of 120 kB, refused", tool, {**who, **write}, "100 ms"),
            ("SubagentStop, a report", stop, {**who, "last_assistant_message": "Done."}, "400 ms"),
        ]
        talk = line_of("user", "Stay in planning mode, not execution mode. " * 2_300) * 20
        for what, lines in (
            ("2 MB", work(2)),
            ("20 MB", work(20)),
            ("2 MB of requests, refused", talk),
        ):
            file = project / f"{what}.jsonl"
            file.write_text(lines)
            said = {**who, "last_assistant_message": "Done.", "agent_transcript_path": str(file)}
            rows.append((f"SubagentStop, a report after {what}", stop, said, "400 ms"))
        for word, kind in (("low", "valid"), ("tiny", "refused")):
            said = {**who, "last_assistant_message": plan(word), "stop_hook_active": False}
            rows.append((f"SubagentStop, a plan, {kind}", stop, said, "400 ms"))
        print("| what | median | 95th percentile | limit |\n|---|---:|---:|---:|")
        for what, command, event, limit in rows:
            middle, high = measured(command, event, project, runs)
            print(f"| {what} | {middle:.0f} ms | {high:.0f} ms | {limit} |")


if __name__ == "__main__":
    main()
