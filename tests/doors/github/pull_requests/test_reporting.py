"""The report says the right thing of worse, better and equal models, of their plans and data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pull_projects import Heads, add_run, commit_all, mlagent, pull_event
from reported import gate, report_of, text_of

from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import CandidateScore, Evaluation
from mlagent.contracts.pr_report import PrReport
from mlagent.data.frames import read_frame, write_frame
from mlagent.doors.github.comment import Links, compose
from mlagent.doors.github.markdown import code, inline
from mlagent.doors.github.reporting import build_report
from mlagent.doors.github.workflow_event import Event
from mlagent.store.runs import RunFolder


@pytest.mark.parametrize(
    ("model", "verdict", "title", "outcome"),
    [
        ("better", "better", "### ✅ Better than the base", "pass"),
        ("worse", "worse", "### ❌ Worse than the base", "fail"),
        ("alike", "not distinguishable", "### ➖ Not distinguishable from the base", "pass"),
    ],
)
def test_the_comment_says_what_the_paired_interval_says(
    heads: Heads, model: str, verdict: str, title: str, outcome: str
) -> None:
    add_run(heads, model)
    report = report_of(heads)
    gap = report.metrics[0].difference
    assert gap is not None
    assert report.verdict == verdict
    assert report.rows == 400
    assert report.merge_base == report.base_commit == heads.base
    assert report.head_commit == heads.head
    assert {"better": gap.low > 0, "worse": gap.high < 0}.get(model, gap.low <= 0 <= gap.high)
    text = text_of(report)
    assert title in text
    assert gate(report, "not-worse-than-base") == outcome
    if model == "worse":
        assert "required gates did not pass" in text
    else:
        assert "required gates passed" in text


@pytest.mark.parametrize("model", ["better", "worse"])
@pytest.mark.parametrize("named", [True, False])
def test_a_difference_of_two_budgets_is_no_verdict_on_the_change(
    heads: Heads, model: str, named: bool
) -> None:
    """More time makes a better model out of the same files: the headline says so, no gate passes
    on it."""
    add_run(heads, model, budget_s=30)
    report = report_of(heads, heads.base_run if named else "main")
    assert report.verdict == "not compared"
    assert report.metrics[0].base is not None, "both scores are shown"
    assert all(row.difference is None for row in report.metrics)
    assert gate(report, "not-worse-than-base") == "not measured"
    assert [one.name for one in report.failed if one.metric == "roc_auc"] == ["not-worse-than-base"]
    text = text_of(report)
    assert "### ❌ The budgets differ: no comparison with the base" in text
    said = "12 s for the base, 30 s for the head, so the difference of the two scores says nothing"
    assert said in text.partition("#### Gates")[0]
    assert "etter than the base" not in text
    assert "orse than the base" not in text
    assert "two scores of the same rows" not in text


def test_the_difference_is_the_one_of_mlagent_compare(heads: Heads) -> None:
    run = add_run(heads, "better")
    report = report_of(heads)
    done = mlagent(heads.folder, "compare", run, heads.base_run, "--json")
    said = json.loads(done.stdout)["difference"]
    gap = report.metrics[0].difference
    assert gap is not None
    assert gap.model_dump() == said


def test_gates_have_the_numbers_of_the_run_folder(heads: Heads) -> None:
    run = RunFolder(heads.folder / "runs" / add_run(heads, "better"))
    report = report_of(heads)
    values = {one.name: one.value for one in report.gates}
    size = (run.path / "model" / "model.pkl").stat().st_size / 2**20
    assert values["small-enough"] == pytest.approx(size)
    rails = {one.name: one for one in report.rails}
    assert rails["model_mb"].head == pytest.approx(size)
    assert rails["predict_seconds"].head == values["quick-enough"]
    assert values["quick-enough"] is not None
    assert values["quick-enough"] > 0
    assert rails["worst_slice"].head == values["no-bad-group"]
    assert rails["leakage_suspects"].head == 0
    assert gate(report, "calibrated") in ("pass", "fail")


def test_the_model_that_ships_is_named_with_the_bases(heads: Heads) -> None:
    ships = RunFolder(heads.folder / "runs" / heads.base_run).read("evaluation.json", Evaluation)
    add_run(heads, "better")
    said = f"Model that ships: {code('better')} (base: {code(ships.model_name)})."
    assert said in text_of(report_of(heads)).splitlines()


def test_the_planned_model_is_named_in_the_words_of_its_plan(heads: Heads) -> None:
    add_run(heads, "better")
    report = report_of(heads)
    (row,) = [one for one in report.plan if one.agent == "ml-engineer"]
    head = report.head.model_copy(update={"model_name": row.option})
    text = text_of(report.model_copy(update={"head": head}))
    assert f"Model that ships: {code(row.option)}, planned as {inline(row.approach)} (base:" in text


def test_a_gate_does_not_hold_linear_against_itself(heads: Heads) -> None:
    """The comment says what the run's own evaluation and ledger say: not applicable."""
    add_run(heads, "linear")
    report = report_of(heads)
    (found,) = [one for one in report.gates if one.name == "better-than-linear"]
    assert (found.outcome, found.value, found.low) == ("not applicable", None, None)
    text = text_of(report)
    assert "Model that ships: <code>linear</code>, the linear baseline itself" in text
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {code(found.name)} ")]
    assert "➖ not applicable" in row
    assert "❌" not in row


