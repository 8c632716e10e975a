"""The promises that need a container: hidden labels, forged scores, endless loops, equal bytes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.run import Seal
from mlagent.data.frames import read_frame
from mlagent.store.journal import read_journal
from mlagent.testing.command_line import run_mlagent
from mlagent.testing.engine import sandbox_or_skip
from mlagent.testing.tables import build_tree, churn_frame, write_csv

pytestmark = pytest.mark.docker
TARGET = "payout"
ROWS = 700

SPY = '''
"""Looks for every label it was not given, everywhere it can read, and says how many it found."""
import hashlib
import os
import numpy as np

MARKS = set(@MARKS@)  # hashes of every label, so that a chance hit is none

def _everything():
    yield "environment", "\\n".join(f"{k}={v}" for k, v in os.environ.items()).encode()
    for top in ("/in", "/out", "/tmp", "/dev/shm", "/home", "/root", "/mnt", "/media", "/run",
                "/var", "/proc/1", "/proc/self", "/opt", "/srv", "/etc"):
        for folder, _, files in os.walk(top):
            if folder.startswith(("/opt/venv/lib", "/var/lib/dpkg")):
                continue
            for name in files:
                path = os.path.join(folder, name)
                try:
                    if os.path.isfile(path):
                        with open(path, "rb") as file:
                            yield path, file.read(20_000_000)
                except OSError:
                    continue

def _tables():
    import duckdb
    for folder, _, files in os.walk("/"):
        if folder.startswith(("/proc", "/sys", "/usr", "/opt/venv")):
            continue
        for name in files:
            if name.endswith(".parquet"):
                path = os.path.join(folder, name)
                frame = duckdb.sql(f"SELECT * FROM read_parquet('{path}')").df()
                yield path, frame

def _search(known):
    import re
    seen = set()
    for where, data in _everything():
        seen |= {m.decode() for m in re.findall(rb"8313\\d{5}", data)}
    for where, frame in _tables():
        for column in frame.columns:
            values = frame[column]
            if values.dtype.kind in "if":
                text = values.dropna().astype("int64").astype(str)
                seen |= {v for v in text if v.startswith("8313") and len(v) == 9}
    seen = {v for v in seen if hashlib.sha256(v.encode()).hexdigest()[:16] in MARKS}
    return seen, seen - known

def fit(train, spec):
    known = set(train[spec["target"]].astype("int64").astype(str))
    seen, strange = _search(known)
    if not known <= seen:
        raise RuntimeError("the search itself does not work")
    if strange:
        raise RuntimeError(f"found {len(strange)} labels that were not given")
    print("SEARCHED", len(seen))
    return float(train[spec["target"]].mean())

def predict(model, features):
    seen, strange = _search(set())
    if seen:
        raise RuntimeError(f"predict found {len(seen)} labels")
    return np.full(len(features), model)
'''


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    sandbox_or_skip()


def payouts() -> pd.DataFrame:
    """A regression whose every label is unique and starts with 8313: a canary in each row."""
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "size": rng.normal(0, 1, ROWS).round(4),
            "kind": rng.choice(["a", "b"], ROWS),
            TARGET: 831_300_000 + rng.permutation(90_000)[:ROWS],
        }
    )


def test_labels_of_the_vault_never_reach_a_container(tmp_path: Path) -> None:
    table = payouts()
    write_csv(table, tmp_path / "claims.csv")
    marks = [hashlib.sha256(str(v).encode()).hexdigest()[:16] for v in table[TARGET]]
    content = build_tree(
        tmp_path / "content",
        {
            "templates/candidates/option_a.py.j2": SPY.replace("@MARKS@", repr(marks)),
            "templates/candidates/option_a.md.j2": "# spy\n",
        },
    )
    words = ("--target", TARGET, "--metric", "rmse", "--data", "claims.csv")
    planned = run_mlagent(tmp_path, "plan", "predict the payout", *words)
    assert planned.returncode == 0, planned.stderr
    done = run_mlagent(
        tmp_path,
        "execute",
        "--budget",
        "60s",
        "--select",
        "ml-engineer=option_a",
        environment={"MLAGENT_CONTENT": str(content)},
    )
    assert done.returncode == 0, done.stderr
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    board = json.loads((run / "board.json").read_text())
    spy = next(entry for entry in board if entry["name"] == "option_a")
    assert spy["outcome"] == "ok"
    seal = Seal.model_validate_json((run / "seal.json").read_bytes())
    assert len(seal.vault_rows) >= 100


def fit_and_predict(body: str) -> str:
    return f"import numpy as np\n{body}\n"


HOSTILE = {
    "forges a score": (
        "def fit(train, spec):\n"
        "    open('metrics.json', 'w').write('{\"roc_auc\": 1.0}')\n"
        "    open('fit.json', 'w').write('{\"roc_auc\": 1.0}')\n"
        '    print(\'{"progress": {"best": 1.0}}\')\n'
        "    return 0.5\n"
        "def predict(model, features):\n"
        "    open('predictions.json', 'w').write('[]') if False else None\n"
        "    return np.full(len(features), model)\n"
    ),
    "returns NaN": (
        "def fit(train, spec): return 1\n"
        "def predict(model, features): return np.full(len(features), np.nan)\n"
    ),
    "returns the wrong shape": (
        "def fit(train, spec): return 1\n"
        "def predict(model, features): return np.zeros(len(features) + 1)\n"
    ),
    "returns values that are no probabilities": (
        "def fit(train, spec): return 1\n"
        "def predict(model, features): return np.full(len(features), 3.0)\n"
    ),
    "loops for ever": (
        "def fit(train, spec):\n    while True: pass\ndef predict(model, features): return None\n"
    ),
    "raises": (
        "def fit(train, spec): raise ValueError('no idea')\n"
        "def predict(model, features): return None\n"
    ),
    "yields and then loops": (
        "def fit(train, spec):\n"
        "    y = (train[spec['target']] == spec['classes'][1]).mean()\n"
        "    yield float(y)\n"
        "    while True: pass\n"
        "def predict(model, features):\n"
        "    return np.clip(model - 0.001 * features['tenure'].to_numpy(dtype=float), 0, 1)\n"
    ),
}
EXPECTED = {
    "forges a score": None,
    "returns NaN": "NaN",
    "returns the wrong shape": "shape",
    "returns values that are no probabilities": "outside",
    "loops for ever": "its fit yielded no model within",
    "raises": "no idea",
    "yields and then loops": None,
}


@pytest.fixture(scope="module")
def churn_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tries")
    write_csv(churn_frame(rows=2600), folder / "churn.csv")
    assert run_mlagent(folder, "plan", "churn model").returncode == 0
    return folder


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_candidate_ends_as_a_sentence_or_a_measured_score(
    churn_project: Path, name: str
) -> None:
    folder = build_tree(
        churn_project.parent / name.replace(" ", "_"),
        {"solution.py": fit_and_predict(HOSTILE[name])},
    )
    done = run_mlagent(churn_project, "try", str(folder), "--budget", "12s", "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    entry = json.loads(done.stdout)["entry"]
    expected = EXPECTED[name]
    if expected is None:
        assert entry["outcome"] == "ok"
        value = entry["score"]["value"]
        if name == "forges a score":
            assert value == 0.5
        else:
            assert value > 0.6
    else:
        assert entry["score"] is None
        assert expected in entry["outcome"]


def test_a_try_before_any_run_stands_beside_the_dummy_and_counts_once(tmp_path: Path) -> None:
    write_csv(churn_frame(rows=2600), tmp_path / "churn.csv")
    assert run_mlagent(tmp_path, "plan", "churn model").returncode == 0
    code = HOSTILE["forges a score"].replace("return 0.5", "return 0.4")
    folder = build_tree(tmp_path / "linear", {"solution.py": fit_and_predict(code)})
    for _ in range(2):
        done = run_mlagent(tmp_path, "try", str(folder), "--mine", "--budget", "12s")
        assert done.returncode == 0, done.stderr
        assert "dummy: 0.5000" in done.stdout
        assert "difference to dummy: +0.0000" in done.stdout
        assert "`mlagent execute` scores one" in done.stdout
        assert "place 1 of 1" in done.stdout
    board = json.loads(run_mlagent(tmp_path, "board", "--json").stdout)
    assert {(row["name"], row["runs"]) for row in board["rows"]} == {("my-linear", 2), ("dummy", 2)}
    assert board["tries"] == 1
    assert "no linear baseline" in board["note"]


def test_a_replayed_run_has_the_same_predictions_and_scores(churn_project: Path) -> None:
    words = ("execute", "--budget", "34s", "--select", "ml-engineer=option_b", "--json")
    first = run_mlagent(churn_project, *words)
    assert first.returncode == 0, first.stderr
    run = json.loads(first.stdout)["run"]
    second = run_mlagent(churn_project, *words, "--replay", run)
    assert second.returncode == 0, second.stderr
    predicted, scored = [], []
    for done in (first, second):
        told = json.loads(done.stdout)
        assert told["manifest"]["model_name"] == "option_b"
        vault = read_frame(Path(told["folder"]) / "predictions" / "vault.parquet")
        predicted.append(vault.sort_values("row")["model"].to_numpy().tobytes())
        evaluation = Evaluation.model_validate(told["evaluation"])
        board = [(row.name, row.score, row.folds) for row in evaluation.leaderboard]
        scored.append((board, evaluation.model, evaluation.threshold, evaluation.importance))
    assert predicted[0] == predicted[1]
    assert scored[0] == scored[1]


def test_without_a_vault_the_score_is_of_the_recipe(churn_project: Path) -> None:
    done = run_mlagent(
        churn_project,
        *("execute", "--budget", "30s", "--vault", "0", "--json"),
        *("--select", "ml-engineer=option_a"),
    )
    assert done.returncode == 0, done.stderr
    evaluation = Evaluation.model_validate(json.loads(done.stdout)["evaluation"])
    assert evaluation.judged_on == "out-of-fold"
    assert evaluation.seal.opening == 0
    assert "unscored" in evaluation.verdict
    here = json.loads(done.stdout)["manifest"]["run"]
    compared = run_mlagent(churn_project, "compare", here, here, "--json")
    score = json.loads(compared.stdout)["scores"]["first"]
    width = evaluation.model.high - evaluation.model.low
    assert score["high"] - score["low"] == pytest.approx(width, rel=0.3), "as wide as the run's"


def test_a_killed_run_goes_on_and_keeps_what_was_finished(tmp_path: Path) -> None:
    write_csv(churn_frame(rows=2600), tmp_path / "churn.csv")
    assert run_mlagent(tmp_path, "plan", "churn model").returncode == 0
    words = ("execute", "--budget", "40s", "--select", "ml-engineer=option_b")
    process = subprocess.Popen(
        [sys.executable, "-m", "mlagent", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "ml-engineer: fit" in line:
            break
    process.kill()
    process.wait(30)
    process.stdout.close()
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert not (run / "manifest.json").exists()
    before = [event for event in read_journal(run / "journal.jsonl") if event.kind == "job.end"]
    done = run_mlagent(tmp_path, "execute", "--resume")
    assert done.returncode == 0, done.stderr
    assert (run / "manifest.json").exists()
    events = read_journal(run / "journal.jsonl")
    after = [event.facts["job"] for event in events if event.kind == "job.end"][len(before) :]
    assert [job for job in after if job.startswith(("explore", "analyse", "folds"))] == []
    assert "fit option_b" in after
    assert "predict package check" in after
    assert not (run / ".state").exists()
