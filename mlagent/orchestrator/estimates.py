"""The machine's speed, measured once, and the estimates that rest on it.

Guarantees: `calibrate` takes at most 3 s and is cached for each machine (name, kernel, CPU count).
Does not import a learning library: a fixed boosting fit in numpy stands for them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mlagent.agents.planning_context import PastRun, PlanningContext, table_facts
from mlagent.agents.planning_estimates import COSTS, Cost, correction, estimate_hours
from mlagent.contracts.base import Finite, Record, Role
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Machine, Plan
from mlagent.contracts.run import Manifest
from mlagent.documents import load_json, read_record

__all__ = ["COSTS", "Cost", "PastRun", "calibrate", "correction", "estimate_hours", "past_runs"]
PHASES: dict[Role, tuple[str, ...]] = {
    "data-explorer": ("explore",),
    "statistical-analyst": ("analyse",),
    "ml-engineer": ("folds", "fit"),
}
"""Which phases of the journal are an agent's work."""
MOST_RUNS = 20
ENDED_BY_ITSELF = 0.8
"""A run that took more of its budget was ended by the clock: no word about the plateau."""
ROWS, COLUMNS, BINS = 20_000, 16, 64
MOST_ROUNDS, MOST_SECONDS = 12, 1.0


class Calibration(Record):
    """The cached measurement."""

    schema_: Literal["mlagent/calibration/v1"] = Field("mlagent/calibration/v1", alias="schema")
    rows_columns_per_second: Finite = Field(gt=0)
    seconds: Finite


def calibrate(cache: Path, clock: Callable[[], float], *, engine: str = "none") -> Machine:
    """What this machine can do.

    Args:
        cache: folder for the measurement; made when absent. One that cannot be written costs a
            measurement each time, nothing else.
        clock: seconds, monotonic.
        engine: for the record, such as 'docker 20.10.24'.
    """
    identity = f"1 {platform.machine()} {platform.node()} {platform.release()} {os.cpu_count()}"
    file = cache / f"calibration-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.json"
    measured: Calibration | None = None
    with contextlib.suppress(OSError, BadInput, UnicodeDecodeError):
        measured = read_record(Calibration, file.read_text("utf-8"), file.name, format="json")
    if measured is None:
        measured = _measure(clock)
        with contextlib.suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(f".{os.getpid()}.new")
            fresh.write_text(measured.model_dump_json(), "utf-8")
            fresh.replace(file)
    return Machine(
        cpus=_cpus(),
        memory_mb=_memory_mb(),
        rows_columns_per_second=measured.rows_columns_per_second,
        engine=engine,
    )


def past_runs(runs: Path) -> tuple[PastRun, ...]:
    """Estimates and times of the newest finished runs; unreadable folders are skipped.

    Args:
        runs: the folder of run folders; may be absent.
    """
    if not runs.is_dir():
        return ()
    found: list[PastRun] = []
    folders = sorted((path.parent for path in runs.glob("*/manifest.json")), reverse=True)
    for folder in folders[:MOST_RUNS]:
        with contextlib.suppress(OSError, BadInput, UnicodeDecodeError, KeyError, TypeError):
            found += _past_run(folder)
    return tuple(found)


def _past_run(folder: Path) -> list[PastRun]:
    """One run's times by agent. The estimate is made again without history, so that corrections
    do not pile up."""

    def text(name: str) -> str:
        return (folder / name).read_text("utf-8")

    manifest = read_record(Manifest, text("manifest.json"), "manifest.json", format="json")
    plan = read_record(Plan, text("plan.yaml"), "plan.yaml")
    if plan.data is None or plan.machine is None:
        return []
    spent: dict[str, float] = {}
    searched = False  # with Claude: its time is not the option's
    for line in text("journal.jsonl").splitlines():
        event = load_json(line, "journal.jsonl")
        searched = searched or event["kind"] == "search.done"
        if event["kind"] in ("phase.start", "phase.done"):
            sign = 1 if event["kind"] == "phase.done" else -1
            phase = event["facts"]["phase"]
            spent[phase] = spent.get(phase, 0.0) + sign * float(event["elapsed_s"])
    rows, columns = plan.data.rows, len(plan.data.columns)
    if plan.profile is not None:
        place = PlanningContext(plan.task, plan.profile, plan.data, plan.machine)
        columns = table_facts(place).features
    found = []
    for role, option in plan.selection.items():
        actual = sum(spent.get(phase, 0.0) for phase in PHASES[role])
        cut = searched or manifest.wall_s > ENDED_BY_ITSELF * manifest.budget_s
        if actual > 0 and not (cut and role == "ml-engineer"):
            estimated = estimate_hours(role, option, rows, columns, plan.machine) * 3600
            found.append(PastRun(role, option, rows, columns, estimated, actual))
    return found


def _measure(clock: Callable[[], float]) -> Calibration:
    """Rounds of histogram boosting with stumps: each visits every row of every column once."""
    import numpy as np

    rng = np.random.default_rng(0)
    codes = rng.integers(0, BINS, (COLUMNS, ROWS)).astype(np.intp)
    target = (codes[0] > BINS // 2) + 0.1 * rng.standard_normal(ROWS)
    residual = target - target.mean()
    best = float("inf")
    started = clock()
    for _ in range(MOST_ROUNDS):
        before = clock()
        residual = residual - _stump(np, codes, residual)
        best = min(best, clock() - before)
        if clock() - started > MOST_SECONDS:
            break
    speed = ROWS * COLUMNS / max(best, 1e-6)
    return Calibration(
        rows_columns_per_second=float(f"{speed:.3g}"), seconds=round(clock() - started, 3)
    )


def _stump(np: Any, codes: Any, residual: Any) -> Any:
    """The best single split of all columns, as a step of 0.3 times the means on both sides."""
    chosen: tuple[float, int, int, float, float] | None = None
    for index, column in enumerate(codes):
        sums = np.cumsum(np.bincount(column, weights=residual, minlength=BINS))[:-1]
        counts = np.cumsum(np.bincount(column, minlength=BINS))[:-1]
        rest = np.maximum(len(residual) - counts, 1)
        gain = sums**2 / np.maximum(counts, 1) + (residual.sum() - sums) ** 2 / rest
        at = int(gain.argmax())
        if chosen is None or gain[at] > chosen[0]:
            left = float(sums[at] / max(counts[at], 1))
            right = float((residual.sum() - sums[at]) / rest[at])
            chosen = float(gain[at]), index, at, left, right
    assert chosen is not None
    _, index, at, left, right = chosen
    return 0.3 * np.where(codes[index] <= at, left, right)


def _cpus() -> int:
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_mb() -> int:
    """Physical memory; 1024 where the system does not say."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return 1024
