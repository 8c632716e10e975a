"""Wall time and peak memory of `mlagent plan` on 1,000,000 rows x 30 columns (promise: 10 s, 1 GiB)
and of open + profile within it (8 s).

Usage: python benchmarks/plan_speed.py [ROWS]. The table is generated in a temporary folder; what is
measured runs in processes of their own, so that generating it does not count. The calibration, once
per machine, has run before. Prints a table.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 1_000_000
LIMIT_S, PLAN_LIMIT_S, LIMIT_MB = 8.0, 10.0, 1024.0


def generate(path: Path, rows: int) -> None:
    """An id, 12 floats, 6 integers, 6 categories, a date, two dirty numbers, a region and a
    class."""
    import duckdb

    fields = ["i AS customer_id"]
    fields += [f"round((random() * 1000)::DOUBLE, {k % 4}) AS num_{k}" for k in range(12)]
    fields += [f"(random() * {10 ** (k + 1)})::INT AS int_{k}" for k in range(6)]
    plans = "['basic', 'plus', 'pro', 'month-to-month', 'one year']"
    fields += [f"{plans}[1 + (random() * 4.99)::INT % 5] AS cat_{k}" for k in range(6)]
    fields += [
        "strftime(DATE '2020-01-01' + (random() * 1000)::INT, '%Y-%m-%d') AS signup",
        "CASE WHEN random() < 0.1 THEN '' ELSE (random() * 5000)::INT::VARCHAR END AS income",
        "CASE WHEN random() < 0.05 THEN ' ' "
        "ELSE ((random() * 5000)::DECIMAL(10, 2))::VARCHAR END AS total",
        "'R' || ((random() * 100)::INT)::VARCHAR AS region",
        "CASE WHEN random() < 0.3 THEN 'yes' ELSE 'no' END AS churn",
    ]
    with duckdb.connect() as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            f"COPY (SELECT {', '.join(fields)} FROM range({rows}) t(i)) TO '{path}' (HEADER)"
        )


def measure(path: Path) -> None:
    """Runs in the measured process; prints one JSON document."""
    import resource

    from mlagent.data.door import open_table
    from mlagent.data.infer import infer_task
    from mlagent.data.profile import profile_table

    steps: dict[str, float] = {}
    start = time.perf_counter()
    with open_table(path) as table:
        steps["open (sha256, count, check)"] = time.perf_counter() - start
        middle = time.perf_counter()
        profile = profile_table(table)
        steps["profile (sample, types, counts)"] = time.perf_counter() - middle
        middle = time.perf_counter()
        infer_task("which customers will churn", profile, table.ref)
        steps["infer"] = time.perf_counter() - middle
    steps["total"] = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    scale = 1024 if sys.platform == "linux" else 1024 * 1024
    found = {
        "steps": steps,
        "peak_mb": usage.ru_maxrss / scale,
        "cpu": usage.ru_utime + usage.ru_stime,
    }
    print(json.dumps(found))


def whole_plan(path: Path) -> tuple[float, float]:
    """(seconds, peak MB) of the command, from the shell's side."""
    small = path.parent / "small"
    small.mkdir()
    with path.open() as table, (small / "head.csv").open("w") as head:
        head.writelines(next(table) for _ in range(1000))
    command = [sys.executable, "-m", "mlagent", "plan", "which customers will churn"]
    subprocess.run(command, cwd=small, check=True, capture_output=True)  # calibrates
    inside = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", inside, *command, "--data", path.name],
        cwd=path.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    scale = 1024 if sys.platform == "linux" else 1024 * 1024
    return time.perf_counter() - start, int(done.stdout) / scale


def main() -> int:
    if len(sys.argv) > 2 and sys.argv[1] == "--measure":
        measure(Path(sys.argv[2]))
        return 0
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.csv"
        generate(path, rows)
        size = path.stat().st_size / 1e6
        run = subprocess.run(
            [sys.executable, __file__, "--measure", str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        plan_s, plan_mb = whole_plan(path)
    found = json.loads(run.stdout)
    print(f"{rows:,} rows x 30 columns, {size:.0f} MB CSV")
    for name, seconds in found["steps"].items():
        print(f"  {name:34s}{seconds:8.2f} s")
    print(f"  {'processor time':34s}{found['cpu']:8.2f} s")
    print(f"  {'peak resident memory':34s}{found['peak_mb']:8.0f} MB")
    kept = found["steps"]["total"] <= LIMIT_S and found["peak_mb"] <= LIMIT_MB
    print(f"promise ({LIMIT_S:.0f} s, {LIMIT_MB:.0f} MB): {'kept' if kept else 'NOT kept'}")
    print(f"the whole `mlagent plan`: {plan_s:.2f} s, peak {plan_mb:.0f} MB")
    kept = kept and plan_s <= PLAN_LIMIT_S and plan_mb <= LIMIT_MB
    print(f"promise ({PLAN_LIMIT_S:.0f} s, {LIMIT_MB:.0f} MB): {'kept' if kept else 'NOT kept'}")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
