"""`execute --replay RUN` holds what that run was started with, and refuses what differs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Plan
from mlagent.documents import dump_yaml
from mlagent.orchestrator.fitting import overrun
from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here
from mlagent.orchestrator.planning import read_plan
from mlagent.orchestrator.requesting import ExecuteFlags, make_request
from mlagent.orchestrator.state import Request
from mlagent.store.files import write_json
from mlagent.store.journal import FileJournal
from mlagent.store.project import Project
from mlagent.testing.manifests import small_manifest
from mlagent.testing.tables import churn_frame, write_csv

STARTED: dict[str, Any] = {
    "command": "execute",
    "budget_s": 24.4,
    "seed": 5,
    "vault": 0.3,
    "refit": False,
    "test": None,
    "replay": None,
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replayed")
    write_csv(churn_frame(300), folder / "churn.csv")
    make_plan_here(folder, PlanFlags("churn model"), None)
    return folder


def finished_run(folder: Path, plan: Plan, **changes: Any) -> str:
    """A run folder as `execute` leaves it, as far as a replay reads it."""
    selection = dict(plan.selection) | {"ml-engineer": "option_a"}
    run = Project(folder).runs.create(datetime.now(UTC))
    with FileJournal(run.path / "journal.jsonl") as journal:
        journal.append("run.start", **(STARTED | {"selection": selection} | changes))
    task = plan.task.model_copy(update={"seed": 5})
    (run.path / "plan.yaml").write_text(dump_yaml(plan.model_copy(update={"task": task})))
    write_json(run.file("artifacts/ml-engineer/schedules.json"), {"option_a": {"trees": 3}})
    assert plan.data is not None
    run.write(
        "manifest.json",
        small_manifest(
            run=run.id,
            wall_s=20,
            budget_s=24.4,
            data_sha256=plan.data.sha256,
            model_name="option_a",
        ),
    )
    return run.id


def asked(folder: Path, flags: ExecuteFlags, **started: Any) -> Request:
    path = folder / "plan.yaml"
    plan = read_plan(path)
    flags = replace(flags, replay=finished_run(folder, plan, **started))
    return make_request(Project(folder), plan, path, flags, None)


def test_a_replay_takes_seed_budget_vault_and_selection_from_the_run(planned: Path) -> None:
    request = asked(planned, ExecuteFlags())
    assert (request.seed, request.budget_s, request.vault) == (5, 24.4, 0.3)
    assert request.plan.task.seed == 5
    assert request.selection["ml-engineer"] == "option_a"
    assert overrun(request) == 24.4
    assert overrun(replace(request, replay=None)) < 1


def test_a_replay_takes_the_test_file_along(planned: Path) -> None:
    test = planned / "holdout.csv"
    write_csv(churn_frame(60, seed=4), test)
    request = asked(planned, ExecuteFlags(), vault=None, test=str(test))
    assert (request.test, request.vault) == (test, None)


def test_the_reproduction_line_with_its_rounded_budget_is_no_difference(planned: Path) -> None:
    select = ("ml-engineer=option_a",)
    request = asked(planned, ExecuteFlags(budget_s=24, seed=5, vault="0.3", select=select))
    assert request.budget_s == 24.4
    assert asked(planned, ExecuteFlags(budget_s=90)).budget_s == 90


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (ExecuteFlags(seed=6), "--seed 6 cannot hold in a replay: run .* had --seed 5"),
        (ExecuteFlags(vault="0.2"), "--vault 0.2 cannot .* had --vault 0.3"),
        (ExecuteFlags(vault="auto"), "--vault auto cannot .* had --vault 0.3"),
        (ExecuteFlags(test=Path("other.csv")), "had no --test"),
        (ExecuteFlags(select=("ml-engineer=option_b",)), "had --select ml-engineer=option_a"),
        (ExecuteFlags(budget_s=10), "--budget 10s is too little .* had 24.4s"),
    ],
)
def test_a_flag_that_differs_from_the_replayed_run_is_refused(
    planned: Path, flags: ExecuteFlags, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        asked(planned, flags)


def test_a_plan_for_other_data_or_another_task_is_refused(planned: Path) -> None:
    plan = read_plan(planned / "plan.yaml")
    assert plan.data is not None
    other = plan.data.model_copy(update={"sha256": "f" * 64})
    run = finished_run(planned, plan)
    flags, path = ExecuteFlags(replay=run), planned / "plan.yaml"
    with pytest.raises(BadInput, match="sha256 ffffffffffff, run"):
        make_request(Project(planned), plan.model_copy(update={"data": other}), path, flags, None)
    task = plan.task.model_copy(update={"metric": "log_loss"})
    with pytest.raises(BadInput, match="metric: 'log_loss', not 'roc_auc'"):
        make_request(Project(planned), plan.model_copy(update={"task": task}), path, flags, None)


def test_an_unfinished_run_and_one_without_schedule_are_refused(planned: Path) -> None:
    plan = read_plan(planned / "plan.yaml")
    run = Project(planned).runs.find(finished_run(planned, plan))
    path = planned / "plan.yaml"
    (run.path / "artifacts/ml-engineer/schedules.json").unlink()
    flags = ExecuteFlags(replay=run.id)
    with pytest.raises(BadInput, match="no schedules.json to replay"):
        make_request(Project(planned), plan, path, flags, None)
    (run.path / "manifest.json").unlink()
    with pytest.raises(BadInput, match="unfinished"):
        make_request(Project(planned), plan, path, flags, None)
