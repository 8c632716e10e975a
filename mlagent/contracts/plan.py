"""agent_plan (one per agent) and plan.yaml (`plan` writes, the user edits, `execute` reads)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Level, Record, Role
from .profile import Profile
from .task import DataRef, TaskSpec

OptionName = Literal["option_a", "option_b", "option_c"]


class Option(Record):
    """One way to do an agent's work, with its trade-offs."""

    approach: str = Field(min_length=1)
    description: str | None = None
    pros: tuple[str, ...]
    cons: tuple[str, ...]
    time_estimate_hours: float = Field(ge=0, description="wall clock on this machine")
    complexity: Level
    risks: tuple[str, ...]
    dependencies: tuple[str, ...] = Field(
        description="'kind: name', kinds python, agent, artifact, data, user; others warn"
    )
    confidence: Level | None = None


class Recommendation(Record):
    """Which option the agent would take, why, and what must hold for that."""

    selected: OptionName
    rationale: str
    conditions: tuple[str, ...]


class AgentPlan(Record):
    """The body under the key `agent_plan`: option_a, option_b and maybe option_c."""

    agent_name: str
    task: str
    implementation_options: dict[OptionName, Option]
    recommendation: Recommendation
    questions_for_review: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _options_are_two_or_three(self) -> AgentPlan:
        names = set(self.implementation_options)
        if not {"option_a", "option_b"} <= names:
            raise ValueError("implementation_options needs option_a and option_b")
        if self.recommendation.selected not in names:
            raise ValueError(
                f"recommendation.selected is {self.recommendation.selected!r}, "
                f"but the options are {sorted(names)}"
            )
        return self


class AgentPlanDocument(Record):
    """A file or message that holds one agent plan: `agent_plan: {...}`."""

    agent_plan: AgentPlan


class Routed(Record):
    """One agent that was chosen."""

    agent: Role
    why: str


class Refused(Record):
    """A part of the sentence that no agent here does."""

    what: str
    why: str
    delegate_to: str | None = Field(
        None, description="an agent of the user's, or None: out of scope"
    )


class Routing(Record):
    """Who works on the task, and what was refused."""

    agents: tuple[Routed, ...]
    refused: tuple[Refused, ...] = ()


ConflictKind = Literal[
    "technology_mismatch",
    "dependency_contradiction",
    "timeline_conflict",
    "architectural_mismatch",
    "security_requirements",
]
SEVERITY: dict[ConflictKind, Literal["medium", "high", "critical"]] = {
    "technology_mismatch": "high",
    "dependency_contradiction": "critical",
    "timeline_conflict": "medium",
    "architectural_mismatch": "high",
    "security_requirements": "critical",
}


class Conflict(Record):
    """Something in the selected options that does not fit together."""

    kind: ConflictKind
    severity: Literal["medium", "high", "critical"]
    agents: tuple[str, ...]
    what: str
    resolution: str


class PlannedTask(Record):
    agent: Role
    option: OptionName
    estimated_hours: float


class Phase(Record):
    """One step of the execution: its tasks run in sequence or in parallel."""

    name: str
    mode: Literal["sequential", "parallel"]
    tasks: tuple[PlannedTask, ...]


class Timeline(Record):
    """Parallel tasks take the maximum, sequential ones the sum; the buffer is 10, 25 or 50 %."""

    total_hours: float
    buffer_percent: Literal[10, 25, 50]
    total_with_buffer_hours: float


class Review(Record):
    """Phase 3, computed in code from the selected options."""

    decision: Literal["go", "no-go", "conditional-go"]
    reasons: tuple[str, ...]
    conflicts: tuple[Conflict, ...] = ()
    warnings: tuple[str, ...] = ()
    refined_execution_plan: tuple[Phase, ...] = ()
    timeline_summary: Timeline | None = None


class ColumnChoice(Record):
    """How one column is read; `role` may be edited by the user."""

    role: str
    dtype: str
    datetime_format: str | None = None
    missing_tokens: tuple[str, ...] = ()
    thousands: bool = False
    decimal_comma: bool = False


class Columns(Record):
    """The columns as `plan` found them, and the ones that the user takes out."""

    found: dict[str, ColumnChoice] = {}
    exclude: tuple[str, ...] = ()


class Budget(Record):
    """`seconds` is wall clock from the start of `execute` to the manifest."""

    seconds: float = Field(300.0, gt=0)
    max_usd: float = Field(0.0, ge=0)


class Machine(Record):
    """What the estimates were computed with (calibration: once per machine, cached)."""

    cpus: int
    memory_mb: int
    rows_columns_per_second: float = Field(description="of a fixed boosting fit; see planning")
    engine: str = Field(description="docker 20.10.24, podman ..., none")


class Plan(Record):
    """plan.yaml."""

    schema_: Literal["mlagent/plan/v1"] = Field("mlagent/plan/v1", alias="schema")
    created: str = Field(description="ISO 8601, UTC")
    mlagent: str = Field(description="version that wrote it")
    task: TaskSpec
    data: DataRef | None = None
    columns: Columns = Columns()
    routing: Routing
    agent_plans: dict[Role, AgentPlan]
    review: Review
    selection: dict[Role, OptionName]
    vault: Literal["auto"] | float = Field("auto", description="share of rows, 0 for none")
    budget: Budget = Budget()
    machine: Machine | None = None
    profile: Profile | None = None
    author: Literal["template", "claude"] = Field("template", description="who wrote the options")
    notes: tuple[str, ...] = Field((), description="what is to be said of how the plan came about")
    share_rows: bool = Field(
        False, description="`execute` may show a few dev rows to a language model"
    )
