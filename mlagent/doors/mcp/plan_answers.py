"""How a plan, its options and its review become answers: short lines, long texts cut."""

from __future__ import annotations

from typing import Any

from mlagent.contracts.plan import AgentPlan, Option, Plan, Review
from mlagent.contracts.profile import ColumnProfile

from .answers import AgentLine, ConflictLine, OptionLine, PlanAnswer, ReviewAnswer
from .paging import clip, clipped
from .wording import in_words

NAME = 80
SENTENCE = 240


def column_detail(column: ColumnProfile) -> dict[str, Any]:
    """What the profile knows beyond the line itself."""
    dumped = column.model_dump(mode="json", exclude_defaults=True)
    for name in ("name", "role", "dtype", "missing", "distinct"):
        dumped.pop(name, None)
    dumped["why"] = clip(in_words(column.why), SENTENCE)
    if "top" in dumped:
        dumped["top"] = [[clip(str(value), NAME), count] for value, count in column.top[:8]]
    return dumped


def plan_lines(record: PlanAnswer) -> list[str]:
    """The plan in a few lines."""
    about_task = (
        f"Task: {record.kind}, target {record.target!r}, metric {record.metric}."
        if record.table
        else "No table: a plan from words alone; nothing can be run yet."
    )
    chosen = [
        f"{agent.agent}: {option.name}, {option.approach}"
        for agent in record.agents
        for option in agent.options
        if option.name == agent.selected
    ]
    following = (
        "Next: show the options, then mlagent_run (the user decides)."
        if record.table
        else "Next: mlagent_plan with `data`."
    )
    return [about_task, *(clip(line, 200) for line in chosen), verdict_line(record), following]


def verdict_line(record: PlanAnswer | ReviewAnswer) -> str:
    """The review in one line."""
    return clip(f"Review: {record.decision}. {' '.join(record.reasons)}", 300)


def agent_line(agent: str, plan: AgentPlan, selected: str | None, *, detailed: bool) -> AgentLine:
    """One agent's options; `detailed` with the trade-offs."""
    return AgentLine(
        agent=agent,
        selected=selected,
        options=tuple(
            option_line(name, option, detailed=detailed)
            for name, option in plan.implementation_options.items()
        ),
        why=clip(in_words(plan.recommendation.rationale), SENTENCE),
        conditions=clipped(map(in_words, plan.recommendation.conditions), 6, SENTENCE)
        if detailed
        else None,
        questions=clipped(map(in_words, plan.questions_for_review), 3, 160),
    )


def option_line(name: str, option: Option, *, detailed: bool) -> OptionLine:
    """One option; `detailed` with its trade-offs."""
    texts = {
        field: clipped(map(in_words, getattr(option, field)), 6, SENTENCE)
        for field in ("pros", "cons", "risks", "dependencies")
    }
    return OptionLine(
        name=name,
        approach=clip(option.approach, 160),
        seconds=round(option.time_estimate_hours * 3600, 1),
        complexity=option.complexity,
        **(texts if detailed else {}),
    )


def review_facts(review: Review, plan: Plan) -> dict[str, Any]:
    """The fields that a plan and a review share."""
    timeline = review.timeline_summary
    return {
        "decision": review.decision,
        "reasons": clipped(map(in_words, review.reasons), 6, SENTENCE),
        "conflicts": tuple(
            ConflictLine(
                kind=item.kind,
                severity=item.severity,
                what=clip(in_words(item.what), SENTENCE),
                resolution=clip(in_words(item.resolution), SENTENCE),
            )
            for item in review.conflicts[:6]
        ),
        "warnings": clipped(map(in_words, review.warnings), 5, 160),
        "seconds": None if timeline is None else round(timeline.total_with_buffer_hours * 3600, 1),
        "budget_seconds": plan.budget.seconds,
    }
