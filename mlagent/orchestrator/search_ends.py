"""Both ends of a search: the floor that it starts from, and the node that ships in its place.

Guarantees: the floor is the template author's best, by the rule that decides who ships; with author
`both` it is left only for a node that is better than it beyond noise, and the notes say why or why
not. Does not search.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mlagent.agents.ml_engineer import CandidateFolder
from mlagent.contracts.evaluation import CandidateScore
from mlagent.contracts.search import EMPTY_SHA256, FLOOR, Node
from mlagent.referee.leaderboard import choose
from mlagent.store.files import write_atomically

from .handed_in import HandedIn, home_of
from .search_policy import best_nodes
from .search_scores import Search
from .search_scoring import CODE
from .tries import LINEAR


def floor_of(here: Search) -> Node:
    """The template author's best: the option, or linear where the option would not ship."""
    state, option = here.state, here.state.request.engineer
    judged = {
        name: here.scored(
            Node(
                id=0,
                name=name,
                operator="floor",
                summary="the template author's own",
                code_sha256=EMPTY_SHA256,
            ),
            state.scored[name],
        )
        for name in (LINEAR, option)
    }
    board = [
        CandidateScore(name=name, score=node.score, outcome=node.outcome)
        for name, node in judged.items()
    ]
    best = choose(board, state.task.metric or "", asked_for=option).name
    kept = here.bench.run.file(FLOOR)
    if not kept.is_file():  # else an earlier process of the run kept it
        write_atomically(kept, (home_of(here.bench.run, best) / "solution.py").read_bytes())
    code = here.codes[0] = kept.read_text(encoding="utf-8")
    result = here.results[0] = state.scored[best]
    node = judged[best].model_copy(update={"code_sha256": sha_of(code)})
    if result.ok:
        return node
    masked = here.mask.clean(result.outcome, code)
    here.results[0] = replace(result, outcome=masked)
    return node.model_copy(update={"outcome": masked})


def choose_node(here: Search) -> int | None:
    """The node that stands for Claude: of those that none is better than, the highest mean."""
    equals = best_nodes(here.nodes, here.worse)
    if not equals:
        return None
    sign = -1.0 if here.state.task.direction == "minimize" else 1.0
    return max(equals, key=lambda node: (sign * value_of(node), -node.id)).id


def install(here: Search, chosen: int | None) -> None:
    """Put the chosen node in the place of the option; say in plain words why or why not."""
    state = here.state
    floor = here.nodes[0]
    if chosen is None:
        state.notes.append(f"No candidate of Claude's has a score, so {floor.name} stands.")
        return
    node = here.nodes[chosen]
    gap = here.difference(node, floor)
    told = "" if gap is None else f" ({gap.value:+.4g}, {gap.low:+.4g} to {gap.high:+.4g})"
    if (
        state.request.author == "both"
        and floor.score is not None
        and (gap is None or gap.verdict != "better")
    ):
        verdict = "not compared with" if gap is None else gap.verdict
        words = {"worse": "worse than"}.get(verdict, f"{verdict} from")
        state.notes.append(
            f"Claude's best, {node.name}, is {words} {floor.name} on the dev folds{told}: "
            f"{floor.name} stands."
        )
        return
    why = "" if gap is None else f": {gap.verdict} on the dev folds{told}"
    if gap is not None and gap.verdict != "better":
        why = f", as --author claude asks, though on the dev folds it is {gap.verdict}{told}"
    state.notes.append(
        f"{node.name}, written by Claude, is the candidate instead of {floor.name}{why}."
    )
    code = here.codes[node.id].encode()
    state.install(HandedIn(node.name, code, readme_of(node), CODE))
    state.scored[node.name] = here.results[node.id]
    state.chosen = CandidateFolder(node.name, home_of(here.bench.run, node.name), CODE)


def value_of(node: Node) -> float:
    assert node.score is not None
    return node.score.value


def readme_of(node: Node) -> bytes:
    parents = f", from {', '.join(map(str, node.parents))}" if node.parents else ""
    return (
        f"# {node.name}\n\nWritten by Claude ({node.operator}{parents}). Its own words, not "
        f"checked: {node.summary or '-'}\n"
    ).encode()


def sha_of(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
