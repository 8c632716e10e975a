"""How often the dev folds of a seal were looked at: one definition for board, report and card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlagent.contracts.evaluation import CandidateScore, Score
from mlagent.contracts.run import Seal
from mlagent.contracts.search import TREE, Node, Operator, SearchTree
from mlagent.contracts.task import TaskSpec
from mlagent.orchestrator.looking import NO_LINEAR, read_board
from mlagent.orchestrator.tries import (
    BoardRow,
    board_rows,
    count_tries,
    latest_of_each,
    place_of,
    scored_on,
)
from mlagent.store.files import write_json
from mlagent.store.journal import FileJournal
from mlagent.store.project import Project

SEAL = Seal(
    id="s1",
    data_sha256="a" * 64,
    kind="stratified",
    share=0.2,
    seed=0,
    dev_rows=80,
    vault_rows=(),
    vault_hashes=(),
    grouped_duplicates=False,
)
TASK = TaskSpec(
    description="churn model",
    kind="binary",
    target="churned",
    positive="yes",
    metric="roc_auc",
    direction="maximize",
)


def row(name: str, value: float | None) -> CandidateScore:
    score = None if value is None else Score(value=value, low=value, high=value, n=80)
    return CandidateScore(name=name, score=score, outcome="ok" if score else "no score: time")


class Folder:
    """A project whose runs are written by hand: `values` is candidate -> score on the dev folds."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        self._runs = 0

    def run(
        self,
        values: dict[str, float | None],
        *,
        code: str = "1",
        spec: str = "{}",
        tried: bool = False,
        seal: Seal = SEAL,
        task: TaskSpec = TASK,
        budget_s: float | None = None,
    ) -> list[BoardRow]:
        self._runs += 1
        path = self.project.runs.root / f"20260101-0000{self._runs:02d}-01"
        path.mkdir(parents=True)
        with FileJournal(path / "journal.jsonl") as journal:
            journal.append("run.start", budget_s=budget_s)
        write_json(path / "seal.json", seal)
        write_json(path / "task.json", task)
        entries = [row(name, value) for name, value in values.items()]
        write_json(path / "board.json", [entry.model_dump(mode="json") for entry in entries])
        for name in values:
            if name == "dummy":
                continue
            home = path / ("candidate" if tried else f"artifacts/ml-engineer/{name}")
            home.mkdir(parents=True)
            (home / "solution.py").write_text("linear" if name == "linear" else name + code)
            (home / "spec.json").write_text(spec)
        run = self.project.runs.find(path.name, finished=False)
        return board_rows(run, entries, task)

    def rows(self, task: TaskSpec = TASK) -> tuple[BoardRow, ...]:
        return scored_on(self.project, "s1", task)

    def tries(self) -> int:
        return count_tries(self.rows())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_linear_baseline_counts_once_and_the_dummy_never(folder: Folder) -> None:
    folder.run({"option_b": 0.8, "linear": 0.7, "dummy": 0.5})
    assert folder.tries() == 2
    folder.run({"option_c": 0.8, "linear": 0.7, "dummy": 0.5})
    assert folder.tries() == 3


def node(number: int, value: float | None, operator: Operator = "draft") -> Node:
    name = "option_b" if operator == "floor" else f"claude-{number:02d}"
    return Node(
        id=number,
        name=name,
        operator=operator,
        code_sha256="a" * 64,
        score=row(name, value).score,
        outcome=row(name, value).outcome,
    )


def test_every_scored_candidate_of_a_search_is_a_try_and_stands_on_the_board(
    folder: Folder, tmp_path: Path
) -> None:
    made = folder.run({"option_b": 0.8, "linear": 0.7, "claude-02": 0.9, "dummy": 0.5})
    assert folder.tries() == 3
    nodes = (node(0, 0.8, "floor"), node(1, None), node(2, 0.9), node(3, 0.85), node(4, 0.6))
    path = folder.project.runs.find(made[0].run, finished=False).path
    for name, code in (("claude-03", "c"), ("claude-04", "d")):
        home = path / "artifacts" / "ml-engineer" / name
        home.mkdir()
        (home / "solution.py").write_text(code)
        (home / "spec.json").write_text("{}")
    tree = SearchTree(metric="roc_auc", nodes=nodes, chosen=2, stopped="")
    (path / TREE).parent.mkdir(parents=True)
    write_json(path / TREE, tree.model_dump(mode="json", by_alias=True))
    assert folder.tries() == 5, "three of Claude's with a score, the option, linear"
    names = [one.entry.name for one in read_board(tmp_path).rows]
    assert names == ["claude-02", "claude-03", "option_b", "linear", "claude-04", "dummy"]


def test_the_same_code_and_spec_are_one_try_however_often_they_ran(folder: Folder) -> None:
    folder.run({"mine": 0.8}, tried=True)
    folder.run({"mine": 0.81}, tried=True)
    assert folder.tries() == 1
    folder.run({"other_name": 0.8}, tried=True)
    folder.run({"mine": 0.8}, tried=True, code="2")
    folder.run({"mine": 0.8}, tried=True, spec='{"seed": 9}')
    assert folder.tries() == 4


