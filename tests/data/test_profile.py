"""Columns are typed by what is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.contracts.profile import ColumnProfile, Profile
from mlagent.data import profile as room
from mlagent.data.door import open_table
from mlagent.data.profile import TableProfile, profile_table, with_target

Put = Callable[..., Path]


def column(put: Put, cells: Sequence[str], name: str = "x") -> ColumnProfile:
    """The profile of one column beside a filler."""
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    text = f'"{name}",filler\n' + "".join(f"{cell},{n % 3}\n" for n, cell in enumerate(quoted))
    with open_table(put("column.csv", text)) as table:
        return profile_table(table).columns[0]


MANY = [str(n * 37 % 101) for n in range(60)]
KINDS: dict[str, tuple[list[str], str, str]] = {
    "whole numbers": (MANY, "number", "int64"),
    "floats": ([f"{n}.5" for n in range(60)], "number", "float64"),
    "numbers with blanks": ([*MANY, " ", ""], "number", "float64"),
    "numbers with unknown": ([*MANY, "unknown", "None"], "number", "float64"),
    "thousands": ([f"{n},{n:03d}" for n in range(1, 60)], "number", "float64"),
    "decimal comma": ([f"1.{n:03d},5" for n in range(60)], "number", "float64"),
    "currency": ([f"${n}.25" for n in range(60)], "number", "float64"),
    "few codes among few numbers": (["2", "3", "4", "5more"] * 20, "category", "str"),
    "leading zeros": ([f"0{n % 20}" for n in range(60)], "category", "str"),
    "true and false": (["true", "False"] * 30, "category", "bool"),
    "yes and no": (["yes", "no"] * 30, "category", "str"),
    "dates": ([f"2020-01-{n % 28 + 1:02d}" for n in range(60)], "datetime", "datetime64"),
    "German dates": ([f"{n % 28 + 1:02d}.01.2020" for n in range(60)], "datetime", "datetime64"),
    "date times": ([f"2020-01-02 03:04:{n:02d}" for n in range(60)], "datetime", "datetime64"),
    "constant": (["7"] * 60, "constant", "int64"),
    "nothing": ([""] * 60, "constant", "str"),
    "free text": (
        [f"this is comment number {n} about the service" for n in range(60)],
        "text",
        "str",
    ),
    "codes that never repeat": ([f"C-{n:05d}" for n in range(60)], "id", "str"),
    "counting up": ([str(n + 17) for n in range(60)], "id", "int64"),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_column_is_what_its_cells_are(put: Put, case: str) -> None:
    cells, role, dtype = KINDS[case]
    found = column(put, cells)
    assert (found.role, found.dtype) == (role, dtype), found.why
    assert found.why


def test_a_day_above_twelve_settles_the_order_of_day_and_month(put: Put) -> None:
    found = column(put, [f"{n % 28 + 1}/3/2021" for n in range(60)])
    assert found.datetime_format == "%d/%m/%Y"
    found = column(put, [f"3/{n % 28 + 1}/2021" for n in range(60)])
    assert found.datetime_format == "%m/%d/%Y"


def test_an_undecided_date_order_is_said(put: Put) -> None:
    assert "never exceed 12" in column(put, ["01/02/2021", "03/04/2021"] * 30).why


def test_none_and_unknown_are_categories_but_question_marks_are_missing(put: Put) -> None:
    found = column(put, ["none", "unknown", "own", "?", "NA", " "] * 12)
    assert dict(found.top) == {"none": 12, "unknown": 12, "own": 12}
    assert found.missing == 36
    assert set(found.missing_tokens) == {"?", "NA", " "}


def test_what_commas_in_numbers_were_taken_for_is_said(put: Put) -> None:
    rows = [f'"1,{n:03d}";"{n},5";{n}.5;"a,b"' for n in range(30)]
    path = put("a.csv", "\n".join(["income;rate;plain;text", *rows]) + "\n")
    with open_table(path) as table:
        found = profile_table(table)
    thousands, decimals = (note for note in found.notes if note.startswith("Commas"))
    assert "'income'" in thousands
    assert "1,234 is 1234" in thousands
    assert "'rate'" in decimals
    assert "1,5 is 1.5" in decimals
    assert not any(name in thousands + decimals for name in ("'plain'", "'text'"))
    assert (found.column("income").maximum, found.column("rate").maximum) == (1029.0, 29.5)


def test_infinite_values_are_counted_and_not_in_the_statistics(put: Put) -> None:
    found = column(put, [*MANY, "inf", "-Infinity"])
    assert found.infinite == 2
    assert found.maximum == 100.0
    assert found.missing == 0


def test_infinite_values_are_said(put: Put) -> None:
    rows = [f"{'inf' if n % 10 == 3 else n * 1.5},{'-inf' if n == 7 else n},{n}" for n in range(60)]
    with open_table(put("a.csv", "\n".join(["ratio,rate,plain", *rows]) + "\n")) as table:
        notes = [note for note in profile_table(table).notes if "nfinite" in note]
    assert notes == [
        "Infinite values are read as missing; cells that hold one: 'ratio' (6), 'rate' (1)."
    ]


def test_cells_that_do_not_parse_are_counted(put: Put) -> None:
    found = column(put, [*(str(n * 1.5) for n in range(200)), "broken"])
    assert (found.role, found.failed) == ("number", 1)


def test_unique_floats_and_repeated_codes_are_no_ids(put: Put) -> None:
    assert column(put, [f"{n * 1.37:.3f}" for n in range(60)], "value").role == "number"
    found = column(put, [str(1000 + n % 20) for n in range(60)], "store_id")
    assert (found.role, found.dtype) == ("category", "str")


def test_an_unnamed_index_is_an_id(put: Put) -> None:
    with open_table(put("a.csv", ",y\n" + "".join(f"{n},{n % 3}\n" for n in range(30)))) as table:
        assert profile_table(table).columns[0].role == "id"


def test_values_that_occur_less_than_ten_times_are_not_shown(put: Put) -> None:
    found = column(put, ["often"] * 30 + ["rare"] * 9)
    assert found.top == (("often", 30),)


def test_free_text_and_ids_show_no_value(put: Put) -> None:
    for case in ("free text", "codes that never repeat"):
        assert column(put, KINDS[case][0]).top == ()


def test_given_ids_are_ids_and_absent_ones_are_errors(put: Put) -> None:
    path = put("a.csv", "name,y\n" + "a,1\nb,2\n" * 10)
    with open_table(path) as table:
        assert profile_table(table, ids=["name"]).column("name").role == "id"
        with pytest.raises(BadInput, match=r"--id names 'nam'.*'name'"):
            profile_table(table, ids=["nam"])


def test_a_large_table_is_counted_whole_in_one_pass(
    tmp_path: Path,
) -> None:
    rows = room.EXACT_ROWS + 10_000
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("n,grade,amount,when,label\n")
        for n in range(rows):
            amount = "inf" if n == 7 else " " if n % 10 == 0 else f"{n % 1000}.5"
            file.write(f"{n},{'abc'[n % 3]},{amount},2020-01-{n % 28 + 1:02d},{n % 4 == 0:d}\n")
    with open_table(path) as table:
        found = profile_table(table)
    assert found.rows == rows
    assert found.sampled_rows <= room.PROBED_ROWS
    assert found.column("n").role == "id"
    assert dict(found.column("grade").top) == {"a": 20_000, "b": 20_000, "c": 20_000}
    amount = found.column("amount")
    assert (amount.missing, amount.infinite, amount.maximum) == (6_000, 1, 999.5)
    assert amount.mean == pytest.approx(500.5, abs=1)
    assert amount.std == pytest.approx(288.7, abs=1)
    assert found.column("when").role == "datetime"
    assert found.value_counts("label") == {"0": 45_000, "1": 15_000}


def test_the_written_profile_holds_no_hidden_counts(put: Put) -> None:
    path = put("a.csv", "x,y\n" + "".join(f"{n * 1.1},{'ab'[n % 2]}\n" for n in range(30)))
    with open_table(path) as table:
        found = profile_table(table)
    assert isinstance(found, TableProfile)
    assert Profile.model_validate_json(found.model_dump_json()).column("y").distinct == 2
    marked = with_target(found, "y", "binary")
    assert marked.column("y").role == "target"
    assert dict(marked.target_counts) == {"a": 15, "b": 15}
