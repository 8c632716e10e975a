"""What a killed run needs to go on: fold predictions, fitted models, the order of the judged rows.

Kept in the run folder's `.state/` while the run is unfinished, removed before the manifest is
written. Arrays are plain npz (no pickle); model files are bytes that are never loaded here.
Guarantees that what is loaded was written
whole: each part has its own marker, written last.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mlagent.agents.ml_engineer import Fitted, FoldResult
from mlagent.documents import load_json
from mlagent.store.files import sha256_of, write_json
from mlagent.store.runs import RunFolder


def _folder(run: RunFolder, name: str) -> Path:
    folder = run.path / ".state" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _facts(folder: Path) -> dict[str, Any] | None:
    marker = folder / "done.json"
    if not marker.is_file():
        return None
    return dict(load_json(marker.read_text(encoding="utf-8"), str(marker)))


def forget(run: RunFolder) -> None:
    """Remove everything; the run is finished."""
    shutil.rmtree(run.path / ".state", ignore_errors=True)


def save_folds(run: RunFolder, result: FoldResult) -> None:
    """Keep one candidate's fold predictions."""
    folder = _folder(run, f"folds-{result.name}")
    arrays = {f"fold_{index}": array for index, array in result.predictions.items()}
    if result.probe is not None:
        arrays["probe"] = result.probe
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    facts = {
        "outcome": result.outcome,
        "fit_seconds": result.fit_seconds,
        "predict_seconds": result.predict_seconds,
        "busy_seconds": result.busy_seconds,
        "scoring_s": result.scoring_s,
        "schedules": result.schedules,
        "log": result.log,
    }
    write_json(folder / "done.json", facts)


def forget_folds(run: RunFolder, name: str) -> None:
    """What was kept belongs to other code of this name."""
    shutil.rmtree(run.path / ".state" / f"folds-{name}", ignore_errors=True)


def load_folds(run: RunFolder, name: str) -> FoldResult | None:
    """What `save_folds` kept, or None."""
    folder = _folder(run, f"folds-{name}")
    facts = _facts(folder)
    if facts is None:
        return None
    result = FoldResult(name, **facts)
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        for key in arrays.files:
            if key == "probe":
                result.probe = arrays[key]
            else:
                result.predictions[int(key.removeprefix("fold_"))] = arrays[key]
    return result


def save_fitted(run: RunFolder, name: str, fitted: Fitted) -> None:
    """Keep a fitted model's file and facts."""
    folder = _folder(run, f"fit-{name}")
    if fitted.ok:
        shutil.copyfile(fitted.folder / "model.pkl", folder / "model.pkl")
    facts = {
        "sha256": fitted.sha256,
        "outcome": fitted.outcome,
        "fit_seconds": fitted.fit_seconds,
        "wall_s": fitted.wall_s,
        "schedule": fitted.schedule,
    }
    write_json(folder / "done.json", facts)


def load_fitted(run: RunFolder, name: str) -> Fitted | None:
    """What `save_fitted` kept, or None when there is none or its bytes are not the ones noted."""
    folder = _folder(run, f"fit-{name}")
    facts = _facts(folder)
    if facts is None:
        return None
    if facts["sha256"] is not None and sha256_of(folder / "model.pkl") != facts["sha256"]:
        return None
    return Fitted(folder=folder, **facts)


def save_judged(run: RunFolder, order: np.ndarray, predictions: np.ndarray) -> None:
    """Keep the order in which judged rows were handed out and what came back in that order."""
    folder = _folder(run, "judged")
    np.savez(folder / "arrays.npz", order=order, predictions=predictions)
    write_json(folder / "done.json", {})


def load_judged(run: RunFolder) -> tuple[np.ndarray, np.ndarray] | None:
    """Order and predictions, or None."""
    folder = _folder(run, "judged")
    if _facts(folder) is None:
        return None
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        return arrays["order"], arrays["predictions"]
