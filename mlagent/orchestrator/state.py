"""What an `execute` is asked for, what it works with, and what it knows so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlagent.agents.jobs import Desk
from mlagent.agents.ml_engineer import CandidateFolder, Fitted, FoldResult
from mlagent.contracts.base import Role
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import Interrupted
from mlagent.contracts.evaluation import CandidateScore, Evaluation
from mlagent.contracts.findings import Analysis, Exploration, ValidationPlan
from mlagent.contracts.plan import OptionName, Plan
from mlagent.contracts.policy import Policies
from mlagent.contracts.run import Seal
from mlagent.contracts.task import TaskSpec
from mlagent.gateway.meter import Caps
from mlagent.settings import Settings
from mlagent.store.journal import FileJournal
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

from .handed_in import HandedIn
from .rows import RunTable

Author = Literal["template", "claude", "both"]
Render = Callable[[str, Mapping[str, object]], str]


@dataclass(frozen=True)
class Request:
    """`mlagent execute` with its flags made exact.

    Attributes:
        vault: None for the referee's rule (auto), 0 for none, or a share.
        test: the user's own hold-out; becomes the vault.
        replay: schedules of an earlier run, to be followed instead of the clock.
        engine_note: first line of output when the tier is below T3.
        handed_in: somebody's candidate, in the place of the ml-engineer's option.
        author: who looks for candidates: template, claude, or both (the template's is the floor).
        caps: what Claude may cost.
        ask_no_more: a run that began with Claude is finished with the answers that it has.
        share_rows: a few dev rows may be shown to Claude.
    """

    plan: Plan
    plan_path: Path
    budget_s: float
    vault: float | None
    selection: Mapping[Role, OptionName]
    seed: int = 0
    refit: bool = False
    test: Path | None = None
    replay: RunFolder | None = None
    engine_note: str = ""
    handed_in: HandedIn | None = None
    author: Author = "template"
    caps: Caps = Caps()
    ask_no_more: bool = False
    share_rows: bool = False

    @property
    def engineer(self) -> str:
        """Name of the candidate that stands beside the baselines."""
        return self.selection["ml-engineer"] if self.handed_in is None else self.handed_in.name


class StopFlag:
    """First Ctrl-C: end training and judge the best so far. Second: leave at once, resumable."""

    def __init__(self) -> None:
        self.count = 0
        self.at = 0.0  # of the first, by the monotonic clock

    def press(self) -> None:
        """One Ctrl-C. Raises Interrupted on the second."""
        self.count += 1
        self.at = self.at or time.monotonic()
        if self.count > 1:
            raise Interrupted(
                "Stopped.", remedy="`mlagent execute --resume` goes on with this run."
            )

    def __call__(self) -> bool:
        return self.count > 0


@dataclass
class Bench:
    """The tools on the table: everything that `wiring.py` chose."""

    desk: Desk
    project: Project
    run: RunFolder
    journal: FileJournal
    settings: Settings
    contracts: Mapping[Role, Contract]
    policies: Policies
    render: Render
    clock: Callable[[], float]
    now: Callable[[], datetime]
    started: float
    stop: StopFlag


@dataclass
class State:
    """What is known so far. Filled phase by phase; every part is on disk before the next phase."""

    request: Request
    task: TaskSpec
    table: RunTable | None = None
    features: tuple[str, ...] = ()
    seal: Seal | None = None
    dev: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    judged: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    dev_file: Path | None = None
    exploration: Exploration | None = None
    analysis: Analysis | None = None
    validation: ValidationPlan | None = None
    folds: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int8))
    linear: CandidateFolder | None = None
    chosen: CandidateFolder | None = None
    scored: dict[str, FoldResult] = field(default_factory=dict)
    board: list[CandidateScore] = field(default_factory=list)
    fitted: dict[str, Fitted] = field(default_factory=dict)
    winner: str = ""
    evaluation: Evaluation | None = None
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def install(self, handed: HandedIn) -> None:
        """From here on this candidate stands in the place of the option."""
        self.request = replace(self.request, handed_in=handed)


def table_of(state: State) -> RunTable:
    """The table, once it is read."""
    assert state.table is not None
    return state.table
