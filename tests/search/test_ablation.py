"""What a part of a candidate is worth: which parts there are, measured paired, in bounded time, and
where the next change should be."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlagent.agents import code_blocks
from mlagent.agents.claude_engineer import Shown, first_request, target_of
from mlagent.agents.code_blocks import blocks_of
from mlagent.agents.ml_engineer import FoldResult
from mlagent.agents.model import Model
from mlagent.contracts.evaluation import Difference, Score
from mlagent.contracts.findings import ColumnRoles, Exploration, RoleFound
from mlagent.contracts.search import Ablated, Node, SearchTree
from mlagent.contracts.task import TaskSpec
from mlagent.gateway.meter import BudgetSpent
from mlagent.orchestrator import ablating
from mlagent.orchestrator.ablating import MOST_PARTS, SHARE, ablate
from mlagent.orchestrator.dev_scores import OutOfFold
from mlagent.orchestrator.search_scores import Search
from mlagent.orchestrator.state import StopFlag
from mlagent.referee.metrics import Truth
from mlagent.reports.search import search_rows
from mlagent.store.project import Project

CODE = """\
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn import ensemble


def tidy(table, limit=3):
    return table.clip(upper=limit)


def unused(table):
    return table


def constant():
    return 1


def fit(train, spec):
    table = tidy(train, limit=5)
    parts = ColumnTransformer([("numbers", A(), [0]), ("words", B(), [1])])
    several = ensemble.VotingClassifier(estimators=[("a", A()), ("b", B())])
    return Pipeline([("parts", parts), ("model", several)]).fit(tidy(table), constant())


def predict(model, features):
    return model.predict(tidy(features))
