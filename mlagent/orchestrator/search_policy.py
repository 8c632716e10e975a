"""Where a search over candidates goes next. Pure: the same tree gives the same step.

Noise decides nothing: of two scored nodes, one is better only when the paired interval on the
frozen folds says so, so all nodes that are not worse than the best are equals, and of equals the
one with the fewest children is worked on: the floor first, then the newest. Guarantees: at least
`DRAFTS` fresh drafts come first; a failure is debugged at most `MOST_DEBUGS` times; nothing is
improved for ever. Does not ask anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mlagent.contracts.search import Node, Operator

DRAFTS = 3
MOST_DEBUGS = 2
STAGNANT_DRAFT, STAGNANT_MERGE, STAGNANT_STOP = 4, 3, 9
"""After so many steps in a row that gained nothing: a merge, a fresh draft, the end."""

Worse = Callable[[Node, Node], bool]
"""Whether the first is worse than the second: paired, on the frozen folds."""


class Step(NamedTuple):
    """What to do next. `parents` are ids of nodes."""

    operator: Operator
    parents: tuple[int, ...] = ()


def next_step(nodes: Sequence[Node], worse: Worse) -> Step | str:
    """The next step, or a sentence why the search is over.

    Args:
        nodes: in the order of making, the floor first.
    """
    drafts = sum(node.operator == "draft" for node in nodes)
    last = nodes[-1]
    if last.operator != "floor" and last.mendable and debugs_of(nodes, last) < MOST_DEBUGS:
        return Step("debug", (last.id,))
    if drafts < DRAFTS:
        return Step("draft")
    idle = stagnation(nodes)
    if idle >= STAGNANT_STOP:
        return f"{idle} steps in a row gained nothing"
    own = best_nodes(nodes, worse)
    if not own:
        return Step("draft") if drafts < 2 * DRAFTS else "no candidate has a score"
    apart = _two_apart(nodes, own)
    if idle and idle % STAGNANT_MERGE == 0 and apart and not _merged(nodes, apart):
        return Step("merge", apart)
    if idle and idle % STAGNANT_DRAFT == 0:
        return Step("draft")
    equals = best_nodes(nodes, worse, with_floor=True)
    children = {node.id: sum(node.id in other.parents for other in nodes) for node in equals}
    chosen = min(equals, key=lambda node: (children[node.id], node.id != 0, -node.id))
    return Step("improve", (chosen.id,))


def best_nodes(nodes: Sequence[Node], worse: Worse, *, with_floor: bool = False) -> list[Node]:
    """Scored nodes that no other scored node is better than.

    Args:
        with_floor: the template author's own is one of them, and not only what Claude wrote.
    """
    scored = [
        node
        for node in nodes
        if node.score is not None and (with_floor or node.operator != "floor")
    ]
    return [node for node in scored if not any(worse(node, other) for other in scored)]


def debugs_of(nodes: Sequence[Node], node: Node) -> int:
    """How many debugs in a row led to this node."""
    known = {one.id: one for one in nodes}
    count = 0
    while node.operator == "debug":
        count += 1
        node = known[node.parents[0]]
    return count


def stagnation(nodes: Sequence[Node]) -> int:
    """Steps since the last one that is better than its parent, drafts at the start not counted."""
    idle, drafts = 0, 0
    for node in nodes:
        drafts += node.operator == "draft"
        if node.operator in ("floor",) or (node.operator == "draft" and drafts <= DRAFTS):
            continue
        gained = node.gain is not None and node.gain.verdict == "better"
        idle = 0 if gained else idle + 1
    return idle


def root_of(nodes: Sequence[Node], node: Node) -> int:
    """The draft, or the floor, that a node goes back to, by its first parents."""
    known = {one.id: one for one in nodes}
    while node.parents:
        node = known[node.parents[0]]
    return node.id


def _two_apart(nodes: Sequence[Node], equals: Sequence[Node]) -> tuple[int, int] | None:
    """Two of the equals that go back to different drafts: the latest pair. The floor's code is too
    long to be written anew, so what came of it is not merged."""
    equals = [node for node in equals if root_of(nodes, node) != 0]
    for i, first in reversed(list(enumerate(equals))):
        for second in reversed(equals[:i]):
            if root_of(nodes, first) != root_of(nodes, second):
                return (second.id, first.id)
    return None


def _merged(nodes: Sequence[Node], pair: tuple[int, int]) -> bool:
    return any(node.operator == "merge" and set(node.parents) == set(pair) for node in nodes)
