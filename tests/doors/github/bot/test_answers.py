"""The answers of the bot: views of records, without a run."""

from __future__ import annotations

import numpy as np
import pytest

from mlagent.content import Content
from mlagent.doors.github.answers import Answers
from mlagent.doors.github.queue import Job
from mlagent.doors.github.work import ExecuteDone
from mlagent.referee.evaluate import EvaluationInputs, evaluate
from mlagent.referee.metrics import Truth
from mlagent.testing.manifests import small_manifest

ROWS = 200
JOB = Job(1, "d", "a/b", 1, 1, "a", 1, "", "running", "1" * 40, "2" * 40, 1, "", None)


def done(model_name: str) -> ExecuteDone:
    """A verdict of a model over 200 rows; a linear one is the baseline itself."""
    draw = np.random.default_rng(0)
    truth = (draw.random(ROWS) < 0.5).astype(float)
    linear = np.clip(0.5 + 0.2 * (truth - 0.5) + 0.2 * draw.normal(size=ROWS), 0, 1)
    model = linear if model_name == "linear" else np.clip(linear + 0.3 * (truth - 0.5), 0, 1)
    evaluation = evaluate(
        EvaluationInputs(
            metric="roc_auc",
            truth=Truth("binary", truth, ("no", "yes")),
            predictions={"model": model, "linear": linear, "dummy": np.full(ROWS, 0.5)},
            judged_on="vault",
            model_name=model_name,
            seal_id="0" * 16,
            opening=1,
            tries=1,
            tier="T0",
            seed=0,
            draws=50,
        )
    )
    manifest = small_manifest(model_name=model_name, verdict=evaluation.verdict)
    return ExecuteDone(evaluation, manifest, (), ())


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers(Content(), 600.0)


def test_a_model_is_held_against_linear(answers: Answers) -> None:
    (line,) = [x for x in answers.execute(done("option_a"), JOB).splitlines() if "to linear" in x]
    assert line.startswith("Difference to linear: +")
    assert ", better. 200 judged rows;" in line
    assert "1 try on its dev rows so far" in line


def test_linear_is_not_held_against_itself(answers: Answers) -> None:
    text = answers.execute(done("linear"), JOB)
    assert "Difference to linear" not in text
    assert "The linear baseline itself ships" in text
    assert "baseline itself ships. 200 judged rows;" in text
