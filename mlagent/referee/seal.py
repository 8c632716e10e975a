"""The seal: which rows are dev and which are the vault (rules 1 to 4).

Guarantees: same (data, kind, columns, share, seed), same seal; a seal drawn earlier is reused as it
is; when the table has grown, rows once in a vault stay there; units are never cut; each class keeps
a dev row; under a time split no dev row is later than a vault row. Does not: write `seal.json`, or
count openings (the store does).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlagent.contracts.errors import BadInput
from mlagent.contracts.run import Seal

from .truth import Codes
from .units import RowFacts, Units, group_codes, strata_of, unit_table, units_of

Kind = Literal["stratified", "random", "group", "time"]
Rows = npt.NDArray[np.bool_]
AUTO_SHARE = 0.2
AUTO_ROWS = 100
SAME_TABLE = 0.5
"""Share of an earlier vault's rows that a table must hold to be taken for a later state of that
vault's table; another table may share a row by chance."""
OVERLAP = 0.02
"""Share of judged rows that repeat a training row, beyond what the training rows do among
themselves, from which two files are said to share rows."""
AUTO_RARER_CLASS = 25


def seal_id(
    data_sha256: str, kind: str, group: str | None, time: str | None, share: float, seed: int
) -> str:
    """16 hex digits: the seal's name is what it belongs to."""
    facts = json.dumps([data_sha256, kind, group, time, round(share, 6), seed])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def dev_rows(seal: Seal, n: int) -> Codes:
    """Positions of the rows that are not in the vault, rising. `n`: rows of the table."""
    in_vault = np.zeros(n, dtype=bool)
    in_vault[list(seal.vault_rows)] = True
    return np.flatnonzero(~in_vault)


def draw_seal(
    facts: RowFacts,
    *,
    kind: Kind,
    group_name: str | None = None,
    time_name: str | None = None,
    share: Literal["auto"] | float = "auto",
    seed: int,
    data_sha256: str,
    earlier: Sequence[Seal] = (),
) -> Seal:
    """Draw the vault, or find the one drawn earlier.

    Args:
        facts: every row of the file; rows without a target never enter the vault.
        kind: `group` needs `facts.groups`, `time` needs `facts.times`.
        share: of rows; `auto`: 0.2, or 0 when that vault would have under 100 rows or under 25 rows
            of the rarer binary class.
        earlier: seals of this project, any data; those of an earlier state of the table (same kind,
            columns and seed) keep their vault rows in the vault.

    Raises:
        BadInput: one group or one moment only; an asked-for vault that would be empty or
            everything.
    """
    _check_columns(facts, kind, group_name, time_name)
    if share != "auto" and not 0.0 <= share < 1.0:
        raise BadInput(
            f"a vault of {share!r} is not a share of the rows.", remedy="Give 0 up to 0.9."
        )
    wanted = AUTO_SHARE if share == "auto" else float(share)
    known = {seal.id: seal for seal in earlier}
    name = seal_id(data_sha256, kind, group_name, time_name, wanted, seed)
    if name in known:
        return known[name]
    units = units_of(facts, by_group=kind == "group", by_key=False if kind == "time" else None)
    notes = list(units.notes)
    if kind == "time":
        notes.append("the split follows time: rows with equal features may lie on both sides.")
    family = [
        seal
        for seal in earlier
        if (seal.kind, seal.group, seal.time, seal.seed) == (kind, group_name, time_name, seed)
        and seal.data_sha256 != data_sha256
    ]
    vault = np.zeros(facts.n, dtype=bool)
    if wanted > 0:
        kept, seen = _kept_rows(facts, family)
        vault = (
            _latest_rows(facts, wanted, kept, notes)
            if kind == "time"
            else _drawn_rows(facts, units, kind, wanted, seed, kept, seen)
        )
        if kept.any():
            notes.append(f"{int((vault & kept).sum())} vault rows were kept from an earlier seal.")
        why_none = _too_small(facts, vault) if share == "auto" else None
        if why_none:
            notes.append(why_none)
            vault[:] = False
            wanted = 0.0
        elif not vault.any():
            raise BadInput(
                f"a vault of {wanted:g} of {facts.n} rows would be empty.",
                remedy="Use `--vault 0`: the score is then out-of-fold.",
            )
    rows = np.flatnonzero(vault)
    name = seal_id(data_sha256, kind, group_name, time_name, wanted, seed)
    if name in known:
        return known[name]
    return Seal(
        id=name,
        data_sha256=data_sha256,
        kind=kind,
        group=group_name,
        time=time_name,
        share=wanted,
        seed=seed,
        dev_rows=facts.n - len(rows),
        vault_rows=tuple(int(row) for row in rows),
        vault_hashes=tuple(facts.hex_hashes(rows)),
        grouped_duplicates=units.grouped_duplicates,
        notes=tuple(notes),
    )


