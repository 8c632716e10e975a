"""New data in by the training schema, predictions out beside the untouched input."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import ColumnChoice
from mlagent.data.door import open_table
from mlagent.data.predict_input import read_for_prediction, write_predictions

Put = Callable[..., Path]
SCHEMA = {
    "age": ColumnChoice(role="number", dtype="int64"),
    "fee": ColumnChoice(role="number", dtype="float64", thousands=True),
    "plan": ColumnChoice(role="category", dtype="str"),
}
TEXT = 'id,plan,fee,age\n007,"a,b","1,200.50",41\n008,c,free,\n009,d,3,4.5\n'


def test_new_data_is_read_with_the_training_schema(put: Put, tmp_path: Path) -> None:
    found = read_for_prediction(
        put("new.csv", TEXT), SCHEMA, ["age", "fee", "plan"], tmp_path / "x"
    )
    assert (found.rows, found.extra) == (3, ("id",))
    assert found.failed == {"age": 1, "fee": 1}
    with open_table(tmp_path / "x") as table:
        assert table.sample(5).to_numpy().tolist() == [
            ["41", "1200.5", "a,b"],
            [None, None, "c"],
            [None, "3.0", "d"],
        ]


def test_one_row_is_enough_to_predict_on(put: Put, tmp_path: Path) -> None:
    path = put("new.csv", "age,fee,plan\n1,2,x\n")
    assert read_for_prediction(path, SCHEMA, list(SCHEMA), tmp_path / "x").rows == 1


def test_an_absent_feature_is_named(put: Put, tmp_path: Path) -> None:
    path = put("new.csv", "Age,fee\n1,2\n")
    with pytest.raises(BadInput, match=r"lacks the 2 columns.*'age', 'plan'.*'Age'"):
        read_for_prediction(path, SCHEMA, list(SCHEMA), tmp_path / "x")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_stand_beside_the_input_as_it_was(
    put: Put, tmp_path: Path, suffix: str
) -> None:
    source, into = put("new.csv", TEXT), tmp_path / f"out{suffix}"
    labels = np.array(["yes", "no", "yes"], dtype=object)
    write_predictions(source, into, {"prediction": labels, "p_yes": np.array([0.1, 0.25, 1.0])})
    with open_table(into) as table:
        assert table.names == ("id", "plan", "fee", "age", "prediction", "p_yes")
        assert table.sample(5).to_numpy().tolist() == [
            ["007", "a,b", "1,200.50", "41", "yes", "0.1"],
            ["008", "c", "free", None, "no", "0.25"],
            ["009", "d", "3", "4.5", "yes", "1.0"],
        ]


def test_a_formula_like_cell_is_kept_as_text(put: Put, tmp_path: Path) -> None:
    source = put("new.csv", "a,b\n=1+1,x\n=2,y\n")
    write_predictions(source, tmp_path / "out.csv", {"prediction": np.array([1.5, 2.5])})
    with (tmp_path / "out.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == ["=1+1", "x", "1.5"]


def test_a_name_that_is_taken_and_an_output_over_the_input_are_errors(
    put: Put, tmp_path: Path
) -> None:
    source = put("new.csv", "Prediction,b\n1,x\n2,y\n")
    with pytest.raises(BadInput, match="already has a column 'prediction'"):
        write_predictions(source, tmp_path / "out.csv", {"prediction": np.array([1.0, 2.0])})
    with pytest.raises(BadInput, match="is the input file"):
        write_predictions(source, source, {"p": np.array([1.0, 2.0])})
