"""What the ledger is made from: the facts of one run, and one clause beside them.

Guarantees nothing about the facts: the executor fills them from what it saw, never from a
candidate's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from mlagent.contracts.base import Role
from mlagent.contracts.contract import Clause, Contract
from mlagent.contracts.evaluation import Gate
from mlagent.contracts.findings import Analysis, Exploration
from mlagent.contracts.plan import Plan
from mlagent.contracts.policy import Policies
from mlagent.contracts.ports import Limits, Tier
from mlagent.contracts.usage import Spent

Said = Literal["pass", "fail", "not enforced", "advisory", "not applicable"]


class Outcome(NamedTuple):
    """What came of a clause."""

    said: Said
    evidence: str


class JobEvidence(NamedTuple):
    """One job as it ran. `inputs`, `outputs`: names below /in and /out; None: not recorded."""

    agent: Role
    name: str
    verdict: str
    limits: Limits
    command: str = ""
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None


class ToolEvidence(NamedTuple):
    """One call of a tool by a language model. `path`: what was read, '' for other tools."""

    agent: str
    tool: str
    path: str
    refused: bool


@dataclass(frozen=True)
class LedgerEvidence:
    """What the executor saw. Nothing here comes from a candidate's own words.

    Attributes:
        plan: as it was executed.
        policies: the routing policy tells which boundary a refusal belongs to.
        jobs: every job of the run, in order.
        artifacts: name -> True when it validated against its schema, False when it did not; names
            that are absent were not made.
        gates: as evaluated by the referee.
        measures: see AGENT_MEASURES; computed from `exploration` and `analysis` when absent.
        seed: that every request and spec carried; None when they differed.
        image: sha256 id of the image; None below T3.
        packages: versions inside the sandbox, as recorded in environment.json.
        content: sha256 of each content file that was used.
        tools: every call of a tool by a language model that worked as an agent.
        shared_rows: dev rows that were shown to a language model, as the user allowed.
        tokens, usd: spent on language models; `by_agent`: by each agent, where that is known.
        vault_rows: 0 without a vault.
        package_verified: None when the check was not made.
    """

    plan: Plan
    policies: Policies
    jobs: tuple[JobEvidence, ...] = ()
    artifacts: Mapping[str, bool] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    exploration: Exploration | None = None
    analysis: Analysis | None = None
    seed: int | None = None
    image: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    content: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[ToolEvidence, ...] = ()
    shared_rows: int = 0
    tokens: int = 0
    usd: float = 0.0
    by_agent: Mapping[str, Spent] = field(default_factory=dict)
    vault_rows: int = 0
    package_verified: bool | None = None
    budget_s: float = 0.0
    wall_s: float = 0.0


class Case(NamedTuple):
    """One clause with all that its rule may look at."""

    clause: Clause
    contract: Contract
    contracts: Mapping[Role, Contract]
    seen: LedgerEvidence
    tier: Tier
    enforced: frozenset[str]

    @property
    def item(self) -> str:
        """'column_roles' of 'outputs[column_roles]'."""
        return self.clause.path.partition("[")[2].removesuffix("]")

    @property
    def tools(self) -> list[ToolEvidence]:
        """Calls of tools that were not refused."""
        mine = (tool for tool in self.seen.tools if tool.agent == self.contract.name)
        return [tool for tool in mine if not tool.refused]

    @property
    def jobs(self) -> list[JobEvidence]:
        return [job for job in self.seen.jobs if job.agent == self.contract.name]
