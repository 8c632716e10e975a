"""What shipped, in words that do not come from the plan."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mlagent.agents.ml_engineer import CandidateFolder, Fitted
from mlagent.orchestrator.state import State
from mlagent.orchestrator.what_ran import in_words, title_of, what_ships


def candidate(folder: Path, name: str = "linear", title: str = "# Linear baseline\n") -> Any:
    (folder / "README.md").write_text(title)
    return CandidateFolder(name, folder, "B")


def state(option: str) -> State:
    made = SimpleNamespace(
        request=SimpleNamespace(engineer=option),
        features=("a", "b"),
        dev=np.arange(5635),
        exploration=None,
        analysis=None,
    )
    return cast(State, made)


def test_the_model_that_ships_is_named_not_the_one_that_was_planned(tmp_path: Path) -> None:
    fitted = Fitted(tmp_path, "a" * 64, "ok", 0.41, 1.2, {"members": [{"kind": "linear"}]})
    assert what_ships(state("option_b"), candidate(tmp_path), fitted) == (
        "linear ships instead of option_b (Linear baseline): 2 features, fitted on 5,635 rows in "
        "0.4 s. By its own schedule: linear."
    )
    own = what_ships(state("linear"), candidate(tmp_path), Fitted(tmp_path, None, "ok", 0.41, 1.2))
    assert own == "linear ships (Linear baseline): 2 features, fitted on 5,635 rows in 0.4 s."


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({}, ""),
        ({"members": ["linear"], "trials": 3}, "linear, 3 trials"),
        (
            {"members": [{"kind": "lightgbm", "name": "usual"}] * 2, "trials": 1},
            "lightgbm (usual), 1 trial",
        ),
        ({"members": [str(i) for i in range(9)]}, "0, 1, 2, 3, 4, 5, 3 more"),
        ({"members": "no list", "trials": True}, ""),
        ({"members": [{"kind": "a\nb" + "x" * 200}, None]}, "a b" + "x" * 96 + "…"),
    ],
)
def test_a_schedule_in_words_is_one_short_line(schedule: dict[str, Any], words: str) -> None:
    assert in_words(schedule) == words


def test_a_candidate_without_a_readme_has_no_title(tmp_path: Path) -> None:
    assert title_of(CandidateFolder("mine", tmp_path, "C")) == ""
