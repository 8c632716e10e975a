"""A repository with a real base run, and head runs whose models really are worse, better or alike.

The base run is a real `mlagent execute`. A head run is its folder with another real model's
predictions on the same vault rows, judged by the referee and written by the project's own writers.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from git import Repo
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from mlagent.cli.main import main
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.run import Environment, Manifest, Seal
from mlagent.contracts.task import TaskSpec
from mlagent.data.frames import read_frame
from mlagent.orchestrator.saved import write_predictions
from mlagent.referee.evaluate import EvaluationInputs, evaluate
from mlagent.referee.metrics import Truth, encode_target
from mlagent.store.journal import FileJournal, read_journal
from mlagent.store.runs import RunFolder
from mlagent.testing.tables import churn_frame, write_csv

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}
GITHUB_NAMES = ("GITHUB_", "GH_TOKEN", "RUNNER_", "MLAGENT_CONTENT")
ROWS = 2000
SETTINGS = """schema: mlagent/settings/v1
gates:
- {name: auc-floor, metric: roc_auc, comparison: at_least, threshold: 0.55, required: true}
- {name: small-enough, metric: model_mb, comparison: at_most, threshold: 50, required: true}
- {name: quick-enough, metric: predict_seconds, comparison: at_most, threshold: 60, required: true}
- {name: no-bad-group, metric: worst_slice, comparison: at_least, threshold: 0.1, required: false}
"""


def mlagent(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`mlagent ...` as typed, without anything of an outer GitHub job."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(GITHUB_NAMES)}
    return subprocess.run(
        [sys.executable, "-m", "mlagent", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=clean | NO_ENGINE | env,
        timeout=120,
    )


def command(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """As `mlagent`, in this process: the imports are paid once."""
    out, err = io.StringIO(), io.StringIO()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(GITHUB_NAMES)}
    code: object = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(os, "environ", clean | NO_ENGINE | env)
        patch.setattr(sys, "argv", ["mlagent", *words])
        patch.chdir(folder)
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def commit_all(folder: Path, message: str) -> str:
    """Commit everything that is not ignored; the commit's id."""
    with Repo(folder) as repo:
        repo.git.add("-A")
        repo.git.commit("-q", "--allow-empty", "-m", message)
        return str(repo.head.commit.hexsha)


@dataclass(frozen=True)
class Heads:
    """A repository: main with a base run, and a branch `change` with one commit more."""

    folder: Path
    base: str
    head: str
    base_run: str


def _features(frame: pd.DataFrame, *, crossed: bool) -> np.ndarray:
    monthly = (frame["contract"] == "monthly").to_numpy(float)
    fee = frame["fee"].to_numpy(float)
    columns = [monthly, fee, frame["tenure"].to_numpy(float)]
    return np.column_stack([*columns, monthly * (fee - 50)] if crossed else columns)


MODELS: dict[str, Callable[[], Any]] = {
    "better": lambda: HistGradientBoostingClassifier(max_iter=60, random_state=0),
    "worse": lambda: DecisionTreeClassifier(max_depth=1, random_state=0),
    "alike": lambda: LogisticRegression(max_iter=500),
}


@functools.cache
def _predicted(model: str, csv: bytes, rows: tuple[int, ...]) -> np.ndarray:
    """What a model that was fitted on all other rows says of these; fitted once for all tests."""
    table, held = pd.read_csv(io.BytesIO(csv)), list(rows)
    train, crossed = table.drop(index=held), model == "better"
    fitted = MODELS[model]()
    fitted.fit(_features(train, crossed=crossed), (train["churned"] == "yes").to_numpy())
    made: np.ndarray = fitted.predict_proba(_features(table.loc[held], crossed=crossed))[:, 1]
    made.setflags(write=False)
    return made


def make_project(folder: Path) -> Heads:
    """Plan, commit, execute, a branch with one commit more."""
    folder.mkdir()
    write_csv(churn_frame(ROWS), folder / "churn.csv")
    (folder / "mlagent.yaml").write_text(SETTINGS)
    (folder / ".gitignore").write_text(".mlagent/\nruns/\nplans/\n")
    with Repo.init(folder, initial_branch="main") as repo, repo.config_writer() as config:
        config.set_value("user", "name", "Test")
        config.set_value("user", "email", "test@example.org")
    planned = mlagent(folder, "plan", "churn model", "--budget", "12s")
    assert planned.returncode == 0, planned.stderr
    base = commit_all(folder, "base")
    done = mlagent(folder, "execute", "--select", "ml-engineer=option_a")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = [path.name for path in (folder / "runs").iterdir() if path.is_dir()]
    with Repo(folder) as repo:
        repo.git.checkout("-q", "-b", "change")
    (folder / "notes.txt").write_text("another model\n")
    return Heads(folder, base, commit_all(folder, "head"), run)


@dataclass(frozen=True)
class Judged:
    """Truth of the vault rows, and what model, linear and dummy say of them."""

    metric: str
    truth: Truth
    predictions: dict[str, np.ndarray]


