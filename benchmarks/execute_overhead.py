"""What `execute` takes beside the chosen option's own fits, on 20,000 rows. Prints a table.

The time inside `fit` is what the runner measured around the call: wall clock during which at least
one fold was being fitted, and the fit on all dev rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from mlagent.orchestrator.demo import make_churn


def run(folder: Path, *words: str) -> str:
    """One mlagent command; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "mlagent", *words], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def main() -> None:
    """Make a table, run, read the journal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--budget", default="60s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_churn(args.rows, 0)[0].to_csv(folder / "churn.csv", index=False)
        run(folder, "plan", "churn model")
        done = json.loads(run(folder, "execute", "--budget", args.budget, "--json"))
        manifest, chosen = done["manifest"], done["manifest"]["model_name"]
        journal = (Path(done["folder"]) / "journal.jsonl").read_text().splitlines()
        events = [json.loads(line) for line in journal]
        fits = next(e["facts"]["fit_seconds"] for e in events if e["kind"] == "fitted")
        folds = next(
            e["facts"]["inside_fit_s"]
            for e in events
            if e["kind"] == "scored" and e["facts"]["candidate"] == chosen
        )
        overhead = manifest["wall_s"] - fits - folds
        print("| rows | budget | tier | wall | inside fit | beside it (at most 20 s) |")
        print("|---|---|---|---|---|---|")
        print(
            f"| {args.rows:,} | {args.budget} | {manifest['tier']} | {manifest['wall_s']:.1f} s | "
            f"{fits + folds:.1f} s | {overhead:.1f} s |\n"
        )
        print("| job | seconds |\n|---|---|")
        for event in events:
            if event["kind"] == "job.end":
                print(f"| {event['facts']['job']} | {event['facts']['wall_s']:.1f} |")
        print("\n| phase | from | to |\n|---|---|---|")
        begun = {}
        for event in events:
            if event["kind"] == "phase.start":
                begun[event["facts"]["phase"]] = event["elapsed_s"]
            if event["kind"] == "phase.done":
                name = event["facts"]["phase"]
                print(f"| {name} | {begun[name]:.1f} s | {event['elapsed_s']:.1f} s |")


if __name__ == "__main__":
    main()
