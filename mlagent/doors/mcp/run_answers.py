"""How a run and a try become answers: state, time, verdict, what to call next."""

from __future__ import annotations

import signal
from typing import Any

from mcp_types import CallToolResult

from mlagent.contracts.errors import Interrupted, MlagentError
from mlagent.contracts.evaluation import CandidateScore, Difference
from mlagent.contracts.run import JournalEvent
from mlagent.store.runs import RunFolder

from .answers import Event, RunAnswer, TryAnswer
from .calls import Desk, about, answer, more
from .children import Child
from .paging import LIMIT, Format, clip, page
from .roots import Place
from .runs import TITLES, RunFacts, at_work, facts_of
from .wording import in_words

FACTS = {"concise": 120, "detailed": 600}
UNSEALED = "No container (T0): the code runs as a plain process; network and files are open to it."


def run_answer(
    place: Place,
    desk: Desk,
    run: RunFolder,
    style: Format = "concise",
    limit: int = LIMIT,
    cursor: str | None = None,
) -> CallToolResult:
    """The state of a run as an answer."""
    child = desk.children.get(run.id)
    alive = child.alive if child is not None else at_work(run)
    found = facts_of(run, alive=alive)
    error, state = found.error, found.state
    if state == "stopped" and child is not None and _fell(child, found):
        state, error = "failed", failure_of(child)

    def row(event: JournalEvent) -> Event:
        facts = ", ".join(f"{key}={value}" for key, value in event.facts.items())
        return Event(
            n=event.n, seconds=event.elapsed_s, kind=event.kind, facts=clip(facts, FACTS[style])
        )

    events, following = page(found.events, row, limit=limit, cursor=cursor, style=style)
    detailed = style == "detailed"
    record = RunAnswer(
        **about(place),
        total=len(found.events),
        next_cursor=following if detailed else None,
        run=run.id,
        state=state,
        phase=found.phase,
        phases_done=found.done,
        seconds=found.seconds,
        budget_seconds=found.budget_s,
        tier=found.tier,
        verdict=None if found.verdict is None else clip(found.verdict, 1200),
        error=None if error is None else clip(in_words(error), 600),
        next=next_step(state),
        events=events if detailed else None,
    )
    return answer(record, *run_lines(record), more(record.next_cursor))


def _fell(child: Child, found: RunFacts) -> bool:
    """Whether a child ended by a failure outside any phase: nobody told it to, and its journal does
    not say that a phase was interrupted. A phase that is cut may leave with any exit code."""
    phase_said = bool(found.events) and found.events[-1].kind == "phase.failed"
    ended_well = child.process.returncode in (0, Interrupted.exit_code, -signal.SIGKILL)
    return not (child.told_to_end or phase_said or ended_well)


def failure_of(child: Child) -> str:
    """What a child that failed outside any phase said."""
    try:
        child.answer()
    except MlagentError as error:
        return str(error)
    return "The run ended without a manifest."


def run_lines(record: RunAnswer) -> list[str]:
    """A run's state in a few lines."""
    at = f", {TITLES.get(record.phase, record.phase)}" if record.phase else ""
    of = "" if record.budget_seconds is None else f" of {record.budget_seconds:.0f} s"
    return [
        f"Run {record.run}: {record.state}{at}; {record.seconds:.0f} s{of}.",
        UNSEALED if record.tier == "T0" else "",
        record.verdict or "",
        record.error or "",
        f"Next: {record.next}",
    ]


def next_step(state: str) -> str:
    """What to call after a run in this state."""
    return {
        "running": 'mlagent_run_status again; mlagent_run with action="stop" ends it.',
        "finished": "mlagent_report for the verdict, mlagent_gates for the gates.",
        "stopped": 'mlagent_run with action="resume" goes on where it stopped.',
        "failed": 'Mend what the error says, then mlagent_run with action="resume" or "start".',
    }[state]


def progress_line(found: RunFacts, child: Child) -> str:
    """The phase and the last line that the run printed, without its clock."""
    title = TITLES.get(found.phase or "", "finished" if found.state == "finished" else "start")
    said = clip(child.last_words().partition("] ")[2], 120)
    return title if said in ("", title) else f"{title}: {said}"


def try_answer(place: Place, found: dict[str, Any]) -> CallToolResult:
    """What `mlagent try --json` wrote, as an answer."""
    entry = CandidateScore.model_validate(found["entry"])
    gap = found["difference_to_linear"]
    record = TryAnswer(
        **about(place),
        run=found["run"],
        candidate=clip(entry.name, 80),
        outcome=clip(in_words(entry.outcome), 600),
        metric=found["metric"],
        score=entry.score,
        difference_to_linear=None if gap is None else Difference.model_validate(gap),
        place=None if entry.score is None else found["place"],
        of=found["of"],
        fit_seconds=entry.fit_seconds,
    )
    if record.score is None:
        return answer(record, f"{record.candidate}: no score. {record.outcome}")
    score, line = record.score, ""
    if record.difference_to_linear is not None:
        gap = record.difference_to_linear
        line = f"Against linear: {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}], {gap.verdict}."
    return answer(
        record,
        f"{record.candidate}: {record.metric} {score.value:.4f} [{score.low:.4f}, "
        f"{score.high:.4f}] on dev folds; place {record.place} of {record.of}.",
        line,
    )
