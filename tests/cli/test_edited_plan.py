"""A plan edited by hand, or whose table changed: what does not fit is named and nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run, edit

from mlagent.contracts.plan import Plan
from mlagent.documents import read_record
from mlagent.testing.tables import build_tree, churn_frame, write_csv

SELECTED = "  ml-engineer: "
ROLE = "{role: number, dtype: int64}"


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        (
            SELECTED + "option_",
            SELECTED + "opton_",
            "selection.ml-engineer",
            "allowed values: option_a, option_b, option_c",
        ),
        (
            SELECTED,
            "  ml-enginer: ",
            "selection.ml-enginer",
            "did you mean 'ml-engineer'?); allowed values: ml-engineer, data-explorer",
        ),
        (
            ROLE,
            "{role: numbr, dtype: int64}",
            "columns.found.tenure.role",
            "did you mean 'number'?); allowed values: number, category, text",
        ),
        (
            ROLE,
            "{role: number, dtype: int46}",
            "columns.found.tenure.dtype",
            "did you mean 'int64'?); allowed values: float64, int64, bool",
        ),
        (
            ROLE,
            "{role: number, dtype: int64, size: 3}",
            "columns.found.tenure.size",
            "allowed keys",
        ),
        ("  seconds: 300.0", "  secnds: 300.0", "budget.secnds", "did you mean 'seconds'?"),
        ("  seconds: 300.0", "  seconds: 5m", "budget.seconds", "valid number"),
        ("  seconds: 300.0", "  seconds: -1", "budget.seconds", "greater than"),
        ("  seconds: 300.0", "  seconds: 1.0e+300", "budget.seconds", "604800"),
        ("vault: auto", "vault: 0.9", "vault", "auto, 0 nor a share from 0.02 to 0.5"),
        ("selection:", "speed: high\nselection:", "speed", "allowed keys: schema, created"),
        (
            "  metric: roc_auc",
            "  metric: roc_auk",
            "task.metric",
            "allowed values: roc_auc, pr_auc",
        ),
        ("  metric: roc_auc", "  metric: rmse", "task.metric", "for a binary task"),
        ("  direction: maximize", "  direction: minimize", "task.direction", "'maximize'"),
        ("  classes: ['no', 'yes']", "  classes: ['yes', 'no']", "task.classes", "last"),
        ("  kind: binary", "  kind: binry", "task.kind", "did you mean 'binary'?"),
        ("  seed: 0", "  seed: -1", "task.seed", "greater than or equal to 0"),
        (
            "  exclude: []",
            "  exclude: tenure",
            "columns.exclude",
            "'tenure' is refused: it should be a list",
        ),
        ("  exclude: []", "  exclude: {a: b}", "columns.exclude", "a list"),
        (ROLE, "3", "columns.found.tenure", "3 is refused: it should be a map"),
        (
            "  exclude: []",
            "  exclude: [tenur]",
            "columns.exclude[0]",
            "no column 'tenur' (did you mean 'tenure'?); allowed values: ",
        ),
        (
            "  exclude: []",
            "  exclude: [tenure, churned]",
            "columns.exclude[1]",
            "'churned' is the target; allowed values: ",
        ),
        (
            ROLE,
            "{role: target, dtype: int64}",
            "columns.found.tenure.role",
            "task.target is 'churned'; allowed values: number, category",
        ),
        (SELECTED, SELECTED + "&x ", "selection.ml-engineer", "anchor"),
        (
            SELECTED + "option_",
            SELECTED + "!!python/object/apply:os.system ['touch harm'] # ",
            "selection.ml-engineer",
            "python/object/apply:os.system' is refused",
        ),
    ],
)
def test_a_typo_in_the_plan_is_named_with_file_line_field_and_what_is_allowed(
    planned: Path, mlagent: Run, old: str, new: str, field: str, said: str
) -> None:
    line = edit(planned, old, new)
    done = mlagent("execute")
    assert done.code == 2
    assert f"plan.yaml, line {line}, {field}: " in done.err
    assert said in done.err
    assert not (planned / "harm").exists()
    assert not (planned / "runs").exists()


def test_an_alias_in_the_plan_is_refused(planned: Path, mlagent: Run) -> None:
    line = edit(planned, "  data-explorer: option_", "  data-explorer: *o")
    done = mlagent("execute")
    assert done.code == 2
    assert f"plan.yaml, line {line}, selection.data-explorer: the alias" in done.err


def test_a_key_that_stands_twice_is_refused_with_both_lines(planned: Path, mlagent: Run) -> None:
    line = edit(planned, "vault: auto", "selection:\n  ml-engineer: option_a\nvault: auto")
    done = mlagent("execute")
    assert done.code == 2
    assert f"plan.yaml, line {line}: the key 'selection' stands twice (first on line" in done.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    tenure: {", "    tenur: {", "no column 'tenur' (did you mean 'tenure'?)"),
        ("  target: churned", "  target: churnd", "no column 'churnd' (did you mean 'churned'?)"),
        ("  seed: 0", "  time: tenur\n  seed: 0", "no column 'tenur' (did you mean 'tenure'?)"),
        (
            "    fee: {role: number, dtype: float64",
            "    fee: {role: text, dtype: float64",
            "columns.found.fee.dtype: the role text needs str, not float64",
        ),
        (
            "    contract: {role: category, dtype: str",
            "    contract: {role: number, dtype: str",
            "columns.found.contract.dtype: the role number needs float64 or int64 or bool",
        ),
        (
            "    contract: {role: category, dtype: str",
            "    contract: {role: datetime, dtype: datetime64",
            "columns.found.contract.dtype: datetime64 needs a datetime_format beside it",
        ),
        ("  seed: 0", "  time: contract\n  seed: 0", "'contract' is read as str"),
        ("  id_columns: []", "  id_columns: [customer]", "no column 'customer'"),
        ("    churned: {role: target, dtype: str}\n", "", "no line for the target 'churned'"),
        ("  kind: binary\n", "", "task.kind is missing"),
        (SELECTED + "option_c\n", "", "no option for 'ml-engineer'"),
    ],
)
def test_an_edit_that_does_not_fit_the_table_is_refused_before_anything_runs(
    planned: Path, mlagent: Run, old: str, new: str, said: str
) -> None:
    if old.startswith(SELECTED):
        plan = read_record(Plan, (planned / "plan.yaml").read_text("utf-8"), "plan.yaml")
        old = f"{SELECTED}{plan.selection['ml-engineer']}\n"
    edit(planned, old, new)
    done = mlagent("execute")
    assert done.code == 2
    assert said in done.err
    assert not (planned / "runs").exists()


def test_a_column_that_an_edit_would_empty_is_refused(planned: Path, mlagent: Run) -> None:
    edit(
        planned,
        "    contract: {role: category, dtype: str",
        "    contract: {role: number, dtype: float64",
    )
    done = mlagent("execute", "--budget", "10s")
    assert done.code == 2
    assert "reads the column 'contract' as float64, but 300 of its 300 filled cells" in done.err


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"- a\n", b"a: [", b"\x00\x01", b"\xff\xfe"])
def test_a_plan_that_is_no_plan_is_refused(tmp_path: Path, mlagent: Run, text: bytes) -> None:
    build_tree(tmp_path, {"plan.yaml": text})
    done = mlagent("execute")
    assert done.code == 2
    assert "plan.yaml" in done.err


def test_a_plan_that_is_not_utf_8_is_refused_with_line_and_remedy(
    planned: Path, mlagent: Run
) -> None:
    plan = planned / "plan.yaml"
    plan.write_bytes(plan.read_bytes() + "# caf\u00e9\n".encode("cp1252"))
    done = mlagent("execute")
    assert done.code == 2
    assert f"is not UTF-8 text: line {len(plan.read_bytes().splitlines())}" in done.err
    assert "Save it as UTF-8" in done.err
    assert "codec" not in done.err


def test_changed_data_is_refused_with_both_fingerprints(planned: Path, mlagent: Run) -> None:
    plan = read_record(Plan, (planned / "plan.yaml").read_text("utf-8"), "plan.yaml")
    assert plan.data is not None
    before = plan.data.sha256
    write_csv(churn_frame(301, seed=1), planned / "churn.csv")
    done = mlagent("execute")
    assert done.code == 2
    assert before[:12] in done.err
    assert mlagent("plan", "churn model").code == 0
    now = read_record(Plan, (planned / "plan.yaml").read_text("utf-8"), "plan.yaml").data
    assert now is not None
    assert now.sha256[:12] in done.err
    assert now.sha256 != before


def test_a_table_that_went_away_is_named(planned: Path, mlagent: Run) -> None:
    (planned / "churn.csv").rename(planned / "elsewhere.csv")
    done = mlagent("execute")
    assert done.code == 2
    assert "'churn.csv'" in done.err
