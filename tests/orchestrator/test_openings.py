"""Openings of other vaults of the same table are told: trying seeds is a way to be lucky."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlagent.contracts.run import Seal
from mlagent.orchestrator.judging import _other_openings
from mlagent.orchestrator.state import Bench

DATA, OTHER = "a" * 64, "b" * 64


def seal(name: str, openings: int, data: str = DATA) -> Seal:
    return Seal(
        id=name,
        data_sha256=data,
        kind="random",
        share=0.2,
        seed=0,
        dev_rows=8,
        vault_rows=(1, 2),
        vault_hashes=("0" * 16, "1" * 16),
        grouped_duplicates=False,
        openings=openings,
    )


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), ""),
        ((seal("two", 0),), ""),
        ((seal("two", 3, OTHER),), ""),
        ((seal("two", 1),), "opened once;"),
        ((seal("two", 1), seal("three", 2), seal("four", 5, OTHER)), "opened 3 times;"),
    ],
)
def test_openings_of_the_same_table_under_other_seals_are_summed(
    others: tuple[Seal, ...], said: str
) -> None:
    own = seal("one", 7)
    bench: Any = SimpleNamespace(project=SimpleNamespace(seals=lambda: [own, *others]))
    notes = _other_openings(cast(Bench, bench), own)
    assert said in " ".join(notes)
    assert bool(notes) == bool(said)
