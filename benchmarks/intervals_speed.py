"""How long the referee's intervals take: 1,000 paired draws for three models on 200,000 rows.

Prints a table: metric, seconds, peak memory of this process so far. Run: `python
benchmarks/intervals_speed.py [ROWS]`. Set OMP_NUM_THREADS=1 for single-core figures. It measures;
it does not judge.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from mlagent.referee.intervals import judge_many
from mlagent.referee.truth import Truth


def main(rows: int) -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-signal))).astype(np.int64)
    binary = Truth("binary", y, ("no", "yes"))
    scores = {
        name: 1 / (1 + np.exp(-(signal + rng.normal(scale=noise, size=rows))))
        for name, noise in (("model", 0.3), ("linear", 0.6))
    }
    scores["dummy"] = np.full(rows, y.mean())
    value = Truth("regression", signal)
    values = {name: signal + rng.normal(scale=0.5, size=rows) for name in scores}
    print(f"{'metric':<20}{'rows':>10}{'seconds':>10}{'peak MiB':>10}")
    for metric, truth, predictions in (
        ("roc_auc", binary, scores),
        ("pr_auc", binary, scores),
        ("log_loss", binary, scores),
        ("balanced_accuracy", binary, scores),
        ("rmse", value, values),
        ("r2", value, values),
    ):
        start = time.perf_counter()
        judge_many(metric, truth, predictions, seed=0)
        took = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{metric:<20}{rows:>10,}{took:>10.1f}{peak:>10.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
