"""What the tools answer: one record each, the schema that the client is told.

Every field is a number that mlagent measured, a fact of a file, or a text that mlagent composed.
Names that come from a table are data; they are cut to one printable line. `detail` and fields that
are None in concise answers are filled with `response_format="detailed"`, and long texts are whole.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlagent.contracts.base import Finite, Record
from mlagent.contracts.evaluation import Difference, Score

RunState = Literal["running", "finished", "stopped", "failed"]


class Answer(Record):
    """What every answer about a folder says."""

    folder: str = Field(description="the project folder that was used")
    roots_from: str = Field(description="who named the allowed folders")


class Rows(Answer):
    """An answer with pages."""

    total: int = Field(description="rows in all")
    next_cursor: str | None = Field(None, description="give it as `cursor` for the next page")


class Column(Record):
    name: str
    role: str
    dtype: str
    missing: Finite = Field(description="share of rows")
    distinct: int
    detail: dict[str, Any] | None = None


class ProfileAnswer(Rows):
    """`total` counts columns."""

    table: str
    format: str
    rows: int
    duplicate_rows: int | None
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...]


class OptionLine(Record):
    name: str
    approach: str
    seconds: Finite = Field(description="estimated wall clock here")
    complexity: str
    pros: tuple[str, ...] | None = None
    cons: tuple[str, ...] | None = None
    risks: tuple[str, ...] | None = None
    dependencies: tuple[str, ...] | None = None


class AgentLine(Record):
    agent: str
    selected: str | None
    options: tuple[OptionLine, ...]
    why: str
    conditions: tuple[str, ...] | None = None
    questions: tuple[str, ...] = ()


class ConflictLine(Record):
    kind: str
    severity: str
    what: str
    resolution: str


class ReviewFacts(Answer):
    """`seconds` is the estimate with its buffer; the budget is wall clock."""

    decision: Literal["go", "no-go", "conditional-go"]
    reasons: tuple[str, ...]
    conflicts: tuple[ConflictLine, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: Finite | None = None
    budget_seconds: Finite


class PlanAnswer(ReviewFacts):
    """`plan` is the file that was written; edit `selection`, `columns.exclude`, `budget` there."""

    plan: str
    moved: str | None = Field(None, description="where the plan before it is now")
    table: str | None
    kind: str | None
    target: str | None
    metric: str | None
    inferred: tuple[str, ...] = Field((), description="what was guessed, and how surely")
    refused: tuple[str, ...] = ()
    agents: tuple[AgentLine, ...]


class ReviewAnswer(ReviewFacts):
    plan: str
    selection: dict[str, str]
    phases: tuple[str, ...] | None = None


class Event(Record):
    """One line of the journal."""

    n: int
    seconds: Finite
    kind: str
    facts: str


class RunAnswer(Rows):
    """`total` counts journal events; a stopped or failed run can be resumed."""

    run: str
    state: RunState
    phase: str | None = None
    phases_done: tuple[str, ...] = ()
    seconds: Finite
    budget_seconds: Finite | None = None
    tier: str | None = Field(None, description="T3: a container; T0: a plain process, not sealed")
    verdict: str | None = None
    error: str | None = None
    next: str = Field(description="what to call next")
    events: tuple[Event, ...] | None = None


class TryAnswer(Answer):
    """A candidate on the dev folds; the vault stays shut."""

    run: str
    candidate: str
    outcome: str
    metric: str
    score: Score | None
    difference_to_linear: Difference | None
    place: int | None = Field(description="on the board of these dev folds; None without a score")
    of: int
    fit_seconds: Finite | None = None


class Side(Record):
    """What one of two runs says of itself."""

    model: str
    tier: str
    tries: int
    baselines: dict[str, Score]
    metrics: dict[str, Score]


class CompareAnswer(Answer):
    """`difference` is paired on the same rows; positive means that `first` is better."""

    first: str
    second: str
    metric: str
    rows: int
    first_score: Score
    second_score: Score
    difference: Difference
    sides: tuple[Side, ...] | None = None


class GateLine(Record):
    name: str
    metric: str
    comparison: str
    threshold: Finite | None
    value: Finite | None
    required: bool
    outcome: str
    evidence: str | None = Field(None, description="in concise answers of what is no pass")


class GatesAnswer(Rows):
    """`met` is False when a required gate is not a pass, whatever the reason."""

    run: str
    met: bool
    gates: tuple[GateLine, ...]


class SliceLine(Record):
    column: str
    value: str
    n: int
    score: Score | None
    note: str


class ReportAnswer(Rows):
    """`total` counts slices: the flagged ones first."""

    run: str
    verdict: str
    model: str
    metric: str
    judged_on: str
    score: Score
    baselines: dict[str, Score]
    difference_to_linear: Difference
    gates_met: bool
    tier: str
    tries: int
    opening: int = Field(description="how often this vault was opened")
    report: str
    model_card: str
    slices: tuple[SliceLine, ...]
    metrics: dict[str, Score] | None = None
    board: tuple[str, ...] | None = None
    importance: tuple[str, ...] | None = None
    cannot_see: tuple[str, ...] | None = None


class ClauseLine(Record):
    clause: str
    value: str
    enforced_by: str


class ContractAnswer(Record):
    """One contract's clauses, or without an agent the list of agents in `agents`."""

    agents: dict[str, str] = Field(description="agent -> its role in one line")
    agent: str | None = None
    version: str | None = None
    total: int = 0
    next_cursor: str | None = None
    clauses: tuple[ClauseLine, ...] = ()