def test_the_seconds_that_the_clock_left_and_a_replay_make_no_new_try(folder: Folder) -> None:
    both = {"option_b": 0.8, "linear": 0.7}
    folder.run(both, spec='{"budget_s": 5.1, "replay": null}', budget_s=60.0)
    folder.run(both, spec='{"budget_s": 6.3, "replay": {"weights": [1]}}', budget_s=60.0)
    assert folder.tries() == 2
    folder.run(both, spec='{"budget_s": 5.1, "replay": null}', budget_s=90.0)
    assert folder.tries() == 3


def test_scores_of_another_quantile_do_not_stand_in_one_ranking(
    folder: Folder, tmp_path: Path
) -> None:
    low, high = (
        TASK.model_copy(update={"metric": "pinball", "direction": "minimize", "quantile": q})
        for q in (0.1, 0.9)
    )
    folder.run({"option_b": 0.2, "linear": 0.3}, task=low, spec='{"quantile": 0.1}')
    folder.run({"option_b": 0.4, "linear": 0.5}, task=high, spec='{"quantile": 0.9}')
    board = read_board(tmp_path)
    assert [row.entry.score.value for row in board.rows if row.entry.score] == [0.4, 0.5]
    assert "2 of the tries were scored by another metric, quantile or price." in board.note


def test_a_candidate_without_a_score_is_no_try(folder: Folder) -> None:
    folder.run({"mine": None}, tried=True)
    assert folder.tries() == 0


def test_other_rows_and_another_target_do_not_count_but_another_metric_does(
    folder: Folder,
) -> None:
    folder.run({"a": 0.8}, tried=True, seal=SEAL.model_copy(update={"id": "s2"}))
    folder.run({"b": 0.8}, tried=True, task=TASK.model_copy(update={"target": "fee"}))
    folder.run({"c": 0.8}, tried=True, task=TASK.model_copy(update={"metric": "f1"}))
    assert [one.entry.name for one in folder.rows()] == ["c"]
    assert folder.tries() == 1


def test_a_run_whose_code_is_gone_counts_by_itself(folder: Folder) -> None:
    for _ in range(2):
        (row,) = folder.run({"mine": 0.8}, tried=True)
        (folder.project.runs.root / row.run / "candidate" / "solution.py").unlink()
    assert folder.tries() == 2


def test_a_repeated_candidate_competes_with_others_and_not_with_itself(folder: Folder) -> None:
    folder.run({"option_b": 0.9, "linear": 0.7, "dummy": 0.5})
    folder.run({"mine": 0.8}, tried=True)
    (own,) = folder.run({"mine": 0.79}, tried=True)
    assert place_of(own, folder.rows(), maximize=True) == (2, 3)
    assert place_of(own, folder.rows(), maximize=False) == (2, 3)
    (failed,) = folder.run({"bad": None}, tried=True)
    assert place_of(failed, folder.rows(), maximize=True) == (None, 3)


def test_a_score_is_kept_where_a_later_run_of_the_same_code_failed(folder: Folder) -> None:
    folder.run({"mine": 0.8}, tried=True)
    folder.run({"mine": None}, tried=True)
    (kept,) = latest_of_each(folder.rows())
    assert kept.entry.score is not None


def test_the_board_has_one_row_for_each_candidate_and_says_what_is_absent(
    folder: Folder, tmp_path: Path
) -> None:
    folder.run({"mine": 0.8, "dummy": 0.5}, tried=True)
    folder.run({"mine": 0.8, "dummy": 0.5}, tried=True)
    folder.run({"bad": None, "dummy": 0.5}, tried=True)
    board = read_board(tmp_path)
    assert [one.entry.name for one in board.rows] == ["mine", "dummy", "bad"]
    assert board.rows[0].run.endswith("02-01")
    assert board.runs[board.rows[0].look] == 2
    assert (board.tries, board.note) == (1, NO_LINEAR)
    folder.run({"option_b": 0.9, "linear": 0.7, "dummy": 0.5})
    board = read_board(tmp_path)
    assert (board.tries, board.note) == (3, "")
    assert json.loads(json.dumps(board.as_json()))["tries"] == 3


def test_scores_of_another_metric_do_not_stand_in_one_ranking(
    folder: Folder, tmp_path: Path
) -> None:
    folder.run({"option_b": 0.9, "linear": 0.7, "dummy": 0.5})
    cost = TASK.model_copy(update={"metric": "log_loss", "direction": "minimize"})
    folder.run({"mine": 0.4}, tried=True, task=cost)
    board = read_board(tmp_path)
    assert [one.entry.name for one in board.rows] == ["mine"]
    assert board.tries == 3
    assert "2 of the tries were scored by another metric, quantile or price." in board.note
