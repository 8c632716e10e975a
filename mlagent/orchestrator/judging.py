"""The verdict: the vault is opened once, or, with `--vault 0`, the out-of-fold scores stand.

Guarantees: an opening is counted on disk before a label is used; the sandbox gets features only, in
an order that only this process knows; thresholds were frozen on out-of-fold dev rows. Does not
judge more than once in a run: a resumed run that was cut after the opening counts one opening more.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mlagent.agents.ml_engineer import predict
from mlagent.contracts.contract import QualityGate
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.evaluation import Evaluation, Importance
from mlagent.contracts.run import Seal
from mlagent.contracts.task import TaskSpec
from mlagent.referee.dummy import dummy_prediction
from mlagent.referee.evaluate import EvaluationInputs, evaluate
from mlagent.referee.importance import importance_from
from mlagent.referee.metrics import Truth
from mlagent.referee.scoring import how_scored, scoring

from .dev_scores import clusters_of
from .finishing import VERIFY_ROWS, shipped
from .ledger import agent_measures
from .resuming import load_judged, save_judged
from .rows import Shuffled
from .saved import write_predictions
from .state import Bench, State, table_of
from .tries import board_rows, count_tries, scored_on

SLICE_COLUMNS = 24
MB = 2**20


def judge(bench: Bench, state: State) -> None:
    """Score what ships, on rows it has never seen, beside dummy and linear."""
    on_vault = len(state.judged) > 0
    if state.facts["resumed"] and _judged_before(bench, state):
        return
    if bench.stop():
        state.notes.append(
            f"Stopped by the user after {bench.stop.at - bench.started:.0f} s of "
            f"{state.request.budget_s:g} s: what was fitted until then is judged."
        )
        bench.journal.append("stopped", by="the user")
    inputs = _on_vault(bench, state) if on_vault else _out_of_fold(bench, state)
    state.evaluation = evaluate(inputs)
    bench.run.write("evaluation.json", state.evaluation)
    check = state.facts["verify"]
    save_judged(bench.run, check["order"], check["predictions"])
    bench.journal.append(
        "judged",
        on=state.evaluation.judged_on,
        metric=state.evaluation.metric,
        value=state.evaluation.model.value,
        low=state.evaluation.model.low,
        high=state.evaluation.model.high,
        opening=state.evaluation.seal.opening,
        predict_seconds=inputs.predict_seconds,
        model_mb=inputs.model_mb,
        measures=dict(inputs.measures),
    )


def _on_vault(bench: Bench, state: State) -> EvaluationInputs:
    table = table_of(state)
    assert state.seal is not None
    metric = state.task.metric or ""
    shuffled = table.write_features(state.judged, bench.desk.scratch / "vault.parquet")
    rows = len(state.judged)
    truth = table.truth(state.judged)
    folder, fitted = shipped(state)
    wanted = {"model": (folder, fitted.folder)}
    if state.winner != "linear":
        assert state.linear is not None
        wanted["linear"] = (state.linear, state.fitted["linear"].folder)

    def ask(role: str) -> tuple[np.ndarray, float]:
        candidate, model = wanted[role]
        array, outcome, took, _ = predict(
            bench.desk,
            candidate,
            model,
            features=shuffled.path,
            rows=rows,
            truth=truth,
            into=bench.desk.folder(f"out/vault-{role}"),
            name=f"vault {candidate.name}",
        )
        if array is None:
            raise MlagentError(f"{candidate.name} did not predict the vault: {outcome}.")
        return array, took

    with ThreadPoolExecutor(2) as pool:
        asked = {role: pool.submit(ask, role) for role in wanted}
        answers = {role: future.result() for role, future in asked.items()}
    array, seconds = answers["model"]
    state.facts["verify"] = to_verify(shuffled, truth, array)
    predictions = {role: shuffled.restore(answer) for role, (answer, _) in answers.items()}
    predictions.setdefault("linear", predictions["model"])
    seal = bench.project.count_opening(state.seal)
    state.seal = seal
    bench.run.write("seal.json", seal)
    bench.journal.append("vault.opened", seal=seal.id, opening=seal.openings)
    state.notes.extend(_other_openings(bench, seal))
    predictions["dummy"] = dummy_prediction(
        table.truth(state.dev),
        metric,
        rows,
        **scoring(state.task),
    )
    clusters = clusters_of(state, state.judged)
    write_predictions(
        bench.run, "vault", table.usable[state.judged], truth, predictions, clusters=clusters
    )
    return EvaluationInputs(
        truth=truth,
        predictions=predictions,
        judged_on="test file" if state.request.test is not None else "vault",
        opening=seal.openings,
        clusters=clusters,
        slice_columns=_slice_columns(state, state.judged),
        predict_seconds=seconds,
        **_shared(bench, state),
    )


def _other_openings(bench: Bench, seal: Seal) -> list[str]:
    """A sentence when other vaults of the same rows were opened: the best of several seeds is
    partly luck, and the count beside the score is of this seal only."""
    alike = [one for one in bench.project.seals() if one.data_sha256 == seal.data_sha256]
    times = sum(one.openings for one in alike if one.id != seal.id)
    if not times:
        return []
    word = "once" if times == 1 else f"{times} times"
    return [
        f"Vaults of this table under another seed, share or split were opened {word}; the best "
        "score of several such draws is partly luck."
    ]


def _out_of_fold(bench: Bench, state: State) -> EvaluationInputs:
    table = table_of(state)
    layers: dict[str, np.ndarray] = state.facts["layers"]
    predictions = {
        "model": layers[state.winner],
        "linear": layers.get("linear", layers[state.winner]),
        "dummy": layers["dummy"],
    }
    picked = rows_to_verify(state)
    shuffled = table.write_features(picked, bench.desk.scratch / "verify.parquet")
    folder, fitted = shipped(state)
    truth = table.truth(picked)
    array, outcome, seconds, _ = predict(
        bench.desk,
        folder,
        fitted.folder,
        features=shuffled.path,
        rows=len(picked),
        truth=truth,
        into=bench.desk.folder("out/after-fit"),
        name="after fit",
    )
    if array is None:
        raise MlagentError(f"{folder.name} does not predict: {outcome}.")
    state.facts["verify"] = to_verify(shuffled, truth, array)
    return EvaluationInputs(
        truth=table.truth(state.dev),
        predictions=predictions,
        judged_on="out-of-fold",
        opening=0,
        folds=state.folds,
        clusters=clusters_of(state, state.dev),
        slice_columns=_slice_columns(state, state.dev),
        predict_seconds=seconds,
        **_shared(bench, state),
    )


def constraint_gates(task: TaskSpec) -> tuple[QualityGate, ...]:
    """`--constraint max_latency_ms=` and `max_model_mb=` as required gates."""
    measured = {"max_latency_ms": "latency_ms", "max_model_mb": "model_mb"}
    return tuple(
        QualityGate(
            name=item.kind.replace("_", "-"),
            metric=measured[item.kind],
            comparison="at_most",
            threshold=item.value,
            required=True,
        )
        for item in task.constraints
        if item.kind in measured
    )


def _latency(state: State) -> dict[str, float]:
    """Milliseconds per row of `predict` in a batch, as the folds measured it."""
    result = state.scored.get(state.winner)
    held = int((state.folds == 2).sum())
    if result is None or not result.predict_seconds or not held:
        return {}
    return {"latency_ms": result.predict_seconds / held * 1000}


def rows_to_verify(state: State) -> np.ndarray:
    """The rows that the package check predicts: the vault, or up to 1,000 training rows."""
    if len(state.judged):
        return state.judged
    picked = np.random.default_rng(state.request.seed).permutation(state.dev)[:VERIFY_ROWS]
    return np.sort(picked)


def to_verify(shuffled: Shuffled, truth: Truth, array: np.ndarray) -> dict[str, Any]:
    """What the package check needs: the features as they were handed out, and the answer."""
    return {
        "features": shuffled.path,
        "order": shuffled.order,
        "rows": len(shuffled.order),
        "truth": truth,
        "predictions": array,
    }


def _judged_before(bench: Bench, state: State) -> bool:
    """A run that was cut after its verdict keeps it: the vault is not opened again."""
    known = load_judged(bench.run)
    if known is None or not (bench.run.path / "evaluation.json").exists():
        return False
    order, predictions = known
    rows = rows_to_verify(state)
    table = table_of(state)
    shuffled = table.write_features(rows, bench.desk.scratch / "vault.parquet", order)
    state.facts["verify"] = to_verify(shuffled, table.truth(rows), predictions)
    state.evaluation = bench.run.read("evaluation.json", Evaluation)
    state.seal = bench.run.read("seal.json", Seal)
    return True


def _shared(bench: Bench, state: State) -> dict[str, Any]:
    """What both kinds of verdict say."""
    assert state.seal is not None
    assert state.exploration is not None
    thresholds: dict[str, float] = state.facts["thresholds"]
    _, fitted = shipped(state)
    roles = state.exploration.roles.columns
    suspects = tuple(name for name in state.features if name in roles and roles[name].suspect)
    known = scored_on(bench.project, state.seal.id, state.task)
    earlier = [row for row in known if row.run != bench.run.id]
    named = {"model": state.winner, "linear": "linear", "dummy": "dummy"}
    gates = [gate for contract in bench.contracts.values() for gate in contract.quality_gates]
    return {
        "metric": state.task.metric or "",
        "model_name": state.winner,
        "seal_id": state.seal.id,
        "tries": count_tries([*earlier, *board_rows(bench.run, state.board, state.task)]),
        "tier": bench.desk.sandbox.tier,
        "seed": state.request.seed,
        "thresholds": {
            role: thresholds[name] for role, name in named.items() if name in thresholds
        },
        **scoring(state.task),
        "always_sliced": fairness_columns(state),
        "leaderboard": tuple(state.board),
        "importance": (importance := _importance(bench, state)),
        "importance_note": "" if importance else why_no_importance(state),
        "gates": (*gates, *constraint_gates(state.task), *bench.settings.gates),
        "suspects": suspects,
        "model_mb": (fitted.folder / "model.pkl").stat().st_size / MB,
        "measures": agent_measures(state.exploration, state.analysis)
        | _latency(state)
        | {"leakage_suspects": float(len(suspects))},
        "chosen_over": state.facts.get("chosen_over", ""),
        "notes": tuple(filter(None, (how_scored(state.task), *state.notes))),
    }


def _importance(bench: Bench, state: State) -> tuple[Importance, ...]:
    """From the winner's first fold model on permuted held-out rows; empty when it has none."""
    result, index = state.scored.get(state.winner), state.facts.get("probe")
    if result is None or result.probe is None or index is None:
        return ()
    held = state.dev[np.flatnonzero(state.folds[0] == 2)]
    return importance_from(
        result.probe,
        table_of(state).truth(held),
        state.task.metric or "",
        index,
        seed=state.request.seed,
        threshold=state.facts["thresholds"].get(state.winner),
        **scoring(state.task),
    )


