"""`spec.monotone`: predictions never go the wrong way along the column, or the user is told why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlagent.content import Content
from mlagent.contracts.candidate import CandidateSpec
from mlagent.contracts.errors import BadInput
from mlagent.templates.candidates import default_members, render_candidate

ROLES = {"kind": "category", "income": "number", "age": "number", "noise": "number"}


def noisy(task: str, rows: int = 240) -> pd.DataFrame:
    """A target that falls with `income` in the mean, with bumps and noise."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "kind": rng.choice(["a", "b", "c"], rows),
            "income": np.where(rng.random(rows) < 0.05, np.nan, rng.normal(size=rows)),
            "age": rng.normal(size=rows),
            "noise": rng.normal(size=rows),
        }
    )
    income = frame["income"].fillna(0)
    signal = 2.0 * frame["age"].abs() - 0.7 * income + np.sin(3 * income) - 1.5
    signal = signal + rng.normal(size=rows)
    frame["y"] = np.exp(signal / 2) if task == "regression" else np.where(signal > 0, "yes", "no")
    return frame


def make_spec(task: str = "binary", **changes: Any) -> CandidateSpec:
    """A spec for such a table."""
    columns = {
        name: {"role": role, "dtype": "str" if role == "category" else "float64"}
        for name, role in ROLES.items()
    }
    facts = {"task": task, "target": "y", "columns": columns, "split": {"kind": "random"}}
    facts |= {"classes": ("no", "yes"), "metric": "roc_auc", "direction": "maximize"}
    if task == "regression":
        facts |= {"classes": (), "metric": "rmse", "direction": "minimize"}
    return CandidateSpec.model_validate({**facts, "budget_s": 2.0, "threads": 2, **changes})


def wrong_way(module: Any, frame: pd.DataFrame, spec: dict[str, Any]) -> float:
    """The largest rise of a prediction along a grid of `income`, other features fixed."""
    *_, model = module.fit(frame, spec)
    grid = np.linspace(-3, 3, 121)
    rows = frame.drop(columns="y").head(15)
    stacked = pd.concat([rows.assign(income=value) for value in grid], ignore_index=True)
    values = np.asarray(module.predict(model, stacked)).reshape(len(grid), len(rows))
    assert np.ptp(values, axis=0).max() > 0.01, "the column is used"
    return float(np.diff(values, axis=0).max())


def spec_for(task: str, **changes: Any) -> dict[str, Any]:
    """The same as it stands in spec.json."""
    return make_spec(task, **changes).model_dump(mode="json")


@pytest.mark.parametrize(
    ("task", "metric"), [("binary", "roc_auc"), ("regression", "rmse"), ("regression", "mae")]
)
@pytest.mark.parametrize("name", ["option_b", "option_c"])
def test_predictions_never_go_the_wrong_way_along_a_monotone_column(
    name: str, task: str, metric: str, load: Callable[[str], Any]
) -> None:
    frame = noisy(task)
    members = [{"kind": kind} for kind in ("lightgbm", "linear", "catboost")]
    spec = spec_for(task, metric=metric, members=members if name == "option_c" else ())
    module = load(name).module
    assert wrong_way(module, frame, spec) > 1e-3, "without the constraint it does go the wrong way"
    assert wrong_way(module, frame, {**spec, "monotone": {"income": -1}}) <= 1e-9
    fitted = json.loads(Path("schedule.json").read_text())["members"]
    assert {step["kind"] for step in fitted} <= {"lightgbm", "catboost"}


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_catboost_alone_keeps_to_a_monotone_column(metric: str, load: Callable[[str], Any]) -> None:
    frame = noisy("regression")
    member = {"kind": "catboost", "params": {"learning_rate": 0.2, "most_rounds": 60}}
    spec = spec_for("regression", metric=metric, members=[member])
    module = load("option_c").module
    assert wrong_way(module, frame, spec) > 1e-3
    assert wrong_way(module, frame, {**spec, "monotone": {"income": -1}}) <= 1e-9


def test_a_category_of_numbers_that_has_to_be_monotone_is_read_as_a_number(
    load: Callable[[str], Any],
) -> None:
    frame = noisy("binary")
    frame["income"] = frame["income"].mul(2).round()
    spec = spec_for("binary", monotone={"income": -1}, budget_s=1.0)
    spec["columns"]["income"]["role"] = "category"
    assert wrong_way(load("option_b").module, frame, spec) <= 1e-9


def test_a_candidate_or_task_that_cannot_be_monotone_is_refused(tmp_path: Path) -> None:
    spec = make_spec(monotone={"income": 1})
    with pytest.raises(BadInput, match=r"option_a .*'income'.*option_b"):
        render_candidate(Content(), "option_a", spec, tmp_path / "a")
    several = spec.model_copy(update={"task": "multiclass", "classes": ("a", "b", "c")})
    with pytest.raises(BadInput, match="monotone needs binary or regression"):
        render_candidate(Content(), "option_b", several, tmp_path / "b")
    for column in ("kind", "nothing"):
        other = spec.model_copy(update={"monotone": {column: 1}})
        with pytest.raises(BadInput, match=f"column of numbers; {column!r}"):
            render_candidate(Content(), "option_c", other, tmp_path / "c")
    assert not list(tmp_path.iterdir())
    render_candidate(Content(), "linear", spec, tmp_path / "linear")


def test_members_that_cannot_be_monotone_are_not_rendered(tmp_path: Path) -> None:
    spec = make_spec(monotone={"income": 1})
    given = default_members("binary", 1000, 4, 30.0)
    for members in ((), given, ({"kind": "linear"},)):
        asked = spec.model_copy(update={"members": members})
        render_candidate(Content(), "option_c", asked, tmp_path)
        kinds = {m["kind"] for m in json.loads((tmp_path / "spec.json").read_text())["members"]}
        assert kinds == {"lightgbm", "catboost"}
        assert "class Forest" not in (tmp_path / "solution.py").read_text()
    assert {m["kind"] for m in default_members("binary", 9, 9, 9.0, True)} == kinds
