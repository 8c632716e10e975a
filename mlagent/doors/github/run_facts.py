"""What a finished run folder says, in the words of a report. Reads files, measures nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mlagent.contracts.base import Role
from mlagent.contracts.drift import Distributions
from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.findings import Analysis, Exploration
from mlagent.contracts.plan import OptionName, Plan
from mlagent.contracts.pr_report import Cost, Curve, PlanRow, Reproduce, Side
from mlagent.contracts.run import Environment, JournalEvent, Ledger, Manifest, Seal
from mlagent.contracts.task import TaskSpec
from mlagent.data.drift import clip
from mlagent.documents import read_record
from mlagent.orchestrator.estimates import PHASES
from mlagent.orchestrator.ledger import agent_measures
from mlagent.store.journal import read_journal
from mlagent.store.runs import RunFolder

MB = 2**20
ROC_STEPS = 11
RESIDUAL_BINS = 15
LONGEST = 1000
SCHEDULES = "artifacts/ml-engineer/schedules.json"
ANOTHER = "`mlagent runs` lists others; `mlagent execute` makes a new one."
ENGINEER: Role = "ml-engineer"
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
"""A name that may stand in a command which a stranger's record brings."""


@dataclass(frozen=True)
class RunFacts:
    """One finished run that was judged.

    Attributes:
        judged: facts of the journal's `judged` event: predict_seconds, model_mb, measures; runs of
            older versions lack them.
        spent: agent -> seconds of its phases.
        spread: None for runs of older versions.
    """

    run: RunFolder
    manifest: Manifest
    evaluation: Evaluation
    task: TaskSpec
    plan: Plan
    seal: Seal
    environment: Environment
    start: Mapping[str, object]
    judged: Mapping[str, object]
    spent: Mapping[Role, float]
    spread: Distributions | None

    @property
    def selection(self) -> dict[Role, OptionName]:
        """The option that each agent executed."""
        said = self.start.get("selection")
        return dict(said) if isinstance(said, dict) else dict(self.plan.selection)


def read_run(run: RunFolder) -> RunFacts:
    """Everything of one run.

    Raises:
        BadInput: the run is unfinished, was not judged, or a file is damaged.
    """
    if not run.finished:
        raise BadInput(
            f"Run {run.id} is unfinished.", remedy="`mlagent execute --resume` goes on with it."
        )
    manifest = run.manifest()
    if manifest.kind != "execute":
        raise BadInput(
            f"Run {run.id} is a `try`: it has scores on the dev folds only, and no verdict.",
            remedy="Name a run of `mlagent execute`.",
        )
    plan = _plan_text(run)
    events = read_journal(run.path / "journal.jsonl")
    spread = None
    if (run.path / "distributions.json").is_file():
        spread = run.read("distributions.json", Distributions)
    return RunFacts(
        run=run,
        manifest=manifest,
        evaluation=run.read("evaluation.json", Evaluation),
        task=run.read("task.json", TaskSpec),
        plan=read_record(Plan, plan, f"{run.id}/plan.yaml"),
        seal=run.read("seal.json", Seal),
        environment=run.read("environment.json", Environment),
        start=_last(events, "run.start"),
        judged=_last(events, "judged"),
        spent=_spent(events),
        spread=spread,
    )


def _plan_text(run: RunFolder) -> str:
    try:
        return (run.path / "plan.yaml").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"Run {run.id} has no plan.yaml.", remedy=ANOTHER) from None
    except UnicodeDecodeError:
        raise BadInput(f"Run {run.id}: plan.yaml is not UTF-8.", remedy=ANOTHER) from None


@contextmanager
def readable(*runs: RunFolder) -> Iterator[None]:
    """Raises BadInput where the engine cannot read the predictions of these runs."""
    import duckdb

    try:
        yield
    except duckdb.Error:
        names = " or ".join(run.id for run in runs)
        raise BadInput(
            f"The predictions of run {names} cannot be read: a Parquet file is damaged.",
            remedy=ANOTHER,
        ) from None


def _last(events: list[JournalEvent], kind: str) -> Mapping[str, object]:
    return next((event.facts for event in reversed(events) if event.kind == kind), {})


def _spent(events: list[JournalEvent]) -> dict[Role, float]:
    """Seconds of each agent's phases; a resumed phase counts each time it ran to its end."""
    phases: dict[str, float] = {}
    begun: dict[str, float] = {}
    for event in events:
        if event.kind == "phase.start":
            begun[event.facts["phase"]] = event.elapsed_s
        elif event.kind == "phase.done" and event.facts["phase"] in begun:
            name = event.facts["phase"]
            phases[name] = phases.get(name, 0.0) + event.elapsed_s - begun.pop(name)
    return {
        role: round(sum(phases[name] for name in names if name in phases), 3)
        for role, names in PHASES.items()
        if any(name in phases for name in names)
    }


