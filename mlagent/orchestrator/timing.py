"""Where a run's wall clock went, from its journal.

Guarantees: seconds are of the journal's phases, across a resume; what lies outside every phase
(opening the sandbox, writing the manifest) is named as such. The total is the manifest's `wall_s`
and no other number: what is written before the manifest says "until the report". Does not know why
a phase was slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlagent.contracts.policy import Overrun
from mlagent.contracts.run import JournalEvent, Manifest

from .state import Bench, State

WORDS: Mapping[str, str] = {
    "table": "reading the table",
    "seal": "sealing the vault",
    "explore": "the data-explorer",
    "analyse": "the statistical-analyst",
    "folds": "baselines and folds",
    "search": "the search with Claude",
    "choose": "the choice",
    "fit": "the fit",
    "judge": "the verdict",
    "package": "package and check",
    "report": "the report",
}
OUTSIDE = "start and end"
NAMED = 4
"""So many phases are named in a sentence; the rest is summed."""


def phase_seconds(events: Iterable[JournalEvent]) -> dict[str, float]:
    """Seconds of each phase, in order; a phase that was cut and resumed counts what it finished. A
    search, which is a part of the folds, is named by itself."""
    begun: dict[str, float] = {}
    spent: dict[str, float] = {}
    inside = 0.0
    for event in events:
        phase = str(event.facts.get("phase", "search"))
        if event.kind in ("phase.start", "search.start"):
            begun[phase] = event.elapsed_s
        elif event.kind in ("phase.done", "phase.failed", "search.done") and phase in begun:
            took = event.elapsed_s - begun.pop(phase)
            if phase == "search":
                inside += took
            elif phase == "folds":
                took, inside = took - inside, 0.0
            spent[phase] = spent.get(phase, 0.0) + took
    return spent


def phases_of(events: Iterable[JournalEvent]) -> tuple[tuple[str, float], ...]:
    """Each finished phase in words, with its seconds."""
    return tuple((WORDS.get(name, name), took) for name, took in phase_seconds(events).items())


def over_budget(manifest: Manifest, events: Iterable[JournalEvent], overrun: Overrun) -> str:
    """One sentence on what took the time of a run that was late; '' for one that was not."""
    total, budget = manifest.wall_s, manifest.budget_s
    if total <= budget * overrun.factor + overrun.seconds:
        return ""
    spent = dict(phases_of(events))
    spent[OUTSIDE] = max(0.0, total - sum(spent.values()))
    ranked = sorted(spent.items(), key=lambda item: -item[1])
    parts = [f"{name} {took:.1f} s" for name, took in ranked[:NAMED]]
    rest = sum(took for _, took in ranked[NAMED:])
    if rest >= 0.05:
        parts.append(f"everything else {rest:.1f} s")
    return (
        f"{total - budget:.1f} s over the budget of {budget:g} s; the time went to: "
        f"{', '.join(parts)}."
    )


def until_report(bench: Bench, state: State) -> float:
    """Seconds from the start until the report is written: one number for report and ledger."""
    if "until_report_s" not in state.facts:
        state.facts["until_report_s"] = bench.clock() - bench.started
    return float(state.facts["until_report_s"])
