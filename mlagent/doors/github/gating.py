"""The gates of a pull request: those of the base commit, decided by the head's measured numbers.

Guarantees: a gate passes on a measured number only; the head can add gates (its own constraints)
and never take one away. Does not: decide exit codes, or read anything of the working tree.
"""

from __future__ import annotations

from typing import Any

from mlagent.contracts.evaluation import Difference, Gate, SliceScore
from mlagent.contracts.pr_report import PrGate, Rail, RailName
from mlagent.data.drift import clip
from mlagent.orchestrator.judging import constraint_gates
from mlagent.referee.gates import Measured, evaluate_gates
from mlagent.referee.metrics import sign

from .base_ref import Policy, SourcedGate
from .comparing import Compared
from .run_facts import RunFacts, measures_of, model_mb, number_of

NOT_WORSE = "not-worse-than-base"
LEAKAGE = "no-new-leakage-suspect"
OWN = "pull request"


def decide_gates(
    policy: Policy, head: RunFacts, base: RunFacts | None, compared: Compared
) -> tuple[PrGate, ...]:
    """Every gate of the policy, then those that a pull request adds."""
    gates = list(policy.gates)
    named = {one.gate.name for one in gates}
    gates += [
        SourcedGate(gate, f"run {head.run.id}")
        for gate in constraint_gates(head.task)
        if gate.name not in named
    ]
    measured = _measured(head, compared)
    decided = evaluate_gates([one.gate for one in gates], measured)
    rows = [_decided(one, gate, measured) for one, gate in zip(gates, decided, strict=True)]
    return (*rows, _not_worse(base, compared), _leakage(head, base))


def rails_of(head: RunFacts, base: RunFacts | None) -> tuple[Rail, ...]:
    """The numbers that gates may guard, of both runs, whether or not a gate asks for them."""
    mine, before = _rails(head), {} if base is None else _rails(base)
    return tuple(
        Rail(name=name, base=before.get(name), head=value)
        for name, value in mine.items()
        if value is not None or before.get(name) is not None
    )


def _rails(facts: RunFacts) -> dict[RailName, float | None]:
    evaluation, measures = facts.evaluation, measures_of(facts)
    way = sign(evaluation.metric)
    scored = [one.score.value for one in evaluation.slices if one.score is not None]
    calibration = evaluation.calibration
    return {
        "worst_slice": min(scored, key=lambda value: way * value) if scored else None,
        "calibration_error": None if calibration is None else calibration.expected_error,
        "model_mb": model_mb(facts),
        "predict_seconds": number_of(facts.judged.get("predict_seconds")),
        "latency_ms": measures.get("latency_ms"),
        "leakage_suspects": measures["leakage_suspects"],
    }


def _measured(head: RunFacts, compared: Compared) -> Measured:
    """The head's numbers; slices only where they were scored as the base's settings say."""
    evaluation, own = head.evaluation, compared.own
    slices: tuple[SliceScore, ...] = evaluation.slices
    if abs(own.scores["model"].value - evaluation.model.value) > 1e-9:
        slices = ()
    return Measured(
        metric=head.task.metric or "",
        model=own.scores["model"],
        model_name=head.evaluation.model_name,
        difference_to_dummy=own.differences["dummy"],
        difference_to_linear=own.differences["linear"],
        metrics={row.metric: row.head for row in compared.metrics},
        slices=slices,
        calibration=evaluation.calibration,
        predict_seconds=number_of(head.judged.get("predict_seconds")),
        model_mb=model_mb(head),
        others=measures_of(head),
    )


def _decided(one: SourcedGate, decided: Gate, measured: Measured) -> PrGate:
    gate, gap = one.gate, None
    if gate.comparison.startswith("better_than_") and decided.value is not None:
        dummy = gate.comparison == "better_than_dummy"
        gap = measured.difference_to_dummy if dummy else measured.difference_to_linear
    return _gate(
        gate.name,
        gate.metric,
        gate.comparison,
        gate.required,
        one.source,
        decided.evidence,
        threshold=gate.threshold,
        value=decided.value,
        gap=gap,
        applies=decided.outcome != "not applicable",
    )


def _not_worse(base: RunFacts | None, compared: Compared) -> PrGate:
    """Required as soon as there is a base: a change of rows or metric does not evade it."""
    row = compared.metrics[0]
    gap = row.difference
    evidence = compared.reason
    if gap is not None:
        evidence = (
            f"difference in {row.metric} to the base {gap.value:+.4g} ({gap.low:+.4g} to "
            f"{gap.high:+.4g}, positive is better): {gap.verdict}"
        )
    return _gate(
        NOT_WORSE,
        row.metric,
        "not_worse_than_base",
        base is not None,
        OWN,
        evidence,
        value=None if gap is None else gap.value,
        gap=gap,
    )


def _leakage(head: RunFacts, base: RunFacts | None) -> PrGate:
    """No column that predicts the target almost alone, but for the very ones that the base keeps:
    another one in the place of one of those is new."""
    known = () if base is None else base.evaluation.suspects
    new = [name for name in head.evaluation.suspects if name not in known]
    names = f" ({', '.join(map(repr, new))})" if new else ""
    return _gate(
        LEAKAGE,
        "leakage_suspects",
        "at_most",
        base is not None,
        OWN,
        "columns that predict the target almost alone, kept here and not by the base: "
        f"{len(new)}{names}",
        threshold=0.0,
        value=float(len(new)),
    )


def _gate(
    name: str,
    metric: str,
    comparison: Any,
    required: bool,
    source: str,
    evidence: str,
    *,
    threshold: float | None = None,
    value: float | None = None,
    gap: Difference | None = None,
    applies: bool = True,
) -> PrGate:
    """The record, with the outcome that its numbers have."""
    fields: dict[str, Any] = {
        "name": clip(name, 100),
        "metric": clip(metric),
        "comparison": comparison,
        "threshold": threshold,
        "value": value,
        "low": None if gap is None else gap.low,
        "high": None if gap is None else gap.high,
        "required": required,
        "source": clip(source),
        "evidence": clip(evidence, 1000),
    }
    if not applies:
        return PrGate(**fields, outcome="not applicable")
    draft = PrGate.model_construct(**fields, outcome="not measured")
    return PrGate(**fields, outcome=draft.decided())
