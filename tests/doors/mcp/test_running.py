"""Runs that are cancelled, stopped, resumed, left alone; candidates that are tried."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from mlagent.contracts.run import Manifest
from mlagent.orchestrator.looking import read_board
from mlagent.store.journal import read_journal
from mlagent.testing.tables import build_tree, churn_frame, write_csv

CANDIDATE = """\
import numpy as np


def fit(train, spec):
    return float((train[spec["target"]] == spec["classes"][1]).mean())


def predict(model, features):
    return np.clip(model + 0.01 * (features["contract"] == "monthly"), 0, 1).to_numpy()
"""
SLOW = """\
import time


def fit(train, spec):
    time.sleep(600)


def predict(model, features):
    return None
"""


def unfinished_runs(folder: Path) -> list[str]:
    runs = folder / "runs"
    return [name for name in run_folders(folder) if not (runs / name / "manifest.json").exists()]


def run_folders(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "runs").iterdir() if path.is_dir())


def test_a_cancelled_call_ends_the_run_and_leaves_it_resumable(
    connect: Any, interrupted: Any
) -> None:
    assert interrupted.cancelled["state"] == "stopped"
    assert "resume" in interrupted.cancelled["next"]
    assert interrupted.seconds_to_end < 10


def test_a_background_run_answers_at_once_and_says_its_phase(interrupted: Any) -> None:
    assert interrupted.background["state"] == "running"
    assert interrupted.background["run"] == interrupted.run
    assert interrupted.watched["state"] == "running"


def test_one_run_at_a_time_is_a_sentence(interrupted: Any) -> None:
    assert "Another run is at work" in interrupted.second


def test_a_background_run_goes_on_without_its_server_and_another_one_stops_it(
    interrupted: Any,
) -> None:
    assert interrupted.survived["state"] == "running"
    assert interrupted.stopped["state"] == "stopped"


def test_a_client_that_goes_away_ends_the_run_it_waited_for(interrupted: Any) -> None:
    assert interrupted.deserted["state"] == "stopped"


def test_a_run_that_was_cut_so_often_is_resumed_to_its_end(interrupted: Any) -> None:
    assert interrupted.finished["state"] == "finished"
    folder = interrupted.folder / "runs" / interrupted.run
    events = read_journal(folder / "journal.jsonl")
    assert [event.kind for event in events].count("run.resumed") == 3
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    assert manifest.journal_events == len(events)
    done = [event.facts["phase"] for event in events if event.kind == "phase.done"]
    assert done[-1] == "report"


def test_the_journal_is_paged_in_order(standing: Any, recorded: Any) -> None:
    async def script(talk: Any) -> list[int]:
        numbers: list[int] = []
        cursor = None
        while True:
            found = await talk.facts(
                "run_status", response_format="detailed", limit=7, cursor=cursor
            )
            numbers += [event["n"] for event in found["events"]]
            assert len(found["events"]) <= 7
            cursor = found.get("next_cursor")
            if cursor is None:
                assert found["total"] == len(numbers)
                return numbers

    numbers = standing(recorded.folder, script)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 14


def test_without_an_engine_a_candidate_is_refused_with_the_way_out(
    session: Any, churn: Path
) -> None:
    build_tree(churn, {"mine/solution.py": CANDIDATE})

    async def script(talk: Any) -> str:
        await talk.facts("plan", task="churn model")
        return str(await talk.refused("try", candidate="mine"))

    said = session(churn, script)
    assert "container" in said
    assert "Docker" in said
    assert not (churn / "runs").exists()


@pytest.mark.docker
def test_a_candidate_is_scored_on_dev_folds_and_a_cancelled_one_is_ended_without_a_score(
    session: Any, tmp_path: Path
) -> None:
    write_csv(churn_frame(1500), tmp_path / "churn.csv")
    build_tree(tmp_path, {"mine/solution.py": CANDIDATE, "slow/solution.py": SLOW})

    async def script(talk: Any) -> dict[str, Any]:
        await talk.facts("plan", task="churn model")
        tried = await talk.facts("try", candidate="mine", budget="60s")
        assert talk.progress
        (known,) = run_folders(tmp_path)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(partial(talk.call, "try", candidate="slow", budget="300s"))
                with anyio.fail_after(30):
                    while run_folders(tmp_path) == [known]:
                        await anyio.sleep(0.1)
                await anyio.sleep(2)
                scope.cancel()
        with anyio.fail_after(20):
            while unfinished_runs(tmp_path):
                await anyio.sleep(0.2)
        return dict(tried)

    tried = session(tmp_path, script, env={})
    assert tried["metric"] == "roc_auc"
    assert tried["outcome"] == "ok"
    assert (tried["place"], tried["of"]) == (1, 1)
    assert tried["score"]["low"] <= tried["score"]["value"] <= tried["score"]["high"]
    scored = [row for row in read_board(tmp_path).rows if row.entry.score is not None]
    assert [row.entry.name for row in scored] == ["mine", "dummy"]
