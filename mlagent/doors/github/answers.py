"""The answers of the bot as Markdown: views of records, with every text of others kept text.

Guarantees: an answer stays under 60,000 characters by leaving out whole parts, and says so. Does
not: post them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.evaluation import Evaluation, Gate, Score
from mlagent.contracts.plan import Plan
from mlagent.contracts.words import counted
from mlagent.reports import numbers

from .commands import USAGE
from .comment import MOST, Links, compose
from .markdown import Safe, environment, inline, length, render
from .queue import Job
from .work import CandidateDone, CompareDone, ExecuteDone, PlanDone

SHORT = 7
NOTHING = Safe("–")
KEY = "command"
SENTENCE = 2000
"""Characters of a sentence that is shown whole."""


class Answers:
    """Writes answers.

    Args:
        max_budget_s: shown in the help.
    """

    def __init__(self, content: Content, max_budget_s: float) -> None:
        self._content, self._templates = content, environment(content)
        self._most = max_budget_s

    def help(self, problem: str | None) -> str:
        """The commands; with what was not understood, if something was not."""
        usage = [Safe(f"{words} {flags}".rstrip()) for words, flags in USAGE]
        values = {
            "problem": inline(problem or "", SENTENCE),
            "usage": usage,
            "most": Safe(numbers.seconds(self._most)),
        }
        return self._render("help", values)

    def refused(self, reason: str) -> str:
        """Why nothing ran."""
        return self._render("refused", {"reason": inline(reason, SENTENCE)})

    def failed(self, problem: MlagentError, job: Job) -> str:
        """What went wrong while it ran."""
        values = {
            "message": inline(problem.message, SENTENCE),
            "remedy": inline(problem.remedy, SENTENCE),
            "head": _head(job),
        }
        return self._render("failed", values)

    def plan(self, done: PlanDone, job: Job) -> str:
        """The options, the review, and plan.yaml while it fits."""
        text = self._render("plan", {**_plan_values(done), "head": _head(job)})
        marks = max((len(run) for run in re.findall("`+", done.text)), default=0)
        folded = self._render(
            "text",
            {
                "title": Safe("plan.yaml"),
                "fence": Safe("`" * max(3, marks + 1)),
                "language": "yaml",
                "text": Safe(_visible(done.text.rstrip("\n"))),
            },
        )
        whole = f"{text}\n\n{folded}"
        if length(whole) < MOST:
            return whole
        left = self._render("notes", {"notes": ["plan.yaml is too long for a comment."]})
        return self._fit(f"{text}\n\n{left}")

    def execute(self, done: ExecuteDone, job: Job) -> str:
        """The verdict with its numbers, and the pull request's candidates."""
        return self._fit(self._render("execute", {**_execute_values(done), "head": _head(job)}))

    def compare(self, done: CompareDone, job: Job) -> str:
        """The report of the pull request."""
        notes = self._render("notes", {"notes": list(done.notes)}) if done.notes else ""
        links = Links(number=job.number)
        made = compose(done.report, self._content, KEY, links, MOST - length(notes) - 200)
        body = made.text.partition("\n")[2]  # below the sticky comment's marker
        return f"{body.rstrip()}\n\n{notes}".rstrip()

    def _render(self, name: str, values: dict[str, Any]) -> str:
        return render(self._templates, f"answers/{name}", values)

    def _fit(self, text: str) -> str:
        if length(text) < MOST:
            return text
        return self._render("refused", {"reason": "The answer is too long for a comment."})


def _head(job: Job) -> str:
    return (job.head or "")[:SHORT]


def _visible(text: str) -> str:
    """Text for a fenced block: marks that are not seen, or turn the reading, are spelled out."""

    def one(mark: str) -> str:
        hidden = unicodedata.category(mark)[0] == "C" or mark in "\u2028\u2029"
        return f"\\u{ord(mark):04x}" if hidden and mark != "\n" else mark

    return "".join(one(mark) for mark in text)


def _plan_values(done: PlanDone) -> dict[str, Any]:
    plan = done.plan
    return {
        "task": inline(plan.task.description, SENTENCE),
        "kind": plan.task.kind or "",
        "target": plan.task.target or "",
        "metric": plan.task.metric or "",
        "table": plan.data.path if plan.data else "",
        "rows": Safe(counted(plan.data.rows if plan.data else 0, "row")),
        "columns": Safe(counted(len(plan.data.columns) if plan.data else 0, "column")),
        "refused": [{"what": one.what, "why": one.why} for one in plan.routing.refused],
        "options": _options(plan),
        "decision": plan.review.decision,
        "reasons": list(plan.review.reasons),
        "said": [
            *(f"{one.kind} ({one.severity}): {one.what}" for one in plan.review.conflicts),
            *plan.review.warnings,
            *(
                question
                for agent in plan.agent_plans.values()
                for question in agent.questions_for_review
            ),
            *done.notes,
        ],
    }


def _options(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "agent": Safe(role),
            "name": Safe(f"`{name}`"),
            "chosen": plan.selection.get(role) == name,
            "approach": option.approach,
            "estimated": Safe(numbers.seconds(option.time_estimate_hours * 3600)),
            "complexity": option.complexity,
        }
        for role, agent in plan.agent_plans.items()
        for name, option in agent.implementation_options.items()
    ]


def _execute_values(done: ExecuteDone) -> dict[str, Any]:
    found, manifest = done.evaluation, done.manifest
    metric = found.metric
    return {
        "run": manifest.run,
        "verdict": inline(found.verdict, SENTENCE),
        "metric": metric,
        "judged_on": found.judged_on,
        "model": found.model_name,
        "linear": found.model_name == "linear",
        **_score(found.model, metric),
        "baselines": [
            {"name": name, **_score(score, metric)} for name, score in found.baselines.items()
        ],
        "difference": Safe(numbers.difference(found.difference_to_linear, metric)),
        "difference_verdict": found.difference_to_linear.verdict,
        "rows": Safe(counted(found.model.n, "judged row")),
        "opening": found.seal.opening,
        "tries": Safe(counted(found.tries, "try", "tries")),
        "tier": manifest.tier,
        "wall": Safe(numbers.seconds(manifest.wall_s)),
        "budget": Safe(numbers.seconds(manifest.budget_s)),
        "gates": [_gate(gate) for gate in found.gates if gate.required],
        "candidates": [_candidate(one, found) for one in done.candidates],
        "notes": list(done.notes),
    }


def _score(score: Score | None, metric: str) -> dict[str, Any]:
    if score is None:
        return {"value": NOTHING, "interval": NOTHING}
    return {
        "value": Safe(numbers.metric_value(score.value, metric)),
        "interval": Safe(numbers.interval(score, metric)),
    }


def _gate(gate: Gate) -> dict[str, Any]:
    limit = "" if gate.threshold is None else f" {gate.threshold:g}"
    return {
        "name": gate.name,
        "wanted": f"{gate.metric} {gate.comparison.replace('_', ' ')}{limit}",
        "value": Safe(numbers.number(gate.value)),
        "outcome": gate.outcome,
    }


def _candidate(one: CandidateDone, found: Evaluation) -> dict[str, Any]:
    """A row of the table; `said`: the difference, or why there is no score."""
    gap = one.difference_to_linear
    said = one.why or (one.entry.outcome if one.entry is not None else "")
    if gap is not None:
        said = f"{numbers.difference(gap, found.metric)}, {gap.verdict}"
    score = None if one.entry is None else one.entry.score
    return {"name": one.folder, "said": inline(said, SENTENCE), **_score(score, found.metric)}
