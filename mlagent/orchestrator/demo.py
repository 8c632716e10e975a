"""`demo`: a churn table whose best possible ROC AUC is known by construction, planned, run and
judged.

Guarantees that the truth behind the table (each row's probability) is used for nothing but the last
sentence. The table is generated; nobody's data ships.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlagent.contracts.errors import BadInput
from mlagent.referee.metrics import Truth, compute
from mlagent.store.project import Project

from .execute_flow import Finished, execute_here
from .plan_flow import PlanFlags, make_plan_here
from .requesting import ExecuteFlags

ROWS = 12_000
TABLE = "churn.csv"


@dataclass(frozen=True)
class Demo:
    """A finished demo.

    Attributes:
        best: ROC AUC of the true probabilities on the vault rows; nobody can do better but by luck.
    """

    finished: Finished
    best: float

    @property
    def share(self) -> float:
        """How far the model came from a coin (0.5) to the best possible, 0..1."""
        return (self.finished.evaluation.model.value - 0.5) / (self.best - 0.5)

    @property
    def sentence(self) -> str:
        score = self.finished.evaluation.model
        return (
            f"The best possible ROC AUC on these rows is {self.best:.4f} (known by construction); "
            f"the model has {score.value:.4f}: {self.share:.1%} of the way from a coin."
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.finished.run.id,
            "model": self.finished.evaluation.model.model_dump(mode="json"),
            "best_possible": self.best,
            "share": self.share,
        }


def make_churn(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A churn table with dirt, and each row's true probability of leaving.

    Returns:
        The table (text and numbers as they would stand in a file), and (rows,) probabilities.
    """
    rng = np.random.default_rng(seed)
    contract = rng.choice(["month-to-month", "one year", "two years"], rows, p=[0.55, 0.25, 0.2])
    tenure = np.minimum(72, rng.gamma(1.6, 16, rows)).round().astype(int) + 1
    plan = rng.choice(["basic", "plus", "premium"], rows, p=[0.45, 0.35, 0.2])
    base = pd.Series(plan).map({"basic": 22.0, "plus": 41.0, "premium": 68.0}).to_numpy()
    fee = (base + rng.normal(0, 6, rows)).clip(9).round(2)
    calls = rng.poisson(1.4, rows)
    usage = rng.lognormal(3.0, 0.7, rows).round(1)
    region = rng.choice([f"R{i:02d}" for i in range(24)], rows)
    payment = rng.choice(["card", "bank transfer", "mailed check"], rows, p=[0.5, 0.3, 0.2])
    signup = pd.Timestamp("2026-01-01") - pd.to_timedelta(
        tenure * 30 + rng.integers(0, 30, rows), "D"
    )
    by_region = dict(zip([f"R{i:02d}" for i in range(24)], rng.normal(0, 0.45, 24), strict=True))
    logit = (
        -0.7
        + np.where(contract == "month-to-month", 0.9, np.where(contract == "one year", -0.2, -1.1))
        - 0.95 * np.log1p(tenure / 8)
        + 0.028 * (fee - 38)
        + 0.42 * np.maximum(0, calls - 1)
        + np.where((payment == "mailed check") & (contract == "month-to-month"), 0.7, 0.0)
        - 0.5 * np.abs(np.log(usage) - 3.2)
        + pd.Series(region).map(by_region).to_numpy()
        + 0.9 * ((fee > 55) & (calls >= 3))
        + 0.9
    )
    probability = 1 / (1 + np.exp(-logit))
    churned = rng.random(rows) < probability
    income = np.where(
        rng.random(rows) < 0.15, "", [f"{v:,.0f}" for v in rng.lognormal(10.6, 0.4, rows)]
    )
    total = np.where(
        tenure <= 1, " ", (fee * tenure * rng.normal(1, 0.03, rows)).round(2).astype(str)
    )
    table = pd.DataFrame(
        {
            "customer_id": [f"C{number:07d}" for number in rng.permutation(rows) + 1_000_000],
            "signup_date": signup.strftime("%Y-%m-%d"),
            "region": region,
            "plan": plan,
            "contract": contract,
            "tenure_months": tenure,
            "monthly_fee": fee,
            "payment_method": payment,
            "support_calls": calls,
            "usage_gb": usage,
            "income": income,
            "total_paid": total,
            "noise_1": rng.normal(0, 1, rows).round(3),
            "noise_2": rng.choice(list("abcdef"), rows),
            "churned": np.where(churned, "yes", "no"),
        }
    )
    return table, probability


def run_demo(
    folder: Path, budget_s: float, seed: int, make_progress: Callable[[float], Any]
) -> Demo:
    """Make the table, plan, execute, and compare with what is possible.

    Raises:
        BadInput: the folder holds somebody's files.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{str(folder)!r} is not a folder.", remedy="Use --folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / TABLE).exists():
        raise BadInput(f"The folder {str(folder)!r} is not empty.", remedy="Use --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    table, probability = make_churn(ROWS, seed)
    table.to_csv(folder / TABLE, index=False)
    make_plan_here(folder, PlanFlags("churn model", data=folder / TABLE, seed=seed), None)
    finished = execute_here(folder, ExecuteFlags(budget_s=budget_s), make_progress)
    seal = next(item for item in Project(folder).seals() if item.id == finished.evaluation.seal.id)
    rows = np.asarray(seal.vault_rows, dtype=np.int64)
    codes = (table["churned"].to_numpy() == "yes").astype(np.int64)[rows]
    best = compute("roc_auc", Truth("binary", codes, ("no", "yes")), probability[rows])
    return Demo(finished, best)
