"""The ml-engineer with Claude: what it is asked for each step of a search, and what it answers.

Guarantees: an answer is code that parses and defines fit and predict, or a sentence on what was
wrong with it; what other code printed, and the code itself, stand in fenced blocks that their text
cannot end. Scores come from the referee; a number in an answer is kept as a claim in the summary.
Does not run code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from mlagent.content import Content
from mlagent.contracts.contract import Contract, ModelTool
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.evaluation import Difference
from mlagent.contracts.search import Ablated, Node, Operator
from mlagent.gateway.gateway import Gateway, Reply
from mlagent.sandbox.sanitize import clean

from .code_edits import Edit, apply_edits, checked
from .fences import fenced
from .model import Effort, Model
from .persona import render_persona
from .tool_loop import Tool, calls_in, converse, offered

LONGEST_SUMMARY = 300
THINKING: Mapping[Operator, tuple[Effort, int]] = {
    "draft": ("high", 32_000),
    "improve": ("medium", 16_000),
    "debug": ("medium", 16_000),
    "merge": ("high", 32_000),
}
"""Effort, and the most tokens of an answer with its thinking: a new idea is worth more of it than a
change of some lines."""
SUMMARY = {"type": "string", "description": "One sentence: what this candidate does and why."}
SUBMIT = {
    "name": "submit_candidate",
    "description": "Hand in a whole solution.py. The referee fits and scores it.",
    "input_schema": {
        "type": "object",
        "properties": {"summary": SUMMARY, "code": {"type": "string"}},
        "required": ["summary", "code"],
        "additionalProperties": False,
    },
}
EDIT = {
    "name": "submit_edit",
    "description": "Hand in one change to the candidate that you were shown, as texts that are "
    "replaced. Each search text must occur in it exactly once.",
    "input_schema": {
        "type": "object",
        "properties": {
            "summary": SUMMARY,
            "edits": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"search": {"type": "string"}, "replace": {"type": "string"}},
                    "required": ["search", "replace"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["summary", "edits"],
        "additionalProperties": False,
    },
}
ASKED: Mapping[Operator, str] = {
    "draft": "Write a fresh candidate, with `submit_candidate`. Its idea should differ from those "
    "below: another kind of model, other features, another way with missing cells or rare classes.",
    "improve": "Make one change to this candidate that you expect to help, with `submit_edit`. One "
    "idea only, so that its effect can be measured.",
    "debug": "This candidate has no score, for the reason below. Mend it, with `submit_edit` or, "
    "where little of it can stay, `submit_candidate`. Do not change its idea.",
    "merge": "Write one candidate that joins what is good in these two, with `submit_candidate`.",
}
HANDED_IN_WITH: Mapping[Operator, tuple[str, ...]] = {
    "draft": ("submit_candidate",),
    "improve": ("submit_edit",),
    "debug": ("submit_edit", "submit_candidate"),
    "merge": ("submit_candidate",),
}


@dataclass(frozen=True)
class Made:
    """A candidate's code, or why there is none."""

    code: str
    summary: str
    usd: float
    problem: str = ""


@dataclass(frozen=True)
class Shown:
    """A candidate that the model is shown. `output`: what its failure said, masked."""

    node: Node
    code: str
    output: str = ""


def write_candidate(
    gateway: Gateway,
    contract: Contract,
    model: Model,
    rules: str,
    facts: str,
    operator: Operator,
    shown: Sequence[Shown],
    tried: Sequence[Node],
    tools: Sequence[Tool] = (),
) -> Made:
    """One step of the search: ask, use the tools that it calls, ask for one mended answer.

    Args:
        rules: from `rules_of`.
        facts: from `table_text`, with the task.
        shown: the parents.
        tried: every node so far, for the list of what was tried.
        tools: what it may call before it hands something in.

    Raises:
        MlagentError: the gateway's own, or the contract allows no candidate.
    """
    if SUBMIT["name"] not in contract.tools:
        raise MlagentError(f"The contract of {contract.name} does not allow {SUBMIT['name']!r}.")
    request = first_request(model, rules, facts, operator, shown, tried, offered(contract, tools))
    found = converse(
        gateway,
        contract,
        operator,
        request,
        tools,
        lambda reply: read_answer(reply, operator, shown),
    )
    if found.value is None:
        return Made("", "", found.usd, f"no code: {found.problem}")
    code, summary = found.value
    return Made(code, summary, found.usd)


def rules_of(content: Content, contract: Contract) -> str:
    """The system prompt: the persona in execution mode, the same for every table."""
    rules, _, _ = render_persona(content, contract, "execution").partition("## The task")
    return rules


