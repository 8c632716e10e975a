"""Tools after a run: compare two, read the gates, read the report. They change nothing."""

from __future__ import annotations

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Difference, Evaluation, Gate, Score, SliceScore
from mlagent.contracts.run import Manifest
from mlagent.store.runs import RunFolder

from .answers import CompareAnswer, GateLine, GatesAnswer, ReportAnswer, Side, SliceLine
from .calls import Cursor, Folder, Limit, Run, Style, Where, about, answer, more
from .paging import LIMIT, clip, clipped, page
from .roots import Place

NAME = 80


def judged(place: Place, run: str | None) -> tuple[RunFolder, Evaluation]:
    """A finished run with its evaluation. Raises BadInput when it has none."""
    found = place.run(run)
    return found, found.read("evaluation.json", Evaluation)


def met(gates: tuple[Gate, ...]) -> bool:
    """Every required gate passed."""
    return all(gate.outcome == "pass" for gate in gates if gate.required)


def interval(score: Score) -> str:
    """'0.7705 [0.7512, 0.7879]'."""
    return f"{score.value:.4f} [{score.low:.4f}, {score.high:.4f}]"


def signed(gap: Difference) -> str:
    """'+0.0100 [-0.0020, +0.0210], not distinguishable'."""
    return f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}], {gap.verdict}"


def mlagent_compare_runs(
    place: Where,
    first: Annotated[str, Field(description="Run id or unique prefix.")],
    second: Annotated[str | None, Field(description="Another. Default: the latest.")] = None,
    folder: Folder = None,
    response_format: Style = "concise",
) -> Annotated[CallToolResult, CompareAnswer]:
    """Compare two finished runs on the same vault rows: the paired difference with its 95 %
    bootstrap interval, and better, worse or not distinguishable. Runs that were judged on different
    rows are refused. detailed adds each run's model, baselines and metrics. Changes nothing."""
    from mlagent.orchestrator.looking import compare_runs

    runs = [place.run(first), place.run(second)]
    for run in runs:
        if not run.finished:
            raise BadInput(
                f"Run {run.id} is not finished.", remedy="mlagent_run_status says how it stands."
            )
    if runs[0].id == runs[1].id:
        raise BadInput(f"{runs[0].id} is compared with itself.", remedy="Name two different runs.")
    made = compare_runs(place.folder, runs[0].id, runs[1].id)
    record = CompareAnswer(
        **about(place),
        first=made.first,
        second=made.second,
        metric=made.metric,
        rows=made.rows,
        first_score=made.scores["first"],
        second_score=made.scores["second"],
        difference=made.difference,
        sides=tuple(map(side_of, runs)) if response_format == "detailed" else None,
    )
    return answer(
        record,
        f"{record.metric} on the same {record.rows:,} rows.",
        f"{record.first}: {interval(record.first_score)}",
        f"{record.second}: {interval(record.second_score)}",
        f"{record.first} against {record.second}: {signed(record.difference)}",
    )


def side_of(run: RunFolder) -> Side:
    """What a run of a comparison says of itself. Raises BadInput."""
    found = run.read("evaluation.json", Evaluation)
    return Side(
        model=clip(found.model_name, NAME),
        tier=found.tier,
        tries=found.tries,
        baselines=found.baselines,
        metrics=found.metrics,
    )