def _churn(heads: Heads, model: str, vault: pd.DataFrame) -> Judged:
    """Of the base run's own task."""
    if model == "linear":
        predicted = vault["linear"].to_numpy()
    else:
        csv = (heads.folder / "churn.csv").read_bytes()
        predicted = _predicted(model, csv, tuple(vault["row"].to_numpy()))
    truth = Truth("binary", encode_target(vault["truth"], ("no", "yes")), ("no", "yes"))
    others = {name: vault[name].to_numpy() for name in ("linear", "dummy")}
    return Judged("roc_auc", truth, {"model": predicted} | others)


def add_run(
    heads: Heads,
    model: str,
    *,
    commit: str | None = None,
    number: int = 99,
    dirty: bool = False,
    budget_s: float | None = None,
    candidate: str | None = None,
    suspects: tuple[str, ...] = (),
    judged: Judged | None = None,
) -> str:
    """A head run whose shipped model is `model`, made at `commit`; its id. 'linear': the base run's
    own linear baseline ships. `budget_s`: another one than the base run's. `candidate`: the folder
    that was handed in. `suspects`: columns that may leak and were kept. `judged`: another task on
    the same rows."""
    base = RunFolder(heads.folder / "runs" / heads.base_run)
    run = RunFolder(heads.folder / "runs" / f"20990101-000000-{number:02d}")
    shutil.copytree(base.path, run.path, ignore=shutil.ignore_patterns("journal.jsonl"))
    table = pd.read_csv(heads.folder / "churn.csv")
    vault = read_frame(base.path / "predictions" / "vault.parquet")
    rows = vault["row"].to_numpy()
    groups = {"contract": table.loc[rows, "contract"].to_numpy()}
    if judged is None:
        judged = _churn(heads, model, vault)
    else:
        groups["turn"] = np.array([f"turn {row % 6}" for row in rows], dtype=object)
        kind = {
            "kind": judged.truth.kind,
            "metric": judged.metric,
            "direction": METRICS[judged.metric].direction,
            "positive": None,
            "classes": judged.truth.classes,
        }
        run.write("task.json", run.read("task.json", TaskSpec).model_copy(update=kind))
    write_predictions(run, "vault", rows, judged.truth, judged.predictions)
    before = base.read("evaluation.json", Evaluation)
    evaluation = evaluate(
        EvaluationInputs(
            metric=judged.metric,
            truth=judged.truth,
            predictions=judged.predictions,
            judged_on="vault",
            model_name=model,
            seal_id=base.read("seal.json", Seal).id,
            opening=2,
            tries=before.tries + 1,
            tier="T0",
            seed=0,
            thresholds={"model": 0.3},
            suspects=suspects,
            draws=200,
            slice_columns=groups,
        )
    )
    run.write("evaluation.json", evaluation)
    environment = base.read("environment.json", Environment)
    if candidate is not None:
        home = run.path / "artifacts" / "ml-engineer" / candidate
        home.mkdir()
        (home / "solution.py").write_text("def fit(train, spec): ...\n")
    made_at = {"git_commit": commit or heads.head, "git_dirty": dirty}
    run.write("environment.json", environment.model_copy(update=made_at))
    with FileJournal(run.path / "journal.jsonl") as journal:
        for event in read_journal(base.path / "journal.jsonl"):
            begun = event.kind == "run.start" and candidate is not None
            more = {"candidate": candidate, "candidate_code": "D"} if begun else {}
            journal.append(event.kind, **{**event.facts, **more})
        head, count = journal.head, journal.count
    manifest = base.manifest()
    changes = {
        "run": run.id,
        "model_name": model,
        "verdict": evaluation.verdict,
        "journal_head": head,
        "journal_events": count,
        "files": run.hashes(),
        "budget_s": manifest.budget_s if budget_s is None else budget_s,
    }
    run.write("manifest.json", Manifest(**{**dict(manifest), **changes}))
    return run.id


def pull_event(
    path: Path, heads: Heads, number: int = 7, head: str | None = None
) -> dict[str, str]:
    """Environment of a `pull_request` job."""
    body = {
        "pull_request": {
            "number": number,
            "head": {"sha": head or heads.head},
            "base": {"sha": heads.base},
        }
    }
    path.write_text(json.dumps(body))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REPOSITORY": "octo/churn",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_RUN_ID": "4242",
        "GITHUB_TOKEN": "job-token",
    }


def workflow_run_event(path: Path, head: str, owner: str = "octo") -> dict[str, str]:
    """Environment of a privileged `workflow_run` job."""
    body = {
        "workflow_run": {
            "id": 4242,
            "event": "pull_request",
            "head_sha": head,
            "head_branch": "change",
            "head_repository": {"owner": {"login": owner}},
            "pull_requests": [],
        }
    }
    path.write_text(json.dumps(body))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "workflow_run",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REPOSITORY": "octo/churn",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_TOKEN": "job-token",
    }
