"""Small jobs for a sandbox under test: a script, a candidate with its tables, a fit.

Every job is of class B (shipped code). Does not judge an outcome: `sandbox_suite.py` does.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np

from mlagent.contracts.ports import Job, Limits, Outcome, Sandbox

LIMITS = Limits(wall_s=30, memory_mb=800, cpus=1, output_mb=32, stdout_kb=16)
LINEAR = """
    import numpy as np

    class Line:
        def __init__(self, weights):
            self.weights = weights

    def fit(train, spec):
        x = train[["a", "b"]].to_numpy()
        return Line(np.linalg.lstsq(x, train[spec["target"]].to_numpy(), rcond=None)[0])

    def predict(model, features):
        return features[["a", "b"]].to_numpy() @ model.weights
    """


def run_script(
    sandbox: Sandbox,
    folder: Path,
    code: str,
    *,
    inputs: dict[str, Path] | None = None,
    outputs: dict[str, int] | None = None,
    on_line: Any = None,
    stop: Any = None,
    **limits: Any,
) -> Outcome:
    """Run `code` as script.py; collected files land in folder/'out'. Keyword arguments change
    LIMITS.
    """
    script, into = folder / "script.py", folder / "out"
    script.write_text(dedent(code), "utf-8")
    into.mkdir(exist_ok=True)
    job = Job(
        name="script",
        command="script",
        inputs={"script.py": script, **(inputs or {})},
        outputs={"result.json": 10_000} if outputs is None else outputs,
        into=into,
        limits=replace(LIMITS, **limits),
        code="B",
    )
    return sandbox.run(job, on_line, stop)


def write_candidate(folder: Path, solution: str, spec: dict[str, Any] | None = None) -> Path:
    """A candidate folder with this solution.py."""
    candidate = folder / "candidate"
    candidate.mkdir(exist_ok=True)
    (candidate / "solution.py").write_text(dedent(solution), "utf-8")
    wanted = {"target": "y", "budget_s": 5, **(spec or {})}
    (candidate / "spec.json").write_text(json.dumps(wanted), "utf-8")
    return candidate


def write_tables(folder: Path, rows: int = 300) -> tuple[Path, Path, np.ndarray]:
    """train.parquet (a, b, y = 2a - b), features.parquet (a, b) and the true y."""
    import duckdb
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
    target = (2 * frame["a"] - frame["b"]).to_numpy()
    train, features = folder / "train.parquet", folder / "features.parquet"
    with duckdb.connect() as connection:
        connection.from_df(frame).write_parquet(str(features))
        connection.from_df(frame.assign(y=target)).write_parquet(str(train))
    return train, features, target


def fit_job(folder: Path, candidate: Path, train: Path, **limits: Any) -> Job:
    """A fit job whose model lands in folder/'out'."""
    into = folder / "out"
    into.mkdir(exist_ok=True)
    return Job(
        name="fit",
        command="fit",
        inputs={"candidate": candidate, "train.parquet": train},
        outputs={"model.pkl": 1 << 20, "fit.json": 10_000, "schedule.json": 10_000},
        into=into,
        limits=replace(LIMITS, **limits),
        code="B",
    )
