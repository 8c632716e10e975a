"""What the parts of a candidate are worth: each taken out in turn, on the frozen folds, paired.

Guarantees: measured by the host, never claimed by a model; all ablations of a search take at most
`SHARE` of its time, by what the candidate itself took; each result is in the tree and the journal,
and a resumed search uses it as it was. Does not change the candidate: it says where to work.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, zip_longest
from typing import NamedTuple

from mlagent.agents.code_blocks import blocks_of
from mlagent.contracts.search import Ablated, Ablation, Node

from .handed_in import home_of
from .search_scores import Search
from .search_scoring import score_code

FILE = "ablation.json"
SHARE = 0.25
MOST_PARTS = 3
"""Of one candidate."""
GROUPED = ("number", "category", "text", "datetime")


class Part(NamedTuple):
    """A part, the code without it, the columns without it."""

    name: str
    code: str
    without: frozenset[str] = frozenset()


def ablate(
    here: Search, node: Node, search_s: float, check_call: Callable[[], object] = lambda: None
) -> Node:
    """The node with what its parts are worth; () where there was no time or nothing to take out.

    Args:
        search_s: seconds of the whole search.
        check_call: raises when no call is left that could be told the result: then nothing is
            measured.
    """
    if node.ablation is not None:
        return node
    bench, file = here.bench, _file_of(here, node)
    known = _earlier(here, node, file)
    if known is None:
        check_call()
        known, spent = (), here.ablation_s
        for number, part in enumerate(_parts(here, node)):
            if here.ablation_s + here.results[node.id].scoring_s > SHARE * search_s or bench.stop():
                break
            bench.desk.progress.update(candidate=f"{node.name} without {part.name}")
            begun = bench.clock()
            known = (*known, _without(here, node, part, number))
            here.ablation_s += bench.clock() - begun
        if not bench.stop():
            seconds = here.ablation_s - spent
            told = Ablation(code_sha256=node.code_sha256, parts=known, seconds=seconds)
            bench.run.write(file, told)
        bench.journal.append(
            "search.ablated",
            id=node.id,
            parts=[one.model_dump(mode="json") for one in known],
        )
    return node.model_copy(update={"ablation": known})


def known_parts(here: Search, node: Node) -> Node:
    """The node with what an earlier process of the run measured, where it measured anything."""
    if node.ablation is not None or node.operator == "floor":
        return node
    return node.model_copy(update={"ablation": _earlier(here, node, _file_of(here, node))})


def _file_of(here: Search, node: Node) -> str:
    run = here.bench.run
    return f"{home_of(run, node.name).relative_to(run.path)}/{FILE}"


def _earlier(here: Search, node: Node, file: str) -> tuple[Ablated, ...] | None:
    """What an earlier process of this run measured: the next question was asked with it."""
    if not (here.bench.run.path / file).is_file():
        return None
    found = here.bench.run.read(file, Ablation)
    if found.code_sha256 != node.code_sha256:
        return None
    here.ablation_s += found.seconds
    return found.parts


def _parts(here: Search, node: Node) -> list[Part]:
    """Parts of the code and groups of columns, in turn."""
    code = here.codes[node.id]
    blocks = [Part(block.name, block.code) for block in blocks_of(code, MOST_PARTS)]
    state = here.state
    assert state.exploration is not None
    roles = state.exploration.roles.columns
    free = [name for name in state.features if name not in (state.task.group, state.task.time)]
    groups = {role: [name for name in free if roles[name].role == role] for role in GROUPED}
    there = {role: names for role, names in groups.items() if names}
    columns = [
        Part(f"columns of role {role} ({len(names)})", code, frozenset(names))
        for role, names in there.items()
        if len(there) > 1
    ]
    both = chain.from_iterable(zip_longest(blocks, columns))
    return [part for part in both if part is not None][:MOST_PARTS]


def _without(here: Search, node: Node, part: Part, number: int) -> Ablated:
    """Score the rest, and compare the whole with it."""
    name = f"{node.name}-without-{number + 1}"
    readme = f"# {name}\n\n{node.name} without {part.name}; made by the host to measure it.\n"
    rest = score_code(here, name, part.code, readme.encode(), part.without)
    if not rest.ok:
        return Ablated(part=part.name, outcome=rest.outcome)
    return Ablated(part=part.name, worth=here.paired(here.results[node.id], rest))
