"""contracts/<role>.yaml: what an agent may do, must deliver, and where each clause is enforced.

Guarantees: a contract that loads has every field, no unknown one, and no clause that no tier could
enforce (the types refuse it: `network` can only be 'none'). `ENFORCEMENT` names one point for each
leaf. Does not enforce anything itself: the points do, and the ledger says what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from .base import Finite, Record, Role
from .plan import OptionName

Point = Literal[
    "router",
    "sandbox policy",
    "schema",
    "gate",
    "budget gateway",
    "plan schema",
    "plan review",
    "content loader",
    "tool loop",
    "ledger",
    "advisory",
]
"""Where a clause is enforced. `tool loop`: before a tool that a language model calls is used.
`ledger`: checked after the run on the evidence, not prevented before."""
Command = Literal["fit", "predict", "folds", "script", "bundle", "probe-packages"]
"""Commands of `sandbox/runner.py`: the only things that an agent can have done."""
ModelTool = Literal[
    "look_at_profile", "run_analysis", "read_artifact", "submit_candidate", "ask_user"
]
"""What a language model that works as the agent may call. An analysis is also a `script`."""
Tool = Command | ModelTool
Comparison = Literal["better_than_dummy", "better_than_linear", "at_least", "at_most"]
"""The first two are relative: the paired interval of the difference must lie above 0."""
Words = Annotated[tuple[str, ...], Field(min_length=1)]
Glob = Annotated[str, Field(pattern=r"^/(in|out|run)/[A-Za-z0-9_.*?/-]+$")]
"""A path inside the sandbox, or below /run of the run's own folder for `read_artifact`; with `*`
and `?` inside one segment and `**` across segments."""


class Handles(Record):
    """One kind of work. `topic` is a key of `topics` in orchestrator/routing.yaml."""

    topic: str
    examples: Words = Field(description="sentences that the router gives to this agent")


class ContractRouting(Record):
    handles: tuple[Handles, ...] = Field(min_length=1)


class Boundary(Record):
    """Work that is refused. `topic` is a key of `refusals` in orchestrator/routing.yaml."""

    topic: str
    delegate_to: str | None = Field(description="an agent of the user's, or null: out of scope")


class Input(Record):
    """An artifact that must have arrived before the agent starts."""

    artifact: str
    schema_: str = Field(alias="schema", description="schema tag of the record, or a file kind")
    from_: str = Field(alias="from", description="an agent, 'user', 'planning' or 'referee'")
    required: bool


class Output(Record):
    """An artifact that the agent hands on."""

    artifact: str
    schema_: str = Field(alias="schema")
    to: Words
    required: bool


class Resources(Record):
    """Ceilings. A job gets the smallest of this, the tier's default and what the budget leaves."""

    memory_mb: int = Field(ge=256, le=1_048_576)
    cpus: Finite = Field(gt=0, le=256)
    pids: int = Field(ge=8, le=4096)
    disk_mb: int = Field(ge=1, le=65_536, description="all outputs together")
    wall_s: Finite = Field(gt=0, description="of one job")
    network: Literal["none"]


class Guardrails(Record):
    privacy: Literal["aggregates-only"]
    seeds: Literal["fixed"]
    environment: Literal["pinned"]
    labels: Literal["never-of-the-vault"]
    max_tokens: int = Field(ge=0)
    max_usd: Finite = Field(ge=0)


class QualityGate(Record):
    """One gate. `metric`: 'primary' (the task's own), a name in METRICS, `calibration_error`, or a
    measure of the agent's work (AGENT_MEASURES). `threshold` is None exactly for the relative
    ones."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    metric: str
    comparison: Comparison
    threshold: Finite | None = None
    required: bool

    @model_validator(mode="after")
    def _threshold_fits_the_comparison(self) -> QualityGate:
        relative = self.comparison.startswith("better_than_")
        if relative and self.threshold is not None:
            raise ValueError(f"the gate {self.name!r} is relative and takes no threshold")
        if not relative and self.threshold is None:
            raise ValueError(f"the gate {self.name!r} ({self.comparison}) needs a threshold")
        return self


AGENT_MEASURES: dict[str, str] = {
    "columns_with_role": "share of the feature columns for which the explorer found a role",
    "checks_done": "number of assumption checks that came to an outcome",
}
"""Metrics of gates that judge an agent's own work; the ledger measures them on the artifacts."""
RUN_MEASURES = (
    "primary",
    "worst_slice",
    "calibration_error",
    "predict_seconds",
    "model_mb",
    "latency_ms",
    "leakage_suspects",
)
"""Metrics of gates that are neither in METRICS nor in AGENT_MEASURES: numbers of a judged run."""


