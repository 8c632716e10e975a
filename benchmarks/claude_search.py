"""A whole search with a scripted Claude on a real table: plan, execute --author both, tree, bill.

What Claude answers is written down here (there is no model behind it): plans in words, drafts that
fail or are poor, one that is mended, changes of one number, merges. Everything else is real: the
Messages API over HTTP, the gateway, the sandbox, the folds, the referee, the report. Needs Docker.

Usage: python benchmarks/claude_search.py TABLE.csv [--target COLUMN] [--budget 600s] [--calls 14]
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlagent.contracts.search import TREE, SearchTree
from mlagent.contracts.usage import Bill
from mlagent.orchestrator.consulting import BILL
from mlagent.testing.command_line import run_mlagent
from mlagent.testing.messages_api import calls, messages_api, says

KEY = "sk-ant-scripted"
BOOSTING = '''\
"""Histogram gradient boosting on codes of the categories."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

RATE = 0.1
ROUNDS = 100
LEAF = 20


class Codes:
    """Texts as numbers, the same for every table."""

    def __init__(self, table, spec):
        self.names = [n for n, c in spec["columns"].items() if c["role"] in ("number", "category")]
        self.levels = {
            name: {value: i for i, value in enumerate(sorted(table[name].dropna().unique()))}
            for name in self.names
            if spec["columns"][name]["dtype"] == "str"
        }

    def of(self, table):
        columns = [
            table[name].map(self.levels[name]) if name in self.levels else table[name]
            for name in self.names
        ]
        return np.column_stack([pd.to_numeric(column).to_numpy(dtype=float) for column in columns])


def fit(train, spec):
    codes = Codes(train, spec)
    kind = HistGradientBoostingClassifier
    if spec["task"] == "regression":
        kind = HistGradientBoostingRegressor
    model = kind(learning_rate=RATE, max_iter=ROUNDS, min_samples_leaf=LEAF, random_state=0)
    y = train[spec["target"]]
    return codes, model.fit(codes.of(train), y), spec


def predict(model, features):
    codes, fitted, spec = model
    x = codes.of(features)
    if spec["task"] == "regression":
        return fitted.predict(x)
    shares = np.zeros((len(x), len(spec["classes"])))
    for place, label in enumerate(fitted.classes_):
        shares[:, list(spec["classes"]).index(str(label))] = fitted.predict_proba(x)[:, place]
    return shares[:, 1] if spec["task"] == "binary" else shares
'''
BROKEN = BOOSTING.replace("    codes = Codes(train, spec)\n", "    codes = Codes(train)\n")
NOT_A_NUMBER = BOOSTING.replace("return fitted.predict(x)", "return fitted.predict(x) * np.nan")
NOT_A_NUMBER = NOT_A_NUMBER.replace("fitted.predict_proba(x)[:, place]", "np.nan")
POOR = BOOSTING.replace("ROUNDS = 100", "ROUNDS = 2")
CHANGES = (("ROUNDS", "300"), ("LEAF", "5"), ("RATE", "0.2"), ("ROUNDS", "600"), ("LEAF", "3"))


def scripted() -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """Answers in turn: by what each step asks for, and by the code that it shows."""
    drafts = itertools.cycle([BROKEN, POOR, NOT_A_NUMBER, BOOSTING])
    changes = itertools.cycle(CHANGES)

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        if not any(tool["name"].startswith("submit_") for tool in body.get("tools", ())):
            return [says(json.dumps(_plan(body)))]
        asked = str(body["messages"][0]["content"][0]["text"])
        shown = re.findall(r"<code mark=\w+>\n(.*?)\n</code", asked, re.DOTALL)
        if "Write a fresh" in asked[:300]:
            return _submit(next(drafts), "another start")
        if "Make one change" in asked[:300] and shown:
            name, value = next(changes)
            found = re.search(rf"^{name} = .*$", shown[0], re.MULTILINE)
            old = found[0] if found else "import numpy as np"
            new = f"{name} = {value}" if found else "import numpy as np  # as it was"
            edits = [{"search": old, "replace": new}]
            return [calls("submit_edit", "t1", summary=f"{name} is {value}", edits=edits)]
        if "Mend it" in asked[:300]:
            return _submit(BOOSTING, "what broke is mended")
        return _submit(BOOSTING.replace("LEAF = 20", "LEAF = 8"), "the best of both")

    return answer


def _plan(body: dict[str, Any]) -> dict[str, Any]:
    """An agent's plan: a sentence for each option that it was told of."""
    role = re.search(r"You are the ([a-z-]+) of", body["system"][0]["text"])
    told = body["messages"][0]["content"].rpartition("What each option runs")[2]
    options = re.findall(r"^(option_[abc]): (.*); about", told, re.MULTILINE)
    assert role is not None, "the system prompt has changed"
    assert len(options) > 1, "the question has changed"
    made = {
        name: {
            "approach": approach,
            "pros": [f"{role[1]}: it is what this table asks for"],
            "cons": ["it may be more than is needed"],
            "time_estimate_hours": 1.0,
            "complexity": "medium",
            "risks": ["none that the profile shows"],
            "dependencies": [],
        }
        for name, approach in options
    }
    chosen = {"selected": options[-1][0], "rationale": "The widest of them.", "conditions": []}
    plan = {"agent_name": role[1], "task": "", "implementation_options": made}
    return {"agent_plan": {**plan, "recommendation": chosen, "questions_for_review": []}}


def _submit(code: str, summary: str) -> list[dict[str, Any]]:
    return [calls("submit_candidate", "t1", summary=summary, code=code)]


def main() -> None:
    """Plan, execute, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--target")
    parser.add_argument("--sentence", default="predict it")
    parser.add_argument("--budget", default="600s")
    parser.add_argument("--calls", default="14")
    parser.add_argument("--into", type=Path, help="keep the project in this folder")
    args = parser.parse_args()
    folder = args.into or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / args.table.name).write_bytes(args.table.read_bytes())
    target = ("--target", args.target) if args.target else ()
    with messages_api(scripted(), keys=(KEY,)) as server:
        environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
        words = ("--author", "claude", "--max-usd", "1")
        for step in (
            ("plan", args.sentence, *target, *words),
            ("execute", "--author", "both", "--budget", args.budget, "--max-calls", args.calls),
            ("board", "--tree"),
        ):
            done = run_mlagent(folder, *step, environment=environment, longest_s=1800.0)
            print(f"$ mlagent {' '.join(step)}\n{done.stdout}{done.stderr}")
            if done.returncode:
                raise SystemExit(done.returncode)
    run = max((folder / "runs").iterdir())
    tree = SearchTree.model_validate_json((run / TREE).read_bytes())
    bill = Bill.model_validate_json((run / BILL).read_bytes())
    failed = sum(node.score is None for node in tree.nodes)
    used = bill.total.tokens
    print(
        f"{len(tree.nodes)} nodes, {failed} without a score; {bill.total.calls} calls, "
        f"{used.input:,} input, {used.cache_write:,} + {used.cache_read:,} cached, "
        f"{used.output:,} output tokens, ${bill.total.usd:.4f}\n{run}"
    )


if __name__ == "__main__":
    main()
