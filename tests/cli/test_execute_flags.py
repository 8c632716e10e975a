"""Flags of `mlagent execute` and the test file: what makes no sense is refused before a run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import Run, edit

from mlagent.contracts.errors import BadInput
from mlagent.orchestrator.planning import read_plan
from mlagent.orchestrator.preparing import check_test
from mlagent.orchestrator.requesting import ExecuteFlags, _check_resumed, make_request
from mlagent.orchestrator.state import State
from mlagent.store.journal import FileJournal
from mlagent.store.project import Project
from mlagent.testing.tables import build_tree, churn_frame


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--select", "ml-enginer=option_a"), "Its agents: data-explorer, statistical-analyst"),
        (("--select", "ml-engineer=option_x"), "Its options: option_a, option_b, option_c"),
        (("--select", "nonsense"), "'nonsense' is not an agent"),
        (("--vault", "most"), "--vault auto"),
        (("--vault", "nan"), "--vault auto"),
        (("--refit", "some"), "--refit all"),
        (("--budget", "soon"), "60s, 5m or 1h"),
        (("--memory", "3"), "256"),
        (("--test", "nope.csv"), "'nope.csv'"),
        (("--replay", "20200101"), "'20200101'"),
        (("--resume",), "no unfinished run"),
        (("--resume", "20200101"), "No run named '20200101'"),
        (("20200101", "--resume"), "No run named '20200101'"),
        (("--share-rows",), "--share-rows is said of Claude"),
    ],
)
def test_a_flag_of_execute_that_makes_no_sense_is_refused_with_what_is_allowed(
    planned: Path, mlagent: Run, words: tuple[str, ...], said: str
) -> None:
    done = mlagent("execute", *words)
    assert done.code == 2
    assert said in done.err
    assert not (planned / "runs").exists()


def test_without_a_key_a_search_is_not_begun(
    planned: Path, mlagent: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    done = mlagent("execute", "--author", "both")
    assert done.code == 4
    assert "ANTHROPIC_API_KEY is empty" in done.err
    assert not (planned / "runs").exists()


def churn_text(rows: int = 40, **columns: str) -> str:
    """Other rows of the churn table, some columns with one text throughout or ("") taken out."""
    frame = churn_frame(rows, seed=9).drop(columns=[name for name, v in columns.items() if not v])
    return str(frame.assign(**{k: v for k, v in columns.items() if v}).to_csv(index=False))


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("churn.csv", "'churn.csv' is the training table itself"),
        ("copy.csv", "'copy.csv' is the training table itself"),
        ("no_target.csv", "lacks the columns 'churned'"),
        ("no_feature.csv", "lacks the columns 'fee', 'start'"),
        ("unknown.csv", "has no value in the target 'churned'"),
        ("maybe.csv", "none of the classes 'no', 'yes': 'maybe'"),
        ("one_class.csv", "is of class 'no'"),
        ("empty.csv", "empty"),
        ("ragged.csv", "ragged: line 2"),
        ("binary.csv", "binary file"),
        ("header.csv", "a header and no rows"),
    ],
)
def test_a_test_file_that_cannot_judge_is_refused_before_a_run_begins(
    planned: Path, mlagent: Run, test: str, said: str
) -> None:
    build_tree(
        planned,
        {
            "copy.csv": (planned / "churn.csv").read_bytes(),
            "no_target.csv": churn_text(churned=""),
            "no_feature.csv": churn_text(fee="", start=""),
            "unknown.csv": churn_text(churned=" "),
            "maybe.csv": churn_text(churned="maybe"),
            "one_class.csv": churn_text(churned="no"),
            "empty.csv": "",
            "ragged.csv": "a,b\n1,2,3\n",
            "binary.csv": bytes(range(256)) * 20,
            "header.csv": churn_text(0),
        },
    )
    done = mlagent("execute", "--test", test)
    assert done.code == 2
    assert said in done.err
    assert not (planned / "runs").exists()


@pytest.mark.parametrize("vault", ["0", "0.2"])
def test_a_test_file_and_a_vault_of_ones_own_cannot_both_hold(
    planned: Path, mlagent: Run, vault: str
) -> None:
    build_tree(planned, {"test.csv": churn_text()})
    done = mlagent("execute", "--test", "test.csv", "--vault", vault)
    assert done.code == 2
    assert f"--test and --vault {vault} cannot both hold" in done.err
    assert not (planned / "runs").exists()


def test_a_test_file_beats_the_vault_of_the_plan(planned: Path) -> None:
    edit(planned, "vault: auto", "vault: 0")
    plan = read_plan(planned / "plan.yaml")
    build_tree(planned, {"test.csv": churn_text(customer_id="")})
    request = make_request(
        Project(planned),
        plan,
        planned / "plan.yaml",
        ExecuteFlags(test=planned / "test.csv"),
        None,
    )
    check_test(State(request, request.plan.task))
    assert request.vault is None


def test_execute_without_a_plan_says_how_to_make_one(mlagent: Run) -> None:
    done = mlagent("execute")
    assert done.code == 2
    assert "no plan" in done.err
    assert "mlagent plan" in done.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (ExecuteFlags(seed=0), "--seed"),
        (ExecuteFlags(vault="0.4"), "--vault"),
        (ExecuteFlags(budget_s=9.0), "--budget"),
        (ExecuteFlags(select=("ml-engineer=option_a",)), "--select"),
        (ExecuteFlags(refit="all"), "--refit"),
        (ExecuteFlags(test=Path("t.csv")), "--test"),
        (ExecuteFlags(candidate=Path("mine")), "--candidate"),
        (ExecuteFlags(share_rows=True), "--share-rows"),
        (ExecuteFlags(plan=Path("plan.yaml")), "a plan file"),
    ],
)
def test_a_resumed_run_takes_no_flag_that_would_change_it(flags: ExecuteFlags, said: str) -> None:
    with pytest.raises(BadInput, match=f"^{said} and --resume cannot both hold"):
        _check_resumed(flags)
    _check_resumed(ExecuteFlags(resume=True, memory_mb=512, force=True))


def test_runs_rm_waits_for_nobody_and_deletes_nothing_of_a_run_at_work(
    tmp_path: Path, mlagent: Run
) -> None:
    run = Project(tmp_path).runs.create(datetime.now(UTC))
    FileJournal(run.path / "journal.jsonl").close()
    with Project(tmp_path).lock():
        done = mlagent("runs", "rm", run.id, "--yes")
    assert done.code == 2
    assert "Another run is at work" in done.err
    assert run.path.is_dir()
    assert mlagent("runs", "rm", run.id, "--yes").code == 0
    assert not run.path.exists()