def why_no_importance(state: State) -> str:
    """One sentence. Importance comes from the winner's model of the first fold, on shuffled copies
    of the rows which that fold holds out."""
    name, result = state.winner, state.scored.get(state.winner)
    folder = state.linear if name == "linear" else state.chosen
    if state.facts.get("probe") is None:
        return "Not measured: no feature can be shuffled, or the first fold holds out no row."
    if result is None or not result.ok:
        why = "it was not scored there" if result is None else result.outcome
        return f"Not measured: importance comes from {name}'s folds ({why})."
    if folder is not None and folder.code != "B":
        return f"Not measured: {name} did not ship with mlagent, so its folds run without a probe."
    return f"Not measured: {name} left no usable prediction for the shuffled rows."


def fairness_columns(state: State) -> tuple[str, ...]:
    """Columns whose names suggest a protected attribute: each of their groups is shown."""
    assert state.analysis is not None
    return tuple(item.column for item in state.analysis.slices if item.why.startswith("fairness"))


def _slice_columns(state: State, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Columns worth slicing by: the analyst's first, then categories and numbers."""
    assert state.exploration is not None
    assert state.analysis is not None
    roles = state.exploration.roles.columns
    first = [item.column for item in state.analysis.slices if item.column in state.features]
    rest = [
        name
        for name in state.features
        if name in roles and roles[name].role in ("category", "number")
    ]
    chosen = list(dict.fromkeys([*first, *rest]))[:SLICE_COLUMNS]
    return dict(table_of(state).cells(rows, chosen)) if chosen else {}
