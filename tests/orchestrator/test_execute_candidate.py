"""`execute --candidate`: somebody's own code is judged on the vault and packaged, or linear is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.run import Manifest
from mlagent.store.files import sha256_of
from mlagent.store.journal import read_journal
from mlagent.testing.command_line import NO_ENGINE, run_mlagent
from mlagent.testing.engine import engine_problem
from mlagent.testing.tables import build_tree

PRODUCT = """\
from sklearn.linear_model import LogisticRegression


def crossed(table):
    return (table["x1"] * table["x2"]).to_numpy().reshape(-1, 1)


def fit(train, spec):
    return LogisticRegression().fit(crossed(train), train[spec["target"]] == spec["classes"][1])


def predict(model, features):
    return model.predict_proba(crossed(features))[:, 1]
"""
CONSTANT = """\
def fit(train, spec):
    return 0.5


def predict(model, features):
    return [model] * len(features)
"""
SLOW = """\
import time


def fit(train, spec):
    time.sleep(600)


def predict(model, features):
    return None
"""


def crossed(rows: int = 1500) -> pd.DataFrame:
    """Two numbers whose signs decide together, so that no sum of curves sees it."""
    rng = np.random.default_rng(7)
    x = rng.uniform(-1, 1, (rows, 2))
    left = (x[:, 0] > 0) ^ (x[:, 1] > 0) ^ (rng.uniform(size=rows) < 0.1)
    return pd.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "churned": np.where(left, "yes", "no")})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    crossed().to_csv(folder / "churn.csv", index=False)
    build_tree(
        folder,
        {
            "product/solution.py": PRODUCT,
            "product/README.md": "# One product\n\nOf two columns.\n",
            "option_b/solution.py": CONSTANT,
            "slow/solution.py": SLOW,
            "empty/notes.txt": "",
        },
    )
    assert run_mlagent(folder, "plan", "churn model").returncode == 0
    return folder


@pytest.fixture(scope="module")
def judged(project: Path) -> Path:
    """The run folder of the product."""
    if problem := engine_problem():
        pytest.skip(problem)
    words = ("--candidate", "product", "--mine", "--vault", "0.25", "--budget", "40s", "--json")
    done = run_mlagent(project, "execute", *words)
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["folder"])


@pytest.mark.docker
def test_it_is_judged_on_the_vault_and_packaged(project: Path, judged: Path) -> None:
    manifest = Manifest.model_validate_json((judged / "manifest.json").read_bytes())
    score = Evaluation.model_validate_json((judged / "evaluation.json").read_bytes())
    assert manifest.model_name == "product"
    assert (score.judged_on, score.difference_to_linear.verdict) == ("vault", "better")
    assert score.model.value > 0.8
    assert (judged / "candidate" / "solution.py").read_text() == PRODUCT
    assert (judged / "candidate" / "README.md").read_text().startswith("# One product")
    assert sha256_of(judged / "model" / "model.pkl") == manifest.model_sha256
    events = read_journal(judged / "journal.jsonl")
    start = events[0].facts
    assert (start["candidate"], start["candidate_code"]) == ("product", "C")
    assert next(e for e in events if e.kind == "verified").facts["equal"] is True
    assert {row["name"] for row in json.loads((judged / "board.json").read_text())} == {
        "product",
        "linear",
        "dummy",
    }
    page = (judged / "report.html").read_text()
    assert "product was handed in (code of class C)" in page
    assert "--candidate" in page


@pytest.mark.docker
def test_its_model_predicts_in_a_container(project: Path, judged: Path) -> None:
    done = run_mlagent(
        project, "predict", judged.name, "churn.csv", "--out", "scored.csv", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tier"] == "T3"
    scored = pd.read_csv(project / "scored.csv")
    assert (scored["prediction"] == scored["churned"]).mean() > 0.8


@pytest.mark.docker
def test_it_cannot_be_replayed_and_says_what_to_do(project: Path, judged: Path) -> None:
    done = run_mlagent(project, "execute", "--replay", judged.name)
    assert done.returncode == 2
    assert "a candidate that was handed in" in done.stderr
    assert "--candidate" in done.stderr


@pytest.mark.docker
def test_below_linear_or_alike_linear_ships_and_the_name_of_an_option_stays_its_own(
    project: Path,
) -> None:
    words = ("--candidate", "option_b", "--vault", "0.25", "--budget", "40s", "--json")
    done = run_mlagent(project, "execute", *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    names = {row["name"] for row in told["evaluation"]["leaderboard"]}
    assert "my-option_b" in names
    start = read_journal(Path(told["folder"]) / "journal.jsonl")[0].facts
    assert start["candidate_code"] == "D"


@pytest.mark.docker
def test_one_without_a_score_leaves_linear_and_a_sentence(project: Path) -> None:
    words = ("--candidate", "slow", "--vault", "0.25", "--budget", "30s", "--json")
    done = run_mlagent(project, "execute", *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["manifest"]["model_name"] == "linear"
    (row,) = [row for row in told["evaluation"]["leaderboard"] if row["name"] == "slow"]
    assert row["score"] is None
    assert "yielded no model" in row["outcome"]


@pytest.mark.docker
def test_a_killed_run_goes_on_with_the_code_it_began_with(project: Path) -> None:
    before = {path.name for path in (project / "runs").iterdir()}
    words = ("execute", "--candidate", "product", "--mine", "--vault", "0.25", "--budget", "40s")
    child = subprocess.Popen(
        [sys.executable, "-m", "mlagent", *words],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    run = None
    for _ in range(600):
        made = {path.name for path in (project / "runs").iterdir()} - before
        run = project / "runs" / min(made) if made else None
        if run is not None and (run / ".state" / "folds-linear" / "done.json").exists():
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert run is not None
    (project / "product" / "solution.py").write_text(CONSTANT)
    try:
        done = run_mlagent(project, "execute", "--resume", "--json")
    finally:
        (project / "product" / "solution.py").write_text(PRODUCT)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["run"] == run.name
    assert told["manifest"]["model_name"] == "product"
    assert (run / "candidate" / "solution.py").read_text() == PRODUCT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--candidate", "empty"), "is not a candidate: it has no solution.py"),
        (("--candidate", "nowhere"), "is not a candidate: it has no solution.py"),
        (("--mine",), "--mine is said of a candidate"),
        (("--candidate", "product", "--replay", "x"), "cannot both hold"),
    ],
)
def test_what_cannot_hold_is_refused_before_anything_runs(
    project: Path, words: tuple[str, ...], said: str
) -> None:
    before = sorted((project / "runs").glob("*"))
    done = run_mlagent(project, "execute", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted((project / "runs").glob("*")) == before


def test_without_a_container_engine_it_does_not_run(project: Path) -> None:
    before = sorted((project / "runs").glob("*"))
    words = ("execute", "--candidate", "product", "--mine")
    done = run_mlagent(project, *words, environment=NO_ENGINE)
    assert done.returncode == 4
    assert "No container engine answers" in done.stderr
    assert sorted((project / "runs").glob("*")) == before
