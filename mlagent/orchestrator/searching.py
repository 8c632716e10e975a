"""A search over candidates that Claude writes, scored by the referee on the frozen dev folds.

The template author's option is the floor: node 0. Guarantees: every candidate runs as a stranger's
code, in containers; it is judged on the same folds as the floor, by paired intervals, and the vault
stays shut; with author `both` the floor is left only for a candidate that is better; whatever ends
the search (money, time, the service, the user), the best so far stands. Does not promise that
Claude finds anything.
"""

from __future__ import annotations

import hashlib
import math
from functools import partial

from mlagent.agents.claude_engineer import Made, Shown, rules_of, write_candidate
from mlagent.agents.ml_engineer import CandidateFolder, at_once
from mlagent.agents.table_text import classes_told
from mlagent.contracts.errors import Interrupted, MlagentError
from mlagent.contracts.search import TREE, Node
from mlagent.contracts.words import counted
from mlagent.gateway.call_log import CALLS
from mlagent.gateway.gateway import Gateway
from mlagent.gateway.prices import load_prices
from mlagent.referee.metrics import Truth
from mlagent.store.files import write_json
from mlagent.store.journal import read_journal

from .ablating import ablate
from .consulting import BILL, model_of, open_gateway
from .dev_scores import OutOfFold
from .handed_in import HandedIn, home_of
from .masking import Mask
from .planning import context_of
from .search_before import USER_STOPPED, Before, searched_before
from .search_policy import best_nodes, next_step
from .search_scores import Search
from .search_scoring import CODE, score_code
from .search_tools import facts_of, tools_of
from .shared_rows import share_rows
from .state import Bench, State, table_of

SEARCH_SHARE = 0.45
"""Of the budget, after the floor was scored; the rest is for the fit that ships."""
LATE = 0.1
"""Of the budget: a candidate is begun when it may end so much later than the share, and a call of
its author's is ended then."""
NODES_HOPED_FOR = 8
BESIDE_FOLD_S = 3.0


def search(bench: Bench, state: State, truth: Truth, oof: OutOfFold) -> None:
    """Search, and put the best candidate in the place of the option when it has earned it.

    Raises:
        Interrupted: the second Ctrl-C.
    """
    share = SEARCH_SHARE * state.request.budget_s
    before = searched_before(read_journal(bench.run.path / "journal.jsonl"))
    bench.journal.append("search.start", share_s=share)
    until = bench.clock() + max(0.0, share - before.seconds)
    folds = len(state.folds)
    each = max(1.0, share / (NODES_HOPED_FOR * folds) - BESIDE_FOLD_S)
    table = table_of(state)
    found = state.request.plan.columns.found
    texts = [name for name in table.typed.columns if name in found and found[name].dtype == "str"]
    profile = context_of(state.request.plan).profile
    told = () if profile is None else classes_told(profile)
    mask = Mask(table.typed.path, texts, table.typed.columns, told)
    here = Search(bench, state, truth, oof, mask, each)
    here.nodes.append(_floor(here))
    prices = load_prices(bench.desk.content, bench.settings)
    with open_gateway(
        prices,
        bench.contracts,
        bench.run.path / CALLS,
        state.request.caps,
        bench.journal,
        until=until,
        cut_at=until + LATE * state.request.budget_s,
        stop=bench.stop,
        on_text=here.writes,
        nobody=state.request.ask_no_more,
    ) as gateway:
        stopped = _grow(here, gateway, before, until)
        bill = gateway.log.bill(prices.version)
    bench.run.write(BILL, bill)
    chosen = _choose(here)
    _write(here, stopped, chosen)
    bench.journal.append("search.done", nodes=len(here.nodes), chosen=chosen, stopped=stopped)
    state.notes.append(
        f"Claude wrote {counted(len(here.nodes) - 1, 'candidate')} "
        f"({counted(bill.total.calls, 'call')}, "
        f"{bill.total.tokens.total:,} tokens, ${bill.total.usd:.4f}); the search ended: {stopped}."
    )
    _install(here, chosen)


def _floor(here: Search) -> Node:
    name = here.state.request.engineer
    result = here.state.scored[name]
    code = (home_of(here.bench.run, name) / "solution.py").read_text(encoding="utf-8")
    here.codes[0] = code
    node = Node(
        id=0,
        name=name,
        operator="floor",
        summary="the template author's own",
        code_sha256=_sha(code),
        outcome=result.outcome,
    )
    return here.scored(node, result)


