"""Where a search goes next: drafts first, failures mended, noise ignored, an end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mlagent.contracts.evaluation import Difference, Score
from mlagent.contracts.search import EMPTY_SHA256, Node, Operator
from mlagent.orchestrator.search_policy import (
    DRAFTS,
    STAGNANT_STOP,
    Step,
    best_nodes,
    next_step,
    root_of,
    stagnation,
)

NOISE = 0.05


def node(
    number: int,
    operator: Operator,
    value: float | None = None,
    parents: tuple[int, ...] = (),
    gain: str | None = None,
) -> Node:
    score = None if value is None else Score(value=value, low=value - 0.1, high=value + 0.1, n=100)
    known = None
    if gain is not None:
        known = Difference(value=0.0, low=-1.0, high=1.0, verdict=gain)
    return Node(
        id=number,
        name=f"n{number}",
        operator=operator,
        parents=parents,
        code_sha256="0" * 64,
        outcome="ok" if value is not None else "no score",
        score=score,
        gain=known,
    )


def worse(first: Node, second: Node) -> bool:
    """By more than the noise."""
    if first.score is None or second.score is None:
        return False
    return first.score.value < second.score.value - NOISE


FLOOR = node(0, "floor", 0.7)
BEATEN = [node(0, "floor", 0.5), node(1, "draft", 0.71), node(2, "draft", 0.72)]
BEATEN.append(node(3, "draft", 0.60))
DRAFTED = [FLOOR, node(1, "draft", 0.71), node(2, "draft", 0.72), node(3, "draft", 0.60)]


def test_fresh_drafts_come_first() -> None:
    for count in range(DRAFTS):
        assert next_step(DRAFTED[: count + 1], worse) == Step("draft")


def test_a_failure_is_mended_twice_and_then_left() -> None:
    nodes = [FLOOR, node(1, "draft")]
    assert next_step(nodes, worse) == Step("debug", (1,))
    nodes.append(node(2, "debug", parents=(1,)))
    assert next_step(nodes, worse) == Step("debug", (2,))
    nodes.append(node(3, "debug", parents=(2,)))
    assert next_step(nodes, worse) == Step("draft")


def test_only_code_of_its_own_that_failed_is_mended() -> None:
    silent = node(1, "draft").model_copy(update={"code_sha256": EMPTY_SHA256})
    assert next_step([FLOOR, silent], worse) == Step("draft"), "there is nothing to mend"
    copy = node(2, "draft").model_copy(update={"copy_of": 1})
    assert next_step([FLOOR, node(1, "draft", 0.7), copy], worse) == Step("draft")


def test_equals_are_worked_on_in_turn_not_the_luckiest_alone() -> None:
    assert next_step(BEATEN, worse) == Step("improve", (2,))
    more = [*BEATEN, node(4, "improve", 0.70, (2,), "not distinguishable")]
    # 1, 2 and 4 are equals; 2 has a child, so the newest without one comes next.
    assert next_step(more, worse) == Step("improve", (4,))
    assert {one.id for one in best_nodes(more, worse)} == {1, 2, 4}


def test_the_floor_is_worked_on_first_unless_it_is_beaten() -> None:
    assert next_step(DRAFTED, worse) == Step("improve", (0,))
    more = [*DRAFTED, node(4, "improve", 0.70, (0,), "not distinguishable")]
    assert next_step(more, worse) == Step("improve", (4,)), "then in turn"
    best = [node(0, "floor", 0.99), *DRAFTED[1:], node(4, "improve", 0.72, (0,), "worse")]
    assert next_step(best, worse) == Step("improve", (0,)), "nothing else is as good"
    assert [one.id for one in best_nodes(best, worse)] == [1, 2, 4], "it is not Claude's"


def test_what_came_of_the_floor_is_not_merged() -> None:
    nodes = [*DRAFTED[:2], *(node(n, "draft", 0.60) for n in (2, 3))]
    for number, root in ((4, 0), (5, 1), (6, 1)):
        nodes.append(node(number, "improve", 0.71, (root,), "not distinguishable"))
    assert next_step(nodes, worse) == Step("improve", (6,))
    nodes[2] = node(2, "draft", 0.71)
    assert next_step(nodes, worse) == Step("merge", (2, 6))


def idle(count: int) -> list[Node]:
    nodes = list(DRAFTED)
    for _ in range(count):
        nodes.append(node(len(nodes), "improve", 0.7, (2,), "not distinguishable"))
    return nodes


def test_without_gain_two_of_different_roots_are_merged() -> None:
    step = next_step(idle(3), worse)
    assert isinstance(step, Step)
    assert step.operator == "merge"
    nodes = {one.id: one for one in idle(3)}
    assert len({root_of(idle(3), nodes[i]) for i in step.parents}) == 2


def test_without_gain_for_long_it_drafts_anew_and_then_ends() -> None:
    assert next_step(idle(4), worse) == Step("draft")
    ended = next_step(idle(STAGNANT_STOP), worse)
    assert isinstance(ended, str)
    assert "gained nothing" in ended


def test_a_gain_starts_the_count_anew() -> None:
    nodes = [*idle(5), node(9, "improve", 0.9, (2,), "better")]
    assert stagnation(nodes) == 0
    assert next_step(nodes, worse) == Step("improve", (9,))


def test_nothing_but_failures_ends() -> None:
    nodes: list[Node] = [FLOOR]
    steps: list[Step | str] = []
    for _ in range(40):
        step = next_step(nodes, worse)
        steps.append(step)
        if isinstance(step, str):
            break
        nodes.append(node(len(nodes), step.operator, parents=step.parents))
    assert isinstance(steps[-1], str)
    assert len(nodes) < 20


@pytest.mark.parametrize("nodes", [DRAFTED, idle(2), idle(7)])
def test_the_same_tree_gives_the_same_step(nodes: Sequence[Node]) -> None:
    assert next_step(nodes, worse) == next_step(list(nodes), worse)