class ContractPlanning(Record):
    min_options: int = Field(ge=2, le=3)
    max_options: int = Field(ge=2, le=3)
    options: dict[OptionName, str] = Field(description="what each option means for this agent")

    @model_validator(mode="after")
    def _bounds_fit(self) -> ContractPlanning:
        if not self.min_options <= self.max_options <= len(self.options):
            raise ValueError(
                f"min_options {self.min_options}, max_options {self.max_options} and "
                f"{len(self.options)} named options do not fit together"
            )
        return self


class Handoff(Record):
    to: str
    artifact: str


class SuccessCriterion(Record):
    """`check`: 'artifact: NAME' (delivered and valid), 'gate: NAME' (passed), 'package verified',
    'within budget', or 'advisory'."""

    criterion: str
    check: str = Field(
        pattern=r"^(artifact: [a-z_]+|gate: [a-z0-9-]+|package verified|within budget|advisory)$"
    )


class Prompts(Record):
    """Content files of the persona."""

    system: str = Field(pattern=r"^agents/[a-z-]+/[a-z_.0-9]+$")
    examples: str = Field(pattern=r"^agents/[a-z-]+/[a-z_.0-9]+$")


class Contract(Record):
    """One agent's contract. Every field is required, so that leaving a clause out is an error."""

    schema_: Literal["mlagent/contract/v1"] = Field(alias="schema")
    name: Role
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    role: str = Field(min_length=1, description="what the agent is for; part of its system prompt")
    model_tier: Literal["none", "fast", "balanced", "deep"] = Field(
        description="which language model may author for it; the template author needs none"
    )
    routing: ContractRouting
    boundaries: tuple[Boundary, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    reads: tuple[Glob, ...]
    writes: tuple[Glob, ...]
    tools: tuple[Tool, ...]
    resources: Resources
    guardrails: Guardrails
    quality_gates: tuple[QualityGate, ...]
    planning: ContractPlanning
    handoffs: tuple[Handoff, ...]
    success_criteria: tuple[SuccessCriterion, ...]
    prompts: Prompts

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Contract:
        delivered = {(output.artifact, to) for output in self.outputs for to in output.to}
        for handoff in self.handoffs:
            if (handoff.artifact, handoff.to) not in delivered:
                raise ValueError(
                    f"the handoff of {handoff.artifact!r} to {handoff.to!r} is no output"
                )
        gates = {gate.name for gate in self.quality_gates}
        artifacts = {output.artifact for output in self.outputs}
        for criterion in self.success_criteria:
            kind, _, name = criterion.check.partition(": ")
            if kind == "gate" and name not in gates:
                raise ValueError(f"the criterion {criterion.criterion!r} names no gate {name!r}")
            if kind == "artifact" and name not in artifacts:
                raise ValueError(f"the criterion {criterion.criterion!r} names no output {name!r}")
        return self

    def may_read(self, path: str) -> bool:
        """Whether a path such as '/in/train.parquet' or '/run/task.json' is among the reads."""
        return _allowed(path, self.reads)

    def may_write(self, path: str) -> bool:
        """Whether a sandbox path such as '/out/model.pkl' is among the writes."""
        return _allowed(path, self.writes)


def _allowed(path: str, globs: tuple[str, ...]) -> bool:
    parts = PurePosixPath(path).parts
    if ".." in parts or not path.startswith("/"):
        return False
    return any(_matches(parts, PurePosixPath(glob).parts) for glob in globs)


def _matches(parts: tuple[str, ...], glob: tuple[str, ...]) -> bool:
    """Segment by segment; `**` stands for one or more segments."""
    if not glob or not parts:
        return not glob and not parts
    if glob[0] == "**":
        return any(_matches(parts[n:], glob[1:]) for n in range(1, len(parts) + 1))
    return fnmatchcase(parts[0], glob[0]) and _matches(parts[1:], glob[1:])


ENFORCEMENT: dict[str, Point] = {
    "schema": "schema",
    "name": "schema",
    "version": "ledger",
    "role": "advisory",
    "model_tier": "budget gateway",
    "routing.handles[].topic": "router",
    "routing.handles[].examples[]": "router",
    "boundaries[].topic": "router",
    "boundaries[].delegate_to": "router",
    "inputs[].artifact": "plan review",
    "inputs[].schema": "schema",
    "inputs[].from": "plan review",
    "inputs[].required": "plan review",
    "outputs[].artifact": "schema",
    "outputs[].schema": "schema",
    "outputs[].to[]": "plan review",
    "outputs[].required": "schema",
    "reads[]": "sandbox policy",
    "writes[]": "sandbox policy",
    "tools[]": "sandbox policy",
    "resources.memory_mb": "sandbox policy",
    "resources.cpus": "sandbox policy",
    "resources.pids": "sandbox policy",
    "resources.disk_mb": "sandbox policy",
    "resources.wall_s": "sandbox policy",
    "resources.network": "sandbox policy",
    "guardrails.privacy": "schema",
    "guardrails.seeds": "ledger",
    "guardrails.environment": "ledger",
    "guardrails.labels": "sandbox policy",
    "guardrails.max_tokens": "budget gateway",
    "guardrails.max_usd": "budget gateway",
    "quality_gates[].name": "gate",
    "quality_gates[].metric": "gate",
    "quality_gates[].comparison": "gate",
    "quality_gates[].threshold": "gate",
    "quality_gates[].required": "gate",
    "planning.min_options": "plan schema",
    "planning.max_options": "plan schema",
    "planning.options{}": "plan schema",
    "handoffs[].to": "plan review",
    "handoffs[].artifact": "plan review",
    "success_criteria[].criterion": "advisory",
    "success_criteria[].check": "ledger",
    "prompts.system": "content loader",
    "prompts.examples": "content loader",
}
"""Leaf field -> its enforcement point. `[]` is any item of a list, `{}` any value of a map. What a
language model may read and call is a matter of the tool loop, see `point_of`."""


def point_of(section: str, item: str) -> Point:
    """Where one of `reads`, `writes` or `tools` is enforced."""
    if item in get_args(ModelTool) or item.startswith("/run/"):
        return "tool loop"
    return ENFORCEMENT[f"{section}[]"]


class Clause(Record):
    """One line of a contract as `explain` and the ledger show it: a scalar, or one item of a
    list."""

    path: str = Field(description="such as 'resources.memory_mb' or 'outputs[column_roles]'")
    value: str
    enforced_by: Point


def clauses(contract: Contract) -> Iterator[Clause]:
    """Every clause of the contract, in the order of the file. Each leaf is part of one clause."""
    for name in ("schema", "name", "version", "role", "model_tier"):
        value = contract.schema_ if name == "schema" else getattr(contract, name)
        yield Clause(path=name, value=str(value), enforced_by=ENFORCEMENT[name])
    for handles in contract.routing.handles:
        shown = "; ".join(repr(example) for example in handles.examples)
        yield _clause("routing.handles", handles.topic, f"such as {shown}", "topic")
    for boundary in contract.boundaries:
        to = boundary.delegate_to
        shown = f"refused, delegate to {to}" if to else "refused, out of scope"
        yield _clause("boundaries", boundary.topic, shown, "topic")
    for item in contract.inputs:
        must = "required" if item.required else "optional"
        shown = f"{item.schema_} from {item.from_}, {must}"
        yield _clause("inputs", item.artifact, shown, "artifact")
    for output in contract.outputs:
        must = "required" if output.required else "optional"
        shown = f"{output.schema_} to {', '.join(output.to)}, {must}"
        yield _clause("outputs", output.artifact, shown, "artifact")
    for name in ("reads", "writes", "tools"):
        for text in getattr(contract, name):
            point = point_of(name, text)
            yield Clause(path=f"{name}[{text}]", value="allowed", enforced_by=point)
    for section in ("resources", "guardrails"):
        record = getattr(contract, section)
        for name in type(record).model_fields:
            value, path = getattr(record, name), f"{section}.{name}"
            yield Clause(path=path, value=f"{value}", enforced_by=ENFORCEMENT[path])
    for gate in contract.quality_gates:
        limit = "" if gate.threshold is None else f" {gate.threshold:g}"
        must = "required" if gate.required else "advisory"
        shown = f"{gate.metric} {gate.comparison}{limit}, {must}"
        yield _clause("quality_gates", gate.name, shown, "name")
    yield Clause(
        path="planning.min_options",
        value=str(contract.planning.min_options),
        enforced_by=ENFORCEMENT["planning.min_options"],
    )
    yield Clause(
        path="planning.max_options",
        value=str(contract.planning.max_options),
        enforced_by=ENFORCEMENT["planning.max_options"],
    )
    for option, meaning in contract.planning.options.items():
        point = ENFORCEMENT["planning.options{}"]
        yield Clause(path=f"planning.options[{option}]", value=meaning, enforced_by=point)
    for handoff in contract.handoffs:
        yield _clause("handoffs", f"{handoff.artifact} -> {handoff.to}", "delivered", "artifact")
    for criterion in contract.success_criteria:
        point = ENFORCEMENT["success_criteria[].check"]
        if criterion.check == "advisory":
            point = "advisory"
        yield Clause(
            path=f"success_criteria[{criterion.check}]",
            value=criterion.criterion,
            enforced_by=point,
        )
    for name in ("system", "examples"):
        value, path = getattr(contract.prompts, name), f"prompts.{name}"
        yield Clause(path=path, value=value, enforced_by=ENFORCEMENT[path])


def _clause(section: str, item: str, value: str, leaf: str) -> Clause:
    point = ENFORCEMENT[f"{section}[].{leaf}"]
    return Clause(path=f"{section}[{item}]", value=value, enforced_by=point)