def _grow(here: Search, gateway: Gateway, before: Before, until: float) -> str:
    """Add nodes until something ends it; the sentence that says what.

    Args:
        before: these nodes are made again from what is on disk, without looking at the clock.
    """
    bench, state = here.bench, here.state
    contract = bench.contracts["ml-engineer"]
    share = SEARCH_SHARE * state.request.budget_s
    try:
        model = model_of(contract, gateway.meter.prices)
        rules = rules_of(bench.desk.content, contract)
        facts = facts_of(state, share_rows(bench, state))
        tools = tools_of(bench, state, here.mask)
        check_call = partial(gateway.meter.check_left, contract.name)
        while True:
            again = len(here.nodes) <= before.nodes
            if before.stopped is not None and not again:
                return before.stopped
            step = next_step(here.nodes, here.worse)
            if isinstance(step, str):
                return step
            if bench.stop():
                return USER_STOPPED
            if not again and (why := _no_time(here, until)):
                return why
            if step.operator == "improve":
                parent = step.parents[0]
                here.nodes[parent] = ablate(here, here.nodes[parent], share, check_call)
                _write(here)
                if bench.stop() or (not again and _no_time(here, until)):
                    continue
            number = len(here.nodes)
            here.at_work = f"{step.operator} {number}"
            bench.desk.progress.update(candidate=here.at_work, best=_best(here), claude="thinks")
            shown = [_shown(here, parent) for parent in step.parents]
            begun = bench.clock()
            made = write_candidate(
                gateway, contract, model, rules, facts, step.operator, shown, here.nodes, tools
            )
            node = Node(
                id=number,
                name=f"claude-{number:02d}",
                operator=step.operator,
                parents=step.parents,
                summary=made.summary,
                code_sha256=_sha(made.code),
                usd=made.usd,
            )
            node = _run(here, node, made)
            node = node.model_copy(update={"seconds": round(bench.clock() - begun, 2)})
            here.nodes.append(node)
            _write(here)
            bench.journal.append(
                "search.node",
                id=node.id,
                operator=node.operator,
                parents=list(node.parents),
                outcome=node.outcome,
                value=None if node.score is None else node.score.value,
            )
    except Interrupted:
        if bench.stop.count > 1:
            raise
        return USER_STOPPED
    except MlagentError as problem:
        return problem.message.rstrip(".")


def _no_time(here: Search, until: float) -> str:
    """Why no further candidate is begun, or ''. What it takes: the longest so far, or a guess."""
    left = until - here.bench.clock()
    if left <= 0:
        return "its share of the budget was used up"
    folds = len(here.state.folds)
    rounds = math.ceil(folds / at_once(folds, here.bench.desk.cpus))
    needs = max(here.scoring_s.values(), default=rounds * (here.each + BESIDE_FOLD_S))
    if needs <= left + LATE * here.state.request.budget_s:
        return ""
    return (
        f"a candidate takes about {needs:.0f} s here, and of its share of the budget {left:.0f} s "
        "were left"
    )


def _run(here: Search, node: Node, made: Made) -> Node:
    """Score the code on the folds; code that was scored before is not scored again."""
    here.codes[node.id] = made.code
    if made.problem:
        return node.model_copy(update={"outcome": made.problem})
    same = [other for other in here.nodes[1:] if other.code_sha256 == node.code_sha256]
    if same:
        told = f"no score of its own: it is the same code as {same[0].name}"
        return node.model_copy(update={"outcome": told, "copy_of": same[0].id})
    begun = here.bench.clock()
    result = score_code(here, node.name, made.code, _readme(node))
    here.scoring_s[node.id] = here.bench.clock() - begun
    return here.scored(node, result)


def _shown(here: Search, place: int) -> Shown:
    """A candidate as the next question shows it, with what its failure printed."""
    result = here.results.get(place)
    return Shown(here.nodes[place], here.codes[place], "" if result is None else result.log)


def _write(here: Search, stopped: str = "", chosen: int | None = None) -> None:
    """The tree as it stands."""
    tree = here.tree(stopped, chosen)
    write_json(here.bench.run.file(TREE), tree.model_dump(mode="json", by_alias=True))


def _choose(here: Search) -> int | None:
    """The node that stands for Claude: of those that none is better than, the highest mean."""
    equals = best_nodes(here.nodes, here.worse)
    if not equals:
        return None
    sign = -1.0 if here.state.task.direction == "minimize" else 1.0
    return max(equals, key=lambda node: (sign * _value(node), -node.id)).id


def _value(node: Node) -> float:
    assert node.score is not None
    return node.score.value


def _best(here: Search) -> str:
    chosen = _choose(here)
    return "-" if chosen is None else f"{_value(here.nodes[chosen]):.4g}"


def _install(here: Search, chosen: int | None) -> None:
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
    state.install(HandedIn(node.name, code, _readme(node), CODE))
    state.scored[node.name] = here.results[node.id]
    state.chosen = CandidateFolder(node.name, home_of(here.bench.run, node.name), CODE)


def _readme(node: Node) -> bytes:
    parents = f", from {', '.join(map(str, node.parents))}" if node.parents else ""
    return (
        f"# {node.name}\n\nWritten by Claude ({node.operator}{parents}). Its own words, not "
        f"checked: {node.summary or '-'}\n"
    ).encode()


def _sha(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
