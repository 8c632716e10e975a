"""Rendered candidates and small tables for this room's tests."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from mlagent.content import Content
from mlagent.contracts.candidate import CandidateSpec
from mlagent.templates.candidates import CandidateName, render_candidate

NAMES: tuple[CandidateName, ...] = ("linear", "option_a", "option_b", "option_c")
PLAIN = {"task": "binary", "target": "y", "classes": ("no", "yes"), "metric": "roc_auc"}


def make_spec(frame: pd.DataFrame, roles: dict[str, str], **changes: Any) -> CandidateSpec:
    """A spec for a frame: dtypes from the frame, roles as given."""

    def dtype(name: str) -> str:
        kind = frame[name].dtype.kind if isinstance(frame[name].dtype, np.dtype) else "O"
        return {"f": "float64", "i": "int64", "b": "bool", "M": "datetime64"}.get(kind, "str")

    columns = {name: {"role": role, "dtype": dtype(name)} for name, role in roles.items()}
    facts = {**PLAIN, "direction": "maximize", "columns": columns, "split": {"kind": "stratified"}}
    return CandidateSpec.model_validate({**facts, "budget_s": 2.0, "threads": 2, **changes})


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One rendered folder per candidate, with an empty table's spec; `forest` is an option_c of
    forests."""
    root = tmp_path_factory.mktemp("candidates")
    for name in NAMES:
        render_candidate(Content(), name, make_spec(pd.DataFrame(), {}), root / name)
    forest = make_spec(pd.DataFrame(), {}, members=({"kind": "extra_trees"},))
    render_candidate(Content(), "option_c", forest, root / "forest")
    return {name: root / name for name in (*NAMES, "forest")}


class Loaded(NamedTuple):
    """A candidate as the runner sees it: a module called `solution`."""

    module: ModuleType

    def run(self, train: pd.DataFrame, spec: dict[str, Any], test: pd.DataFrame) -> np.ndarray:
        """Fit to the end, pickle as the runner does, predict."""
        made = self.module.fit(train, spec)
        data = b""
        for model in made if hasattr(made, "__next__") else [made]:
            data = pickle.dumps(model, protocol=5)
        return np.asarray(self.module.predict(pickle.loads(data), test))


@pytest.fixture
def load(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Loaded]:
    """Import a candidate under the name `solution`, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def loader(name: str) -> Loaded:
        found = importlib.util.spec_from_file_location("solution", folders[name] / "solution.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        monkeypatch.setitem(sys.modules, "solution", module)
        found.loader.exec_module(module)
        return Loaded(module)

    return loader


class Small(NamedTuple):
    """A table whose target depends on its columns, and the spec that goes with it."""

    train: pd.DataFrame
    test: pd.DataFrame
    truth: pd.Series
    spec: dict[str, Any]


@pytest.fixture
def churn() -> Callable[..., Small]:
    """Numbers with gaps, categories, dates, text; binary, multiclass or regression."""

    def make(task: str = "binary", rows: int = 420, **changes: Any) -> Small:
        rng = np.random.default_rng(7)
        amount = rng.normal(size=rows)
        start = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), unit="D")
        hours = rng.gamma(2.0, 3.0, rows)
        words = np.array(["late refund angry", "thanks great help", "invoice question please"])
        mood = rng.integers(0, 3, rows)
        plan = rng.choice(["basic", "plus", "pro", None], rows)
        frame = pd.DataFrame(
            {
                "amount": np.where(rng.random(rows) < 0.1, np.nan, amount),
                "plan": plan,
                "zone": [f"Z{v:03d}" for v in rng.integers(0, 60, rows)],
                "opened": start,
                "closed": start + pd.to_timedelta(hours, unit="h"),
                "note": words[mood],
                "paid": rng.random(rows) < 0.5,
                "key": np.arange(rows),
            }
        )
        signal = amount + 0.2 * hours + (mood == 0) * 2.0 + (plan == "pro") - 1.5
        signal = signal + rng.normal(scale=0.3, size=rows)
        roles = {"amount": "number", "plan": "category", "zone": "category", "opened": "datetime"}
        roles |= {"closed": "datetime", "note": "text", "paid": "number", "key": "id"}
        if task == "regression":
            frame["y"] = np.exp(signal / 2)
            changes = {"classes": (), "metric": "rmse", "direction": "minimize", **changes}
        elif task == "multiclass":
            frame["y"] = np.select([signal < 0, signal < 1.5], ["low", "middle"], "high")
            frame.loc[3, "y"] = "rare"
            classes = ("absent", "high", "low", "middle", "rare")
            changes = {"classes": classes, "metric": "log_loss", "direction": "minimize", **changes}
        else:
            frame["y"] = np.where(signal > 0.5, "yes", "no")
        spec = make_spec(frame, roles, task=task, **changes).model_dump(mode="json")
        test = frame.iloc[300:].drop(columns="y").reset_index(drop=True)
        return Small(frame.iloc[:300].reset_index(drop=True), test, frame["y"].iloc[300:], spec)

    return make
