"""What a search starts from and what ships after it: the template author's best is left only for a
candidate that is better beyond noise."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlagent.agents.ml_engineer import FoldResult
from mlagent.contracts.search import Node
from mlagent.contracts.task import TaskSpec
from mlagent.orchestrator.dev_scores import OutOfFold
from mlagent.orchestrator.search_ends import choose_node, floor_of, install
from mlagent.orchestrator.search_scores import Search
from mlagent.referee.metrics import Truth
from mlagent.store.project import Project

ROWS = 400
TRUTH = Truth(kind="binary", y=np.arange(ROWS) % 2, classes=("a", "b"))
FOLDS = np.where(np.arange(ROWS)[None, :] // 200 == np.arange(2)[:, None], 2, 1).astype(np.int8)


def scored(name: str, skill: float, seed: int = 1) -> FoldResult:
    noise = np.random.default_rng(seed).uniform(size=ROWS)
    guess = np.clip(skill * TRUTH.y + (1 - skill) * noise, 0, 1)
    return FoldResult(name, {i: guess[FOLDS[i] == 2] for i in range(2)})


def search(place: Path, author: str, linear: FoldResult, option: FoldResult) -> Search:
    """A search of which the template author's two are scored; their code lies in a run folder."""
    run = Project(place).runs.create(datetime.now(UTC))
    for name in ("linear", "option_b"):
        run.file(f"artifacts/ml-engineer/{name}/solution.py").write_text(f"# {name}\n")
    installed: list[Any] = []
    task = TaskSpec(
        description="x",
        kind="binary",
        metric="roc_auc",
        direction="maximize",
        classes=("a", "b"),
    )
    state: Any = SimpleNamespace(
        task=task,
        request=SimpleNamespace(seed=0, author=author, engineer="option_b"),
        folds=FOLDS,
        dev=np.arange(ROWS),
        facts={"row_facts": SimpleNamespace(groups=None, times=None)},
        scored={"linear": linear, "option_b": option},
        notes=[],
        install=installed.append,
        installed=installed,
    )
    bench: Any = SimpleNamespace(run=run)
    here = Search(bench, state, TRUTH, OutOfFold(FOLDS, 1), mask=None, each=1.0)  # type: ignore[arg-type]
    here.nodes.append(floor_of(here))
    return here


def written(here: Search, result: FoldResult) -> Node:
    number = len(here.nodes)
    here.codes[number] = f"# {result.name}\n"
    node = Node(id=number, name=result.name, operator="draft", code_sha256="0" * 64)
    here.nodes.append(here.scored(node, result))
    return here.nodes[-1]


@pytest.mark.parametrize(
    ("linear", "option", "floor"),
    [(0.1, 0.3, "option_b"), (0.3, 0.1, "linear"), (0.2, 0.2, "option_b")],
)
def test_the_floor_is_the_template_authors_best(
    tmp_path: Path, linear: float, option: float, floor: str
) -> None:
    here = search(tmp_path, "both", scored("linear", linear), scored("option_b", option))
    assert here.nodes[0].name == floor
    assert here.codes[0] == f"# {floor}\n"
    assert here.results[0].name == floor


def test_an_option_without_a_score_leaves_linear_as_the_floor(tmp_path: Path) -> None:
    failed = FoldResult("option_b", outcome="no score: time")
    here = search(tmp_path, "both", scored("linear", 0.1), failed)
    assert here.nodes[0].name == "linear"
    assert here.nodes[0].score is not None


def test_a_better_mean_within_noise_does_not_ship_with_both(tmp_path: Path) -> None:
    here = search(tmp_path, "both", scored("linear", 0.1), scored("option_b", 0.2, seed=2))
    node = written(here, scored("claude-01", 0.21))
    floor = here.nodes[0]
    assert node.score is not None
    assert floor.score is not None
    assert node.score.value > floor.score.value, "by its number alone it would win"
    assert node.to_floor is not None
    assert node.to_floor.verdict == "not distinguishable"
    install(here, choose_node(here))
    state: Any = here.state
    assert state.installed == []
    (note,) = state.notes
    assert "is not distinguishable from option_b" in note
    assert note.endswith("option_b stands.")


def test_it_ships_with_claude_and_it_is_said_that_it_is_noise(tmp_path: Path) -> None:
    here = search(tmp_path, "claude", scored("linear", 0.1), scored("option_b", 0.2))
    written(here, scored("claude-01", 0.21, seed=2))
    install(here, choose_node(here))
    state: Any = here.state
    assert [one.name for one in state.installed] == ["claude-01"]
    assert "though on the dev folds it is not distinguishable" in state.notes[0]


def test_a_candidate_must_beat_linear_where_linear_is_the_best_of_ours(tmp_path: Path) -> None:
    """Better than the option, but within noise of linear, which lies above the option."""
    here = search(tmp_path, "both", scored("linear", 0.3), scored("option_b", 0.05))
    written(here, scored("claude-01", 0.31, seed=2))
    install(here, choose_node(here))
    state: Any = here.state
    assert state.installed == []
    assert state.notes[0].endswith("linear stands.")


def test_what_is_better_beyond_noise_ships(tmp_path: Path) -> None:
    here = search(tmp_path, "both", scored("linear", 0.1), scored("option_b", 0.1))
    written(here, scored("claude-01", 0.5, seed=2))
    install(here, choose_node(here))
    state: Any = here.state
    assert [one.name for one in state.installed] == ["claude-01"]
    assert "written by Claude, is the candidate instead of option_b: better" in state.notes[0]


def test_the_floors_code_stays_what_it_was_when_the_fit_renders_it_anew(tmp_path: Path) -> None:
    first = search(tmp_path, "both", scored("linear", 0.1), scored("option_b", 0.3))
    run = first.bench.run
    run.file("artifacts/ml-engineer/option_b/solution.py").write_text("# for the whole budget\n")
    resumed = Search(first.bench, first.state, TRUTH, first.oof, mask=None, each=1.0)  # type: ignore[arg-type]
    assert floor_of(resumed) == first.nodes[0]
    assert resumed.codes[0] == "# option_b\n"


def test_a_change_of_the_floor_is_judged_with_the_same_time(tmp_path: Path) -> None:
    """The floor had more time than a candidate: what loses to it may be a gain."""
    here = search(tmp_path, "both", scored("linear", 0.0), scored("option_b", 0.45))
    here.reference = scored("floor-in-search", 0.05)
    here.codes[1] = "# claude-01\n"
    node = Node(id=1, name="claude-01", operator="improve", parents=(0,), code_sha256="0" * 64)
    node = here.scored(node, scored("claude-01", 0.25))
    here.nodes.append(node)
    assert node.gain is not None
    assert node.gain.verdict == "better"
    assert node.to_floor is not None
    assert node.to_floor.verdict == "worse"
    assert here.worse(here.nodes[0], node), "so the change is what is worked on next"
    install(here, choose_node(here))
    state: Any = here.state
    assert state.installed == [], "what ships is compared with the real floor"


def test_a_floor_that_fails_with_a_candidates_time_is_compared_as_it_is(tmp_path: Path) -> None:
    here = search(tmp_path, "both", scored("linear", 0.1), scored("option_b", 0.8))
    here.reference = FoldResult("floor-in-search", outcome="no score: time")
    node = written(here, scored("claude-01", 0.3))
    assert here.worse(node, here.nodes[0])
