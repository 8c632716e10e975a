"""The ml-engineer at work: candidates are scored on folds, fitted, asked for predictions, in the
sandbox.

Works for any candidate folder, whoever wrote it: shipped templates (class B) run all folds in one
container; everything else gets a container of its own for each fit and each predict, and the
predict container never sees a label. A candidate that fails has a sentence instead of a score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np

from mlagent.contracts.ports import CodeClass, never
from mlagent.referee.metrics import Truth

from .job_outputs import busy_seconds, duration, folds_told, json_object, read_prediction, width
from .jobs import MB, Desk
from .left_nothing import without_model, without_predictions

MODEL_MB = 1024
SCHEDULE_MB = 4
APART_GRACE_S = 8.0
"""Seconds beyond its budget that a stranger's first fit gets for the container and its imports;
later folds get what the first prediction needed for that, see `grace_after`."""
START_S = 20.0
"""Seconds a job may take beside its own budget: container, imports, reading and writing."""


@dataclass(frozen=True)
class CandidateFolder:
    """A candidate and whose code it is."""

    name: str
    path: Path
    code: CodeClass


@dataclass
class FoldResult:
    """What came of one candidate on the folds.

    Attributes:
        predictions: fold index -> prediction of its held-out rows, ascending row order.
        outcome: 'ok', or a sentence why there is no score.
        fit_seconds, predict_seconds: of all folds together.
        busy_seconds: wall clock during which at least one fold was inside `fit`.
        scoring_s: wall clock from the first container to the last, of a candidate of a search.
        probe: prediction of the first fold's model on the probe rows, when one was asked for.
        schedules: number of the fold as text -> what its fit did, for a replay.
        log: what the job that failed printed; of a search, masked.
    """

    name: str
    predictions: dict[int, np.ndarray] = field(default_factory=dict)
    outcome: str = "ok"
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    busy_seconds: float = 0.0
    scoring_s: float = 0.0
    probe: np.ndarray | None = None
    schedules: dict[str, Any] = field(default_factory=dict)
    log: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"


@dataclass
class Fitted:
    """A model that came out of a fit: a folder with model.pkl, or a sentence."""

    folder: Path
    sha256: str | None
    outcome: str
    fit_seconds: float
    wall_s: float = 0.0
    schedule: dict[str, Any] | None = None
    log: str = ""  # of a fit without a model

    @property
    def ok(self) -> bool:
        return self.sha256 is not None


class Predictions(NamedTuple):
    """Predictions, or None with a sentence why not; the job's seconds, and what it printed."""

    array: np.ndarray | None
    outcome: str
    wall_s: float
    log: str


def at_once(folds: int, cpus: int) -> int:
    """How many folds are fitted side by side, each with its share of the cores."""
    return max(1, min(folds, cpus))


def rounds(folds: int, cpus: int) -> float:
    """How often a fold's budget is spent one after the other.

    The last folds, when fewer than `at_once`, share all cores and have less time each (as the
    runner's `fold_share` has it).
    """
    side_by_side = at_once(folds, cpus)
    full, last = divmod(folds, side_by_side)
    return full + (max(0.5, last / side_by_side) if last else 0.0)


