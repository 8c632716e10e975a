"""Seal, folds and checks: nothing that belongs together is cut, nothing is drawn twice."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlagent.contracts.errors import BadInput
from mlagent.contracts.run import Seal
from mlagent.referee.split import (
    RowFacts,
    check_split,
    dev_rows,
    draw_seal,
    fold_count,
    make_folds,
    seal_from_test_file,
)

SHA = "a" * 64
SHA_GROWN = "b" * 64


def table(n: int, seed: int = 0, *, rate: float = 0.3, twins: float = 0.0, **more) -> RowFacts:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < rate).astype(np.int64)
    hashes = rng.permutation(np.arange(n, dtype=np.uint64)) + np.uint64(seed * 10**9)
    keys = hashes.copy()
    for row in np.flatnonzero(rng.random(n) < twins):
        keys[row] = keys[rng.integers(0, n)]
    return RowFacts(more.pop("kind", "binary"), more.pop("y", y), keys, hashes, **more)


def joined(first: RowFacts, second: RowFacts) -> RowFacts:
    def both(name: str) -> np.ndarray | None:
        a, b = getattr(first, name), getattr(second, name)
        return None if a is None else np.concatenate([a, b])

    return RowFacts(first.kind, *(both(x) for x in ("y", "keys", "row_hashes", "groups", "times")))


def in_vault(seal: Seal, n: int) -> np.ndarray:
    mask = np.ones(n, dtype=bool)
    mask[dev_rows(seal, n)] = False
    return mask


def draw(facts: RowFacts, **more) -> Seal:
    options = {"kind": "stratified", "seed": 0, "data_sha256": SHA} | more
    return draw_seal(facts, **options)


def test_a_fifth_of_each_class_goes_into_the_vault():
    facts = table(2000)
    seal = draw(facts)
    vault = in_vault(seal, 2000)
    assert seal.share == 0.2
    assert vault.sum() == pytest.approx(400, abs=2)
    assert facts.y[vault].mean() == pytest.approx(facts.y.mean(), abs=0.002)
    assert seal.dev_rows == 2000 - len(seal.vault_rows)
    assert len(seal.vault_hashes) == len(seal.vault_rows)
    assert seal.vault_hashes[0] == f"{int(facts.row_hashes[seal.vault_rows[0]]):016x}"


def test_the_same_seed_draws_the_same_seal_and_another_seed_another():
    facts = table(1000)
    assert draw(facts) == draw(facts)
    other = draw(facts, seed=1)
    assert other.id != draw(facts).id
    assert other.vault_rows != draw(facts).vault_rows


@pytest.mark.parametrize(
    ("n", "rate", "words"),
    [(400, 0.5, "80 rows, under 100"), (2000, 0.03, "rarer class, under 25")],
)
def test_small_data_has_no_vault_and_says_why(n, rate, words):
    seal = draw(table(n, rate=rate))
    assert seal.share == 0
    assert seal.vault_rows == ()
    assert any(words in note for note in seal.notes)


def test_an_earlier_seal_is_reused_with_its_openings():
    facts = table(1000)
    opened = draw(facts).model_copy(update={"openings": 3})
    assert draw(facts, earlier=[opened]) is opened
    assert draw(facts, seed=1, earlier=[opened]).openings == 0
    none = draw(table(100))
    assert draw(table(100), earlier=[none]) is none


@given(seed=st.integers(0, 500), n=st.integers(600, 1200), more=st.integers(0, 600))
@settings(max_examples=25, deadline=None)
def test_when_the_data_grows_vault_rows_stay_and_dev_rows_stay_dev(seed, n, more):
    old = table(n, seed, rate=0.5, twins=0.05)
    first = draw(old, seed=seed)
    grown = joined(old, table(more, seed + 501, rate=0.5)) if more else old
    second = draw(grown, seed=seed, data_sha256=SHA_GROWN, earlier=[first])
    assert set(first.vault_rows) <= set(second.vault_rows)
    assert {row for row in second.vault_rows if row < n} == set(first.vault_rows)
    share = len(second.vault_rows) / grown.n
    assert share == pytest.approx(0.2, abs=0.03)


def test_vault_rows_stay_when_the_grown_table_was_shuffled_too():
    old = table(1000)
    first = draw(old)
    grown = joined(old, table(500, 7))
    shuffled = grown.take(np.random.default_rng(0).permutation(1500))
    second = draw(shuffled, data_sha256=SHA_GROWN, earlier=[first])
    assert set(first.vault_hashes) <= set(second.vault_hashes)
    assert len(second.vault_rows) == pytest.approx(300, abs=3)


@given(seed=st.integers(0, 500))
@settings(max_examples=25, deadline=None)
def test_rows_with_equal_features_are_never_on_both_sides(seed):
    facts = table(800, seed, rate=0.5, twins=0.2)
    assume(np.unique(facts.keys, return_counts=True)[1].max() <= 8)  # 1 %: rule 4 groups no more
    seal = draw(facts, seed=seed)
    vault = in_vault(seal, 800)
    assert seal.grouped_duplicates
    assert not set(facts.keys[vault]) & set(facts.keys[~vault])
    dev = facts.take(np.flatnonzero(~vault))
    plan = SimpleNamespace(kind="stratified", folds=5, repeats=2)
    for fold in make_folds(dev, plan, seed, group_duplicates=seal.grouped_duplicates):
        assert not set(dev.keys[fold == 1]) & set(dev.keys[fold == 2])


def test_mostly_equal_rows_are_not_grouped_and_that_is_said():
    few = table(1000)
    few = RowFacts("binary", few.y, few.keys % np.uint64(300), few.row_hashes)
    seal = draw(few)
    assert not seal.grouped_duplicates
    assert "300 of 1000 rows have distinct features" in seal.notes[0]
    assert len(seal.vault_rows) == pytest.approx(200, abs=2)


def test_one_frequent_key_is_not_grouped_and_that_is_said():
    keys = np.arange(1000, dtype=np.uint64)
    keys[:15] = 5
    seal = draw(RowFacts("binary", table(1000).y, keys, np.arange(1000, dtype=np.uint64)))
    assert not seal.grouped_duplicates
    assert "15 of 1000 rows share the same features" in seal.notes[0]


@given(seed=st.integers(0, 500), groups=st.integers(10, 200))
@settings(max_examples=25, deadline=None)
def test_no_group_is_on_both_sides_of_vault_or_folds(seed, groups):
    rng = np.random.default_rng(seed)
    facts = table(1500, seed, rate=0.5, groups=rng.integers(0, groups, 1500))
    seal = draw(facts, kind="group", group_name="site", share=0.2, seed=seed)
    vault = in_vault(seal, 1500)
    assert not set(facts.groups[vault]) & set(facts.groups[~vault])
    assert 0.05 < vault.mean() < 0.35
    dev = facts.take(np.flatnonzero(~vault))
    folds = make_folds(dev, SimpleNamespace(kind="group", folds=3, repeats=1), seed)
    assert (folds == 2).sum(axis=0).max() == 1
    for fold in folds:
        assert not set(dev.groups[fold == 1]) & set(dev.groups[fold == 2])
        assert check_split(dev, np.flatnonzero(fold == 1), np.flatnonzero(fold == 2)) == []


def test_rows_without_a_group_are_groups_of_their_own():
    groups = np.array([None, pd.NA, "a", "a"] * 300, dtype=object)
    seal = draw(table(1200, rate=0.5, groups=groups), kind="group", group_name="g", share=0.2)
    vault = in_vault(seal, 1200)
    missing = np.arange(1200) % 4 < 2
    assert 0 < vault[missing].sum() < missing.sum()


def test_groups_and_twins_are_kept_whole_together():
    rng = np.random.default_rng(0)
    facts = table(1500, rate=0.5, twins=0.01, groups=rng.integers(0, 300, 1500))
    seal = draw(facts, kind="group", group_name="g", share=0.2)
    vault = in_vault(seal, 1500)
    assert seal.grouped_duplicates
    assert check_split(facts, np.flatnonzero(~vault), np.flatnonzero(vault)) == []


def test_a_row_that_another_table_has_too_does_not_move_the_vault():
    old = table(1000, rate=0.5, times=np.arange(1000.0))
    first = draw(old, kind="time", time_name="t")
    other = table(1000, 5, rate=0.5, times=np.arange(1000.0))
    other.row_hashes[30] = old.row_hashes[first.vault_rows[0]]
    second = draw(other, kind="time", time_name="t", data_sha256=SHA_GROWN, earlier=[first])
    alone = draw(other, kind="time", time_name="t", data_sha256=SHA_GROWN)
    assert second.vault_rows == alone.vault_rows
    assert not any("earlier" in note for note in second.notes)


def test_two_files_that_share_rows_are_told_from_a_table_that_repeats_itself():
    facts = table(1000, twins=0.3)
    half = np.arange(500)
    (usual,) = check_split(facts, half, half + 500)
    assert "have the same features as a training row" in usual
    keys = np.concatenate([facts.keys[:750], facts.keys[:250]])
    shared = RowFacts(facts.kind, facts.y, keys, facts.row_hashes)
    told = " ".join(check_split(shared, np.arange(750), np.arange(750, 1000)))
    assert "250 of 250 judged rows" in told
    assert "so the score is flattered" in told


@pytest.mark.parametrize("as_dates", [False, True])
def test_the_vault_of_a_time_split_is_the_latest_rows(as_dates):
    rng = np.random.default_rng(0)
    times = rng.integers(0, 300, 2000).astype(np.float64)
    if as_dates:
        times = np.datetime64("2024-01-01") + times.astype("timedelta64[D]")
    facts = table(2000, rate=0.5, times=times)
    seal = draw(facts, kind="time", time_name="day")
    vault = in_vault(seal, 2000)
    assert times[~vault].max() < times[vault].min()
    assert vault.mean() == pytest.approx(0.2, abs=0.01)


def test_a_grown_time_table_never_trains_on_rows_later_than_the_old_vault():
    old = table(1000, rate=0.5, times=np.arange(1000.0))
    first = draw(old, kind="time", time_name="t")
    grown = joined(old, table(500, 7, rate=0.5, times=np.arange(1000.0, 1500.0)))
    second = draw(grown, kind="time", time_name="t", data_sha256=SHA_GROWN, earlier=[first])
    assert set(first.vault_rows) <= set(second.vault_rows)
    assert second.dev_rows == first.dev_rows
    assert any(
        "700 of 1,500 rows, where 20% were asked for. Another --seed" in note
        for note in second.notes
    )


def test_rows_without_a_time_or_a_target_stay_out_of_the_vault():
    times = np.arange(1000.0)
    times[::10] = np.nan
    facts = table(1000, rate=0.5, times=times)
    y = facts.y.copy()
    y[-5:] = -1
    facts = RowFacts("binary", y, facts.keys, facts.row_hashes, None, times)
    vault = in_vault(draw(facts, kind="time", time_name="t"), 1000)
    assert not vault[np.isnan(times)].any()
    assert not vault[-5:].any()
    vault = in_vault(draw(facts), 1000)
    assert not vault[-5:].any()
    folds = make_folds(facts, SimpleNamespace(kind="stratified", folds=3, repeats=1), 0)
    assert (folds[:, -5:] == 0).all()


def test_every_class_keeps_a_dev_row_however_rare_it_is():
    y = np.concatenate([np.zeros(997), [1, 2, 2]]).astype(np.int64)
    hashes = np.arange(1000, dtype=np.uint64)
    facts = RowFacts("multiclass", y, hashes, hashes)
    for share in (0.2, 0.7):
        vault = in_vault(draw(facts, share=share), 1000)
        assert set(y[~vault]) == {0, 1, 2}
    folds = make_folds(facts, SimpleNamespace(kind="stratified", folds=5, repeats=1), 0)
    assert folds.shape == (5, 1000)


def test_regression_vault_follows_the_target_distribution():
    y = np.random.default_rng(0).lognormal(size=2000)
    facts = table(2000, kind="regression", y=y)
    vault = in_vault(draw(facts, kind="random"), 2000)
    assert vault.sum() == pytest.approx(400, abs=10)
    assert np.median(y[vault]) == pytest.approx(np.median(y), rel=0.1)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kind": "group"}, "--group COL"),
        ({"kind": "time"}, "--time COL"),
        ({"share": 1.5}, "1.5 is not a share"),
    ],
)
def test_a_split_that_cannot_be_drawn_names_the_way_out(more, words):
    with pytest.raises(BadInput, match=words):
        draw(table(1000), **more)


def test_one_group_or_one_moment_is_bad_input():
    with pytest.raises(BadInput, match="one group only"):
        draw(table(600, groups=np.zeros(600)), kind="group", group_name="g")
    with pytest.raises(BadInput, match="fewer than two moments"):
        draw(table(600, times=np.zeros(600)), kind="time", time_name="t")


def test_an_asked_for_vault_that_would_be_empty_is_bad_input():
    with pytest.raises(BadInput, match="--vault 0"):
        draw(table(3), share=0.1)


def test_a_test_file_is_the_vault_and_what_it_shares_is_said():
    facts = table(1000)
    facts.keys[990:] = facts.keys[:10]
    seal = seal_from_test_file(facts, test_rows=200, kind="stratified", seed=0, data_sha256=SHA)
    assert seal.vault_rows == tuple(range(800, 1000))
    assert any("10 of 200 judged rows have the same features" in note for note in seal.notes)
    again = seal_from_test_file(
        facts, test_rows=200, kind="stratified", seed=0, data_sha256=SHA, earlier=[seal]
    )
    assert again is seal
    with pytest.raises(BadInput):
        seal_from_test_file(facts, test_rows=1000, kind="random", seed=0, data_sha256=SHA)


def test_check_split_sees_twins_groups_and_time():
    facts = table(100, groups=np.arange(100) // 2, times=np.arange(100.0))
    assert check_split(facts, np.arange(50), np.arange(50, 100)) == []
    said = " ".join(check_split(facts, np.arange(1, 51), np.r_[0, 51:100]))
    assert "2 groups" in said
    assert "50 of 50 training rows are not earlier" in said
    facts.keys[99] = facts.keys[3]
    assert "1 of 50 judged rows" in check_split(facts, np.arange(50), np.arange(50, 100))[0]


@pytest.mark.parametrize(
    ("rows", "share", "kind", "expected"),
    [
        (20_000, 0.2, "stratified", (1, 1)),
        (19_999, 0.2, "stratified", (3, 1)),
        (2_000, 0.2, "group", (3, 1)),
        (1_999, 0.2, "random", (5, 1)),
        (400, 0.0, "stratified", (5, 3)),
        (400, 0.0, "time", (5, 1)),
        (50_000, 0.0, "stratified", (1, 1)),
    ],
)
def test_fold_counts_follow_the_number_of_dev_rows(rows, share, kind, expected):
    assert fold_count(rows, share, kind) == expected


@given(seed=st.integers(0, 500), n=st.integers(10, 400), folds=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_every_row_is_held_out_once_per_repeat_and_trains_otherwise(seed, n, folds):
    facts = table(n, seed, rate=0.4)
    made = make_folds(facts, SimpleNamespace(kind="stratified", folds=folds, repeats=3), seed)
    assert made.shape == (3 * folds, n)
    assert made.dtype == np.int8
    assert ((made == 2).sum(axis=0) == 3).all()
    assert (made > 0).all()
    sizes = (made == 2).sum(axis=1)
    assert sizes.max() - sizes.min() <= 2
    again = make_folds(facts, SimpleNamespace(kind="stratified", folds=folds, repeats=3), seed)
    assert (again == made).all()
    positives = [facts.y[line == 2].sum() for line in made]
    assert max(positives) - min(positives) <= 1


def test_one_fold_is_one_hold_out_of_a_fifth():
    made = make_folds(table(1000), SimpleNamespace(kind="stratified", folds=1, repeats=1), 0)
    assert made.shape == (1, 1000)
    assert (made == 2).mean() == pytest.approx(0.2, abs=0.01)


def test_time_folds_train_on_earlier_rows_only_and_expand():
    rng = np.random.default_rng(0)
    facts = table(600, times=rng.integers(0, 100, 600).astype(float))
    made = make_folds(facts, SimpleNamespace(kind="time", folds=4, repeats=1), 0)
    assert made.shape == (4, 600)
    for fold in made:
        assert facts.times[fold == 1].max() < facts.times[fold == 2].min()
    assert (np.diff((made == 1).sum(axis=1)) > 0).all()
    single = make_folds(facts, SimpleNamespace(kind="time", folds=1, repeats=1), 0)
    assert (single == 2).mean() == pytest.approx(0.2, abs=0.02)


def test_fewer_groups_than_folds_give_fewer_folds_and_one_group_is_bad_input():
    three = table(90, groups=np.repeat([1, 2, 3], 30))
    made = make_folds(three, SimpleNamespace(kind="group", folds=5, repeats=1), 0)
    assert made.shape == (3, 90)
    one = table(90, groups=np.ones(90, dtype=int))
    with pytest.raises(BadInput, match="1 independent"):
        make_folds(one, SimpleNamespace(kind="group", folds=5, repeats=1), 0)