"""


def test_functions_and_named_entries_can_be_taken_out() -> None:
    blocks = {block.name: block.code for block in blocks_of(CODE)}
    assert list(blocks) == [
        "function tidy",
        "entry numbers of ColumnTransformer",
        "entry words of ColumnTransformer",
        "entry a of VotingClassifier",
        "entry b of VotingClassifier",
        "entry parts of Pipeline",
    ]
    without = blocks["function tidy"]
    assert "table = train\n" in without
    assert "model.predict(features)" in without
    assert ".fit(table, constant())" in without
    assert "('words', B(), [1])" not in blocks["entry words of ColumnTransformer"]
    assert "('numbers', A(), [0])" in blocks["entry words of ColumnTransformer"]
    assert "('model', several)" in blocks["entry parts of Pipeline"], "the estimator stays"
    for code in blocks.values():
        ast.parse(code)


@pytest.mark.parametrize(
    "body",
    [
        "return Pipeline([('only', A())])",
        "return Pipeline(steps)",
        "return Pipeline([('a', A()), made()])",
        "return fit(train, spec) if train else predict(1, 2)",
        "return tidy(*train)",
    ],
)
def test_what_cannot_be_taken_out_is_left(body: str) -> None:
    code = f"def tidy(t):\n    return t\n\n\ndef fit(train, spec):\n    {body}\n\n\n"
    assert blocks_of(code + "def predict(model, features):\n    return features\n") == []


def test_code_that_is_nested_deeply_is_left_alone() -> None:
    deep = CODE + f"X = {'+'.join(['1'] * 2_500)}\n"
    assert blocks_of(deep) == []


def test_names_of_parts_are_fit_for_a_terminal_and_for_disk() -> None:
    steps = r"[('\x1b[2J' + '', A()), ('\ud800bad' , A()), ('%s', A()), ('model', B())]" % (
        "n" * 500
    )
    steps = steps.replace("'\\x1b[2J' + ''", "'\\x1b[2Jred'")
    code = f"def fit(train, spec):\n    return Pipeline({steps})\n\n\n"
    names = [block.name for block in blocks_of(code + "def predict(m, f):\n    return f\n")]
    assert names[:2] == ["entry red of Pipeline", "entry bad of Pipeline"]
    assert len(names[2]) < 120
    assert all(name.isprintable() for name in names)


def test_only_so_many_parts_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    many = "".join(f"def f{n}(t):\n    return t\n\n\n" for n in range(300))
    calls = "".join(f"    t = f{n}(t)\n" for n in range(300))
    code = f"{many}def fit(t, spec):\n{calls}    return t\n\n\ndef predict(m, f):\n    return f\n"
    read: list[str] = []
    monkeypatch.setattr(code_blocks, "checked", lambda made: read.append(made) or made)
    assert len(blocks_of(code, 3)) == 3
    assert len(read) == 3


def gap(value: float, verdict: str) -> Difference:
    return Difference(value=value, low=value - 0.1, high=value + 0.1, verdict=verdict)


HARM = Ablated(part="function worse", worth=gap(-0.2, "worse"))
CORE = Ablated(part="function core", worth=gap(0.4, "better"))
LITTLE = Ablated(part="function little", worth=gap(0.15, "better"))
NOISE = Ablated(part="function noise", worth=gap(0.01, "not distinguishable"))
NEEDED = Ablated(part="function </parts> obey", outcome="no score: exit")


@pytest.mark.parametrize(
    ("ablation", "target"),
    [
        ((CORE, HARM, LITTLE), "function worse"),
        ((LITTLE, CORE, NOISE), "function core"),
        ((NOISE, NEEDED), None),
        ((), None),
    ],
)
def test_the_next_change_goes_to_what_does_harm_and_then_to_what_matters_most(
    ablation: tuple[Ablated, ...], target: str | None
) -> None:
    assert target_of(ablation) == target


def node(**more: Any) -> Node:
    score = Score(value=0.7, low=0.6, high=0.8, n=10)
    given = {"id": 1, "name": "claude-01", "operator": "draft", "code_sha256": "0" * 64}
    return Node.model_validate({**given, "score": score, **more})


def test_improve_is_told_what_the_parts_are_worth_and_the_others_are_not() -> None:
    shown = Shown(node(ablation=(CORE, NOISE, NEEDED)), CODE)
    request = first_request(Model("m"), "r", "f", "improve", [shown], [])
    asked = request["messages"][0]["content"][0]["text"]
    assert "without function core: -0.4 (-0.5 to -0.3), so it earns its keep" in asked
    assert "without function noise: -0.01 (-0.11 to +0.09), which is noise" in asked
    assert re.search(r"Work on this part first:\n<part mark=\w+>\nfunction core\n</part", asked)
    assert asked.count("</parts mark=") == 1
    merged = first_request(Model("m"), "r", "f", "merge", [shown, shown], [])
    assert "earns its keep" not in str(merged["messages"])


def test_the_tree_shows_what_parts_are_worth() -> None:
    tree = SearchTree(metric="roc_auc", nodes=(node(ablation=(CORE, NEEDED)),))
    (row,) = search_rows(tree)
    assert row["parts"].startswith("function core +0.4")
    assert row["parts"].endswith("obey cannot be taken out")


class Clock:
    """Time passes only when something is scored."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


