"""A search over candidates: its nodes, and where each came from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Finite, Record, Sha256
from .evaluation import Difference, Score

Operator = Literal["floor", "draft", "improve", "debug", "merge"]
"""floor: the template author's own. improve: one change to one candidate. debug: the same one,
mended after a failure. merge: the best ideas of two."""


EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""Of no code at all."""
TREE = "artifacts/ml-engineer/search/tree.json"
FLOOR = "artifacts/ml-engineer/search/floor.py"
DIFFS = "artifacts/ml-engineer/search/diffs"
"""Of a run folder. The floor's code as it was scored (the fit that ships is rendered anew), and a
node's code against its first parent's, as a unified diff."""


class Ablated(Record):
    """A candidate without one of its parts, on the same folds.

    Attributes:
        part: such as 'function add_ratios', 'entry scale of Pipeline', 'columns of role text'.
        outcome: 'ok', or why it has no score: the candidate cannot do without that part.
        worth: paired difference of the whole to the rest: 'better', the part earns its keep;
            'worse', it does harm.
    """

    part: str
    outcome: str = "ok"
    worth: Difference | None = None


class Ablation(Record):
    """ablation.json beside a candidate of a search: what the parts of this code are worth, and how
    long it took to measure that."""

    code_sha256: Sha256
    parts: tuple[Ablated, ...]
    seconds: Finite = Field(ge=0)


class Node(Record):
    """One candidate of the search.

    Attributes:
        id: number in the order of making; the floor is 0.
        parents: none for a draft, one, or two for a merge.
        summary: the author's own sentence on what it does. Never a number that counts.
        outcome: 'ok', or a sentence why there is no score.
        score: on the dev folds; None for a failure, or one that only ran on a sample.
        gain: paired difference to its first parent on the same folds; None where one has no score.
        seconds: of its scoring.
        usd: of the calls that made it.
        ablation: what its parts are worth; None where the host did not measure that.
        copy_of: an earlier node with the same code; this one was not scored.
    """

    id: int = Field(ge=0)
    name: str
    operator: Operator
    parents: tuple[int, ...] = ()
    summary: str = ""
    code_sha256: Sha256
    outcome: str = "ok"
    score: Score | None = None
    gain: Difference | None = None
    to_floor: Difference | None = None
    seconds: Finite = Field(0.0, ge=0)
    usd: Finite = Field(0.0, ge=0)
    ablation: tuple[Ablated, ...] | None = None
    copy_of: int | None = None

    @property
    def mendable(self) -> bool:
        """Whether there is code of its own that failed."""
        return self.score is None and self.written and self.copy_of is None

    @property
    def written(self) -> bool:
        """Whether a language model handed in code for it."""
        return self.operator != "floor" and self.code_sha256 != EMPTY_SHA256


class SearchTree(Record):
    """tree.json of a run.

    Attributes:
        chosen: id of the node that stands for Claude in the choice; None when none has a score.
        stopped: why the search ended.
    """

    schema_: Literal["mlagent/search-tree/v1"] = Field("mlagent/search-tree/v1", alias="schema")
    metric: str
    nodes: tuple[Node, ...]
    chosen: int | None = None
    stopped: str = ""
