"""The ml-engineer with Claude: what it is asked for each step of a search, and what it answers.

Guarantees: an answer is code that parses and defines fit and predict, or a sentence on what was
wrong with it; what other code printed, and the code itself, stand in fenced blocks that their text
cannot end. Scores come from the referee; a number in an answer is kept as a claim in the summary.
Does not run code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlagent.content import Content
from mlagent.contracts.contract import Contract
from mlagent.contracts.search import Node, Operator
from mlagent.gateway.gateway import Gateway, Reply

from .code_edits import Edit, apply_edits, checked
from .persona import render_persona

MAX_TOKENS = 16_000
LONGEST_SUMMARY = 300
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
    model: str,
    rules: str,
    facts: str,
    operator: Operator,
    shown: Sequence[Shown],
    tried: Sequence[Node],
) -> Made:
    """One step of the search: ask, and once more when the answer cannot be used.

    Args:
        rules: from `rules_of`.
        facts: from `table_text`, with the task.
        shown: the parents.
        tried: every node so far, for the list of what was tried.

    Raises:
        MlagentError: the gateway's own.
    """
    request = first_request(model, rules, facts, operator, shown, tried)
    usd, problem, summary = 0.0, "", ""
    for turn in range(2):
        reply = gateway.ask(
            contract.name, operator if turn == 0 else f"{operator}, mended", request
        )
        usd += reply.usd
        try:
            code, summary = read_answer(reply, shown)
            return Made(code, summary, usd)
        except ValueError as error:
            problem = str(error)
        request = mended_request(request, reply, problem)
    return Made("", summary, usd, f"no code: {problem}")


def rules_of(content: Content, contract: Contract) -> str:
    """The system prompt: the persona in execution mode, the same for every table."""
    rules, _, _ = render_persona(content, contract, "execution").partition("## The task")
    return rules


def first_request(
    model: str,
    rules: str,
    facts: str,
    operator: Operator,
    shown: Sequence[Shown],
    tried: Sequence[Node],
) -> dict[str, Any]:
    """The request of a step. Rules and facts are cached: they are the same in every step."""
    keep = {"type": "ephemeral"}
    parts = [ASKED[operator], *(_about(one, operator) for one in shown), _history(tried)]
    tools = [SUBMIT] if operator in ("draft", "merge") else [EDIT, SUBMIT]
    return {
        "model": model,
        "max_tokens": MAX_TOKENS,
        "system": [
            {"type": "text", "text": rules},
            {"type": "text", "text": facts, "cache_control": keep},
        ],
        "tools": tools if operator != "improve" else [EDIT],
        "tool_choice": {"type": "any"},
        "messages": [{"role": "user", "content": "\n\n".join(part for part in parts if part)}],
    }


def mended_request(request: Mapping[str, Any], reply: Reply, problem: str) -> dict[str, Any]:
    """The conversation with the answer and what is wrong with it."""
    calls = [block for block in reply.content if block["type"] == "tool_use"]
    wrong = f"This cannot be used: {problem}. Answer again, mended."
    said: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": call["id"], "content": wrong, "is_error": True}
        for call in calls
    ]
    content = [block for block in reply.content if block["type"] in ("text", "tool_use")]
    return {
        **request,
        "messages": [
            *request["messages"],
            {"role": "assistant", "content": content or "(no answer)"},
            {"role": "user", "content": said or wrong},
        ],
    }


def read_answer(reply: Reply, shown: Sequence[Shown]) -> tuple[str, str]:
    """(code, summary) of an answer. Raises ValueError with what is wrong."""
    if reply.stop_reason == "refusal":
        raise ValueError("the model declined to answer")
    if reply.stop_reason == "max_tokens":
        raise ValueError(f"the answer was longer than {MAX_TOKENS} tokens and was cut")
    calls = [block for block in reply.content if block["type"] == "tool_use"]
    if not calls:
        raise ValueError("no tool was called")
    name, given = str(calls[0]["name"]), calls[0].get("input")
    if name not in (SUBMIT["name"], EDIT["name"]):
        raise ValueError(f"there is no tool {name[:60]!r}")
    if not isinstance(given, dict):
        raise ValueError("the tool's input is no object")
    summary = " ".join(str(given.get("summary", "")).split())[:LONGEST_SUMMARY]
    if name == SUBMIT["name"]:
        return checked(_text(given, "code")), summary
    if not shown:
        raise ValueError("there is no candidate to edit here; use submit_candidate")
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
    lines = [f"Candidate {node.name}: {node.summary}", fenced("code", one.code)]
    if node.score is not None:
        lines.append(f"Score on the dev folds: {node.score.value:.5g}.")
    if operator == "debug":
        lines.append(f"It has no score: {fenced('outcome', node.outcome)}")
        if one.output:
            lines.append(f"What it printed:\n{fenced('output', one.output)}")
    return "\n".join(lines)


def _history(tried: Sequence[Node]) -> str:
    lines = []
    for node in tried:
        told = node.outcome if node.score is None else f"{node.score.value:.5g}"
        against = "" if node.gain is None else f", {node.gain.verdict} against its parent"
        lines.append(f"- {node.name} ({node.operator}): {node.summary or '-'} -> {told}{against}")
    return "Tried so far, scored by the referee on the same folds:\n" + fenced(
        "tried", "\n".join(lines)
    )


def fenced(kind: str, text: str) -> str:
    """A block that its own text cannot end: its mark is made from the text."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"<{kind} mark={mark}>\n{text}\n</{kind} mark={mark}>"
