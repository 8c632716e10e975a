"""Claude as author of plans: the gateway put together, the agents asked side by side.

Guarantees: each agent's plan is Claude's, or ours with a sentence that says why; the bill and every
byte that was sent lie in the folder of the calls, also after a Ctrl-C, which ends it within a
second; no cap is passed, agents together, and no plan takes longer than `CUT_S`. Does not review:
`planning.make_plan` does, for every author.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from mlagent.agents.claude_planning import Proposed, propose
from mlagent.agents.model import Model
from mlagent.agents.planning_context import PlanningContext
from mlagent.content import Content
from mlagent.contracts.base import Role
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput, Interrupted, MlagentError
from mlagent.contracts.plan import AgentPlan
from mlagent.contracts.prices import PriceTable
from mlagent.contracts.usage import Bill
from mlagent.contracts.words import counted
from mlagent.gateway.call_log import CallLog
from mlagent.gateway.gateway import Gateway, Journal
from mlagent.gateway.meter import Caps, Meter
from mlagent.gateway.prices import load_prices
from mlagent.gateway.service import AnthropicService, require_key
from mlagent.settings import Settings
from mlagent.store.files import write_json

from .planning import Consult
from .settings_check import check_prices
from .signals import on_ctrl_c
from .state import StopFlag

PATIENCE_S = 120.0
"""A busy service is waited for so long when planning: somebody sits at the terminal."""
UNTIL_S, CUT_S = 300.0, 600.0
"""Of a plan: after so long no call is sent, and one that is on its way is ended."""
TOLD_EVERY_S = 10.0
"""So often it is said how far an agent's answer is."""
POLL_S = 0.1
"""While it waits, a Ctrl-C is noticed within so many seconds."""
BILL = "bill.json"


class Silent:
    """A journal for what has no run."""

    def append(self, kind: str, /, **facts: Any) -> None:
        """Nothing: calls/ tells it."""


@contextmanager
def open_gateway(
    prices: PriceTable,
    contracts: Mapping[Role, Contract],
    folder: Path,
    caps: Caps,
    journal: Journal,
    *,
    patience_s: float = PATIENCE_S,
    until: float | None = None,
    cut_at: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_text: Callable[[str, int], None] = lambda agent, characters: None,
    nobody: bool = False,
) -> Iterator[Gateway]:
    """A gateway whose calls lie in `folder`.

    Args:
        until, cut_at: by the clock, no call is sent, and none is waited for.
        nobody: no call is sent; what was answered before is there.

    Raises:
        PrerequisiteMissing: no key.
    """
    by_agent: dict[str, Caps] = {
        name: Caps(usd=contract.guardrails.max_usd, tokens=contract.guardrails.max_tokens)
        for name, contract in contracts.items()
    }

    def sleep(seconds: float) -> None:
        end = time.monotonic() + seconds
        while not stop() and (left := end - time.monotonic()) > 0:
            time.sleep(min(POLL_S, left))

    with ExitStack() as open_:
        yield Gateway(
            None if nobody else open_.enter_context(closing(AnthropicService())),
            Meter(prices, caps, by_agent, time.monotonic, until),
            CallLog(folder),
            journal,
            clock=time.monotonic,
            sleep=sleep,
            stop=stop,
            on_text=on_text,
            patience_s=patience_s,
            cut_at=cut_at,
        )


def model_of(contract: Contract, prices: PriceTable) -> Model:
    """The model of a contract's tier. Raises BadInput: the contract forbids one, or no price."""
    if contract.model_tier == "none":
        raise BadInput(
            f"The contract of {contract.name} has model_tier none.",
            remedy="Use --author template, or change the contract.",
        )
    model = prices.tiers[contract.model_tier]
    price = prices.of(model)
    return Model(model, price.thinks, price.max_output)


def consult_claude(
    content: Content,
    settings: Settings,
    contracts: Mapping[Role, Contract],
    folder: Path,
    caps: Caps,
    say: Callable[[str], None],
) -> Consult:
    """For `make_plan`: asks Claude for each agent's plan.

    Args:
        folder: of the calls of this plan.
        say: a sentence for the user.

    Raises:
        PrerequisiteMissing: no key.
        BadInput: a key, an address or a price that cannot be used.
    """
    require_key()
    check_prices(settings)
    prices = load_prices(content, settings)

    def consult(
        context: PlanningContext, ours: dict[Role, AgentPlan]
    ) -> tuple[dict[Role, AgentPlan], tuple[str, ...]]:
        stop, begun_at = StopFlag(), time.monotonic()
        told: dict[str, float] = {}

        def writes(agent: str, characters: int) -> None:
            now = time.monotonic()
            if now - told.setdefault(agent, begun_at) >= TOLD_EVERY_S:
                told[agent] = now
                say(f"{agent}: Claude {wrote(characters)}.")

        with (
            ended_by_ctrl_c(stop),
            open_gateway(
                prices,
                contracts,
                folder,
                caps,
                Silent(),
                until=begun_at + UNTIL_S,
                cut_at=begun_at + CUT_S,
                stop=stop,
                on_text=writes,
            ) as gateway,
        ):

            def ask(role: Role) -> Proposed:
                contract, begun = contracts[role], time.monotonic()
                try:
                    model = model_of(contract, prices)
                    made = propose(gateway, content, contract, context, ours[role], model)
                except MlagentError as problem:
                    return Proposed(
                        ours[role], f"{role}: {problem.message} The template's plan stands."
                    )
                say(f"{role}: Claude answered after {time.monotonic() - begun:.0f} s.")
                return made

            say(f"Claude plans as {', '.join(ours)}, side by side.")
            try:
                with ThreadPoolExecutor(len(ours)) as pool:
                    made = dict(zip(ours, pool.map(ask, ours), strict=True))
            finally:
                bill = gateway.log.bill(prices.version)
                folder.mkdir(parents=True, exist_ok=True)
                write_json(folder / BILL, bill.model_dump(mode="json", by_alias=True))
        if stop():
            raise Interrupted(
                f"Stopped, no plan is written. {spent(bill)}",
                remedy=f"The bill and what was sent: {folder}",
            )
        say(spent(bill))
        notes = tuple(one.note for one in made.values() if one.note)
        for note in notes:
            say(note)
        return {role: one.plan for role, one in made.items()}, notes

    return consult


def wrote(characters: int) -> str:
    """How far an answer is. A model that thinks says nothing at first."""
    return f"wrote {characters:,} characters" if characters else "thinks"


def spent(bill: Bill) -> str:
    """What Claude cost, as a sentence."""
    total, possibly = bill.total, bill.possibly
    unsure = f", ${possibly.usd:.4f} of it possibly (sent, not answered)" if possibly.calls else ""
    return (
        f"Claude: {counted(total.calls, 'call')}, {total.tokens.total:,} tokens, "
        f"${total.usd:.4f}{unsure}."
    )


@contextmanager
def ended_by_ctrl_c(stop: StopFlag) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) sets the flag; others change nothing, for the end is near."""

    def handle() -> None:
        if not stop():
            stop.press()

    with on_ctrl_c(handle):
        yield