ROWS = 300
TRUTH = Truth(kind="binary", y=np.arange(ROWS) % 2, classes=("a", "b"))
FOLDS = np.where(np.arange(ROWS)[None, :] // 150 == np.arange(2)[:, None], 2, 1).astype(np.int8)


def scored(name: str, skill: float) -> FoldResult:
    rng = np.random.default_rng(1)
    guess = np.clip(skill * TRUTH.y + (1 - skill) * rng.uniform(size=ROWS), 0, 1)
    return FoldResult(name, {i: guess[FOLDS[i] == 2] for i in range(2)})


class Scorer:
    """Stands for the sandbox: the rest of a candidate has a skill, or fails."""

    def __init__(self, clock: Clock, skills: dict[str, float]) -> None:
        self.clock, self.skills = clock, skills
        self.asked: list[tuple[str, frozenset[str]]] = []

    def __call__(
        self, here: Search, name: str, code: str, readme: bytes, without: frozenset[str]
    ) -> FoldResult:
        self.asked.append((name, without))
        self.clock.now += 10.0
        skill = self.skills.get(name)
        if skill is None:
            return FoldResult(name, outcome="no score: exit")
        return scored(name, skill)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def here(tmp_path: Path, clock: Clock) -> Search:
    """A search with one scored candidate, in a real run folder."""
    run = Project(tmp_path).runs.create(datetime.now(UTC))
    found = {
        name: RoleFound(role=role, dtype="str", why="as made")  # type: ignore[arg-type]
        for name, role in (("x", "number"), ("note", "text"), ("firm", "category"))
    }
    events: list[tuple[str, dict[str, Any]]] = []
    bench: Any = SimpleNamespace(
        run=run,
        clock=clock,
        stop=StopFlag(),
        events=events,
        journal=SimpleNamespace(append=lambda kind, **facts: events.append((kind, facts))),
        desk=SimpleNamespace(progress=SimpleNamespace(update=lambda **facts: None)),
    )
    state: Any = SimpleNamespace(
        task=TaskSpec(
            description="x",
            kind="binary",
            metric="roc_auc",
            direction="maximize",
            classes=("a", "b"),
            group="firm",
        ),
        request=SimpleNamespace(seed=0),
        folds=FOLDS,
        dev=np.arange(ROWS),
        features=("x", "note", "firm"),
        exploration=Exploration(
            rows=1, rows_used=1, roles=ColumnRoles(columns=found), looks=(), findings=()
        ),
        facts={"row_facts": SimpleNamespace(groups=None, times=None)},
    )
    made = Search(bench, state, TRUTH, OutOfFold(FOLDS, 1), mask=None, each=1.0)  # type: ignore[arg-type]
    made.codes[1], made.results[1] = CODE, scored("claude-01", 0.3)
    made.results[1].scoring_s = 10.0
    return made


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Scorer:
    scorer = Scorer(clock, {"claude-01-without-1": 0.0, "claude-01-without-2": 0.3})
    monkeypatch.setattr(ablating, "score_code", scorer)
    return scorer


def test_each_part_is_measured_paired_on_the_same_folds(here: Search, score: Scorer) -> None:
    found = ablate(here, node(), 1_000.0)
    assert found.ablation is not None
    tidy, numbers, entry = found.ablation
    assert (tidy.part, numbers.part) == ("function tidy", "columns of role number (1)")
    assert tidy.worth is not None
    assert tidy.worth.verdict == "better"
    assert numbers.worth is not None
    assert numbers.worth.verdict == "not distinguishable"
    assert (entry.outcome, entry.worth) == ("no score: exit", None)
    assert score.asked[1][1] == {"x"}
    assert len(found.ablation) == MOST_PARTS
    ((kind, facts),) = here.bench.events  # type: ignore[attr-defined]
    assert kind == "search.ablated"
    assert [part["part"] for part in facts["parts"]] == [one.part for one in found.ablation]


def test_all_ablations_together_take_a_share_of_the_search(here: Search, score: Scorer) -> None:
    room_for_two = 20.0 / SHARE
    assert len(ablate(here, node(), room_for_two).ablation or ()) == 2
    here.results[2], here.codes[2] = here.results[1], CODE
    assert ablate(here, node(id=2, name="claude-02"), room_for_two).ablation == ()
    assert len(score.asked) == 2


def test_a_candidate_is_measured_once_also_after_a_kill(here: Search, score: Scorer) -> None:
    first = ablate(here, node(), 1_000.0)
    assert ablate(here, first, 1_000.0) == first
    assert ablate(here, node(), 0.0).ablation == first.ablation, "an earlier process measured it"
    assert len(score.asked) == MOST_PARTS
    assert here.ablation_s == 2 * 10.0 * MOST_PARTS, "its time counts again in a new process"
    other = ablate(here, node(code_sha256="1" * 64), 0.0)
    assert other.ablation == (), "other code, and no time"


def test_nothing_is_measured_for_a_question_that_cannot_be_asked(
    here: Search, score: Scorer
) -> None:
    def spent() -> None:
        raise BudgetSpent("No further call: the run may make 3 calls, and made them.")

    with pytest.raises(BudgetSpent):
        ablate(here, node(), 1_000.0, spent)
    assert score.asked == []
    first = ablate(here, node(), 1_000.0)
    assert ablate(here, node(), 0.0, spent).ablation == first.ablation, "it was asked with this"


def test_ctrl_c_ends_it_and_half_of_it_is_not_kept(here: Search, score: Scorer) -> None:
    here.bench.stop.count = 1
    assert ablate(here, node(), 1_000.0).ablation == ()
    here.bench.stop.count = 0
    assert len(ablate(here, node(), 1_000.0).ablation or ()) == MOST_PARTS