def mlagent_gates(
    place: Where,
    run: Run = None,
    folder: Folder = None,
    response_format: Style = "concise",
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Annotated[CallToolResult, GatesAnswer]:
    """The quality gates of a finished run: what each wants, what was measured, pass, fail, not
    measured or not applicable. `met` is false when a required one did not pass. detailed adds the
    evidence of those that passed. Changes nothing."""
    found, evaluation = judged(place, run)
    detailed = response_format == "detailed"

    def row(gate: Gate) -> GateLine:
        return GateLine(
            name=clip(gate.name, NAME),
            metric=gate.metric,
            comparison=gate.comparison,
            threshold=gate.threshold,
            value=gate.value,
            required=gate.required,
            outcome=gate.outcome,
            evidence=clip(gate.evidence, 1200 if detailed else 240)
            if detailed or gate.outcome != "pass"
            else None,
        )

    gates, following = page(
        evaluation.gates, row, limit=limit, cursor=cursor, style=response_format
    )
    record = GatesAnswer(
        **about(place),
        total=len(evaluation.gates),
        next_cursor=following,
        run=found.id,
        met=met(evaluation.gates),
        gates=gates,
    )
    lines = [
        f"{gate.outcome}: {gate.name} ({'required' if gate.required else 'advisory'})"
        for gate in gates
    ]
    said = "met" if record.met else "NOT met"
    return answer(record, f"Required gates of {found.id}: {said}.", *lines, more(following))


def mlagent_report(
    place: Where,
    run: Run = None,
    folder: Folder = None,
    response_format: Style = "concise",
    limit: Limit = 6,
    cursor: Cursor = None,
) -> Annotated[CallToolResult, ReportAnswer]:
    """The verdict of a finished run with its numbers: score and interval beside the dummy and the
    linear baseline, slices (flagged ones first, paged), where report.html and the model card are.
    detailed adds all metrics, the board, column importance and what the referee cannot see. The
    model card is the resource mlagent://runs/{id}/report. Changes nothing."""
    found, evaluation = judged(place, run)
    detailed = response_format == "detailed"
    slices, following = page(
        sorted(evaluation.slices, key=lambda item: not item.note),
        slice_line,
        limit=limit,
        cursor=cursor,
        style=response_format,
    )
    record = ReportAnswer(
        **about(place),
        total=len(evaluation.slices),
        next_cursor=following,
        run=found.id,
        verdict=clip(found.read("manifest.json", Manifest).verdict, 1200),
        model=evaluation.model_name,
        metric=evaluation.metric,
        judged_on=evaluation.judged_on,
        score=evaluation.model,
        baselines=evaluation.baselines,
        difference_to_linear=evaluation.difference_to_linear,
        gates_met=met(evaluation.gates),
        tier=evaluation.tier,
        tries=evaluation.tries,
        opening=evaluation.seal.opening,
        report=place.shown(found.path / "report.html"),
        model_card=place.shown(found.path / "model_card.md"),
        slices=slices,
        metrics=evaluation.metrics if detailed else None,
        board=board_lines(evaluation) if detailed else None,
        importance=importance_lines(evaluation) if detailed else None,
        cannot_see=clipped(evaluation.cannot_see, 8, 300) if detailed else None,
    )
    return answer(
        record,
        record.verdict,
        f"{record.metric} on {record.judged_on}: {interval(record.score)} (n={record.score.n:,})",
        *(f"{name}: {interval(score)}" for name, score in record.baselines.items()),
        f"Against linear: {signed(record.difference_to_linear)}",
        f"Report: {record.report}",
        more(following),
    )


def slice_line(item: SliceScore) -> SliceLine:
    """One group of rows."""
    return SliceLine(
        column=clip(item.column, NAME),
        value=clip(item.value, NAME),
        n=item.n,
        score=item.score,
        note=clip(item.note, 160),
    )


def board_lines(evaluation: Evaluation) -> tuple[str, ...]:
    """The candidates of this run on the dev folds."""
    return clipped(
        (
            f"{item.name}: {interval(item.score) if item.score else item.outcome}"
            f"{' (ships)' if item.chosen else ''}"
            for item in evaluation.leaderboard
        ),
        12,
        160,
    )


def importance_lines(evaluation: Evaluation) -> tuple[str, ...]:
    """What the score loses when a column is shuffled, largest first."""
    ordered = sorted(evaluation.importance, key=lambda item: -item.drop)
    return clipped(
        (
            f"{item.column}: {item.drop:+.4f} [{item.low:+.4f}, {item.high:+.4f}]"
            for item in ordered
        ),
        12,
        160,
    )
