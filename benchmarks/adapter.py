"""mlagent as one more system of a benchmark: plan, execute, predict, as a user would.

    python adapter.py --train train.csv --test test.csv --task binary --target y \\
        --metric roc_auc --time-limit 60 --out out.csv --workdir DIR

Trains with `execute --vault 0` (the model sees every training row), predicts the test file, and
writes one column per class (or `prediction`). `timing.json` tells how long `execute` and `predict`
took. Measures nothing itself: the benchmark scores.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def run(folder: Path, *words: str) -> float:
    """Run one mlagent command; seconds it took. Leaves with its output when it fails."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "mlagent", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )
    print(done.stdout[-3000:])
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}\n{done.stderr[-2000:]}")
    return time.monotonic() - begun


def main() -> None:
    """Train, predict, convert."""
    parser = argparse.ArgumentParser()
    for name in ("train", "test", "task", "target", "metric", "out", "workdir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--time-limit", type=float, required=True)
    parser.add_argument("--option", help="force an option of the ml-engineer")
    args = parser.parse_args()
    folder = Path(args.workdir) / "project"
    folder.mkdir(parents=True)
    budget = f"{args.time_limit:.0f}s"
    planned = run(
        folder,
        *("plan", f"predict {args.target}", "--data", args.train, "--target", args.target),
        *("--metric", args.metric, "--budget", budget),
    )
    choice = ("--select", f"ml-engineer={args.option}") if args.option else ()
    fitted = run(folder, "execute", "--vault", "0", "--budget", budget, *choice)
    predicted = run(folder, "predict", args.test, "--out", "predictions.csv")
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    probabilities = [name for name in rows[0] if name.startswith("p_")]
    names = ["prediction"] if args.task == "regression" else probabilities
    with Path(args.out).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([name.removeprefix("p_") for name in names])
        writer.writerows([row[name] for name in names] for row in rows)
    timing = {
        "fit_s": round(fitted, 2),
        "predict_s": round(predicted, 3),
        "plan_s": round(planned, 2),
    }
    (Path(args.workdir) / "timing.json").write_text(json.dumps(timing))


if __name__ == "__main__":
    main()
