"""`mlagent/pr-report/v1`: what a pull request changes, in numbers. The comment is a view of it.

The record may come from a job that ran a stranger's code, so everything has a limit, outcomes must
agree with their numbers, and nothing in it is ready-made Markdown, a link or a command.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import Direction, Finite, Record, Role, Sha256, TaskKind
from .contract import Comparison as GateComparison
from .drift import DataDifference, Name
from .evaluation import Difference, Score
from .metrics import METRICS
from .plan import OptionName

Text = Annotated[str, Field(max_length=1000)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
CandidateFolder = Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,79})?$")]
RailName = Literal[
    "worst_slice",
    "calibration_error",
    "model_mb",
    "predict_seconds",
    "latency_ms",
    "leakage_suspects",
]
MOST_SUSPECTS = 50
"""Columns that are named; a list of so many may be cut."""
Standing = Literal["compared", "base not evaluated", "not comparable"]


class Side(Record):
    """One of the two runs."""

    run: RunId
    commit: Commit | None = Field(None, description="that the run was made at")
    dirty: bool = Field(False, description="the working tree had uncommitted changes")
    data_sha256: Sha256
    model_name: Name = Field(description="which candidate ships; 'linear': the baseline itself")
    tier: Name
    judged_on: Literal["vault", "out-of-fold", "test file"]
    seal: Name
    opening: int = Field(ge=0)
    tries: int = Field(ge=0)


class MetricRow(Record):
    """One metric of both runs; the difference is oriented, positive is better for the head."""

    metric: Name
    direction: Direction
    primary: bool
    base: Score | None = None
    head: Score
    difference: Difference | None = None
    note: Text = ""

    @model_validator(mode="after")
    def _verdict_agrees(self) -> MetricRow:
        if self.metric not in METRICS:
            raise ValueError(f"{self.metric!r} is no metric")
        if self.direction != METRICS[self.metric].direction:
            raise ValueError(f"{self.metric!r} is not to {self.direction}")
        gap = self.difference
        if gap is None:
            return self
        said = "better" if gap.low > 0 else "worse" if gap.high < 0 else "not distinguishable"
        if gap.verdict != said or not gap.low <= gap.value <= gap.high:
            raise ValueError(f"the verdict {gap.verdict!r} of {self.metric!r} does not agree")
        way = 1.0 if self.direction == "maximize" else -1.0
        told = None if self.base is None else way * (self.head.value - self.base.value)
        if told is None or abs(told - gap.value) > 1e-6 * max(1.0, abs(told)):
            raise ValueError(f"the difference of {self.metric!r} is not that of its two scores")
        return self


class PrGate(Record):
    """One gate, decided by numbers of this report or of the run folder.

    `threshold` is None for gates that ask an interval: `value` is then the difference, and `low`
    its lower limit (`high` its upper one). A baseline that ships itself is not held against itself:
    that gate is not applicable, and has no number.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
    metric: Name
    comparison: GateComparison | Literal["not_worse_than_base"]
    threshold: Finite | None = None
    value: Finite | None = None
    low: Finite | None = None
    high: Finite | None = None
    required: bool
    outcome: Literal["pass", "fail", "not measured", "not applicable"]
    source: Name = Field(description="where the gate stands: a file at the base commit, ...")
    evidence: Text

    @model_validator(mode="after")
    def _outcome_agrees(self) -> PrGate:
        between = (self.low, self.value, self.high)
        known = [number for number in between if number is not None]
        if self.outcome == "not applicable":
            agrees = not known and self.comparison.startswith("better_than_")
        else:
            agrees = self.outcome == self.decided()
        if not agrees:
            raise ValueError(f"the outcome {self.outcome!r} of {self.name!r} does not agree")
        if self.low is not None and known != sorted(known):
            raise ValueError(f"the value of {self.name!r} lies outside its interval")
        return self

    def decided(self) -> str:
        """The outcome that the numbers of this gate have."""
        if self.comparison in ("at_least", "at_most"):
            if self.value is None or self.threshold is None:
                return "not measured"
            above = self.value >= self.threshold
            met = above if self.comparison == "at_least" else self.value <= self.threshold
        elif self.low is None or self.high is None:
            return "not measured"
        else:
            met = self.high >= 0 if self.comparison == "not_worse_than_base" else self.low > 0
        return "pass" if met else "fail"

    def evidence_agrees(self) -> bool:
        """Whether the evidence speaks of the numbers of this gate."""
        if self.value is None:
            return True
        if self.low is None or self.high is None:
            return f"{self.value:.4g}" in self.evidence
        verdict = "better" if self.low > 0 else "worse" if self.high < 0 else "not distinguishable"
        interval = f"({self.low:+.4g} to {self.high:+.4g}, positive is better): {verdict}"
        return self.evidence.endswith(f"{self.value:+.4g} {interval}")


class Rail(Record):
    """One number of both runs that gates may guard; None: the run folder does not hold it."""

    name: RailName
    base: Finite | None = None
    head: Finite | None = None


class SliceRow(Record):
    """One group of judged rows."""

    column: Name
    value: Name
    n: int = Field(ge=0)
    base: Score | None = None
    head: Score
    note: Text = ""


class PlanRow(Record):
    """What one agent chose, and how long it was meant to take and took."""

    agent: Role
    option: OptionName
    approach: Text
    base_option: OptionName | None = None
    estimated_s: Finite = Field(ge=0)
    actual_s: Finite | None = Field(None, ge=0)


