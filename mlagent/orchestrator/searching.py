"""A search over candidates that Claude writes, scored by the referee on the frozen dev folds.

The template author's best is the floor: node 0. Guarantees: every candidate runs as a stranger's
code, in containers; it is judged on the same folds as the floor, by paired intervals, and the vault
stays shut; with author `both` the floor is left only for a candidate that is better; whatever ends
the search (money, time, the service, the user), the best so far stands. Does not promise that
Claude finds anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import unified_diff
from functools import partial

from mlagent.agents.claude_engineer import Made, Shown, rules_of, write_candidate
from mlagent.agents.ml_engineer import at_once
from mlagent.agents.table_text import classes_told
from mlagent.contracts.errors import Interrupted, MlagentError
from mlagent.contracts.search import DIFFS, TREE, Node
from mlagent.contracts.words import counted
from mlagent.gateway.call_log import CALLS
from mlagent.gateway.gateway import Gateway
from mlagent.gateway.prices import load_prices
from mlagent.referee.metrics import Truth
from mlagent.store.files import write_json
from mlagent.store.journal import read_journal

from .ablating import ablate, known_parts
from .consulting import BILL, model_of, open_gateway
from .dev_scores import OutOfFold
from .masking import Mask
from .planning import context_of
from .search_before import USER_STOPPED, Before, searched_before
from .search_ends import choose_node, floor_of, install, readme_of, sha_of, value_of
from .search_policy import next_step
from .search_scores import Search
from .search_scoring import score_code
from .search_tools import facts_of, tools_of
from .shared_rows import share_rows
from .state import Bench, State, table_of

SEARCH_SHARE = 0.45
"""Of the budget, after the floor was scored; the rest is for the fit that ships."""
LATE = 0.1
"""Of the budget: a candidate is begun when it may end so much later than the share, and a call of
its author's is ended then."""
NODES_HOPED_FOR = 8
REFERENCE, README = "floor-in-search", b"# The floor's code, with the time of a candidate\n"
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
    here.nodes.append(floor_of(here))
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
    chosen = choose_node(here)
    _write(here, stopped, chosen)
    bench.journal.append("search.done", nodes=len(here.nodes), chosen=chosen, stopped=stopped)
    state.notes.append(
        f"Claude wrote {counted(len(here.nodes) - 1, 'candidate')} "
        f"({counted(bill.total.calls, 'call')}, "
        f"{bill.total.tokens.total:,} tokens, ${bill.total.usd:.4f}); the search ended: {stopped}."
    )
    install(here, chosen)


def _grow(here: Search, gateway: Gateway, before: Before, until: float) -> str:
    """Add nodes until something ends it; the sentence that says what.

    Args:
        before: these nodes are made again from what is on disk, without looking at the clock.
    """
    bench, state = here.bench, here.state
    contract = bench.contracts["ml-engineer"]
    try:
        model = model_of(contract, gateway.meter.prices)
        rules = rules_of(bench.desk.content, contract)
        facts = facts_of(state, share_rows(bench, state))
        tools = tools_of(bench, state, here.mask, before.used)
        check_call = partial(gateway.meter.check_left, contract.name)
        while True:
            again = len(here.nodes) <= before.nodes
            if before.stopped is not None and not again:
                here.nodes = [known_parts(here, node) for node in here.nodes]
                return before.stopped
            step = next_step(here.nodes, here.worse)
            if isinstance(step, str):
                return step
            if bench.stop():
                return USER_STOPPED
            if not again and (why := _no_time(here, until)):
                return why
            if step.operator == "improve":
                _measure(here, step.parents[0], check_call)
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
                code_sha256=sha_of(made.code),
                usd=made.usd,
            )
            node = _run(here, node, made)
            seconds = before.took.get(number, round(bench.clock() - begun, 2))
            node = node.model_copy(update={"seconds": seconds})
            here.nodes.append(node)
            _write(here)
            _note(here, node)
    except Interrupted:
        if bench.stop.count > 1:
            raise
        return USER_STOPPED
    except MlagentError as problem:
        return problem.message.rstrip(".")


def _measure(here: Search, parent: int, check_call: Callable[[], object]) -> None:
    """What a change of this node starts from: what its parts are worth; of the floor, whose parts
    are ours and known, what its code scores with a candidate's time."""
    if parent != 0:
        search_s = SEARCH_SHARE * here.state.request.budget_s
        here.nodes[parent] = ablate(here, here.nodes[parent], search_s, check_call)
    elif here.reference is None:
        check_call()
        here.bench.desk.progress.update(candidate=f"{here.nodes[0].name} once more")
        here.reference = score_code(here, REFERENCE, here.codes[0], README)


def _note(here: Search, node: Node) -> None:
    """A node in the journal: outcome, cost, and what it changed in its first parent's code."""
    bench, change = here.bench, ""
    if node.parents and (code := here.codes[node.id]):
        parent = here.nodes[node.parents[0]]
        before, after = here.codes[parent.id].splitlines(True), code.splitlines(True)
        change = "".join(unified_diff(before, after, parent.name, node.name))
    if change:
        bench.run.file(f"{DIFFS}/{node.name}.diff").write_text(change, encoding="utf-8")
    bench.journal.append(
        "search.node",
        id=node.id,
        name=node.name,
        operator=node.operator,
        parents=list(node.parents),
        outcome=node.outcome,
        value=None if node.score is None else node.score.value,
        gain=None if node.gain is None else node.gain.verdict,
        usd=node.usd,
        seconds=node.seconds,
        code_sha256=node.code_sha256,
        diff_sha256=sha_of(change) if change else None,
    )


def _no_time(here: Search, until: float) -> str:
    """Why no further candidate is begun, or ''. What it takes: the longest so far, or a guess."""
    left = until - here.bench.clock()
    if left <= 0:
        return "its share of the budget was used up"
    folds = len(here.state.folds)
    rounds = math.ceil(folds / at_once(folds, here.bench.desk.cpus))
    scored = [*here.results.values(), *([here.reference] if here.reference else [])]
    took = [result.scoring_s for result in scored if result.scoring_s > 0]
    needs = max(took, default=rounds * (here.each + BESIDE_FOLD_S))
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
    return here.scored(node, score_code(here, node.name, made.code, readme_of(node)))


def _shown(here: Search, place: int) -> Shown:
    """A candidate as the next question shows it, with what its failure printed."""
    result = here.results.get(place)
    return Shown(here.nodes[place], here.codes[place], "" if result is None else result.log)


def _write(here: Search, stopped: str = "", chosen: int | None = None) -> None:
    """The tree as it stands."""
    tree = here.tree(stopped, chosen)
    write_json(here.bench.run.file(TREE), tree.model_dump(mode="json", by_alias=True))


def _best(here: Search) -> str:
    chosen = choose_node(here)
    return "-" if chosen is None else f"{value_of(here.nodes[chosen]):.4g}"