def score_on_folds(
    desk: Desk,
    candidate: CandidateFolder,
    *,
    train: Path,
    folds: np.ndarray,
    truth: Truth,
    budget_s: float,
    into: Path,
    probe: Path | None = None,
    probe_rows: int = 0,
    interruptible: bool = True,
    schedules: Mapping[str, Any] | None = None,
) -> FoldResult:
    """Class B: all folds in one job. Checks every array before it is believed.

    Args:
        train: Parquet of dev rows with the target.
        folds: int8 array (F, n): 0 unused, 1 train, 2 held out.
        truth: of the same n rows.
        budget_s: seconds for the fit of each fold.
        probe: features to be predicted with the first fold's model.
        interruptible: False for a baseline: the first Ctrl-C leaves it alone.
        schedules: number of the fold as text -> what its fit follows instead of the clock; such a
            fit may take twice its budget.
    """
    assert candidate.code == "B", "candidates of strangers get one container per fold"
    arranged = desk.folder(f"in/folds-{candidate.name}") / "folds.npy"
    np.save(arranged, folds, allow_pickle=False)
    inputs = {"candidate": candidate.path, "train.parquet": train, "folds.npy": arranged}
    if probe is not None:
        inputs["probe.parquet"] = probe
    if schedules:
        inputs["schedules.json"] = arranged.with_name("schedules.json")
        inputs["schedules.json"].write_text(json.dumps(schedules), encoding="utf-8")
        budget_s *= 2
    columns = width(truth)
    held = [int((row == 2).sum()) for row in folds]
    side_by_side = at_once(len(folds), desk.cpus)
    outputs = {f"oof_{i}.npy": rows * columns * 8 + 256 for i, rows in enumerate(held)}
    outputs |= {"probe.npy": probe_rows * columns * 8 + 256, "folds.json": MB}
    outputs |= {f"schedule_{i}.json": SCHEDULE_MB * MB for i in range(len(folds))}
    outcome = desk.run(
        "ml-engineer",
        f"folds {candidate.name}",
        "folds",
        inputs=inputs,
        outputs=outputs,
        into=into,
        wall_s=ceil(len(folds) / side_by_side) * (budget_s * 1.5 + 10) + START_S,
        code=candidate.code,
        args=("--budget-s", f"{budget_s:.2f}", "--parallel", str(side_by_side)),
        on_line=desk.claims(candidate.name),
        stop=None if interruptible else never,
    )
    result = FoldResult(candidate.name)
    told = folds_told(outcome)
    result.busy_seconds = busy_seconds(told)
    for index, rows in enumerate(held):
        if schedule := json_object(outcome, f"schedule_{index}.json"):
            result.schedules[str(index)] = schedule
        entry = told.get(index, {})
        result.fit_seconds += duration(entry.get("fit_seconds"))
        result.predict_seconds += duration(entry.get("predict_seconds"))
        file = outcome.files.get(f"oof_{index}.npy")
        if file is None:
            why = str(entry.get("error") or outcome.sentence)[:300]
            result.outcome = f"no score: fold {index + 1} of {len(folds)}: {why}"
            return result
        array, problem = read_prediction(file.path, rows, truth)
        if array is None:
            result.outcome = f"no score: fold {index + 1} of {len(folds)}: {problem}"
            return result
        result.predictions[index] = array
    if probe is not None and (file := outcome.files.get("probe.npy")) is not None:
        result.probe, _ = read_prediction(file.path, probe_rows, truth)
    return result


class Rows(Protocol):
    """The rows of a run, as far as the engineer may touch them."""

    def write_train(self, rows: np.ndarray, into: Path) -> Path: ...

    def write_features(self, rows: np.ndarray, into: Path) -> Handed: ...

    def truth(self, rows: np.ndarray) -> Truth: ...


class Handed(Protocol):
    """Features that were written in an order which only the host knows."""

    @property
    def path(self) -> Path: ...

    def restore(self, predictions: np.ndarray) -> np.ndarray: ...


