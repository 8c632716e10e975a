"""One candidate of a search on the frozen folds: kept, tried on a sample, scored, remembered.

Guarantees: the code runs as a stranger's, in containers, and never sees the vault; a failure on a
few rows costs no folds; what a failure printed is masked before anybody reads it; a resumed run
takes the scores that it finds for the same code, and what was printed with them, so that it asks
the same questions again. Does not compare.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from mlagent.agents.ml_engineer import (
    CandidateFolder,
    FoldResult,
    at_once,
    fit,
    predict,
    score_apart,
)
from mlagent.contracts.ports import CodeClass
from mlagent.store.files import write_json

from .handed_in import HandedIn, home_of, keep
from .resuming import forget_folds, load_folds, save_folds
from .rows import RunTable
from .search_scores import Search
from .specs import candidate_spec
from .state import table_of

SAMPLE_ROWS, SAMPLE_S = 300, 3.0
CODE: CodeClass = "D"


def score_code(
    here: Search, name: str, code: str, readme: bytes, without: Set[str] = frozenset()
) -> FoldResult:
    """Score one candidate's code.

    Args:
        without: columns that it does not get.
    """
    bench, state = here.bench, here.state
    home = home_of(bench.run, name)
    file = home / "solution.py"
    same = file.is_file() and file.read_bytes() == code.encode()
    if same and (known := load_folds(bench.run, name)) is not None:
        return known
    forget_folds(bench.run, name)
    begun = bench.clock()
    keep(bench.run, HandedIn(name, code.encode(), readme, CODE))
    side_by_side = at_once(len(state.folds), bench.desk.cpus)
    spec = candidate_spec(bench, state, name, here.each)
    columns = {column: facts for column, facts in spec.columns.items() if column not in without}
    told = {"threads": max(1, bench.desk.cpus // side_by_side), "columns": columns}
    write_json(home / "spec.json", spec.model_copy(update=told))
    folder = CandidateFolder(name, home, CODE)
    table = table_of(state)
    rows = table
    if without:
        kept = [column for column in table.features if column not in without]
        rows = RunTable(table.typed, table.task, kept)
    result = _sampled(here, folder, rows) or score_apart(
        bench.desk,
        folder,
        rows=rows,
        dev=state.dev,
        folds=state.folds,
        budget_s=here.each,
        side_by_side=side_by_side,
    )
    if not result.ok:
        result.log = here.mask.clean(result.log, code)
        result.outcome = here.mask.clean(result.outcome, code)
    result.scoring_s = bench.clock() - begun
    if not bench.stop():  # what Ctrl-C cut is no result of this code
        save_folds(bench.run, result)
    return result


def _sampled(here: Search, folder: CandidateFolder, rows: RunTable) -> FoldResult | None:
    """A short run on few rows: a failure there needs no folds. None when it went well."""
    bench, state = here.bench, here.state
    inside = state.dev[state.folds[0] == 1]
    if len(inside) < 2 * SAMPLE_ROWS:
        return None
    rng = np.random.default_rng(state.request.seed)
    some = np.sort(rng.choice(inside, SAMPLE_ROWS, replace=False))
    if state.task.kind != "regression" and len(np.unique(rows.truth(some).y)) < len(
        state.task.classes
    ):
        return None  # a class is missing in so few rows
    fitted = fit(
        bench.desk,
        folder,
        train=rows.write_train(some, bench.desk.scratch / "sample.parquet"),
        budget_s=SAMPLE_S,
        into=bench.desk.folder(f"out/{folder.name}-sample"),
        grace_s=8.0,
    )
    if not fitted.ok:
        said = f"no score: on {SAMPLE_ROWS} rows: {fitted.outcome}"
        return FoldResult(folder.name, outcome=said, log=fitted.log)
    held = state.dev[state.folds[0] == 2][:SAMPLE_ROWS]
    handed = rows.write_features(held, bench.desk.scratch / "sample-features.parquet")
    array, outcome, _, log = predict(
        bench.desk,
        folder,
        fitted.folder,
        features=handed.path,
        rows=len(held),
        truth=rows.truth(held),
        into=bench.desk.folder(f"out/{folder.name}-sample-predict"),
        name=f"{folder.name}, sample",
        wall_s=30.0,
    )
    return None if array is not None else FoldResult(folder.name, outcome=outcome, log=log)