def test_label_metrics_keep_each_models_own_threshold(heads: Heads) -> None:
    add_run(heads, "better")
    report = report_of(heads)
    (f1,) = [row for row in report.metrics if row.metric == "f1"]
    assert f1.base is not None
    for score, side in ((f1.head, report.head), (f1.base, report.base)):
        assert side is not None
        run = RunFolder(heads.folder / "runs" / side.run)
        assert score.value == run.read("evaluation.json", Evaluation).metrics["f1"].value


def test_the_plan_has_estimate_and_actual_of_each_agent(heads: Heads) -> None:
    add_run(heads, "better")
    report = report_of(heads)
    assert {row.agent for row in report.plan} == {
        "data-explorer",
        "statistical-analyst",
        "ml-engineer",
    }
    rows = {row.agent: row for row in report.plan}
    assert rows["ml-engineer"].option == "option_a"
    assert all(row.estimated_s > 0 for row in report.plan)
    real = build_report(heads.folder, heads.base_run, None, None)
    others = [row for row in real.plan if row.agent != "ml-engineer"]
    assert all(row.actual_s is not None and row.actual_s > 0 for row in others)


@pytest.mark.parametrize(
    ("outcome", "fit_seconds", "ran"),
    [
        ("no score: the budget was used up", 0.0, False),
        ("no score: stopped by the user", None, False),
        ("no score: time", 3.5, True),
    ],
)
def test_an_option_that_never_ran_has_no_actual_time(
    heads: Heads, outcome: str, fit_seconds: float | None, ran: bool
) -> None:
    run = RunFolder(heads.folder / "runs" / add_run(heads, "linear"))
    before = run.read("evaluation.json", Evaluation)
    board = tuple(
        CandidateScore(name=name, score=score, outcome=said, fit_seconds=seconds)
        for name, score, said, seconds in (
            ("linear", before.model, "ok", 0.5),
            ("option_a", None, outcome, fit_seconds),
        )
    )
    run.write("evaluation.json", before.model_copy(update={"leaderboard": board}))
    report = report_of(heads)
    rows = {row.agent: row for row in report.plan}
    assert (rows["ml-engineer"].actual_s is not None) == ran
    assert rows["data-explorer"].actual_s is not None
    (line,) = [one for one in text_of(report).splitlines() if one.startswith("| ml-engineer |")]
    assert line.endswith("| did not run |") != ran


def test_a_score_has_one_interval_in_the_run_and_in_the_report(heads: Heads) -> None:
    run = RunFolder(heads.folder / "runs" / add_run(heads, "better"))
    ran = run.read("evaluation.json", Evaluation)
    base = RunFolder(heads.folder / "runs" / heads.base_run).read("evaluation.json", Evaluation)
    for report in (report_of(heads), report_of(heads, base=None)):
        for row in report.metrics:
            assert row.head == ran.metrics[row.metric]
            assert row.base is None or row.base == base.metrics[row.metric]
        gates = {one.name: one for one in report.gates}
        for name, gap in (
            ("better-than-dummy", ran.difference_to_dummy),
            ("better-than-linear", ran.difference_to_linear),
        ):
            found = gates[name]
            assert (found.value, found.low, found.high) == (gap.value, gap.low, gap.high)
    low, high = f"{ran.model.low:.4f}", f"{ran.model.high:.4f}"
    assert f"(95 % interval {low} to {high})" in text_of(report_of(heads, base=None))


def test_a_score_that_comes_out_otherwise_is_measured_anew(heads: Heads) -> None:
    """The run's words are not taken for a number that its own predictions do not have."""
    run = RunFolder(heads.folder / "runs" / add_run(heads, "worse"))
    before = run.read("evaluation.json", Evaluation)
    said = before.model.model_copy(update={"value": 0.99, "low": 0.98, "high": 1.0})
    run.write(
        "evaluation.json",
        before.model_copy(update={"model": said, "metrics": {**before.metrics, "roc_auc": said}}),
    )
    row = report_of(heads).metrics[0]
    assert row.head.value == pytest.approx(before.model.value)
    assert row.head.low < before.model.value < row.head.high < 0.98