def score_apart(
    desk: Desk,
    candidate: CandidateFolder,
    *,
    rows: Rows,
    dev: np.ndarray,
    folds: np.ndarray,
    budget_s: float,
    side_by_side: int = 1,
) -> FoldResult:
    """Code that did not ship: a container to fit and a container to predict, for each fold.

    The first fold goes alone: a candidate that fails there needs no other. After a failure no
    further fold is begun.

    Args:
        dev: positions of the dev rows.
        folds: int8 array (F, n) over them: 0 unused, 1 train, 2 held out.
        budget_s: seconds for the fit of each fold.
        side_by_side: so many of the other folds run at once.
    """
    result = FoldResult(candidate.name)
    table = Lock()  # one reader of the table at a time
    noted = Lock()

    def fail(outcome: str, log: str) -> None:
        with noted:
            if result.ok:  # of folds side by side, the first that fails
                result.outcome, result.log = outcome, log

    def one(index: int, grace_s: float) -> float:
        """Score one fold; the grace for the next. Notes a failure in `result`."""
        if not result.ok:
            return grace_s
        row, where = folds[index], f"fold {index + 1} of {len(folds)}"
        with table:
            train = rows.write_train(dev[row == 1], desk.scratch / f"fold-{index}.parquet")
        fitted = fit(
            desk,
            candidate,
            train=train,
            budget_s=budget_s,
            into=desk.folder(f"out/{candidate.name}-{index}"),
            grace_s=grace_s,
            side_by_side=side_by_side,
        )
        result.fit_seconds += fitted.fit_seconds
        result.busy_seconds += fitted.fit_seconds
        if not fitted.ok:
            fail(f"no score: {where}: {fitted.outcome}", fitted.log)
            return grace_s
        held = dev[row == 2]
        with table:
            handed = rows.write_features(held, desk.scratch / f"features-{index}.parquet")
        array, outcome, seconds, log = predict(
            desk,
            candidate,
            fitted.folder,
            features=handed.path,
            rows=len(held),
            truth=rows.truth(held),
            into=desk.folder(f"out/{candidate.name}-{index}-predict"),
            name=f"{candidate.name}, {where}",
            wall_s=max(30.0, budget_s),
        )
        result.predict_seconds += seconds
        if array is None:
            fail(f"{outcome} ({where})", log)
            return grace_s
        result.predictions[index] = handed.restore(array)
        return grace_after(seconds)

    grace_s = one(0, APART_GRACE_S)
    if side_by_side > 1:  # their containers begin on cores that others use
        grace_s = APART_GRACE_S
    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(lambda index: one(index, grace_s), range(1, len(folds))))
    return result


def grace_after(predict_s: float) -> float:
    """Seconds for container and imports of a fit, from those of a whole prediction job."""
    return min(APART_GRACE_S, 1.5 * predict_s + 1.5)


def fit(
    desk: Desk,
    candidate: CandidateFolder,
    *,
    train: Path,
    budget_s: float,
    into: Path,
    grace_s: float = START_S,
    interruptible: bool = True,
    side_by_side: int = 1,
) -> Fitted:
    """Fit on all rows of `train`. A kill at the deadline leaves the last model that was yielded.

    Args:
        side_by_side: so many such jobs share the cores.
    """
    outcome = desk.run(
        "ml-engineer",
        f"fit {candidate.name}",
        "fit",
        inputs={"candidate": candidate.path, "train.parquet": train},
        outputs={"model.pkl": MODEL_MB * MB, "fit.json": MB, "schedule.json": SCHEDULE_MB * MB},
        into=into,
        wall_s=budget_s + grace_s,
        code=candidate.code,
        args=("--budget-s", f"{budget_s:.2f}"),
        on_line=desk.claims(candidate.name),
        stop=None if interruptible else never,
        side_by_side=side_by_side,
    )
    told = json_object(outcome, "fit.json")
    seconds = duration(told.get("fit_seconds")) or outcome.wall_s
    model = outcome.files.get("model.pkl")
    if model is None:
        why = without_model(outcome, budget_s + grace_s)
        return Fitted(into, None, why, seconds, outcome.wall_s, log=outcome.log)
    state = "ok"
    if not outcome.ok:
        state = f"kept the last model that was yielded ({outcome.sentence})"
    desk.journal.append("model.saved", candidate=candidate.name, sha256=model.sha256)
    schedule = json_object(outcome, "schedule.json") or None
    return Fitted(into, model.sha256, state, seconds, outcome.wall_s, schedule)


def predict(
    desk: Desk,
    candidate: CandidateFolder,
    model: Path,
    *,
    features: Path,
    rows: int,
    truth: Truth,
    into: Path,
    name: str,
    wall_s: float = 120.0,
) -> Predictions:
    """Predictions in the order of `features`."""
    outcome = desk.run(
        "ml-engineer",
        f"predict {name}",
        "predict",
        inputs={"candidate": candidate.path, "model": model, "features.parquet": features},
        outputs={"predictions.npy": rows * width(truth) * 8 + 256},
        into=into,
        wall_s=wall_s,
        code=candidate.code,
        stop=never,
    )
    file = outcome.files.get("predictions.npy")
    if not outcome.ok or file is None:
        why = without_predictions(outcome, rows, width(truth))
        return Predictions(None, f"no score: {why}", outcome.wall_s, outcome.log)
    array, problem = read_prediction(file.path, rows, truth)
    said = f"no score: {problem}" if array is None else "ok"
    return Predictions(array, said, outcome.wall_s, outcome.log)