def seal_from_test_file(
    facts: RowFacts,
    *,
    test_rows: int,
    kind: Kind,
    group_name: str | None = None,
    time_name: str | None = None,
    seed: int,
    data_sha256: str,
    earlier: Sequence[Seal] = (),
) -> Seal:
    """The user's own hold-out (`--test FILE`) as the vault: the last `test_rows` rows of `facts`.

    `data_sha256` is of both files together. What the two files share is said in the notes, not
    repaired.

    Raises:
        BadInput: one of the two files has no rows.
    """
    if not 0 < test_rows < facts.n:
        raise BadInput(
            f"{test_rows} test rows and {facts.n - test_rows} training rows are too few."
        )
    rows = np.arange(facts.n - test_rows, facts.n)
    share = test_rows / facts.n
    name = seal_id(data_sha256, f"test file, {kind}", group_name, time_name, share, seed)
    for seal in earlier:
        if seal.id == name:
            return seal
    shared = check_split(facts, np.arange(facts.n - test_rows), rows)
    return Seal(
        id=name,
        data_sha256=data_sha256,
        kind=kind,
        group=group_name,
        time=time_name,
        share=share,
        seed=seed,
        dev_rows=facts.n - test_rows,
        vault_rows=tuple(int(row) for row in rows),
        vault_hashes=tuple(facts.hex_hashes(rows)),
        grouped_duplicates=False,
        notes=("the vault is the user's own test file.", *shared),
    )


def check_split(facts: RowFacts, train: npt.NDArray[Any], test: npt.NDArray[Any]) -> list[str]:
    """What is shared across a split, in sentences; empty when nothing is.

    Groups and times are checked when `facts` has them. `train` and `test` are positions.
    """
    found: list[str] = []
    twins = int(np.isin(facts.keys[test], facts.keys[train]).sum())
    if twins:
        found.append(
            f"{twins} of {len(test)} judged rows have the same features as a training row."
        )
        _, times = np.unique(facts.keys[train], return_counts=True)
        usual = float(times[times > 1].sum()) / len(train)
        if twins / len(test) > usual + OVERLAP:
            found.append(
                f"That is {twins / len(test):.0%}, where {usual:.0%} of the training rows repeat "
                "among themselves: the two share rows, so the score is flattered. Take those rows "
                "out of one of the two files."
            )
    if facts.groups is not None:
        code = group_codes(facts.groups)
        across = len(np.intersect1d(code[train], code[test]))
        if across:
            found.append(f"{across} groups have rows on both sides of the split.")
    if facts.times is not None and len(train) and len(test):
        times = time_ranks(facts.times)
        first = times[test][times[test] >= 0].min(initial=np.iinfo(np.int64).max)
        late = int((times[train] >= first).sum())
        if late:
            found.append(
                f"{late} of {len(train)} training rows are not earlier than the first judged row."
            )
    return found


def time_ranks(times: npt.NDArray[Any]) -> Codes:
    """(n,) rank of the moment, -1 where the time is missing (read as before everything)."""
    missing = np.isnat(times) if times.dtype.kind in "mM" else np.isnan(times.astype(np.float64))
    ranks = np.full(len(times), -1, dtype=np.int64)
    ranks[~missing] = np.unique(times[~missing], return_inverse=True)[1].reshape(-1)
    return ranks


def _check_columns(
    facts: RowFacts, kind: Kind, group_name: str | None, time_name: str | None
) -> None:
    if kind == "group":
        if facts.groups is None or group_name is None:
            raise BadInput("a group split needs a group column.", remedy="Plan with `--group COL`.")
        if len(np.unique(group_codes(facts.groups))) < 2:
            raise BadInput(
                f"the group column {group_name!r} holds one group only.",
                remedy="Plan without `--group`, or with another column.",
            )
    if kind == "time":
        if facts.times is None or time_name is None:
            raise BadInput("a time split needs a time column.", remedy="Plan with `--time COL`.")
        ranks = time_ranks(facts.times)
        if ranks.max(initial=-1) < 1:
            raise BadInput(
                f"the time column {time_name!r} holds fewer than two moments.",
                remedy="Plan without `--time`, or with another column.",
            )


def _too_small(facts: RowFacts, vault: Rows) -> str | None:
    """Rule 3: why `auto` does without a vault, or None."""
    rows = int(vault.sum())
    if rows < AUTO_ROWS:
        return f"no vault: it would have {rows} rows, under {AUTO_ROWS}."
    if facts.kind == "binary":
        rarer = int(np.bincount(facts.y[vault].astype(np.int64), minlength=2).min())
        if rarer < AUTO_RARER_CLASS:
            few = f"under {AUTO_RARER_CLASS}"
            return f"no vault: it would have {rarer} rows of the rarer class, {few}."
    return None


