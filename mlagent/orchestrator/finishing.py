"""The last phases: package and verify, report and model card, ledger, manifest.

Guarantees: the packaged model predicts in a fresh sandbox the same bytes as at judging; the
manifest is written last, by rename, and names the sha256 of everything else.
"""

from __future__ import annotations

import shlex
import shutil
from typing import Any

import numpy as np

from mlagent import __version__
from mlagent.agents.ml_engineer import CandidateFolder, Fitted, fit, predict
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.evaluation import CandidateScore
from mlagent.contracts.run import Environment, Manifest
from mlagent.contracts.search import TREE, SearchTree
from mlagent.contracts.usage import Bill
from mlagent.data.levels import levels_of
from mlagent.reports.model_card import render_model_card
from mlagent.reports.report import ReportData, render_explore, render_report
from mlagent.store.files import sha256_of, write_json
from mlagent.store.journal import read_journal

from .consulting import BILL
from .engineering import left
from .evidence import ledger_of
from .resuming import forget
from .state import Bench, Request, State
from .timing import phases_of, until_report
from .what_ran import what_ran

VERIFY_ROWS = 1_000
LEVELS = "artifacts/ml-engineer/levels.json"
"""Of a run folder: feature -> the categories of the training rows."""


def shipped(state: State) -> tuple[CandidateFolder, Fitted]:
    """The candidate that ships and its fitted model."""
    folder = state.linear if state.winner == "linear" else state.chosen
    assert folder is not None
    return folder, state.fitted[state.winner]


def package(bench: Bench, state: State) -> None:
    """Copy code and model into the run folder and verify them in a fresh sandbox."""
    candidate, fitted = shipped(state)
    home = bench.run.path
    for name, source in (("candidate", candidate.path), ("model", fitted.folder)):
        target = home / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        wanted = (
            ("solution.py", "spec.json", "README.md") if name == "candidate" else ("model.pkl",)
        )
        for file in wanted:
            shutil.copyfile(source / file, target / file)
    assert fitted.sha256 is not None
    (home / "model" / "sha256").write_text(f"{fitted.sha256}  model.pkl\n")
    bench.journal.append(
        "packaged",
        code=candidate.code,
        model_sha256=fitted.sha256,
        solution_sha256=sha256_of(home / "candidate" / "solution.py"),
    )
    write_json(home / LEVELS, _levels(state))
    _verify(bench, state, CandidateFolder(candidate.name, home / "candidate", candidate.code))
    if state.request.refit:
        _refit(bench, state, candidate)


def _levels(state: State) -> dict[str, list[str]]:
    """The categories that the model was trained with, for `predict` to tell of others."""
    assert state.exploration is not None
    assert state.dev_file is not None
    roles = state.exploration.roles.columns
    names = [name for name in state.features if name in roles and roles[name].role == "category"]
    return levels_of(state.dev_file, names)


def _verify(bench: Bench, state: State, packaged: CandidateFolder) -> None:
    """Referee rule 8: prediction arrays of the package equal those at judging, byte for byte."""
    check: dict[str, Any] = state.facts["verify"]
    array, outcome, *_ = predict(
        bench.desk,
        packaged,
        bench.run.path / "model",
        features=check["features"],
        rows=check["rows"],
        truth=check["truth"],
        into=bench.desk.folder("out/verify"),
        name="package check",
    )
    equal = array is not None and array.tobytes() == check["predictions"].tobytes()
    state.facts["package_verified"] = equal
    bench.journal.append("verified", rows=check["rows"], equal=equal, outcome=outcome)
    if not equal:
        raise MlagentError(
            "The packaged model does not predict what was judged: "
            + (outcome if array is None else "the arrays differ."),
            remedy="The run keeps everything; this is a defect of the candidate or of mlagent.",
        )


def _refit(bench: Bench, state: State, candidate: CandidateFolder) -> None:
    """`--refit all`: a second model on all rows, beside the judged one."""
    assert state.table is not None
    if not len(state.judged):
        state.notes.append("--refit all adds nothing with --vault 0: the model saw every row.")
        return
    rows = np.arange(len(state.table.usable))
    train = state.table.write_train(rows, bench.desk.scratch / "all.parquet")
    seconds = max(1.0, left(bench, state) - 3.0)
    refitted = fit(
        bench.desk,
        candidate,
        train=train,
        budget_s=seconds,
        into=bench.desk.folder("out/model-refit"),
        grace_s=3.0,
    )
    if not refitted.ok:
        state.notes.append(f"--refit all left no model ({refitted.outcome}).")
        return
    target = bench.run.path / "model-refit"
    target.mkdir(exist_ok=True)
    shutil.copyfile(refitted.folder / "model.pkl", target / "model.pkl")
    (target / "sha256").write_text(f"{refitted.sha256}  model.pkl\n")
    state.notes.append(
        "model-refit/ was fitted on all rows and is itself unscored; the verdict is of model/."
    )


