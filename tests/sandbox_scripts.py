"""A script of the sandbox on a small table, run as the runner runs it, and tables to try it on."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import numpy as np
import pandas as pd

TEMPLATES = Path(__file__).parents[1] / "templates"


def load_script(relative: str) -> ModuleType:
    """A script of `templates/`, loaded as the runner loads it."""
    before = list(sys.path)
    source = TEMPLATES / relative
    spec = importlib.util.spec_from_file_location(f"{source.stem}_script", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def run_script(
    script: ModuleType, folder: Path, frame: pd.DataFrame, request: Mapping[str, Any]
) -> str:
    """The record that the script wrote about these rows; it is kept in `folder`."""
    with duckdb.connect() as connection:
        connection.register("dirty", frame)
        path = str(folder / "dev.parquet").replace("'", "''")
        connection.execute(f"COPY dirty TO '{path}' (FORMAT parquet)")
    (folder / "request.json").write_text(json.dumps(request))
    script.main(folder, folder)
    return (folder / "result.json").read_text()


def classes_of(frame: pd.DataFrame, target: str, kind: str) -> list[str]:
    """The classes of a target, none for a number."""
    return [] if kind == "regression" else sorted(frame[target].dropna().astype(str).unique())


def three_numbers(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Numbers a, b, c and the category `level`."""
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "c"])
    frame["level"] = rng.choice(["red", "green", "blue"], rows)
    return frame


def add_classes(frame: pd.DataFrame) -> pd.DataFrame:
    """With y: yes or no, by `a` and noise."""
    noise = np.random.default_rng(1).normal(size=len(frame))
    return frame.assign(y=np.where(frame["a"] + noise > 0, "yes", "no"))


def add_number(frame: pd.DataFrame) -> pd.DataFrame:
    """With y: a number, by `a` and noise."""
    return frame.assign(y=3 * frame["a"] + np.random.default_rng(1).normal(size=len(frame)))
