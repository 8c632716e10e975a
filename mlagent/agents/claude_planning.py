"""Planning mode with Claude: one agent's options, in the form that our own author writes.

Guarantees: what comes back is an AgentPlan that its contract allows; times, complexity and
dependencies stay those of the code that will run, whatever was answered; an answer that does not
fit is sent back once with the error, and then our own plan stands, with a sentence that says so.
Only aggregates leave (`table_text`). Does not review and does not choose for the user.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mlagent.content import Content
from mlagent.contracts.contract import Contract
from mlagent.contracts.plan import AgentPlan, AgentPlanDocument, Option
from mlagent.gateway.gateway import Gateway, Reply
from mlagent.record_errors import explain_refusal
from mlagent.sandbox.sanitize import clean

from .fences import fenced
from .model import Effort, Model
from .model_tools import LookAtProfile
from .persona import render_persona
from .planning_context import PlanningContext
from .table_text import MOST_COLUMNS, facts_text
from .tool_loop import converse, offered

EFFORT: Effort = "medium"
MAX_TOKENS = 16_000
"""Of an answer with its thinking; a plan itself has about 700."""
ALLOWED = ("type", "properties", "required", "items", "enum", "const", "anyOf", "$ref", "$defs")
"""Words of JSON Schema that structured outputs know, beside `description`."""


@dataclass(frozen=True)
class Proposed:
    """One agent's plan, and what is to be said of how it came about."""

    plan: AgentPlan
    note: str = ""
    usd: float = 0.0


def propose(
    gateway: Gateway,
    content: Content,
    contract: Contract,
    context: PlanningContext,
    ours: AgentPlan,
    model: Model,
) -> Proposed:
    """Ask for a plan, and once more when the answer does not fit.

    Args:
        ours: what our own author proposes: the floor, and the source of every estimate.
        model: of the contract's tier.

    Raises:
        MlagentError: the gateway's own (no budget, no service); the caller falls back to `ours`.
    """
    profile = context.profile
    wide = profile is not None and len(profile.columns) > MOST_COLUMNS
    tools = [LookAtProfile(context)] if wide else []  # else the facts hold every column
    request = first_request(content, contract, context, ours, model)
    if named := offered(contract, tools):
        request["tools"] = named
    found = converse(
        gateway, contract, "plan", request, tools, lambda reply: read_answer(reply, contract, ours)
    )
    if found.value is not None:
        return Proposed(found.value, usd=found.usd)
    return Proposed(
        ours,
        f"{contract.name}: Claude's plan did not fit twice ({found.problem}); the template's "
        "stands.",
        found.usd,
    )


def first_request(
    content: Content, contract: Contract, context: PlanningContext, ours: AgentPlan, model: Model
) -> dict[str, Any]:
    """The request; its prefix is the same for every table, so that it is cached."""
    persona = render_persona(content, contract, "planning", task="", facts="")
    rules, _, _ = persona.partition("## The task")
    estimates = "\n".join(
        f"{name}: {option.approach}; about {option.time_estimate_hours * 3600:.0f} s here"
        for name, option in ours.implementation_options.items()
    )
    asked = (
        f"## The task\n\n{json.dumps(context.task.description)}\n\n"
        f"{fenced('facts', facts_text(context))}\n\n"
        f"What each option runs, with its measured estimate:\n\n{fenced('options', estimates)}\n\n"
        "Answer with the JSON form of that YAML. Keep the meaning of each option; time, complexity "
        "and dependencies are filled in by code."
    )
    form = {"format": {"type": "json_schema", "schema": answer_schema()}}
    found = model.request(EFFORT, MAX_TOKENS)
    return {
        **found,
        "system": [{"type": "text", "text": rules, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": asked}],
        "output_config": {**found.get("output_config", {}), **form},
    }


def answer_schema() -> dict[str, Any]:
    """JSON Schema of the answer, in the words that structured outputs know."""
    schema = AgentPlanDocument.model_json_schema(by_alias=True)
    found: dict[str, Any] = _plain(schema)
    return found


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for word, value in schema.items():
        if word in ("properties", "$defs"):
            kept[word] = {name: _plain(part) for name, part in value.items()}
        elif word in ALLOWED:
            kept[word] = _plain(value)
    if kept.get("type") == "object" and "properties" not in kept:  # the map of options
        option = {"$ref": "#/$defs/Option"}
        names = ("option_a", "option_b", "option_c")
        kept["properties"] = dict.fromkeys(names, option)
        kept["required"] = list(names[:2])
    if kept.get("type") == "object":
        kept["additionalProperties"] = False
    return kept


def read_answer(reply: Reply, contract: Contract, ours: AgentPlan) -> AgentPlan:
    """The plan in an answer, with our own estimates in it. Raises ValueError with what is wrong."""
    if reply.stop_reason == "refusal":
        raise ValueError("the model declined to answer")
    if reply.stop_reason == "max_tokens":
        raise ValueError(f"the answer was longer than {MAX_TOKENS} tokens and was cut")
    text = reply.text.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        given = _printable(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({str(error)[:100]})") from None
    try:
        made = AgentPlanDocument.model_validate(given).agent_plan
    except ValidationError as error:
        told = explain_refusal(error, AgentPlanDocument, given, "the answer", {})
        raise ValueError(told.replace("\n", " ").rstrip(".")) from None
    if made.agent_name != contract.name:
        raise ValueError(f"agent_name is {made.agent_name!r}, not {contract.name!r}")
    strange = set(made.implementation_options) - set(ours.implementation_options)
    if strange:
        raise ValueError(
            f"{min(strange)} is not an option here: {', '.join(ours.implementation_options)}"
        )
    return made.model_copy(
        update={
            "task": ours.task,
            "implementation_options": {
                name: _with_estimates(option, ours.implementation_options[name])
                for name, option in made.implementation_options.items()
            },
        }
    )


def _printable(value: Any) -> Any:
    """Texts of a model, fit for a terminal."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_printable(part) for part in value]
    if isinstance(value, dict):
        return {clean(name): _printable(part) for name, part in value.items()}
    return value


def _with_estimates(option: Option, ours: Option) -> Option:
    """Their words, our numbers: what runs is our code."""
    return option.model_copy(
        update={
            "time_estimate_hours": ours.time_estimate_hours,
            "complexity": ours.complexity,
            "dependencies": ours.dependencies,
        }
    )
