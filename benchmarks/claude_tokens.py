"""What a plan and a step of a search cost in tokens and dollars, with and without cache hits.

Counted by the scripted server (`mlagent.testing.messages_api`): four bytes are a token, a prefix
from 1,024 tokens on is cached. A real tokenizer counts differently, code and names above all, and a
real model thinks up answers of other lengths: here a plan answers with our own plan's text, and a
candidate has 8,000 bytes, the floor 63,000. The requests are the real ones. Dollars are by
agents/prices.yaml.

Usage: python benchmarks/claude_tokens.py [--write docs/howto-claude.md]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlagent.agents.claude_engineer import Shown, first_request, rules_of, write_candidate
from mlagent.agents.model import Model
from mlagent.agents.model_tools import AskUser, LookAtProfile, ReadArtifact
from mlagent.agents.registry import load_contracts
from mlagent.agents.tool_loop import Tool, offered
from mlagent.content import Content
from mlagent.contracts.evaluation import Difference, Score
from mlagent.contracts.findings import ColumnRoles, Exploration, RoleFound, ValidationPlan
from mlagent.contracts.plan import AgentPlanDocument, Plan
from mlagent.contracts.search import Ablated, Node, Operator
from mlagent.contracts.usage import Spent
from mlagent.gateway.call_log import CallLog
from mlagent.gateway.gateway import Gateway
from mlagent.gateway.meter import Caps, Meter
from mlagent.gateway.prices import load_prices
from mlagent.gateway.service import AnthropicService
from mlagent.orchestrator.consulting import Silent, model_of
from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here
from mlagent.orchestrator.planning import context_of
from mlagent.orchestrator.search_tools import facts_of
from mlagent.orchestrator.state import Request, State
from mlagent.settings import Settings
from mlagent.testing.messages_api import MessagesApi, calls, messages_api, says
from mlagent.testing.tables import churn_frame, write_csv

HEAD = (
    "| | calls | input | cache written | cache read | output | dollars |\n"
    "|---|---:|---:|---:|---:|---:|---:|"
)
BLOCK = re.compile(r"(<!-- tokens -->\n)(.*?)(<!-- end -->)", re.DOTALL)
CONTENT = Content()
PRICES = load_prices(CONTENT, Settings())
CONTRACTS = load_contracts(CONTENT)
OPERATORS: tuple[Operator, ...] = ("draft", "improve", "debug", "merge")
FLOOR_BYTES = 55_000
"""Beside CANDIDATE: option_b of the template author has 63 kB."""
CANDIDATE = f'''\
"""{"A candidate of some hundred lines. " * 220}"""


def fit(train, spec):
    return train[spec["target"]].mean()


def predict(model, features):
    return [model] * len(features)
'''
HISTORY = 8
"""Candidates that were tried before the step."""


def row(name: str, spent: Spent) -> str:
    """One line of the table."""
    used = spent.tokens
    numbers = (spent.calls, used.input, used.cache_write, used.cache_read, used.output)
    told = " | ".join(f"{number:,}" for number in numbers)
    return f"| {name} | {told} | {spent.usd:.4f} |"


def plans(folder: Path) -> tuple[list[str], Plan]:
    """Rows for a plan, the first one and one within five minutes of it; and the plan."""
    write_csv(churn_frame(2_000), folder / "churn.csv")
    ours = make_plan_here(folder, PlanFlags("churn model", data=folder / "churn.csv"), None).plan

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        found = re.search(r"You are the ([a-z-]+) of", body["system"][0]["text"])
        assert found is not None
        document = AgentPlanDocument(agent_plan=ours.agent_plans[found[1]])  # type: ignore[index]
        return [says(json.dumps(document.model_dump(mode="json", exclude_none=True)))]

    rows = []
    with messages_api(answer) as server:
        os.environ |= {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": server.url}
        for name in ("a plan, nothing cached", "a plan, rules cached"):
            flags = PlanFlags(
                "churn model",
                data=folder / "churn.csv",
                author="claude",
                caps=Caps(usd=1.0, calls=12),
            )
            made = make_plan_here(folder, flags, None).plan
            assert not made.notes, made.notes
            latest = max((folder / "plans" / "calls").iterdir())
            rows.append(row(name, CallLog(latest).bill(PRICES.version).total))
    return rows, ours


def state_of(plan: Plan, folder: Path) -> State:
    """What a search would know of this table."""
    found = plan.columns.found
    roles = {
        name: RoleFound(role=choice.role, dtype=choice.dtype, why="as planned")  # type: ignore[arg-type]
        for name, choice in found.items()
        if name != plan.task.target
    }
    return State(
        Request(plan, folder / "plan.yaml", 300.0, None, plan.selection),
        plan.task,
        features=tuple(roles),
        exploration=Exploration(
            rows=1, rows_used=1, roles=ColumnRoles(columns=roles), looks=(), findings=()
        ),
        validation=ValidationPlan(kind="stratified", folds=5, why="so"),
    )


def node(number: int) -> Node:
    """A scored candidate, as the history of a search has it."""
    gain = Difference(value=0.004, low=-0.002, high=0.01, verdict="not distinguishable")
    return Node(
        id=number,
        name=f"claude-{number:02d}",
        operator="improve" if number else "floor",
        parents=(number - 1,) if number else (),
        summary="Adds ratios of the fees to the tenure and keeps the rest as it was.",
        code_sha256="0" * 64,
        score=Score(value=0.83, low=0.81, high=0.85, n=1_500),
        gain=gain,
        ablation=(Ablated(part="function add_ratios", worth=gain),),
    )


def steps(plan: Plan, folder: Path) -> list[str]:
    """Rows for each kind of step: the first of a search, and one after others; and with tools."""
    state = state_of(plan, folder)
    code, facts = CANDIDATE, facts_of(state)
    summary = "Replaces the linear model by boosted trees on the same features."
    line = '    return train[spec["target"]].mean()\n'
    edit = [{"search": line, "replace": "    # one of thirty lines\n" * 30 + line}]
    final = {
        "draft": calls("submit_candidate", "last", summary=summary, code=code),
        "merge": calls("submit_candidate", "last", summary=summary, code=code),
        "improve": calls("submit_edit", "last", summary=summary, edits=edit),
        "debug": calls("submit_edit", "last", summary=summary, edits=edit),
    }
    looks = [calls("look_at_profile", "look", columns=list(state.features)[:5])]
    contract = CONTRACTS["ml-engineer"]
    tools = (
        LookAtProfile(context_of(plan)),
        ReadArtifact(folder, contract, lambda text, code: text),
        AskUser(lambda question: None),
    )

    def made(operator: Operator, answers: list[Any], *, warm: bool, code: str = code) -> Spent:
        waiting = list(answers)
        with messages_api(lambda _: waiting.pop(0)) as server, Talk(server) as ask:
            shown = [Shown(node(n), code, "Traceback: " + "x" * 1_500) for n in range(1, 3)]
            many = {"draft": 0, "merge": 2}.get(operator, 1)
            rules, model = rules_of(CONTENT, contract), model_of(contract, PRICES)
            if warm:  # another step of the same search came before
                server.count(first_request_of(model, rules, facts, tools))
            history = [node(n) for n in range(HISTORY)]
            found = write_candidate(
                ask.gateway, contract, model, rules, facts, operator, shown[:many], history, tools
            )
            assert not found.problem, found.problem
            return ask.log.bill(PRICES.version).total

    rows = []
    for operator in OPERATORS:
        for warm, told in ((False, "nothing cached"), (True, "rules and facts cached")):
            rows.append(row(f"{operator}, {told}", made(operator, [[final[operator]]], warm=warm)))
    spent = made("improve", [looks, [final["improve"]]], warm=True)
    rows.append(row("improve with a round of tools, rules and facts cached", spent))
    long = f"{'# one of the lines of the template' * 29}\n" * (FLOOR_BYTES // 1_000) + code
    spent = made("improve", [[final["improve"]]], warm=True, code=long)
    rows.append(row("improve the floor's code, rules and facts cached", spent))
    return rows


def first_request_of(model: Model, rules: str, facts: str, tools: Sequence[Tool]) -> dict[str, Any]:
    """A request of an earlier step, for the cache."""
    named = offered(CONTRACTS["ml-engineer"], tools)
    return first_request(model, rules, facts, "draft", (), [], named)


class Talk:
    """A gateway at the server, with a call log of its own."""

    def __init__(self, server: MessagesApi) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._service = AnthropicService(
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": server.url}
        )
        self.log = CallLog(Path(self._folder.name, "calls"))
        self.gateway = Gateway(
            self._service,
            Meter(PRICES, Caps(usd=5.0), {}, time.monotonic),
            self.log,
            Silent(),
            clock=time.monotonic,
            sleep=time.sleep,
        )

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._service.close()
        self._folder.cleanup()


def main() -> None:
    """Count, print, and write the page when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="a page with a block <!-- tokens -->")
    page: Path | None = parser.parse_args().write
    with tempfile.TemporaryDirectory() as name:
        rows, plan = plans(Path(name))
        rows += steps(plan, Path(name))
    table = "\n".join([HEAD, *rows])
    print(table)
    if page is not None:
        text = page.read_text(encoding="utf-8")
        page.write_text(BLOCK.sub(rf"\g<1>{table}\n\g<3>", text), encoding="utf-8")


if __name__ == "__main__":
    main()
