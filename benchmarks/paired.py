"""Paired comparison of one system with the better of some others, from a benchmark folder.

    python paired.py FOLDER --system ours --against hgb,lgbm --time 60 --seed 0

FOLDER holds data/<name>/meta.json, splits/<name>_s<seed>/y_test.csv and
preds/<name>__<system>__<time>s.csv. For each table: the score of each, the difference (positive:
ours is better), its paired bootstrap standard error over test rows (500 draws), and whether ours is
worse by more than one of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from mlagent.referee.metrics import Truth, compute, encode_target, sign

DRAWS = 500


def load(folder: Path, name: str, system: str, limit: int, seed: int) -> tuple[Truth, np.ndarray]:
    """Truth of the test rows and a system's predictions."""
    meta = json.loads((folder / "data" / name / "meta.json").read_text())
    split = folder / "splits" / f"{name}_s{seed}" / "y_test.csv"
    y = pd.read_csv(split, dtype=str, keep_default_na=False)["y"]
    tag = f"{name}__{system}__{limit}s" + ("" if seed == 0 else f"__s{seed}")
    frame = pd.read_csv(folder / "preds" / f"{tag}.csv")
    frame.columns = [str(column) for column in frame.columns]
    if meta["task"] == "regression":
        return Truth("regression", y.to_numpy(float)), frame["prediction"].to_numpy(float)
    if meta["task"] == "binary":
        other = next(c for c in frame.columns if c != meta["positive"])
        classes = (other, meta["positive"])
        truth = Truth("binary", encode_target(y, classes), classes)
        return truth, frame[meta["positive"]].to_numpy(float)
    classes = tuple(sorted(set(frame.columns) | set(y)))
    table = np.column_stack([frame[c] if c in frame else np.zeros(len(frame)) for c in classes])
    table = np.clip(table.astype(float), 1e-6, 1 - 1e-6)
    table /= table.sum(axis=1, keepdims=True)
    return Truth("multiclass", encode_target(y, classes), classes), table


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--system", default="ours")
    parser.add_argument("--against", default="hgb,lgbm")
    parser.add_argument("--time", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rivals = args.against.split(",")
    better = held = tables = 0
    print(f"| table | metric | {args.system} | {' | '.join(rivals)} | difference | SE | verdict |")
    print("|---" * (6 + len(rivals)) + "|")
    for meta_file in sorted((args.folder / "data").glob("*/meta.json")):
        name, metric = meta_file.parent.name, json.loads(meta_file.read_text())["metric"]
        try:
            found = {
                system: load(args.folder, name, system, args.time, args.seed)
                for system in (args.system, *rivals)
            }
        except FileNotFoundError:
            continue
        scores = {s: compute(metric, truth, p) for s, (truth, p) in found.items()}
        best = max(rivals, key=lambda s: sign(metric) * scores[s])
        truth, ours = found[args.system]
        theirs = found[best][1]
        rng, gaps = np.random.default_rng(0), []
        for _ in range(DRAWS):
            rows = rng.integers(0, truth.n, truth.n)
            part = truth.take(rows)
            gaps.append(compute(metric, part, ours[rows]) - compute(metric, part, theirs[rows]))
        gap = sign(metric) * (scores[args.system] - scores[best])
        error = float(np.std(gaps))
        tables += 1
        better += gap > 0
        held += gap >= -error
        verdict = "better" if gap > 0 else "within one SE" if gap >= -error else "worse"
        shown = " | ".join(f"{scores[s]:.4g}" for s in (args.system, *rivals))
        print(f"| {name} | {metric} | {shown} | {gap:+.4g} | {error:.2g} | {verdict} |")
    print(f"\nnot worse by more than one SE: {held} of {tables}; strictly better: {better}")


if __name__ == "__main__":
    main()
