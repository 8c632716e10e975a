"""`predict`: new rows, the model of a run, in the sandbox.

Guarantees: the file is read with the training schema; cells that fail become missing and are
counted; the model file never loads in this process, and it runs as the class of the code that wrote
it only while its sha256 is the one in the run's own journal, else as a stranger's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from mlagent.agents.jobs import Desk
from mlagent.agents.ml_engineer import CandidateFolder, predict
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.candidate import CandidateSpec
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.plan import Plan
from mlagent.contracts.ports import CodeClass, never
from mlagent.contracts.task import TaskSpec
from mlagent.data.levels import unseen
from mlagent.data.predict_input import read_for_prediction, write_predictions
from mlagent.documents import load_json, read_record
from mlagent.referee.metrics import Truth
from mlagent.settings import read_settings
from mlagent.store.files import sha256_of
from mlagent.store.journal import read_journal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .finishing import LEVELS
from .wiring import default_memory, open_sandbox


class NoJournal:
    """Predictions are not a run: nothing is written down."""

    def append(self, kind: str, /, **facts: Any) -> None:
        """Forget it."""


class NoProgress:
    """One short job: nothing to show."""

    def phase(self, name: str, detail: str = "") -> None: ...

    def update(self, /, **facts: Any) -> None: ...

    def say(self, sentence: str) -> None: ...

    def ask(self, question: str, stop: Callable[[], bool] = never) -> str | None:
        """Nobody is asked."""
        return None


@dataclass(frozen=True)
class Predicted:
    """What `predict` did."""

    run: str
    rows: int
    out: Path
    tier: str
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "rows": self.rows,
            "out": str(self.out),
            "tier": self.tier,
            "notes": list(self.notes),
        }


def predict_here(folder: Path, run_name: str | None, file: Path, out: Path) -> Predicted:
    """Predict for every row of `file` and write `out` (.csv or .parquet).

    Raises:
        BadInput: no run, no file, a column that the model needs is absent.
        PrerequisiteMissing: no sandbox strong enough for this model.
    """
    if not file.is_file():
        raise BadInput(f"There is no file {str(file)!r}.", remedy="mlagent predict [RUN] FILE")
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise BadInput(f"{str(out)!r} is neither .csv nor .parquet.")
    if not out.parent.is_dir():
        raise BadInput(f"The folder {str(out.parent)!r} does not exist.")
    if out.exists() and out.resolve() == file.resolve():
        raise BadInput(f"--out {str(out)!r} is the input file itself.")
    project, settings = Project(folder), read_settings(folder)
    if out.exists() and not project.is_output(out):
        raise BadInput(
            f"--out {str(out)!r} exists, and `mlagent predict` did not write it as it is now.",
            remedy="Give another name, or move that file away.",
        )
    run = project.runs.find(run_name)
    if not (run.path / "model" / "model.pkl").is_file():
        raise BadInput(f"Run {run.id} holds no model.", remedy="`mlagent runs` lists the runs.")
    task = run.read("task.json", TaskSpec)
    spec = run.read("candidate/spec.json", CandidateSpec)
    plan_file = run.path / "plan.yaml"
    plan = read_record(Plan, plan_file.read_text("utf-8"), str(plan_file), format="yaml")
    evaluation = run.read("evaluation.json", Evaluation)
    content = Content()
    code = _class_of(run, content)
    opened = open_sandbox(content, code)
    notes = [opened.reason] if opened.reason else []
    if sha256_of(run.path / "model" / "model.pkl") != run.manifest().model_sha256:
        notes.append(
            "The model file is not the one that was judged (its sha256 differs): the verdict of "
            "this run does not hold for these predictions."
        )
    features = [name for name in spec.columns if name != task.group]
    with closing(cast(Any, opened.sandbox)), project.scratch_beside() as scratch:
        desk = Desk(
            content=content,
            sandbox=opened.sandbox,
            journal=NoJournal(),
            progress=NoProgress(),
            scratch=scratch,
            clock=time.monotonic,
            memory_mb=settings.sandbox.memory_mb or default_memory(),
            cpus=spec.threads,
            contracts=load_contracts(content),
        )
        read = read_for_prediction(file, plan.columns.found, features, scratch / "features.parquet")
        notes.extend(_about_levels(run, scratch / "features.parquet"))
        kind = task.kind or "regression"
        truth = Truth(kind, np.zeros(0), task.classes)
        array, outcome, *_ = predict(
            desk,
            CandidateFolder(run.id, run.path / "candidate", code),
            run.path / "model",
            features=scratch / "features.parquet",
            rows=read.rows,
            truth=truth,
            into=desk.folder("out"),
            name=f"predict {read.rows} rows",
            wall_s=max(120.0, read.rows / 500),
        )
        if array is None:
            raise MlagentError(f"The model of run {run.id} did not predict: {outcome}.")
        write_predictions(file, out, columns_of(array, task, evaluation.threshold))
        project.note_output(out)
    notes.extend(read.original.notes)
    failed = {name: count for name, count in read.failed.items() if count}
    if failed:
        shown = ", ".join(f"{name!r}: {count:,}" for name, count in list(failed.items())[:8])
        notes.append(f"Cells that could not be read count as missing: {shown}.")
    return Predicted(run.id, read.rows, out, opened.sandbox.tier, tuple(notes))


def _about_levels(run: RunFolder, features: Path) -> list[str]:
    """One sentence on categories that the model was not trained with; [] when there are none."""
    known = run.path / LEVELS
    if not known.is_file():  # a run of an earlier version
        return []
    found = unseen(features, load_json(known.read_text(encoding="utf-8"), str(known)))
    shown = [
        f"{name!r}: {one.cells:,} ({', '.join(map(repr, one.examples))})"
        for name, one in list(found.items())[:8]
    ]
    return [f"Cells with a category that no training row had: {', '.join(shown)}."] if shown else []


def columns_of(array: np.ndarray, task: TaskSpec, threshold: float | None) -> dict[str, np.ndarray]:
    """Output columns: `prediction`, and `p_<class>` for classification."""
    if task.kind == "regression":
        return {"prediction": array}
    classes = np.array(task.classes, dtype=object)
    if task.kind == "binary":
        cut = 0.5 if threshold is None else threshold
        both = np.column_stack([1.0 - array, array])
        decided = (array >= cut).astype(int)
    else:
        both, decided = array, array.argmax(axis=1)
    columns: dict[str, np.ndarray] = {"prediction": classes[decided]}
    return columns | {f"p_{label}": both[:, i] for i, label in enumerate(task.classes)}


def _class_of(run: RunFolder, content: Content) -> CodeClass:
    """B only when code and model are the ones that this machine's own journal wrote down."""
    model = sha256_of(run.path / "model" / "model.pkl")
    events = read_journal(run.path / "journal.jsonl")
    written = {e.facts.get("sha256") for e in events if e.kind == "model.saved"}
    packaged = next((e for e in reversed(events) if e.kind == "packaged"), None)
    if packaged is None or model not in written or content.override is not None:
        return "D"
    code = sha256_of(run.path / "candidate" / "solution.py")
    if code != packaged.facts.get("solution_sha256") or packaged.facts.get("code") != "B":
        return "D"
    return "B"
