"""What a search knows of its table, for Claude: facts for every prompt, and tools for questions.

Guarantees: names of columns stand in quotes inside a block that they cannot end, and so do rows,
where the user allowed some. Does not choose rows: `shared_rows` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mlagent.agents.fences import fenced
from mlagent.agents.model_tools import AskUser, LookAtProfile, ReadArtifact, RunAnalysis
from mlagent.agents.table_text import facts_text, shown
from mlagent.agents.tool_loop import Tool

from .masking import Mask
from .planning import context_of
from .state import Bench, State


def tools_of(bench: Bench, state: State, mask: Mask, used: Mapping[str, int]) -> tuple[Tool, ...]:
    """The tools of one search; the contract says which of them may be used.

    Args:
        used: how often an earlier process of the run used each.
    """
    assert state.dev_file is not None
    contract = bench.contracts["ml-engineer"]
    return (
        LookAtProfile(
            context_of(state.request.plan), state.exploration, state.analysis, mask.clean
        ),
        ReadArtifact(bench.run.path, contract, mask.clean),
        RunAnalysis(bench.desk, contract, state.dev_file, mask.clean, used.get("run_analysis", 0)),
        AskUser(partial(bench.desk.progress.ask, stop=bench.stop), used.get("ask_user", 0)),
    )


def facts_of(state: State, rows: str = "") -> str:
    """What Claude may know of the table, the task and the roles that the explorer found.

    Args:
        rows: a few dev rows as text, when the user allowed it.
    """
    assert state.exploration is not None
    assert state.validation is not None
    found = state.exploration.roles.columns
    roles = ", ".join(
        f"{shown(name)}: {found[name].role}" for name in state.features if name in found
    )
    plan = state.validation
    facts = (
        f"{facts_text(context_of(state.request.plan))}\n"
        f"roles of the features: {roles}\n"
        f"folds: {plan.folds} x {plan.repeats}, {plan.kind}"
    )
    told = f"## The task\n\n{shown(state.task.description)}\n\n{fenced('facts', facts)}"
    if not rows:
        return told
    return f"{told}\n\nA few of the dev rows, column by column:\n{fenced('rows', rows)}"
