"""`plan`, `execute`, `predict`, `board`, `compare` as a user types them, in the process tier."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.run import Ledger, Manifest
from mlagent.contracts.task import TaskSpec
from mlagent.store.files import sha256_of
from mlagent.store.journal import read_journal
from mlagent.testing.command_line import NO_ENGINE, run_mlagent
from mlagent.testing.tables import churn_frame, write_csv

BUDGET_S = 24


mlagent = partial(run_mlagent, environment=NO_ENGINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a churn table was planned and executed once."""
    folder = tmp_path_factory.mktemp("project")
    write_csv(churn_frame(), folder / "churn.csv")
    planned = mlagent(folder, "plan", "churn model")
    assert planned.returncode == 0, planned.stderr
    done = mlagent(
        folder, "execute", "--budget", f"{BUDGET_S}s", "--select", "ml-engineer=option_b"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def run(project: Path) -> Path:
    (found,) = (path for path in (project / "runs").iterdir() if path.is_dir())
    return found


def test_the_score_stands_beside_dummy_and_linear_with_intervals(run: Path) -> None:
    evaluation = Evaluation.model_validate_json((run / "evaluation.json").read_bytes())
    assert evaluation.metric == "roc_auc"
    assert evaluation.judged_on == "vault"
    assert evaluation.model.low <= evaluation.model.value <= evaluation.model.high
    assert set(evaluation.baselines) == {"dummy", "linear"}
    assert evaluation.baselines["dummy"].value == 0.5
    assert evaluation.difference_to_dummy.verdict == "better"
    assert evaluation.seal.opening == 1
    assert evaluation.tier == "T0"


def test_the_tier_is_the_first_line_and_stands_in_the_verdict(project: Path, run: Path) -> None:
    first = (project / "stdout.txt").read_text().splitlines()[0]
    assert "T0" in first
    manifest = Manifest.model_validate_json((run / "manifest.json").read_bytes())
    assert "T0" in manifest.verdict


def test_what_the_process_tier_cannot_keep_reads_not_enforced(run: Path) -> None:
    ledger = Ledger.model_validate_json((run / "ledger.json").read_bytes())
    outcomes = {
        (entry.agent, entry.clause.split(":")[0]): entry.outcome for entry in ledger.entries
    }
    assert outcomes["ml-engineer", "resources.network"] == "not enforced"
    assert outcomes["ml-engineer", "guardrails.labels"] == "not enforced"
    failed = [entry for entry in ledger.entries if entry.outcome == "fail"]
    assert failed == []


def test_the_manifest_names_every_file_and_the_journal_head(run: Path) -> None:
    manifest = Manifest.model_validate_json((run / "manifest.json").read_bytes())
    files = {
        str(path.relative_to(run)): sha256_of(path)
        for path in run.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert manifest.files == files
    events = read_journal(run / "journal.jsonl")
    assert manifest.journal_head == events[-1].hash
    assert manifest.journal_events == len(events)


def test_no_raw_row_stays_in_the_run_folder(run: Path) -> None:
    hits = [
        str(path.relative_to(run))
        for path in run.rglob("*")
        if path.is_file() and b"CANARY" in path.read_bytes()
    ]
    assert hits == []


def test_scratch_space_is_gone(project: Path) -> None:
    assert not (project / ".mlagent" / "scratch").exists()


def test_pages_are_there_and_load_nothing_from_elsewhere(run: Path) -> None:
    page = (run / "report.html").read_text()
    for name in ("Leaderboard", "Findings", "Slices", "Ledger"):
        assert name in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert (run / "model_card.md").stat().st_size > 1000
    assert (run / "artifacts" / "data-explorer" / "explore.html").exists()


def test_new_rows_are_predicted_without_the_id_column(project: Path) -> None:
    new = churn_frame(rows=40, seed=9).drop(columns=["churned", "customer_id"])
    new["fee"] = ["not a number", *new["fee"].astype(str)[1:]]
    new["contract"] = ["on the moon", "on the moon", *new["contract"][2:]]
    new.to_csv(project.parent / "new.csv", index=False)
    out = project.parent / "scored.csv"
    done = mlagent(project, "predict", str(project.parent / "new.csv"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "'fee': 1" in done.stdout
    assert "a category that no training row had: 'contract': 2 ('on the moon')." in " ".join(
        done.stdout.split()
    )
    scored = pd.read_csv(out)
    assert len(scored) == 40
    assert list(scored.columns[-3:]) == ["prediction", "p_no", "p_yes"]
    assert scored["p_yes"].between(0, 1).all()
    assert (scored["p_no"] + scored["p_yes"]).round(9).eq(1).all()


def test_predictions_are_no_table_to_learn_from_whatever_their_name(project: Path) -> None:
    done = mlagent(project, "predict", "churn.csv", "--out", "p.csv")
    assert done.returncode == 0, done.stderr
    asked = mlagent(project, "plan", "churn model").stderr
    assert "'churn.csv', 'stdout.txt'" in asked
    assert "p.csv" not in asked
    again = mlagent(project, "predict", "churn.csv", "--out", "p.csv")
    assert again.returncode == 0, again.stderr
    (project / "p.csv").unlink()


def test_predictions_overwrite_no_file_that_predict_did_not_write(project: Path) -> None:
    before = (project / "churn.csv").read_bytes()
    new = project.parent / "some.csv"
    churn_frame(rows=5, seed=9).to_csv(new, index=False)
    done = mlagent(project, "predict", str(new), "--out", "churn.csv")
    assert done.returncode == 2
    assert "'churn.csv' exists" in done.stderr
    assert (project / "churn.csv").read_bytes() == before


def test_a_missing_feature_column_is_named(project: Path) -> None:
    new = churn_frame(rows=5, seed=9).drop(columns=["tenure"])
    new.to_csv(project.parent / "short.csv", index=False)
    done = mlagent(project, "predict", str(project.parent / "short.csv"))
    assert done.returncode == 2
    assert "tenure" in done.stderr


def test_the_board_the_runs_and_the_report_can_be_asked_for_as_json(
    project: Path, run: Path
) -> None:
    board = json.loads(mlagent(project, "board", "--json").stdout)
    assert {row["name"] for row in board["rows"]} == {"option_b", "linear", "dummy"}
    assert board["note"] == ""
    runs = json.loads(mlagent(project, "runs", "--json").stdout)
    assert [row["run"] for row in runs["runs"]] == [run.name]
    report = json.loads(mlagent(project, "report", "--json").stdout)
    assert Path(report["report"]).is_file()


def test_board_report_card_and_record_count_the_same_tries(project: Path, run: Path) -> None:
    board = json.loads(mlagent(project, "board", "--json").stdout)
    evaluation = Evaluation.model_validate_json((run / "evaluation.json").read_bytes())
    assert board["tries"] == evaluation.tries == 2
    assert "2 tries so far" in (run / "report.html").read_text()
    assert "Tries on the dev folds so far: 2;" in (run / "model_card.md").read_text()
    assert "2 tries" in mlagent(project, "board").stdout


def test_one_number_is_the_total_and_the_rest_say_until_the_report(
    project: Path, run: Path
) -> None:
    total = Manifest.model_validate_json((run / "manifest.json").read_bytes()).wall_s
    assert f"took {total:.1f}s" in (project / "stdout.txt").read_text()
    assert f"{total:.1f}" in mlagent(project, "runs").stdout
    report = re.search(r"([0-9.]+) s until this report", (run / "report.html").read_text())
    ledger = Ledger.model_validate_json((run / "ledger.json").read_bytes())
    told = [entry.evidence for entry in ledger.entries if "until the report" in entry.evidence]
    assert report is not None
    assert float(report[1]) < total
    assert all(f"{float(report[1]):.1f} s until the report" in one for one in told)


def test_what_shipped_is_described_with_its_importance(run: Path) -> None:
    evaluation = Evaluation.model_validate_json((run / "evaluation.json").read_bytes())
    page = (run / "report.html").read_text()
    assert f'Ran: <span class="data">{evaluation.model_name} ships' in page
    assert evaluation.importance
    assert evaluation.importance_note == ""
    linear = next(gate for gate in evaluation.gates if gate.name == "better-than-linear")
    assert (linear.outcome == "not applicable") == (evaluation.model_name == "linear")


def test_a_run_is_not_distinguishable_from_itself(project: Path, run: Path) -> None:
    made = json.loads(mlagent(project, "compare", run.name, "--json").stdout)
    assert made["difference"]["verdict"] == "not distinguishable"
    assert made["difference"]["value"] == 0


def test_runs_at_other_prices_are_not_compared(project: Path, run: Path, tmp_path: Path) -> None:
    task = TaskSpec.model_validate_json((run / "task.json").read_bytes())
    for name, price in (("20260101-000001-01", 1.0), ("20260101-000002-01", 9.0)):
        home = tmp_path / "runs" / name
        shutil.copytree(run, home)
        dear = {"metric": "cost", "cost": {"yes": {"no": price}}}
        (home / "task.json").write_text(task.model_copy(update=dear).model_dump_json(by_alias=True))
    done = mlagent(tmp_path, "compare", "20260101-000001-01", "20260101-000002-01")
    assert done.returncode == 2
    assert "is scored by cost with 'yes' taken for 'no' 1, all else 0" in done.stderr


def test_a_strangers_candidate_needs_a_container(project: Path) -> None:
    folder = project.parent / "candidate"
    folder.mkdir(exist_ok=True)
    (folder / "solution.py").write_text("def fit(train, spec): ...\ndef predict(m, f): ...\n")
    done = mlagent(project, "try", str(folder))
    assert done.returncode == 4
    assert "container" in done.stderr


def test_a_changed_table_is_refused_with_both_fingerprints(project: Path) -> None:
    table = project / "churn.csv"
    before = table.read_bytes()
    try:
        table.write_bytes(before + before.splitlines(keepends=True)[-1])
        done = mlagent(project, "execute")
    finally:
        table.write_bytes(before)
    assert done.returncode == 2
    assert done.stderr.count("sha256") >= 1
    assert "changed" in done.stderr


def test_the_first_ctrl_c_ends_training_and_judges_the_best_so_far(tmp_path: Path) -> None:
    write_csv(churn_frame(), tmp_path / "churn.csv")
    assert mlagent(tmp_path, "plan", "churn model").returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "mlagent", "execute", "--budget", "120s"]
        + ["--select", "ml-engineer=option_c"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **NO_ENGINE},
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "ml-engineer: fit" in line:
            time.sleep(4)
            process.send_signal(signal.SIGINT)
            break
    began = time.monotonic()
    rest, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert time.monotonic() - began < 60
    assert rest.count("Press Ctrl-C again to stop now.") == 1
    assert "cut" in rest
    assert "Stopped by the user after" in rest
    assert "difference to linear" in rest