def test_without_a_vault_intervals_are_as_wide_as_the_runs(heads: Heads) -> None:
    """Over folds the file of predictions holds no training rows, and the width needs them."""
    words = ("execute", "--vault", "0", "--budget", "12s", "--seed", "3")
    done = mlagent(heads.folder, *words)
    assert done.returncode == 0, done.stderr
    (run,) = [one for one in (heads.folder / "runs").glob("2*") if one.name != heads.base_run]
    ran = RunFolder(run).read("evaluation.json", Evaluation)
    report = report_of(heads, base=None)
    assert report.rows == ran.model.n
    for row in report.metrics:
        assert row.head == ran.metrics[row.metric], row.metric
    assert gate(report, "better-than-dummy") == "pass"

    twin = run.parent / "20990101-000000-01"
    shutil.copytree(run, twin)
    file = twin / "predictions" / "oof.parquet"
    frame = read_frame(file)
    frame[ran.model_name] = 0.5 * frame[ran.model_name] + 0.25 * (frame.index % 7 == 0)
    write_frame(frame, file)
    gap = report_of(heads, base=run.name).metrics[0].difference
    assert gap is not None
    assert gap.verdict == "worse"
    assert gap.high - gap.low < 0.2


def test_a_run_of_another_commit_is_said(heads: Heads) -> None:
    add_run(heads, "better", commit=heads.base)
    event = Event(7, heads.head, heads.base, None, 1, False)
    report = build_report(heads.folder, None, heads.base_run, event)
    assert any("not at the head" in note for note in report.notes)
    lines = [line for line in text_of(report).splitlines() if line]
    assert lines[1].endswith("Better than the base, but at another commit than the head")
    assert lines[2].startswith(f"**The run was made at {heads.base[:7]}, not at the head")
    assert "To know" not in "".join(lines) or "not at the head" not in "".join(lines[4:])
    assert f"run at <code>{heads.base[:7]}</code> · head <code>{heads.head[:7]}</code>" in lines[6]


def test_changed_data_is_compared_column_by_column(heads: Heads) -> None:
    table = pd.read_csv(heads.folder / "churn.csv")
    table["fee"] += 25
    table["region"] = "north"
    table = table.drop(columns=["start"])
    table.loc[:900, "contract"] = "three | years"
    table.to_csv(heads.folder / "churn.csv", index=False)
    planned = mlagent(heads.folder, "plan", "churn model", "--budget", "12s")
    assert planned.returncode == 0, planned.stderr
    commit_all(heads.folder, "new data")
    done = mlagent(heads.folder, "execute", "--select", "ml-engineer=option_a")
    assert done.returncode == 0, done.stderr
    report = report_of(heads)
    data = report.data
    assert not data.same_file
    assert data.added == ("region",)
    assert data.removed == ("start",)
    found = {one.column: one for one in data.columns}
    assert found["fee"].level == "large"
    assert found["contract"].level == "large"
    assert found["tenure"].level == "stable"
    assert found["customer_id"].level == "not compared"
    assert report.standing == "not comparable"
    text = text_of(report)
    assert "2 of " in text
    assert "three" not in text  # a value of the data is not needed here

    shutil.rmtree(heads.folder / "runs" / heads.base_run)
    again = report_of(heads)
    assert again.standing == "base not evaluated"
    assert {one.column: one.psi for one in again.data.columns} == {
        one.column: one.psi for one in data.columns
    }


def test_a_try_is_no_head(heads: Heads) -> None:
    run = RunFolder(heads.folder / "runs" / add_run(heads, "better"))
    manifest = run.manifest()
    run.write("manifest.json", manifest.model_copy(update={"kind": "try"}))
    with pytest.raises(BadInput, match="dev folds only"):
        build_report(heads.folder, run.id, "main", None)


def test_equal_runs_make_an_equal_comment(heads: Heads) -> None:
    add_run(heads, "better")
    first = compose(report_of(heads), Content(), "default", Links())
    second = compose(report_of(heads), Content(), "default", Links())
    assert first == second


def test_no_path_of_this_machine_stands_in_the_record(heads: Heads, tmp_path: Path) -> None:
    add_run(heads, "better")
    event = pull_event(tmp_path / "event.json", heads)
    done = mlagent(heads.folder, "pr-comment", "--dry-run", "--json", "-", **event)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stdout
    assert "job-token" not in done.stdout + done.stderr
    PrReport.model_validate_json(done.stdout, strict=True)


@pytest.mark.parametrize("side", ["head", "base"])
def test_damaged_files_of_a_run_are_named(heads: Heads, side: str) -> None:
    run = heads.folder / "runs" / add_run(heads, "better")
    hit = run if side == "head" else heads.folder / "runs" / heads.base_run
    file = hit / "predictions" / "vault.parquet"
    whole = file.read_bytes()
    file.write_bytes(b"no table")
    if side == "head":
        with pytest.raises(BadInput, match=f"{hit.name} cannot be read"):
            report_of(heads)
    else:
        report = report_of(heads)
        assert report.standing == "not comparable"
        assert f"{hit.name} cannot be read" in report.reason
    file.write_bytes(whole)
    if side == "base":
        return
    (hit / "plan.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"plan\.yaml is not UTF-8"):
        report_of(heads)
    (hit / "plan.yaml").unlink()
    with pytest.raises(BadInput, match=r"has no plan\.yaml"):
        report_of(heads)
