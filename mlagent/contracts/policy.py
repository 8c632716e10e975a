"""orchestrator/*.yaml: how sentences are routed, plans reviewed, and runs paced.

Every key is required and is read by code: leaving one out is an error, never a silent default.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import Finite, Record, Role
from .plan import ConflictKind

Words = Annotated[tuple[str, ...], Field(min_length=1)]
"""Lower-case words or phrases; `*` stands for any word ending: 'predict*'."""
Share = Annotated[float, Field(gt=0, le=1)]


class Topic(Record):
    """Work that some contract handles: `routing.handles[].topic`."""

    words: Words
    why: str = Field(description="the reason that the plan shows for each agent")


class Refusal(Record):
    """Work that contracts name as a boundary: `boundaries[].topic`."""

    always: tuple[str, ...] = Field(description="words that refuse their part of the sentence")
    alone: tuple[str, ...] = Field(
        description="words that refuse it only where it names none of our topics"
    )
    sentence: str = Field(description="why, for the user")

    @model_validator(mode="after")
    def _has_words(self) -> Refusal:
        if not self.always and not self.alone:
            raise ValueError("a refusal needs words in `always` or in `alone`")
        return self


class RoutingPolicy(Record):
    """routing.yaml. `default` is the topic of a sentence without any known word ('churn')."""

    schema_: Literal["mlagent/routing-policy/v1"] = Field(alias="schema")
    default: str
    separators: Words = Field(description="where a sentence is cut into parts")
    negations: Words = Field(description="phrases that take a topic out: 'no model'")
    topics: dict[str, Topic]
    refusals: dict[str, Refusal]

    @model_validator(mode="after")
    def _default_is_a_topic(self) -> RoutingPolicy:
        if self.default not in self.topics:
            raise ValueError(f"default {self.default!r} is none of the topics {list(self.topics)}")
        return self


class ConflictRule(Record):
    severity: Literal["medium", "high", "critical"]
    resolution: str = Field(description="what to do; may name {agent} {option} {what}")


class Decision(Record):
    """Severities that make a plan no-go, and those that make it conditional-go."""

    no_go: tuple[Literal["medium", "high", "critical"], ...] = Field(min_length=1)
    conditional_go: tuple[Literal["medium", "high", "critical"], ...] = Field(min_length=1)


class Buffers(Record):
    """Per cent on top of the estimates."""

    simple: Literal[10, 25, 50]
    complex: Literal[10, 25, 50]
    high_risk: Literal[10, 25, 50]


class Thresholds(Record):
    budget_share: Share = Field(description="estimates above this share of the budget conflict")
    high_risk_risks: int = Field(ge=1, description="risks in the selected options: high risk")


class ReviewPolicy(Record):
    """review.yaml."""

    schema_: Literal["mlagent/review-policy/v1"] = Field(alias="schema")
    conflicts: dict[ConflictKind, ConflictRule]
    decision: Decision
    buffers: Buffers
    thresholds: Thresholds

    @model_validator(mode="after")
    def _covers_every_kind(self) -> ReviewPolicy:
        missing = [kind for kind in ConflictKind.__args__ if kind not in self.conflicts]  # type: ignore[attr-defined]
        if missing:
            raise ValueError(f"conflicts has no rule for {', '.join(missing)}")
        decided = {*self.decision.no_go, *self.decision.conditional_go}
        open_ones = {rule.severity for rule in self.conflicts.values()} - decided
        if open_ones:
            raise ValueError(f"decision says nothing about severity {', '.join(sorted(open_ones))}")
        return self


class PhaseRule(Record):
    name: str
    agents: tuple[Role, ...] = Field(min_length=1)
    mode: Literal["sequential", "parallel"]


class BudgetShares(Record):
    """At most these shares of the budget; the fit on dev gets what is left."""

    explore: Share
    analyse: Share
    folds: Share
    package: Share = Field(description="judging, packaging, report")

    @model_validator(mode="after")
    def _something_is_left(self) -> BudgetShares:
        if self.fit <= 0:
            raise ValueError("the shares leave nothing for the fit")
        return self

    @property
    def fit(self) -> float:
        """What is left for the fit on dev rows."""
        return 1.0 - self.explore - self.analyse - self.folds - self.package


class Overrun(Record):
    """A run may take `factor` x budget + `seconds` (budgets of `strict_from_s` and more)."""

    factor: Finite = Field(ge=1)
    seconds: Finite = Field(ge=0)
    strict_from_s: Finite = Field(ge=0)


class Retries(Record):
    """Repeats after a reply or artifact that broke its contract."""

    contract_error: int = Field(ge=0, le=5)


class ExecutionPolicy(Record):
    """execution.yaml."""

    schema_: Literal["mlagent/execution-policy/v1"] = Field(alias="schema")
    phases: tuple[PhaseRule, ...] = Field(min_length=1)
    budget_shares: BudgetShares
    overrun: Overrun
    retries: Retries

    @model_validator(mode="after")
    def _each_agent_once(self) -> ExecutionPolicy:
        agents = [agent for phase in self.phases for agent in phase.agents]
        for role in Role.__args__:  # type: ignore[attr-defined]
            if agents.count(role) != 1:
                raise ValueError(
                    f"{role} must stand in exactly one phase, not {agents.count(role)}"
                )
        return self


class Policies(Record):
    """The three files together."""

    routing: RoutingPolicy
    review: ReviewPolicy
    execution: ExecutionPolicy
