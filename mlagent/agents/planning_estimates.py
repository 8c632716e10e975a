"""How long an option takes here: a cost model in row-column visits, the machine's speed, past runs.

An estimate is the wall clock until the result is within about 1 % of where it would end, not a
promise. The constants of explorer and analyst come from runs of the shipped scripts on 4,898 x 11
and 30,000 x 24 cells on a busy machine; those of the engineer are a first guess. `history` corrects
all of them on each machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from mlagent.contracts.base import Role
from mlagent.contracts.plan import Machine, OptionName

from .planning_context import SAMPLE_ROWS, PastRun

REFERENCE_SPEED = 250e6
"""Row-column visits per second of the calibration fit on the machine of the constants (2 cores)."""
MOST_CORRECTION = 20.0


class Cost(NamedTuple):
    """`start_s`: containers, imports, reading; `per_cell_us`: microseconds per row and column, on
    the reference machine; `growth`: exponent of the rows."""

    start_s: float
    per_cell_us: float
    growth: float = 1.0


COSTS: dict[tuple[Role, OptionName], Cost] = {
    ("data-explorer", "option_a"): Cost(2.0, 3.0),
    ("data-explorer", "option_b"): Cost(2.5, 4.0),
    ("data-explorer", "option_c"): Cost(9.0, 8.0),
    ("statistical-analyst", "option_a"): Cost(2.0, 1.0),
    ("statistical-analyst", "option_b"): Cost(2.4, 2.0),
    ("statistical-analyst", "option_c"): Cost(2.8, 3.0),
    ("ml-engineer", "option_a"): Cost(6.0, 60.0),
    ("ml-engineer", "option_b"): Cost(12.0, 250.0, 0.9),
    ("ml-engineer", "option_c"): Cost(20.0, 600.0, 0.9),
}


def estimate_hours(
    agent: Role,
    option: OptionName,
    rows: int,
    columns: int,
    machine: Machine,
    history: Sequence[PastRun] = (),
) -> float:
    """Hours of wall clock for this option.

    Args:
        rows, columns: of the table; explorer and analyst look at a sample of the rows.
        machine: `rows_columns_per_second` scales the cost, `cpus` the engineer's parallel part.
        history: past runs; the median of actual / estimated for the same agent and option corrects
            the estimate, within a factor of MOST_CORRECTION either way.
    """
    cost = COSTS[agent, option]
    used = rows if agent == "ml-engineer" else min(rows, SAMPLE_ROWS[option])
    cells = used**cost.growth * max(columns, 1)
    slower = REFERENCE_SPEED / max(machine.rows_columns_per_second, 1.0)
    cores = (2 / max(machine.cpus, 1)) ** 0.6 if agent == "ml-engineer" else 1.0
    seconds = (cost.start_s + cost.per_cell_us * 1e-6 * cells * cores) * slower
    seconds *= correction(agent, option, history)
    return float(f"{seconds / 3600:.3g}")


def correction(agent: Role, option: OptionName, history: Sequence[PastRun]) -> float:
    """Median of actual / estimated over past runs of this agent and option; 1 without any."""
    ratios = [
        past.actual_s / past.estimated_s
        for past in history
        if (past.agent, past.option) == (agent, option)
        and past.estimated_s > 0
        and past.actual_s > 0
    ]
    if not ratios:
        return 1.0
    return min(max(median(ratios), 1 / MOST_CORRECTION), MOST_CORRECTION)