def first_request(
    model: Model,
    rules: str,
    facts: str,
    operator: Operator,
    shown: Sequence[Shown],
    tried: Sequence[Node],
    tools: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The request of a step. Tools, rules and facts are cached: they are the same in every step;
    and so is the question, for the rounds of tools that follow it."""
    keep = {"type": "ephemeral"}
    parts = [ASKED[operator], *(_about(one, operator) for one in shown), _history(tried)]
    return {
        **model.request(*THINKING[operator]),
        "system": [
            {"type": "text", "text": rules},
            {"type": "text", "text": facts, "cache_control": keep},
        ],
        "tools": [SUBMIT, EDIT, *tools],
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "text",
                        "text": "\n\n".join(part for part in parts if part),
                        "cache_control": keep,
                    }
                ],
            }
        ],
    }


def read_answer(reply: Reply, operator: Operator, shown: Sequence[Shown]) -> tuple[str, str]:
    """(code, summary) of an answer. Raises ValueError with what is wrong."""
    if reply.stop_reason == "refusal":
        raise ValueError("the model declined to answer")
    if reply.stop_reason == "max_tokens":
        raise ValueError(f"the answer was longer than {THINKING[operator][1]} tokens and was cut")
    calls = calls_in(reply)
    if not calls:
        raise ValueError(f"no tool was called; call {' or '.join(HANDED_IN_WITH[operator])}")
    final = [call for call in calls if call["name"] in (SUBMIT["name"], EDIT["name"])]
    if not final:
        name = str(calls[0]["name"])
        what = "is no final answer" if name in get_args(ModelTool) else "does not exist"
        raise ValueError(f"the tool {name[:60]!r} {what}")
    name, given = str(final[0]["name"]), final[0].get("input")
    allowed = HANDED_IN_WITH[operator]
    if name not in allowed:
        raise ValueError(f"this step is handed in with {' or '.join(allowed)}")
    if not isinstance(given, dict):
        raise ValueError("the tool's input is no object")
    summary = " ".join(clean(str(given.get("summary", ""))).split())[:LONGEST_SUMMARY]
    if name == SUBMIT["name"]:
        return checked(_text(given, "code")), summary
    edits = given.get("edits")
    if not isinstance(edits, list) or not all(isinstance(edit, dict) for edit in edits):
        raise ValueError("edits is no list of {search, replace}")
    pairs = [Edit(_text(edit, "search"), _text(edit, "replace")) for edit in edits]
    return apply_edits(shown[0].code, pairs), summary


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    if not isinstance(found, str):
        raise ValueError(f"{name} is missing or no text")
    return found


def _about(one: Shown, operator: Operator) -> str:
    node = one.node
    lines = [f"Candidate {node.name}:", fenced("summary", node.summary), fenced("code", one.code)]
    if node.score is not None:
        lines.append(f"Score on the dev folds: {node.score.value:.5g}.")
    if operator == "improve" and node.ablation:
        lines.append(_parts(node.ablation))
    if operator == "debug":
        lines.append(f"It has no score: {fenced('outcome', node.outcome)}")
        if one.output:
            lines.append(f"What it printed:\n{fenced('output', one.output)}")
    return "\n".join(lines)


def _parts(ablation: Sequence[Ablated]) -> str:
    """What each part is worth, and where to work."""
    lines = []
    for one in ablation:
        worth = one.worth
        told = (
            f"it does not run ({one.outcome})"
            if worth is None
            else f"{-worth.value:+.4g} ({-worth.high:+.4g} to {-worth.low:+.4g}), {_words(worth)}"
        )
        lines.append(f"- without {one.part}: {told}")
    table = fenced("parts", "\n".join(lines))
    target = target_of(ablation)
    where = f"\nWork on this part first:\n{fenced('part', target)}" if target else ""
    return f"The host took parts out of it, one at a time, on the same folds:\n{table}{where}"


def _words(worth: Difference) -> str:
    earned = {"better": "so it earns its keep", "worse": "so it does harm"}
    return earned.get(worth.verdict, "which is noise, so it may go")


def target_of(ablation: Sequence[Ablated]) -> str | None:
    """The part that the next change should be about: one that does harm, else the one that the
    score rests on most; None where every difference is noise."""
    worth = [(one.worth, one.part) for one in ablation if one.worth is not None]
    for verdict, sign in (("worse", 1.0), ("better", -1.0)):
        told = [(sign * gap.value, part) for gap, part in worth if gap.verdict == verdict]
        if told:
            return min(told)[1]
    return None


def _history(tried: Sequence[Node]) -> str:
    lines = []
    for node in tried:
        told = node.outcome if node.score is None else f"{node.score.value:.5g}"
        against = "" if node.gain is None else f", {node.gain.verdict} against its parent"
        lines.append(f"- {node.name} ({node.operator}): {node.summary or '-'} -> {told}{against}")
    return "Tried so far, scored by the referee on the same folds:\n" + fenced(
        "tried", "\n".join(lines)
    )