class Curve(Record):
    """What the plots are drawn from: thinned points of one run."""

    roc: tuple[Finite, ...] = Field(
        (), max_length=21, description="true positive rate at evenly spaced false positive rates"
    )
    calibration: tuple[tuple[Finite, Finite, int], ...] = Field(
        (), max_length=50, description="mean predicted, observed, rows"
    )
    residuals: tuple[tuple[Finite, int], ...] = Field(
        (), max_length=50, description="middle of a bin, rows"
    )


class Cost(Record):
    """What the head's run took. `language_model` is the ledger's sentence about the spending."""

    wall_s: Finite = Field(ge=0)
    budget_s: Finite = Field(ge=0)
    base_wall_s: Finite | None = Field(None, ge=0)
    threads: int = Field(ge=0)
    model_mb: Finite | None = Field(None, ge=0)
    predict_seconds: Finite | None = Field(None, ge=0)
    language_model: Text = ""


class Reproduce(Record):
    """The flags that repeat the head's run, and where; the view writes the commands.

    `candidate` is the folder of a candidate that was handed in, below artifacts/ml-engineer/ of the
    run; '' for one whose name cannot stand in a command, None where the plan's option ran.
    `merged` is set for a run at GitHub's test merge, which no clone has: the merge's other parent.
    """

    budget_s: Finite = Field(ge=0)
    seed: int = Field(ge=0)
    selection: dict[Role, OptionName]
    vault: Finite | None = Field(None, ge=0, le=1)
    refit: bool = False
    test_file: bool = False
    candidate: CandidateFolder | None = None
    schedule: bool = Field(True, description="the run left one, which a replay follows")
    merged: Commit | None = None


class PrReport(Record):
    """A pull request's effect on the model."""

    schema_: Literal["mlagent/pr-report/v1"] = Field("mlagent/pr-report/v1", alias="schema")
    mlagent: Name
    task: Text
    kind: TaskKind
    head_commit: Commit | None = Field(description="the pull request's last commit")
    base_commit: Commit | None = Field(None, description="the base branch's commit")
    merge_base: Commit | None = None
    policy_commit: Commit | None = Field(
        None, description="whose settings, contracts and gates hold; None: the working tree's"
    )
    head: Side
    base: Side | None = None
    standing: Standing
    reason: Text = Field("", description="why there is no comparison; empty when there is one")
    rows: int = Field(ge=0, description="judged rows of the comparison")
    metrics: tuple[MetricRow, ...] = Field(max_length=40)
    gates: tuple[PrGate, ...] = Field(max_length=100)
    rails: tuple[Rail, ...] = Field((), max_length=6)
    slices: tuple[SliceRow, ...] = Field((), max_length=12)
    data: DataDifference
    head_curve: Curve = Curve()
    base_curve: Curve | None = None
    plan: tuple[PlanRow, ...] = Field((), max_length=3)
    cost: Cost
    reproduce: Reproduce
    suspects: tuple[Name, ...] = Field((), max_length=MOST_SUSPECTS)
    base_suspects: tuple[Name, ...] | None = Field(
        None, max_length=MOST_SUSPECTS, description="of the base's run; None: not known"
    )
    notes: tuple[Text, ...] = Field((), max_length=20)

    @model_validator(mode="after")
    def _parts_agree(self) -> PrReport:
        if [row.primary for row in self.metrics].count(True) != 1 or not self.metrics[0].primary:
            raise ValueError("metrics needs exactly one primary row, the first")
        compared = self.standing == "compared"
        if compared != (self.metrics[0].difference is not None):
            raise ValueError(f"standing is {self.standing!r}, but the primary row says otherwise")
        if compared and self.base is None:
            raise ValueError("a comparison needs a base")
        if not compared and (not self.reason or any(row.difference for row in self.metrics)):
            raise ValueError("without a comparison there is a reason and no difference")
        gap = self.metrics[0].difference
        for gate in self.gates:
            if gate.comparison == "not_worse_than_base" and gate.outcome != "not measured":
                asked = None if gap is None else (gap.value, gap.low, gap.high)
                if asked != (gate.value, gate.low, gate.high):
                    raise ValueError(f"the gate {gate.name!r} is not about the primary row")
            itself = gate.comparison == f"better_than_{self.head.model_name}"
            decided = ("not applicable",) if itself else ("pass", "fail")
            if gate.outcome not in (*decided, "not measured"):
                raise ValueError(f"the gate {gate.name!r} does not fit the model that ships")
        if sum(one.psi is not None for one in self.data.columns) > self.data.compared:
            raise ValueError("data names more columns with a PSI than were compared")
        new = sum(self.new_suspects.values())
        for gate in self.gates:
            if gate.metric == "leakage_suspects" and gate.value is not None and gate.value < new:
                raise ValueError(f"the gate {gate.name!r} counts fewer suspects than are named")
        if self.policy_commit is not None and self.policy_commit != self.base_commit:
            raise ValueError("the gates are of another commit than the base")
        return self

    @property
    def verdict(self) -> Literal["better", "worse", "not distinguishable", "not compared"]:
        """Of the head against the base, by the primary metric."""
        gap = self.metrics[0].difference
        return "not compared" if gap is None else gap.verdict

    @property
    def new_suspects(self) -> dict[str, bool]:
        """Each suspect -> whether it is known that the base does not keep it."""
        kept = self.base_suspects
        whole = kept is not None and len(kept) < MOST_SUSPECTS
        return {name: whole and name not in (kept or ()) for name in self.suspects}

    @property
    def failed(self) -> tuple[PrGate, ...]:
        """Required gates that did not pass."""
        return tuple(gate for gate in self.gates if gate.required and gate.outcome != "pass")
