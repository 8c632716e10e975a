"""What an earlier process of the same run had of its search when it ended.

Guarantees: a search that had ended stays ended, and time and tools that it used are used; so a
resumed run grows the same tree. Reads the journal only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlagent.contracts.run import JournalEvent

USER_STOPPED = "the user stopped it"


@dataclass(frozen=True)
class Before:
    """The search so far.

    Attributes:
        nodes: candidates that were made, the floor apart.
        seconds: that it took.
        stopped: why it ended; None where it did not, or where only the user stopped it and no row
            of the vault was judged since: then it goes on.
        took: id of a node -> seconds that making and scoring it took.
        used: tool -> how often it was used, refusals apart.
    """

    nodes: int = 0
    seconds: float = 0.0
    stopped: str | None = None
    took: Mapping[int, float] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)


def searched_before(events: Iterable[JournalEvent]) -> Before:
    """From the events of a run's journal."""
    nodes, seconds, last = 0, 0.0, 0.0
    begun: float | None = None
    stopped: str | None = None
    judged = False
    took: dict[int, float] = {}
    used: Counter[str] = Counter()
    for event in events:
        if event.kind in ("run.resumed", "search.done") and begun is not None:
            ended = event.elapsed_s if event.kind == "search.done" else last
            seconds, begun = seconds + ended - begun, None
        if event.kind == "search.start":
            begun = event.elapsed_s
        elif event.kind == "search.node":
            node = int(event.facts["id"])
            nodes = max(nodes, node)
            took.setdefault(node, float(event.facts.get("seconds", 0.0)))
        elif event.kind == "tool.used" and not event.facts["refused"]:
            used[str(event.facts["tool"])] += 1
        elif event.kind == "search.done":
            stopped = str(event.facts["stopped"])
        elif event.kind == "vault.opened":
            judged = True
        last = event.elapsed_s
    if begun is not None:
        seconds += last - begun
    over = stopped is not None and (judged or stopped != USER_STOPPED)
    return Before(nodes, seconds, stopped if over else None, took, used)
