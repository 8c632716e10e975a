"""Quality gates: a clause of a contract or of mlagent.yaml against the measured numbers.

Guarantees: pass and fail only on measured numbers; what was not measured is "not measured", never
pass; linear is not compared with itself: that is "not applicable". Relative gates ask the paired
interval, absolute ones the value. Does not: decide exit codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlagent.contracts.evaluation import Calibration, Difference, Gate, Score, SliceScore

from .metrics import sign

AT_LEAST = ("at_least", ">=")
AT_MOST = ("at_most", "<=")


class GateSpec(Protocol):
    """What a gate needs; `contracts.contract.QualityGate` has it.

    `metric`: 'primary', a metric's name, 'worst_slice', 'calibration_error', 'predict_seconds',
    'model_mb', or a name in `Measured.others`. `comparison`: better_than_dummy, better_than_linear,
    at_least, at_most.
    """

    @property
    def name(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def comparison(self) -> str: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def required(self) -> bool: ...


@dataclass(frozen=True)
class Measured:
    """The numbers that gates may ask for. None, or absent: not measured."""

    metric: str
    model: Score
    difference_to_dummy: Difference
    difference_to_linear: Difference
    model_name: str = ""
    metrics: Mapping[str, Score] = field(default_factory=dict)
    slices: Sequence[SliceScore] = ()
    calibration: Calibration | None = None
    predict_seconds: float | None = None
    model_mb: float | None = None
    others: Mapping[str, float] = field(default_factory=dict)


def evaluate_gates(gates: Sequence[GateSpec], measured: Measured) -> tuple[Gate, ...]:
    """Each gate with its outcome and the evidence for it, in the order given."""
    return tuple(_evaluated(gate, measured) for gate in gates)


def _evaluated(gate: GateSpec, measured: Measured) -> Gate:
    if gate.comparison.startswith("better_than_"):
        return _relative(gate, measured)
    value, evidence = _value(gate.metric, measured)
    outcome = None
    if value is None:
        evidence = f"{gate.metric!r} was not measured"
    elif gate.threshold is None:
        evidence = f"the gate {gate.name!r} has no threshold"
    elif gate.comparison in AT_LEAST:
        outcome = value >= gate.threshold
    elif gate.comparison in AT_MOST:
        outcome = value <= gate.threshold
    else:
        evidence = f"the comparison {gate.comparison!r} is not known"
    return _gate(gate, value, outcome, evidence)


def _relative(gate: GateSpec, measured: Measured) -> Gate:
    baseline = gate.comparison.removeprefix("better_than_")
    gap = {
        "dummy": measured.difference_to_dummy,
        "linear": measured.difference_to_linear,
    }.get(baseline)
    if gap is None or gate.metric not in ("primary", measured.metric):
        known = f"{gate.comparison!r} was not measured for {gate.metric!r}"
        return _gate(gate, None, None, known)
    if baseline == measured.model_name:
        itself = f"the {baseline} baseline itself ships: there is no other model to be better"
        return _gate(gate, None, None, itself).model_copy(update={"outcome": "not applicable"})
    evidence = (
        f"difference in {measured.metric} to {baseline} {gap.value:+.4g} ({gap.low:+.4g} to "
        f"{gap.high:+.4g}, positive is better): {gap.verdict}"
    )
    return _gate(gate, gap.value, gap.verdict == "better", evidence)


def _gate(gate: GateSpec, value: float | None, met: bool | None, evidence: str) -> Gate:
    return Gate(
        name=gate.name,
        metric=gate.metric,
        comparison=gate.comparison,
        threshold=gate.threshold,
        value=value,
        required=gate.required,
        outcome="not measured" if met is None else "pass" if met else "fail",
        evidence=evidence,
    )


def _value(name: str, measured: Measured) -> tuple[float | None, str]:
    """The number and what it is."""
    score = measured.model if name in ("primary", measured.metric) else measured.metrics.get(name)
    if score is not None:
        return score.value, (
            f"{score.value:.4g} ({score.low:.4g} to {score.high:.4g}) on {score.n:,} rows"
        )
    if name == "worst_slice":
        way = sign(measured.metric)
        known = [(way * part.score.value, part) for part in measured.slices if part.score]
        if not known:
            return None, ""
        _, worst = min(known, key=lambda entry: entry[0])
        assert worst.score is not None
        where = f"{worst.column!r} = {worst.value!r}, {worst.n:,} rows"
        return worst.score.value, f"{worst.score.value:.4g} on {where}"
    if name == "calibration_error" and measured.calibration is not None:
        error = measured.calibration.expected_error
        return error, f"expected calibration error {error:.4g}"
    plain = {
        "predict_seconds": measured.predict_seconds,
        "model_mb": measured.model_mb,
        **measured.others,
    }
    value = plain.get(name)
    return value, "" if value is None else f"measured: {value:.4g}"
