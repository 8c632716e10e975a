"""What a sandbox costs for each job: wall time of an empty job, outside and inside. Prints a table.

Usage: python benchmarks/sandbox_overhead.py [--runs 10]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from mlagent.content import Content
from mlagent.contracts.errors import PrerequisiteMissing
from mlagent.contracts.ports import Job, Limits
from mlagent.sandbox.choose import choose_sandbox

EMPTY = "def main(source, out): (out / 'result.json').write_text('1')"
IMPORTS = "import pandas, sklearn.ensemble, lightgbm\n" + EMPTY


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    print("| tier | job | whole, median s | inside, median s | 90 % s |\n|---|---|---|---|---|")
    for tier in ("process", "docker"):
        try:
            sandbox = choose_sandbox(content=Content(), need="B", prefer=tier).sandbox
        except PrerequisiteMissing as missing:
            print(f"{tier}: {missing}", file=sys.stderr)
            continue
        for name, code in (("empty", EMPTY), ("imports", IMPORTS)):
            whole, inside = [], []
            with tempfile.TemporaryDirectory() as temporary:
                script = Path(temporary, "script.py")
                script.write_text(code)
                job = Job(
                    name=name,
                    command="script",
                    inputs={"script.py": script},
                    outputs={"result.json": 10},
                    into=Path(temporary),
                    limits=Limits(wall_s=60, memory_mb=1024),
                    code="B",
                )
                for _ in range(runs + 1):
                    started = time.perf_counter()
                    outcome = sandbox.run(job)
                    whole.append(time.perf_counter() - started)
                    inside.append(outcome.wall_s)
                    assert outcome.ok, outcome.sentence
            whole, inside = sorted(whole[1:]), inside[1:]  # the first one warms the page cache
            high = whole[min(runs - 1, int(runs * 0.9))]
            print(
                f"| {sandbox.tier} | {name} | {statistics.median(whole):.2f} |"
                f" {statistics.median(inside):.2f} | {high:.2f} |"
            )
        sandbox.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
