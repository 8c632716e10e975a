"""The explorer's sandbox code on small real tables: what it finds, what it never shows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from sandbox_scripts import (
    add_classes,
    add_number,
    classes_of,
    load_script,
    run_script,
    three_numbers,
)

from mlagent.contracts.findings import Exploration

Explore = Callable[..., Exploration]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("explore/explore.py")


def plain_columns(frame: pd.DataFrame, target: str) -> dict[str, dict[str, str]]:
    """Roles as `plan` would hand them on, from the dtypes alone."""
    found = {}
    for name in frame.columns:
        values = frame[name]
        kinds = pd.api.types
        if kinds.is_bool_dtype(values):
            role, dtype = "category", "bool"
        elif kinds.is_datetime64_any_dtype(values):
            role, dtype = "datetime", "datetime64"
        elif kinds.is_numeric_dtype(values):
            role, dtype = "number", "int64" if kinds.is_integer_dtype(values) else "float64"
        else:
            role, dtype = "category", "str"
        if name != target:
            found[str(name)] = {"role": role, "dtype": dtype, "why": "dtype"}
    return found


@pytest.fixture
def explore(script: ModuleType, tmp_path: Path) -> Explore:
    """Run the script on a frame and validate what it wrote; the text is kept in `tmp_path`."""

    def run(frame: pd.DataFrame, target: str, kind: str, **more: Any) -> Exploration:
        columns = plain_columns(frame, target)
        for name, role in more.pop("roles", {}).items():
            columns[name]["role"] = role
        request = {
            "task": {"kind": kind, "target": target, "description": more.pop("words", "")},
            "columns": columns,
            "option": "option_b",
            "target": target,
            "classes": classes_of(frame, target, kind),
            "seed": 0,
            "max_rows": 200_000,
            "id_columns": [],
            "group": None,
            "time": None,
            "budget_s": 30,
        } | more
        return Exploration.model_validate_json(run_script(script, tmp_path, frame, request))

    return run


def codes(found: Exploration) -> set[str]:
    return {item.code for item in found.findings}


def numbers(rows: int, seed: int = 0) -> pd.DataFrame:
    return three_numbers(np.random.default_rng(seed), rows)


def with_classes(rows: int = 600) -> pd.DataFrame:
    return add_classes(numbers(rows))


def with_number(rows: int = 600) -> pd.DataFrame:
    return add_number(numbers(rows))


@pytest.mark.parametrize("option", ["option_a", "option_b", "option_c"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "nearly empty"])
def test_the_record_validates_and_no_probe_fails(explore: Explore, kind: str, option: str) -> None:
    frame = with_number() if kind == "regression" else with_classes()
    if kind == "multiclass":
        frame["y"] = pd.cut(frame["a"], 4, labels=["p", "q", "r", "s"]).astype(str)
    if kind == "nearly empty":
        frame = frame.head(3)
    task = "binary" if kind == "nearly empty" else kind
    found = explore(frame, "y", task, option=option)
    assert {look.name for look in found.looks} == set(frame.columns)
    assert not codes(found) & {"probe.failed", "budget.cut"}


def test_dirty_columns_neither_stop_the_run_nor_break_a_probe(explore: Explore) -> None:
    frame = with_classes(800)
    frame["empty"] = np.nan
    frame["nothing"] = pd.Series([None] * 800, dtype=object)
    frame["one"] = "same"
    frame["infinite"] = np.where(frame["a"] > 2, np.inf, frame["b"])
    frame["truth"] = pd.Series([True, None, False, True] * 200, dtype=object)
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(800), unit="h")
    frame.loc[::7, "when"] = pd.NaT
    frame["money"] = [f"{n:,}" for n in np.arange(800) * 37]
    frame["blank"] = np.where(frame["c"] > 0, " ", "full")
    frame['"); import os #'] = frame["b"]
    frame["{{7*7}}"] = frame["c"].round()
    frame.loc[::5, "a"] = np.nan
    found = explore(frame, "y", "binary", option="option_c")
    assert "probe.failed" not in codes(found)
    roles = found.roles.columns
    assert [roles[name].role for name in ("empty", "nothing", "one")] == ["constant"] * 3
    assert {"type.number_in_text", "number.infinite", "missing.tokens"} <= codes(found)
    assert '"); import os #' in roles


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_numbers_whose_squares_overflow_stop_nothing(explore: Explore, kind: str) -> None:
    frame = with_classes() if kind == "binary" else with_number()
    frame["far"] = frame["a"].clip(-1.7, 1.7) * 1e308
    frame["huge"] = frame["b"] * 1e200
    with np.errstate(all="ignore"):
        found = explore(frame, "y", kind, option="option_c")
    assert "probe.failed" not in codes(found)
    assert {look.name for look in found.looks} == set(frame.columns)


def test_columns_that_add_up_to_the_target_are_suspects_and_stay(explore: Explore) -> None:
    frame = numbers(2000)
    rng = np.random.default_rng(3)
    frame["casual"] = rng.poisson(40, 2000)
    frame["registered"] = rng.poisson(150, 2000)
    frame["cnt"] = frame["casual"] + frame["registered"]
    found = explore(frame, "cnt", "regression")
    leak = next(item for item in found.findings if item.code == "leak.sum")
    assert set(leak.columns) == {"casual", "registered"}
    assert found.roles.columns["casual"].suspect
    assert found.roles.columns["casual"].role == "number"
    assert found.roles.excluded == {}


def test_the_leak_of_bike_sharing_is_found(explore: Explore, datasets_root: Path) -> None:
    frame = pd.read_csv(datasets_root / "bike_sharing" / "bike_sharing.csv", parse_dates=["dteday"])
    found = explore(frame, "cnt", "regression")
    suspects = {name for name, role in found.roles.columns.items() if role.suspect}
    assert {"casual", "registered"} <= suspects
    assert found.roles.columns["instant"].role == "id"
    assert found.group_column is None
    assert found.time_column is None


@pytest.mark.parametrize("kind", ["binary", "regression", "line", "monotone"])
def test_a_copy_of_the_target_is_taken_out(explore: Explore, kind: str) -> None:
    frame = with_classes() if kind == "binary" else with_number()
    y = frame["y"]
    frame["twin"] = {
        "binary": lambda: y.map({"yes": "1", "no": "0"}) if kind == "binary" else y,
        "regression": lambda: y,
        "line": lambda: 7 - 2.5 * y,
        "monotone": lambda: np.exp(y),
    }[kind]()
    found = explore(frame, "y", "binary" if kind == "binary" else "regression")
    assert set(found.roles.excluded) == {"twin"}
    assert found.roles.columns["twin"].role == "excluded"
    assert "leak.copy" in codes(found)


def test_a_strong_but_honest_column_is_kept_and_named_suspect(explore: Explore) -> None:
    frame = with_number(3000)
    frame["near"] = frame["y"] + 0.1 * frame["y"].std() * numbers(3000, 9)["a"]
    found = explore(frame, "y", "regression")
    assert found.roles.excluded == {}
    assert found.roles.columns["near"].suspect
    assert not found.roles.columns["a"].suspect


def test_a_perfect_score_on_few_rows_is_no_ground_for_exclusion(explore: Explore) -> None:
    frame = with_classes(40)
    frame["y"] = ["yes"] * 4 + ["no"] * 36
    frame["lucky"] = [1.0] * 4 + [0.0] * 36
    assert explore(frame, "y", "binary").roles.excluded == {}


def test_near_unique_words_and_ids_get_no_association(explore: Explore) -> None:
    frame = with_classes()
    frame["code"] = [f"K{n:05d}X" for n in range(600)]
    frame["row"] = np.arange(1, 601)
    frame["remark"] = [f"remark number {n} about this and that" for n in range(600)]
    found = explore(frame, "y", "binary", roles={"remark": "text"})
    looks = {look.name: look for look in found.looks}
    assert looks["code"].role == looks["row"].role == "id"
    for name in ("code", "row", "remark"):
        assert looks[name].association is None
        assert looks[name].single_score is None
        assert looks[name].counts == ()


def test_a_value_is_shown_from_ten_occurrences_on_and_never_of_ids_or_texts(
    explore: Explore, tmp_path: Path
) -> None:
    frame = with_classes()
    frame["town"] = ["often-enough"] * 10 + ["nine-times-only"] * 9 + ["plenty"] * 581
    frame["code"] = ["CANARY-ID-1"] * 15 + [f"K{n:05d}X" for n in range(585)]
    frame["remark"] = ["CANARY-TEXT says hello"] * 20 + [f"remark {n} here" for n in range(580)]
    explore(frame, "y", "binary", roles={"remark": "text", "code": "id"}, option="option_c")
    text = (tmp_path / "result.json").read_text()
    assert "often-enough" in text
    assert "nine-times-only" not in text
    assert "CANARY" not in text


def test_group_column_needs_an_entity_whose_rows_share_the_target(explore: Explore) -> None:
    rng = np.random.default_rng(5)
    patient = np.repeat(np.arange(200), 4)
    frame = numbers(800)
    frame["patient_id"] = patient + 10_000
    frame["clinic_id"] = rng.integers(0, 200, 800)
    frame["y"] = rng.normal(size=200)[patient] + 0.3 * rng.normal(size=800)
    found = explore(frame, "y", "regression")
    assert found.group_column == "patient_id"
    assert explore(frame.drop(columns="patient_id"), "y", "regression").group_column is None
    shuffled = frame.assign(y=rng.permutation(frame["y"]))
    found = explore(shuffled, "y", "regression")
    assert found.group_column is None
    assert "group.possible" not in {finding.code for finding in found.findings}


def test_rows_that_are_a_little_alike_are_a_finding_that_stops_nothing(explore: Explore) -> None:
    rng = np.random.default_rng(5)
    patient = np.repeat(np.arange(300), 5)
    frame = numbers(1500).assign(patient_id=patient + 10_000)
    frame["y"] = 0.5 * rng.normal(size=300)[patient] + rng.normal(size=1500)
    found = explore(frame, "y", "regression")
    assert found.group_column is None
    (alike,) = [finding for finding in found.findings if finding.code == "group.possible"]
    assert alike.columns == ("patient_id",)
    assert alike.severity == "medium"
    assert "--group 'patient_id'" in alike.consequence


def test_time_is_suggested_only_when_the_words_speak_of_the_future(explore: Explore) -> None:
    frame = with_number(1000)
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(1000), unit="h")
    frame["y"] = frame["y"] + np.arange(1000) / 100
    found = explore(frame, "y", "regression")
    assert "time.drift" in codes(found)
    assert found.time_column is None
    asked = explore(frame, "y", "regression", words="predict tomorrow's load")
    assert asked.time_column == "when"


def test_missing_cells_that_tell_about_the_target_are_a_finding(explore: Explore) -> None:
    frame = with_classes(2000)
    gone = (frame["y"] == "yes") & (np.random.default_rng(2).random(2000) < 0.5)
    frame.loc[gone, "b"] = np.nan
    frame.loc[np.random.default_rng(3).random(2000) < 0.2, "c"] = np.nan
    linked = [
        f for f in explore(frame, "y", "binary").findings if f.code == "missing.target_linked"
    ]
    assert [item.columns for item in linked] == [("b",)]


def test_options_differ_in_what_they_look_at(explore: Explore) -> None:
    frame = with_classes(12_000)
    frame["same"] = frame["a"] * 2 + 1e-9
    quick = explore(frame, "y", "binary", option="option_a")
    standard = explore(frame, "y", "binary", option="option_b")
    assert (quick.rows_used, standard.rows_used) == (10_000, 12_000)
    assert "redundant.pair" in codes(standard) - codes(quick)
    frame["drifting"] = np.arange(12_000) / 12_000
    deep = explore(frame, "y", "binary", option="option_c")
    assert "drift.rows" in codes(deep) - codes(explore(frame, "y", "binary"))


def test_a_spent_budget_skips_probes_and_says_so(explore: Explore) -> None:
    found = explore(with_classes(), "y", "binary", budget_s=1e-9)
    assert "budget.cut" in codes(found)


def test_the_same_request_gives_the_same_bytes(explore: Explore, tmp_path: Path) -> None:
    explore(with_classes(), "y", "binary", option="option_c")
    first = (tmp_path / "result.json").read_bytes()
    explore(with_classes(), "y", "binary", option="option_c")
    assert (tmp_path / "result.json").read_bytes() == first


def test_twenty_thousand_rows_of_thirty_columns_take_seconds_not_minutes(
    explore: Explore,
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20_000, 22)), columns=[f"n{i}" for i in range(22)])
    for i in range(7):
        frame[f"c{i}"] = rng.choice([f"v{j}" for j in range(4 + 20 * i)], 20_000)
    frame["y"] = np.where(frame["n0"] + rng.normal(size=20_000) > 0, "yes", "no")
    started = time.process_time()
    explore(frame, "y", "binary")
    assert time.process_time() - started < 8  # 1 s on an idle machine; generous for a busy one