def _kept_rows(facts: RowFacts, family: Sequence[Seal]) -> tuple[Rows, Rows]:
    """Rows that were in a vault before, and rows known to have been dev (a table that grew at its
    end)."""
    kept = np.zeros(facts.n, dtype=bool)
    seen = np.zeros(facts.n, dtype=bool)
    if not any(seal.vault_rows for seal in family):
        return kept, seen
    hashes = facts.hex_hashes(np.arange(facts.n))
    for seal in family:
        if not seal.vault_rows:
            continue
        before = seal.dev_rows + len(seal.vault_rows)
        in_place = before <= facts.n and all(
            hashes[row] == value
            for row, value in zip(seal.vault_rows, seal.vault_hashes, strict=True)
        )
        if in_place:
            kept[list(seal.vault_rows)] = True
            seen[:before] = True
            continue
        left = Counter(seal.vault_hashes)
        again = []
        for row, value in enumerate(hashes):
            if left[value] > 0:
                left[value] -= 1
                again.append(row)
        if len(again) >= SAME_TABLE * len(seal.vault_rows):
            kept[again] = True
    return kept & facts.has_target, seen


def _latest_rows(facts: RowFacts, share: float, kept: Rows, notes: list[str]) -> Rows:
    """The latest rows, equal moments together; never later dev rows than a row that was in a vault
    before."""
    assert facts.times is not None
    ranks = time_ranks(facts.times)
    usable = facts.has_target & (ranks >= 0)
    ordered = np.sort(ranks[usable])
    count = len(ordered)
    cut = int(ordered[min(count - 1, count - max(1, round(share * count)))])
    with_cut, without = int((ordered >= cut).sum()), int((ordered > cut).sum())
    if without and abs(without - share * count) < abs(with_cut - share * count):
        cut += 1
    cut = max(cut, int(ordered[0]) + 1)
    if kept.any() and int(ranks[kept].min()) < cut:
        cut = max(int(ranks[kept].min()), 0)
        here = int((usable & (ranks >= cut)).sum())
        notes.append(
            f"the vault begins where the earlier one began: {here:,} of {count:,} rows, where "
            f"{share:.0%} were asked for. Another --seed draws a new one."
        )
    missing = int((ranks < 0).sum())
    if missing:
        notes.append(f"{missing} rows without a time were taken as the earliest.")
    return usable & (ranks >= cut)


def _drawn_rows(
    facts: RowFacts, units: Units, kind: Kind, share: float, seed: int, kept: Rows, seen: Rows
) -> Rows:
    """Whole units, stratum by stratum, until the share is reached. Units known as dev stay dev."""
    strata = strata_of(facts, kind != "random" or facts.kind == "regression")
    if kind == "group" and facts.kind == "regression":
        strata = np.minimum(strata, 0)
    table = unit_table(units.code, strata)
    forced = np.zeros(len(table.size), dtype=bool)
    forced[units.code[kept]] = True
    known_dev = np.zeros(len(table.size), dtype=bool)
    known_dev[units.code[seen]] = True
    rng = np.random.default_rng(seed)
    chosen = forced.copy()
    for stratum in np.unique(table.stratum[table.stratum >= 0]):
        free = np.flatnonzero((table.stratum == stratum) & ~forced & ~known_dev)
        pool = table.stratum == stratum
        goal = share * table.size[pool].sum() - table.size[pool & forced].sum()
        if seen.any():
            goal = min(goal, share * table.size[free].sum())
        chosen[_take(rng.permutation(free), table.size, goal)] = True
    vault = chosen[units.code] & facts.has_target
    return _each_class_keeps_a_dev_row(facts, units.code, vault, kept)


def _take(order: Codes, size: Codes, goal: float) -> Codes:
    """Units from `order`, each unless it would overshoot the goal by more than half its size."""
    sizes = size[order]
    if not len(order) or sizes.max() <= 1:
        return order[sizes > 0][: max(0, round(goal))]
    taken: list[int] = []
    rows = 0.0
    for unit, rows_of_unit in zip(order.tolist(), sizes.tolist(), strict=True):
        if rows_of_unit and rows + rows_of_unit / 2 <= goal:
            taken.append(unit)
            rows += rows_of_unit
    return np.asarray(taken, dtype=np.int64)


def _each_class_keeps_a_dev_row(facts: RowFacts, unit: Codes, vault: Rows, kept: Rows) -> Rows:
    """Move a unit back to dev for each class that has none there (never one kept from an earlier
    vault)."""
    if facts.kind == "regression":
        return vault
    for label in np.unique(facts.y[facts.has_target]):
        rows = np.flatnonzero(facts.y == label)
        movable = rows[vault[rows] & ~kept[rows]]
        if vault[rows].all() and len(movable):
            vault = vault & (unit != unit[movable[0]])
    return vault
