"""A strange table is no error: hostile names, dirty numbers and infinite values work, and stay
data."""

from __future__ import annotations

import html
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlagent.cli.main import main
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.plan import Plan
from mlagent.documents import read_record
from mlagent.testing.command_line import NO_ENGINE, run_mlagent
from mlagent.testing.tables import build_tree, write_csv

typed = partial(run_mlagent, environment=NO_ENGINE)
INJECTION, TEMPLATE = '"); import os #', "{{7*7}}"


def plan_here(folder: Path) -> Plan:
    return read_record(Plan, (folder / "plan.yaml").read_text("utf-8"), "plan.yaml")


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hostile column names, '1,234', blanks and infinite values: planned and executed once."""
    folder = tmp_path_factory.mktemp("strange")
    rng = np.random.default_rng(0)
    size = 1200
    first, second = rng.normal(size=size), rng.integers(1000, 9999, size)
    amount = np.where(rng.random(size) < 0.1, " ", [f"{value:,}" for value in second])
    ratio = np.round(rng.normal(size=size), 3).astype(str).astype(object)
    ratio[::40], ratio[7::40] = "inf", "-Infinity"
    odds = 1 / (1 + np.exp(-2 * first - (second - 5500) / 2000))
    frame = pd.DataFrame(
        {
            INJECTION: first.round(3),
            TEMPLATE: rng.choice(["x", "y", TEMPLATE], size),
            "amount": amount,
            "ratio": ratio,
            "churned": np.where(rng.random(size) < odds, "yes", "no"),
        }
    )
    write_csv(frame, folder / "table.csv")
    python = Path(sys.executable)
    planned = typed(folder, "plan", "churn model", python=python)
    assert planned.returncode == 0, planned.stderr
    words = ("execute", "--budget", "25s", "--select", "ml-engineer=option_b", "--json")
    done = typed(folder, *words, python=python)
    assert done.returncode == 0, done.stdout + done.stderr
    build_tree(folder, {"stdout.txt": done.stdout, "stderr.txt": done.stderr})
    return folder


def test_hostile_column_names_dirty_numbers_and_infinite_values_are_planned_as_they_are(
    strange: Path,
) -> None:
    found = plan_here(strange).columns.found
    assert list(found) == [INJECTION, TEMPLATE, "amount", "ratio", "churned"]
    assert (found[INJECTION].role, found[TEMPLATE].role) == ("number", "category")
    assert (found["amount"].role, found["amount"].thousands) == ("number", True)
    assert found["amount"].missing_tokens == (" ",)
    assert (found["ratio"].role, found["ratio"].dtype) == ("number", "float64")


def test_hostile_column_names_are_learned_from_and_stay_data(strange: Path) -> None:
    done = json.loads((strange / "stdout.txt").read_text())
    run = Path(done["folder"])
    evaluation = Evaluation.model_validate_json((run / "evaluation.json").read_bytes())
    assert evaluation.model.value > 0.7
    spec = json.loads((run / "candidate" / "spec.json").read_text())
    assert {INJECTION, TEMPLATE} <= set(spec["columns"])
    code = (run / "candidate" / "solution.py").read_text()
    assert "import os #" not in code
    assert TEMPLATE not in code
    for page in ("report.html", "artifacts/data-explorer/explore.html"):
        shown = html.unescape((run / page).read_text())
        assert INJECTION in shown, page
        assert TEMPLATE in shown, page


def test_execute_json_is_one_document_and_the_progress_is_on_stderr(strange: Path) -> None:
    done = json.loads((strange / "stdout.txt").read_text())
    assert set(done) == {"run", "folder", "evaluation", "manifest"}
    assert "T0" in (strange / "stderr.txt").read_text()
    runs = typed(strange, "runs", "--json")
    assert [row["run"] for row in json.loads(runs.stdout)["runs"]] == [done["run"]]
    board = typed(strange, "board", "--json")
    assert {row["name"] for row in json.loads(board.stdout)["rows"]} == {
        "option_b",
        "linear",
        "dummy",
    }


def test_new_rows_with_hostile_names_and_cells_are_predicted(strange: Path) -> None:
    new = pd.read_csv(strange / "table.csv", dtype=str, keep_default_na=False).head(20)
    new.loc[0, ["amount", "ratio"]] = ["1,234,567", "-inf"]
    new.loc[1, INJECTION] = "=cmd()"
    write_csv(new.drop(columns="churned"), strange / "new.csv")
    before = (strange / "new.csv").read_bytes()
    done = typed(strange, "predict", "new.csv", "--out", "out.csv")
    assert done.returncode == 0, done.stderr
    assert (strange / "new.csv").read_bytes() == before
    scored = pd.read_csv(strange / "out.csv")
    assert list(scored.columns[:2]) == [INJECTION, TEMPLATE]
    assert scored["p_yes"].between(0, 1).all()


@pytest.mark.parametrize("twin", ["yes ", "Yes", " yes"])
def test_classes_that_differ_in_blanks_or_case_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], twin: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{i % 7},{('yes', 'no', twin)[i % 3]}\n" for i in range(120))
    build_tree(tmp_path, {"t.csv": "a,outcome\n" + rows})
    monkeypatch.setattr(sys, "argv", ["mlagent", "plan", "predict outcome"])
    with pytest.raises(SystemExit):
        main()
    assert "differ in blanks or case only" in capsys.readouterr().out
    assert "differ in blanks" in str(plan_here(tmp_path).data)
