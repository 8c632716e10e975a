"""Tries: which candidates had a look at the dev folds of one seal, and how many that makes.

A try is one distinct candidate, code and settings, that has a score on these folds. So:

- the linear baseline is one: the choice is made between it and the option, so its score takes part
  in the selection; it has the same code in every run and counts once;
- each scored candidate of a search with Claude is one: the best of many was picked on these folds.
  The parts that ablation took out of it are none: no such candidate could be chosen;
- the dummy is none: nobody wrote it and nothing is chosen by it;
- a candidate that failed is none: without a score there is nothing to be lucky with;
- the same code with the same spec.json is the same try, however often it ran or was replayed: a
  repeated look at the same candidate selects nothing. Another budget of the run, seed or column is
  another spec, and a try. The seconds and threads of one fit, which the run decides, are not;
- another metric on the same target and folds is a try too: the labels looked at are the same.

Guarantees: board, report, model card and verdict count with `count_tries`. Does not know of runs
whose folders were deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from mlagent.contracts.evaluation import CandidateScore
from mlagent.contracts.run import Seal
from mlagent.contracts.search import TREE, SearchTree
from mlagent.contracts.task import TaskSpec
from mlagent.documents import load_json, read_record
from mlagent.referee.scoring import yardstick
from mlagent.store.files import sha256_of
from mlagent.store.project import Project
from mlagent.store.runs import RunFolder

DUMMY, LINEAR = "dummy", "linear"


class BoardRow(NamedTuple):
    """One scored candidate of one run; `look` is the fingerprint of its code and spec, `yardstick`
    what it is scored by: the metric, with its prices or its quantile."""

    run: str
    entry: CandidateScore
    look: str
    yardstick: str


def scored_on(project: Project, seal_id: str, task: TaskSpec) -> tuple[BoardRow, ...]:
    """Every board row on this seal's dev folds for the same target, in order of time."""
    found: list[BoardRow] = []
    for run in project.runs.all():
        if not all((run.path / name).exists() for name in ("board.json", "seal.json", "task.json")):
            continue
        if run.read("seal.json", Seal).id != seal_id:
            continue
        about = run.read("task.json", TaskSpec)
        if (about.target, about.positive) == (task.target, task.positive):
            found += board_rows(run, read_board_file(run), about)
    return tuple(found)


def read_board_file(run: RunFolder) -> list[CandidateScore]:
    """board.json of one run."""
    path = run.path / "board.json"
    rows = load_json(path.read_text(encoding="utf-8"), str(path))
    return [CandidateScore.model_validate(row) for row in rows]


def board_rows(run: RunFolder, entries: Iterable[CandidateScore], task: TaskSpec) -> list[BoardRow]:
    """The rows of one run, of `execute` or `try`, with their fingerprints; those of its search that
    are not among them come first."""
    ruler, entries = yardstick(task), list(entries)
    named = {entry.name for entry in entries}
    entries = [entry for entry in searched(run) if entry.name not in named] + entries
    return [BoardRow(run.id, entry, look_of(run, entry.name), ruler) for entry in entries]


def searched(run: RunFolder) -> list[CandidateScore]:
    """The candidates of a run's search that have a score; none where nothing was searched."""
    path = run.path / TREE
    if not path.is_file():
        return []
    tree = read_record(SearchTree, path.read_text(encoding="utf-8"), str(path), format="json")
    return [
        CandidateScore(name=node.name, score=node.score, outcome=node.outcome)
        for node in tree.nodes
        if node.score is not None
    ]


def look_of(run: RunFolder, name: str) -> str:
    """Fingerprint of a candidate's code and spec; of run and name where these files are gone."""
    if name == DUMMY:
        return DUMMY
    home = run.path / "artifacts" / "ml-engineer" / name
    if not home.is_dir():
        home = run.path / "candidate"
    files = (home / "solution.py", home / "spec.json")
    if not all(file.is_file() for file in files):
        return f"{run.id}/{name}"
    spec = dict(load_json(files[1].read_text(encoding="utf-8"), str(files[1])))
    spec["budget_s"] = None if name == LINEAR else _budget(run)  # linear is always the same
    spec["replay"] = spec["threads"] = None
    told = json.dumps(spec, sort_keys=True)
    return sha256(f"{sha256_of(files[0])} {told}".encode()).hexdigest()


def _budget(run: RunFolder) -> float | None:
    """Seconds that the whole run was given; None where its journal does not say."""
    with (run.path / "journal.jsonl").open(encoding="utf-8") as file:
        first = file.readline()
    found = load_json(first, "journal.jsonl").get("facts", {}).get("budget_s") if first else None
    return float(found) if isinstance(found, int | float) else None


def is_try(row: BoardRow) -> bool:
    """Whether this row is a scored candidate that somebody wrote."""
    return row.entry.score is not None and row.entry.name != DUMMY


def count_tries(rows: Iterable[BoardRow]) -> int:
    """The number of tries, as the head of this module defines them."""
    return len({row.look for row in rows if is_try(row)})


def latest_of_each(rows: Iterable[BoardRow]) -> list[BoardRow]:
    """One row for each look, the latest; a scored row before a failed one of the same look."""
    found: dict[str, BoardRow] = {}
    for row in rows:
        known = found.get(row.look)
        if known is None or row.entry.score is not None or known.entry.score is None:
            found[row.look] = row
    return list(found.values())


def place_of(row: BoardRow, rows: Iterable[BoardRow], *, maximize: bool) -> tuple[int | None, int]:
    """Place among the tries with the same metric, and how many these are; None without a score."""
    tries = [one for one in rows if is_try(one) and one.yardstick == row.yardstick]
    others = [one for one in latest_of_each(tries) if one.look != row.look]
    if row.entry.score is None:
        return None, len(others)
    sign, own = 1.0 if maximize else -1.0, row.entry.score.value
    better = sum(
        1 for one in others if one.entry.score and sign * one.entry.score.value > sign * own
    )
    return better + 1, len(others) + 1
