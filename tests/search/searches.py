"""A table that a straight line cannot follow, candidates for it, and `execute` against a scripted
server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlagent.contracts.search import SearchTree
from mlagent.testing.messages_api import MessagesApi, calls

KEY = "sk-ant-test-searching"
CANARY = "zq-canary-7731"
GOOD = """\
import numpy as np

SPEED = 40


def waves(table):
    return np.sin(SPEED * table["x1"] * table["x2"])


def fit(train, spec):
    left = train[spec["target"]] == spec["classes"][1]
    return left.groupby(waves(train) > 0).mean()


def predict(model, features):
    return (waves(features) > 0).map(model).fillna(0.5).to_numpy()
"""
PLAIN = GOOD.replace("SPEED = 40", "SPEED = 3")
BROKEN = PLAIN.replace(
    "    return left",
    "    raise ValueError(str(train['note'][0]))\n    return left",
)
ANSWER = "\n\ndef predict(model, features):\n    return [0.5] * len(features)\n"


def waving(rows: int = 900) -> pd.DataFrame:
    """A wave over the product of two numbers: no sum of curves and no shallow tree follows it."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (rows, 2))
    left = (np.sin(40 * x[:, 0] * x[:, 1]) > 0) ^ (rng.uniform(size=rows) < 0.05)
    note = np.where(np.arange(rows) == 0, CANARY, "plain")
    table = {"x1": x[:, 0], "x2": x[:, 1], "note": note, "churned": np.where(left, "yes", "no")}
    return pd.DataFrame(table)


Script = Callable[[dict[str, Any], int], Any]


Run = Callable[..., subprocess.CompletedProcess[str]]


def started(words: tuple[str, ...], api: MessagesApi, place: Path) -> subprocess.Popen[str]:
    """The command, running in this folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "mlagent", *words],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url},
    )


def submit(code: str, summary: str = "an idea") -> list[dict[str, Any]]:
    return [calls("submit_candidate", "t1", summary=summary, code=code)]


def edit(search: str, replace: str) -> list[dict[str, Any]]:
    edits = [{"search": search, "replace": replace}]
    return [calls("submit_edit", "t1", summary="one change", edits=edits)]


def question_in(body: dict[str, Any]) -> str:
    """What the step asks, with the candidates that it shows."""
    return str(body["messages"][0]["content"][0]["text"])


def asked_for(body: dict[str, Any]) -> str:
    """draft, improve, debug or merge."""
    text = question_in(body)
    words = {"Write a fresh": "draft", "Make one change": "improve", "Mend it": "debug"}
    return next((word for start, word in words.items() if start in text[:300]), "merge")


def code_in(body: dict[str, Any]) -> str:
    found = re.search(r"<code mark=\w+>\n(.*?)\n</code", question_in(body), re.DOTALL)
    return found[1] if found else ""


def finished(done: subprocess.CompletedProcess[str]) -> tuple[Path, dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    told = json.loads(done.stdout)
    return Path(told["folder"]), told


def tree_of(folder: Path) -> SearchTree:
    file = folder / "artifacts" / "ml-engineer" / "search" / "tree.json"
    return SearchTree.model_validate_json(file.read_bytes())


FLAGS = ("--select", "ml-engineer=option_a", "--vault", "0.25", "--json")
