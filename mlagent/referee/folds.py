"""Folds inside dev (rule 5): who trains and who is held out, repeat by repeat.

Guarantees: a unit (group, rows with equal features) is never cut; under a time split training rows
are earlier than held-out rows; same seed, same folds. Does not promise that a rare class is in
every fold.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from mlagent.contracts.errors import BadInput

from .seal import time_ranks
from .truth import Codes
from .units import RowFacts, strata_of, unit_table, units_of

Folds = npt.NDArray[np.int8]
UNUSED, TRAIN, HELD_OUT = 0, 1, 2
ONE_FOLD_FROM = 20_000
THREE_FOLDS_FROM = 2_000
SINGLE_HOLD_OUT = 5
"""One fold means one hold-out of a fifth of the rows."""


class FoldPlan(Protocol):
    """What folds need of `contracts.findings.ValidationPlan`."""

    @property
    def kind(self) -> str: ...
    @property
    def folds(self) -> int: ...
    @property
    def repeats(self) -> int: ...


def fold_count(dev_rows: int, vault_share: float, kind: str) -> tuple[int, int]:
    """(folds, repeats): 1 at 20,000 dev rows and more, 3 at 2,000 and more, else 5; small data
    without a vault 5 x 3 (time cannot be repeated)."""
    if dev_rows >= ONE_FOLD_FROM:
        return 1, 1
    if dev_rows >= THREE_FOLDS_FROM:
        return 3, 1
    return 5, 3 if vault_share == 0 and kind != "time" else 1


def make_folds(
    facts: RowFacts, plan: FoldPlan, seed: int, *, group_duplicates: bool | None = None
) -> Folds:
    """Folds over dev rows.

    Args:
        facts: dev rows only, in dev order.
        plan: kind, folds, repeats. folds = 1 is one hold-out of 20 %.
        seed: each repeat shuffles anew from it.
        group_duplicates: `Seal.grouped_duplicates`, so that folds do as the seal did; None: rule 4
            is applied to these rows.

    Returns:
        (F, n) int8: 0 unused, 1 train, 2 held out. F = folds * repeats, fewer when there are fewer
        units than folds (or, for time, fewer moments). Rows without a target are unused.

    Raises:
        BadInput: under two units (rows, groups, moments) with a target.
    """
    if plan.kind == "time":
        return _expanding(facts, plan.folds)
    units = units_of(facts, by_group=plan.kind == "group", by_key=group_duplicates)
    stratify = plan.kind != "random" or facts.kind == "regression"
    table = unit_table(units.code, strata_of(facts, stratify))
    usable = int((table.size > 0).sum())
    if usable < 2:
        raise BadInput(f"{usable} independent dev rows or groups cannot be split into folds.")
    parts = min(SINGLE_HOLD_OUT if plan.folds == 1 else plan.folds, usable)
    rng = np.random.default_rng([seed, 1])
    rows: list[npt.NDArray[np.int8]] = []
    for _ in range(max(1, plan.repeats)):
        part = _deal(rng, table.size, table.stratum, parts)[units.code]
        part[~facts.has_target] = -1
        held_out = range(1) if plan.folds == 1 else range(parts)
        for fold in held_out:
            line = np.where(part == fold, HELD_OUT, TRAIN).astype(np.int8)
            line[part < 0] = UNUSED
            rows.append(line)
    return np.vstack(rows)


def _deal(rng: np.random.Generator, size: Codes, stratum: Codes, parts: int) -> Codes:
    """(units,) part of each unit: shuffled within its stratum, then always to the part that is
    emptiest in that stratum, ties to the part that is emptiest in all. Largest units of a stratum
    go first."""
    part = np.full(len(size), -1, dtype=np.int64)
    in_all = np.zeros(parts)
    strata, counts = np.unique(stratum[stratum >= 0], return_counts=True)
    for label in strata[np.argsort(-counts, kind="stable")]:
        units = rng.permutation(np.flatnonzero(stratum == label))
        sizes = size[units]
        if len(units) and sizes.max() == sizes.min():
            order = np.argsort(in_all, kind="stable")
            part[units] = order[np.arange(len(units)) % parts]
        else:
            units = units[np.argsort(-sizes, kind="stable")]
            here = np.zeros(parts)
            for unit in units.tolist():
                best = int(np.lexsort((in_all + here, here))[0])
                part[unit] = best
                here[best] += size[unit]
        in_all += np.bincount(part[units], weights=size[units], minlength=parts)
    return part


def _expanding(facts: RowFacts, folds: int) -> Folds:
    """Expanding window: fold i trains on all blocks before block i + 1 and holds that one out."""
    if facts.times is None:
        raise BadInput("time folds need a time column.", remedy="Plan with `--time COL`.")
    ranks = time_ranks(facts.times)
    usable = facts.has_target
    ordered = np.sort(ranks[usable])
    if len(np.unique(ordered)) < 2:
        raise BadInput(
            "The dev rows hold fewer than two moments of the time column: no folds in time.",
            remedy="Plan without --time, or with a column of more moments.",
        )
    count = len(ordered)
    shares = [0.8] if folds == 1 else [(i + 1) / (folds + 1) for i in range(folds)]
    cuts = [int(ordered[min(count - 1, round(share * count))]) for share in shares]
    cuts = sorted({max(cut, int(ordered[0]) + 1) for cut in cuts})
    ends = [*cuts[1:], int(ordered[-1]) + 1]
    lines = []
    for cut, end in zip(cuts, ends, strict=True):
        line = np.zeros(facts.n, dtype=np.int8)
        line[usable & (ranks < cut)] = TRAIN
        line[usable & (ranks >= cut) & (ranks < end)] = HELD_OUT
        if (line == HELD_OUT).any():
            lines.append(line)
    return np.vstack(lines)