def write_reports(bench: Bench, state: State) -> None:
    """report.html, model_card.md, explore.html, board.json, ledger.json."""
    run = bench.run
    assert state.evaluation is not None
    assert state.exploration is not None
    assert state.analysis is not None
    assert state.request.plan.data is not None
    write_json(run.file("board.json"), [entry.model_dump(mode="json") for entry in state.board])
    run.write("evaluation.json", state.evaluation)
    ledger = ledger_of(bench, state)
    run.write("ledger.json", ledger)
    plan = state.request.plan
    data = ReportData(
        title=state.task.description,
        run_id=run.id,
        task=state.task,
        data=state.request.plan.data,
        evaluation=state.evaluation,
        exploration=state.exploration,
        analysis=state.analysis,
        ledger=ledger,
        environment=run.read("environment.json", Environment),
        seal=state.seal,
        agent_plans=plan.agent_plans,
        selection=dict(state.request.selection),
        notes=tuple(state.notes),
        ran=what_ran(state, *shipped(state)),
        phases=phases_of(read_journal(run.path / "journal.jsonl")),
        reproduce=reproduce_line(state.request, run.id),
        until_report_s=until_report(bench, state),
        budget_s=state.request.budget_s,
        search=run.read(TREE, SearchTree) if (run.path / TREE).is_file() else None,
        bill=run.read(BILL, Bill) if (run.path / BILL).is_file() else None,
    )
    render_report(bench.render, data, run.path / "report.html")
    render_model_card(bench.render, data, run.path / "model_card.md")
    render_explore(
        bench.render, state.exploration, run.file("artifacts/data-explorer/explore.html")
    )


def reproduce_line(request: Request, run: str) -> str:
    """The command that repeats a run, with every flag that mattered."""
    words = ["mlagent", "execute"]
    if request.plan_path.name != "plan.yaml":
        words.append(str(request.plan_path))
    words += ["--budget", f"{request.budget_s:.0f}s", "--seed", str(request.seed)]
    for agent, option in request.selection.items():
        words += ["--select", f"{agent}={option}"]
    if request.vault is not None:
        words += ["--vault", f"{request.vault:g}"]
    if request.test is not None:
        words += ["--test", str(request.test)]
    if request.refit:
        words += ["--refit", "all"]
    if request.handed_in is None:
        return shlex.join([*words, "--replay", run])
    words += ["--candidate", f"runs/{run}/artifacts/ml-engineer/{request.handed_in.name}"]
    return shlex.join([*words, *(["--mine"] if request.handed_in.code == "C" else [])])


def finish(bench: Bench, state: State) -> Manifest:
    """The manifest, last."""
    assert state.evaluation is not None
    assert state.seal is not None
    assert state.request.plan.data is not None
    _, fitted = shipped(state)
    forget(bench.run)
    bench.journal.append("run.finished", winner=state.winner, verdict=state.evaluation.verdict)
    bench.journal.close()
    now = bench.now()
    wall = bench.clock() - bench.started
    manifest = Manifest(
        run=bench.run.id,
        kind="execute",
        created=state.facts["created"],
        finished=now.isoformat(timespec="seconds"),
        wall_s=round(wall, 2),
        budget_s=state.request.budget_s,
        mlagent=__version__,
        task=state.task.description,
        data_sha256=state.request.plan.data.sha256,
        seal=state.seal.id,
        opening=state.evaluation.seal.opening,
        tier=bench.desk.sandbox.tier,
        model_name=state.winner,
        model_sha256=fitted.sha256,
        verdict=state.evaluation.verdict,
        journal_head=bench.journal.head,
        journal_events=bench.journal.count,
        content=dict(sorted(bench.desk.content.used.items())),
        files=bench.run.hashes(),
    )
    bench.run.write("manifest.json", manifest)
    return manifest


def unscored(name: str, why: str) -> CandidateScore:
    """A leaderboard row without a score."""
    return CandidateScore(name=name, score=None, outcome=why)
