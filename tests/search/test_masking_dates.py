"""Dates of a table's rows do not leave, however a candidate writes them; our own sentences do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlagent.agents.left_nothing import without_model, without_predictions
from mlagent.contracts.ports import Limits, Outcome
from mlagent.data.frames import write_frame
from mlagent.orchestrator.mask_reading import words_of
from mlagent.orchestrator.masking import NUMBER, Mask
from mlagent.referee.check import check_prediction
from mlagent.sandbox.verdicts import End, judge

SIGNUP = pd.Series(
    pd.to_datetime("2017-01-01")
    + pd.to_timedelta(np.random.default_rng(3).integers(0, 1_500_000, 600), unit="min")
)


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Mask:
    path = tmp_path_factory.mktemp("dates") / "t.parquet"
    table = pd.DataFrame({"signup": SIGNUP, "day": SIGNUP.dt.date, "fee": np.arange(600) % 7})
    write_frame(table, path)
    return Mask(path, [], list(table.columns))


@pytest.mark.parametrize(
    "form",
    [
        "%d %b %y %H:%M",
        "%d %B %Y",
        "%B %d, %Y",
        "%b %d",
        "%d-%b-%y",
        "%d.%B %y",
        "%dth of %B %Y",
        "%H:%M",
        "%I:%M %p",
        "%I.%M%p",
        "%d/%m/%y",
        "%Y-%m-%d",
        "%y%m%d",
    ],
)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
def test_a_date_leaves_in_no_form(mask: Mask, form: str, case: type[str]) -> None:
    said = [case(text) for text in SIGNUP.dt.strftime(form).head(6)]
    cleaned = mask.clean(f"ValueError: {said}", "")
    for text in said:
        assert text not in cleaned
    assert cleaned.count(NUMBER) >= len(said)


@pytest.mark.parametrize("separator", [" ", ", ", " | "])
def test_the_parts_of_a_date_are_a_row(mask: Mask, separator: str) -> None:
    for moment in SIGNUP.head(5):
        parts = [moment.year % 100, moment.month, moment.day, moment.hour, moment.minute]
        said = separator.join(map(str, parts))
        assert said not in mask.clean(f"parts {said}", "")
        assert said not in mask.clean(f"got ({said}) here", "")
        for day in ([moment.year, *parts[1:3]], parts[:3], parts[2::-1], [*parts[1:3], parts[0]]):
            written = separator.join(map(str, day))
            assert written not in mask.clean(f"got ({written}) here", "")


def test_dates_of_the_code_and_other_numbers_leave(mask: Mask) -> None:
    code = "CUT = pd.to_datetime('07 Mar 19 11:22')"
    for said in (
        "before 07 Mar 19 11:22",
        "shape (480, 3)",
        "in March, 4 folds of 12 failed",
        "line 12, in fit",
        "may be 5 or 7",
    ):
        assert mask.clean(said, code) == said


def test_without_dates_in_the_table_such_words_leave(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_frame(pd.DataFrame({"fee": [1.0, 2.0]}), path)
    assert Mask(path, [], ["fee"]).clean("on 3 May, 10:30", "") == "on 3 May, 10:30"


def sentences() -> list[str]:
    """What the referee and the sandbox say of a candidate that has no score."""
    nan, huge = np.full(143, np.nan), np.full(143, 1e200)
    odd = [
        check_prediction(nan, 143, "binary", ("a", "b")),
        check_prediction(np.full(143, np.inf), 143, "regression"),
        check_prediction(np.full(143, 2.0), 143, "binary", ("a", "b")),
        check_prediction(huge, 143, "regression"),
        check_prediction(np.zeros(143, dtype=int), 143, "regression"),
        check_prediction(np.zeros((143, 2)), 143, "regression"),
        check_prediction(np.full((143, 3), 0.5), 143, "multiclass", ("a", "b", "c")),
    ]
    limits = Limits(memory_mb=512, wall_s=30.0, output_mb=64)
    ends = [
        End(137, by_us="memory"),
        End(None, by_us="time"),
        End(None, by_us="stopped"),
        End(1, by_us="output"),
        End(None),
        End(0),
        End(0, oom=True),
        End(159),
        End(137),
        End(153),
        End(3),
    ]
    said = [judge(end, limits, "")[1] for end in ends]
    ended = [
        Outcome(verdict=verdict, sentence=told, exit_code=0, wall_s=1.0, log="")
        for end in ends
        for verdict, told in [judge(end, limits, "")]
    ]
    said += [without_model(outcome, 30.0) for outcome in ended]
    said += [without_predictions(outcome, 143, 1) for outcome in ended]
    return [f"no score: fold 1 of 3: {one}" for one in (*odd, *said) if one]


def test_why_there_is_no_score_is_told_whatever_words_the_cells_hold(tmp_path: Path) -> None:
    told = sentences()
    words = sorted({word for one in told for word in words_of(one) if word.isalpha()})
    path = tmp_path / "t.parquet"
    write_frame(pd.DataFrame({"note": words}), path)
    mask = Mask(path, ["note"], ["note"])
    assert len(told) > 25
    for one in told:
        assert "[cell]" not in mask.clean(one, ""), one