def side_of(facts: RunFacts) -> Side:
    """The run as one side of a report."""
    return Side(
        run=facts.run.id,
        commit=facts.environment.git_commit,
        dirty=bool(facts.environment.git_dirty),
        data_sha256=facts.manifest.data_sha256,
        model_name=clip(facts.evaluation.model_name),
        tier=facts.manifest.tier,
        judged_on=facts.evaluation.judged_on,
        seal=facts.seal.id,
        opening=facts.evaluation.seal.opening,
        tries=facts.evaluation.tries,
    )


def number_of(value: object) -> float | None:
    """A plain, finite number of the journal, or None."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and value == value else None  # type: ignore[arg-type]


def model_mb(facts: RunFacts) -> float | None:
    """Size of the shipped model file."""
    file = facts.run.path / "model" / "model.pkl"
    return file.stat().st_size / MB if file.is_file() else number_of(facts.judged.get("model_mb"))


def measures_of(facts: RunFacts) -> dict[str, float]:
    """Numbers that gates may ask for beside metrics: of the agents' work, latency, suspects."""
    found: dict[str, float] = {"leakage_suspects": float(len(facts.evaluation.suspects))}
    said = facts.judged.get("measures")
    if isinstance(said, dict):
        found |= {
            str(name): number
            for name, value in said.items()
            if (number := number_of(value)) is not None
        }
    home = "artifacts/data-explorer/exploration.json", "artifacts/statistical-analyst/analysis.json"
    exploration, analysis = None, None
    if (facts.run.path / home[0]).is_file():
        exploration = facts.run.read(home[0], Exploration)
    if (facts.run.path / home[1]).is_file():
        analysis = facts.run.read(home[1], Analysis)
    return found | agent_measures(exploration, analysis)


def plan_rows(facts: RunFacts, base: RunFacts | None) -> tuple[PlanRow, ...]:
    """Option chosen, estimated against actual, for each agent."""
    rows = []
    for role, name in facts.selection.items():
        option = facts.plan.agent_plans[role].implementation_options[name]
        rows.append(
            PlanRow(
                agent=role,
                option=name,
                approach=clip(option.approach, LONGEST),
                base_option=None if base is None else base.selection.get(role),
                estimated_s=round(option.time_estimate_hours * 3600, 2),
                actual_s=facts.spent.get(role) if _ran(facts, role, name) else None,
            )
        )
    return tuple(rows)


def _ran(facts: RunFacts, role: Role, option: OptionName) -> bool:
    """Whether the option was begun at all. The ml-engineer's seconds are also those of linear,
    which runs without it, or of a candidate that was handed in for it."""
    board = facts.evaluation.leaderboard
    if role != ENGINEER or not board:
        return True
    return any(one.name == option and (one.score or one.fit_seconds) for one in board)


def cost_of(facts: RunFacts, base: RunFacts | None) -> Cost:
    """Time, size and money of the head's run."""
    ledger = facts.run.read("ledger.json", Ledger)
    spent = [one for one in ledger.entries if one.clause.startswith("guardrails.max_usd")]
    return Cost(
        wall_s=facts.manifest.wall_s,
        budget_s=facts.manifest.budget_s,
        base_wall_s=None if base is None else base.manifest.wall_s,
        threads=facts.environment.threads,
        model_mb=model_mb(facts),
        predict_seconds=number_of(facts.judged.get("predict_seconds")),
        language_model=clip(spent[-1].evidence, LONGEST) if spent else "",
    )


def reproduce_of(facts: RunFacts, merged: str | None = None) -> Reproduce:
    """The flags that repeat the run. `merged`: see the record."""
    return Reproduce(
        budget_s=facts.manifest.budget_s,
        seed=facts.environment.seed,
        selection=facts.selection,
        vault=number_of(facts.start.get("vault")),
        refit=bool(facts.start.get("refit")),
        test_file=facts.start.get("test") is not None,
        candidate=_candidate(facts),
        schedule=(facts.run.path / SCHEDULES).is_file(),
        merged=merged,
    )


def _candidate(facts: RunFacts) -> str | None:
    """The folder of what was handed in; '' where its name cannot be written, None for an option."""
    said = facts.start.get("candidate")
    if not said:
        return None
    return str(said) if FOLDER.fullmatch(str(said)) else ""


def curve_of(evaluation: Evaluation) -> Curve:
    """Points for the plots: the ROC curve at even steps, calibration bins, binned residuals."""
    import numpy as np

    curves, roc, residuals = evaluation.curves, [], []
    if len(curves.roc) > 1:
        points = np.array(curves.roc)
        steps = np.linspace(0, 1, ROC_STEPS)
        roc = [float(v) for v in np.interp(steps, points[:, 0], points[:, 1])]
    if curves.residuals:
        errors = np.array(curves.residuals)[:, 1]
        counts, edges = np.histogram(errors, bins=RESIDUAL_BINS)
        middles = (edges[1:] + edges[:-1]) / 2
        residuals = [(float(m), int(n)) for m, n in zip(middles, counts, strict=True)]
    bins = evaluation.calibration.bins if evaluation.calibration else ()
    return Curve(roc=tuple(roc), calibration=tuple(bins[:50]), residuals=tuple(residuals))
