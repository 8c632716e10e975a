"""Small tables with known properties, for tests of projects that use mlagent.

Each function is deterministic in its seed. Nothing here is real data.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd


def build_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write {relative path: content} below `root`; returns `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
    return root


def churn_frame(rows: int = 600, seed: int = 0, canary: str = "CANARY") -> pd.DataFrame:
    """A binary table with dirt: ids and notes that hold the canary, blanks, '1,234' numbers,
    dates."""
    rng = np.random.default_rng(seed)
    tenure = rng.integers(1, 60, rows)
    contract = rng.choice(["monthly", "yearly"], rows)
    fee = rng.normal(50, 15, rows).clip(5).round(2)
    monthly, dear = contract == "monthly", fee > 50
    logit = 0.9 * monthly - tenure / 20 + (fee - 50) / 20 + 2.5 * (monthly ^ dear) - 0.9
    churned = rng.random(rows) < 1 / (1 + np.exp(-logit))
    income = np.where(
        rng.random(rows) < 0.1, " ", [f"{v:,}" for v in rng.integers(900, 9999, rows)]
    )
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D")
    return pd.DataFrame(
        {
            "customer_id": [f"{canary}-{number:06d}" for number in rng.permutation(rows)],
            "tenure": tenure,
            "contract": contract,
            "fee": fee,
            "income": income,
            "start": start.strftime("%Y-%m-%d"),
            "churned": np.where(churned, "yes", "no"),
        }
    )


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """The frame as CSV, cells as they are; returns `path`."""
    frame.to_csv(path, index=False, quoting=csv.QUOTE_MINIMAL)
    return path
