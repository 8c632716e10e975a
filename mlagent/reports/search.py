"""The search over candidates as a tree: each node below its first parent.

Guarantees: every node stands once; texts of a language model stay text. Does not judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlagent.contracts.evaluation import Difference
from mlagent.contracts.search import Ablated, Node, SearchTree
from mlagent.contracts.usage import Bill

from .numbers import metric_value, signed


class Placed(NamedTuple):
    """A node and how deep it stands."""

    node: Node
    depth: int


def in_order(nodes: Sequence[Node]) -> Iterator[Placed]:
    """Depth first, in the order of making."""
    known = {node.id for node in nodes}

    def below(parent: int, depth: int) -> Iterator[Placed]:
        for node in nodes:
            if node.parents and node.parents[0] == parent:
                yield Placed(node, depth)
                yield from below(node.id, depth + 1)

    for node in nodes:
        if not node.parents or node.parents[0] not in known:
            yield Placed(node, 0)
            yield from below(node.id, 1)


def search_rows(tree: SearchTree) -> list[dict[str, Any]]:
    """One row for each node, as the report and the board show it."""
    return [
        {
            "name": node.name,
            "depth": depth,
            "operator": node.operator,
            "parents": ", ".join(f"{parent:02d}" for parent in node.parents),
            "summary": node.summary,
            "score": metric_value(node.score.value, tree.metric) if node.score else "no score",
            "gain": told(node.gain, tree.metric),
            "to_floor": told(node.to_floor, tree.metric) if node.operator != "floor" else "",
            "outcome": node.outcome,
            "parts": parts_told(node.ablation or (), tree.metric),
            "chosen": node.id == tree.chosen,
            "seconds": f"{node.seconds:.1f}",
            "usd": f"{node.usd:.4f}",
        }
        for node, depth in in_order(tree.nodes)
    ]


def parts_told(ablation: Sequence[Ablated], metric: str) -> str:
    """'function tidy +0.0123 better; ...': what each part is worth to the whole."""
    return "; ".join(
        f"{one.part} {told(one.worth, metric) or 'cannot be taken out'}" for one in ablation
    )


def told(gap: Difference | None, metric: str) -> str:
    """'+0.0123 better'; '' where nothing was compared."""
    return "" if gap is None else f"{signed(gap.value, metric)} {gap.verdict}"


def bill_rows(bill: Bill | None) -> list[dict[str, str]]:
    """What each agent's calls cost, and the sum."""
    if bill is None:
        return []
    parts = [*bill.by_agent.items(), ("all", bill.total)]
    if bill.possibly.calls:
        parts.append(("of it possibly billed", bill.possibly))
    return [
        {
            "name": name,
            "calls": f"{spent.calls:,}",
            "input": f"{spent.tokens.input:,}",
            "written": f"{spent.tokens.cache_write:,}",
            "read": f"{spent.tokens.cache_read:,}",
            "output": f"{spent.tokens.output:,}",
            "usd": f"{spent.usd:.4f}",
        }
        for name, spent in parts
    ]
