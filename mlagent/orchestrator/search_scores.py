"""What a search knows of its nodes: code, fold predictions, paired differences. Asks nobody.

Guarantees: every comparison is paired on the frozen folds, with the same draws; each is made once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlagent.agents.ml_engineer import FoldResult
from mlagent.contracts.evaluation import Difference
from mlagent.contracts.search import Node, SearchTree
from mlagent.referee.intervals import judge_many
from mlagent.referee.metrics import Truth, Undefined
from mlagent.referee.scoring import scoring

from .consulting import wrote
from .dev_scores import OutOfFold, clusters_of
from .masking import Mask
from .state import Bench, State


@dataclass
class Search:
    """What a search knows while it runs.

    Attributes:
        at_work: the step, as the progress shows it.
        reference: the floor's code, run as the search runs its candidates; None before it is
            improved. The floor itself had more time for each fold.
    """

    bench: Bench
    state: State
    truth: Truth
    oof: OutOfFold
    mask: Mask
    each: float
    nodes: list[Node] = field(default_factory=list)
    results: dict[int, FoldResult] = field(default_factory=dict)
    codes: dict[int, str] = field(default_factory=dict)
    ablation_s: float = 0.0
    reference: FoldResult | None = None
    compared: dict[tuple[int, int, bool], Difference | None] = field(default_factory=dict)
    at_work: str = ""

    def writes(self, agent: str, characters: int) -> None:
        """Show how much of an answer has come. A model that thinks says nothing at first."""
        self.bench.desk.progress.update(candidate=self.at_work, claude=wrote(characters))

    def difference(self, first: Node, second: Node, *, alike: bool = False) -> Difference | None:
        """Paired on the frozen folds, positive: the first is better. None where one has no
        score.

        Args:
            alike: with the reference in the floor's place, so that both had the same time.
        """
        alike = alike and self.reference is not None and self.reference.ok
        key = (first.id, second.id, alike)
        if key not in self.compared:
            pair = [
                self.reference if alike and node.id == 0 else self.results.get(node.id)
                for node in (first, second)
            ]
            known = [result for result in pair if result is not None and result.ok]
            self.compared[key] = self.paired(known[0], known[1]) if len(known) == 2 else None
        return self.compared[key]

    def worse(self, first: Node, second: Node) -> bool:
        """Whether the first is worse than the second, beyond noise and with the same time."""
        found = self.difference(first, second, alike=True)
        return found is not None and found.verdict == "worse"

    def paired(self, first: FoldResult, second: FoldResult) -> Difference | None:
        """Paired on the frozen folds, positive: the first is better."""
        layers = {"first": self.oof.layers(first), "second": self.oof.layers(second)}
        try:
            return judge_many(
                self.state.task.metric or "", self.truth, layers, **self._options()
            ).differences["second"]
        except Undefined:
            return None

    def _options(self) -> dict[str, Any]:
        return {
            "seed": self.state.request.seed,
            "folds": self.state.folds,
            "clusters": clusters_of(self.state, self.state.dev),
            **scoring(self.state.task),
        }

    def scored(self, node: Node, result: FoldResult) -> Node:
        """The node with its score and its differences to its first parent and to the floor, or
        with why it has none."""
        self.results[node.id] = result
        if not result.ok:
            return node.model_copy(update={"outcome": result.outcome})
        layers = {"first": self.oof.layers(result)}
        try:
            judged = judge_many(self.state.task.metric or "", self.truth, layers, **self._options())
        except Undefined as problem:
            result.outcome = f"no score: {problem.message}"
            return node.model_copy(update={"outcome": result.outcome})
        known = {one.id: one for one in self.nodes}
        parent = known[node.parents[0]] if node.parents else None
        gain = None if parent is None else self.difference(node, parent, alike=True)
        floor = self.difference(node, self.nodes[0]) if self.nodes else None
        return node.model_copy(
            update={"score": judged.scores["first"], "gain": gain, "to_floor": floor}
        )

    def tree(self, stopped: str = "", chosen: int | None = None) -> SearchTree:
        """As it stands, for tree.json."""
        return SearchTree(
            metric=self.state.task.metric or "",
            nodes=tuple(self.nodes),
            stopped=stopped,
            chosen=chosen,
        )
