"""How often two recipes are called different on tables of pure noise, over folds. Prints a table.

No feature knows anything of the target there, so the expected ROC AUC of every recipe is 0.5 and
each "better" or "worse" is false: 5 % of the tables at most, for a 95 % interval. Beside it, what
rows alone would say (without the factor for overlapping training rows).

Usage: python benchmarks/intervals_coverage.py [--tables 300]
"""

from __future__ import annotations

import argparse
import warnings
from unittest.mock import patch

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from mlagent.referee import intervals
from mlagent.referee.metrics import Truth

RECIPES = {
    "tree": lambda: DecisionTreeClassifier(max_depth=3, random_state=0),
    "naive Bayes": GaussianNB,
}
BASELINE = lambda: LogisticRegression(max_iter=200)  # noqa: E731


def folded(rows: int, folds: int, rng: np.random.Generator) -> np.ndarray:
    """(folds, rows): 1 train, 2 held out."""
    place = rng.permutation(rows) % folds
    return np.where(place == np.arange(folds)[:, None], 2, 1).astype(np.int8)


def layers(make, x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Out-of-fold probabilities, one layer per fold."""
    out = np.full(folds.shape, np.nan)
    for index, fold in enumerate(folds):
        model = make().fit(x[fold == 1], y[fold == 1])
        out[index, fold == 2] = model.predict_proba(x[fold == 2])[:, 1]
    return out


def main() -> None:
    """Simulate and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=300)
    tables = parser.parse_args().tables
    warnings.simplefilter("ignore")
    print(
        "| rows | folds | recipe against logistic | tables | false, rows alone | false, as told |"
    )
    print("|---:|---:|---|---:|---:|---:|")
    for rows in (120, 400):
        for k in (3, 5):
            for name, make in RECIPES.items():
                false = {1.0: 0, 0.0: 0}
                for seed in range(tables):
                    rng = np.random.default_rng([rows, k, seed])
                    x = rng.normal(size=(rows, 6))
                    y = rng.permutation(np.arange(rows) % 2)
                    folds = folded(rows, k, rng)
                    both = {
                        "first": layers(make, x, y, folds),
                        "second": layers(BASELINE, x, y, folds),
                    }
                    truth = Truth("binary", y, ("a", "b"))
                    options = {"seed": seed, "folds": folds}
                    told = intervals.judge_many("roc_auc", truth, both, **options)
                    false[1.0] += told.differences["second"].verdict != "not distinguishable"
                    with patch.object(intervals, "training_spread", lambda folds: 1.0):
                        alone = intervals.judge_many("roc_auc", truth, both, **options)
                    false[0.0] += alone.differences["second"].verdict != "not distinguishable"
                print(
                    f"| {rows} | {k} | {name} | {tables} | {false[0.0] / tables:.1%} |"
                    f" {false[1.0] / tables:.1%} |"
                )


if __name__ == "__main__":
    main()
