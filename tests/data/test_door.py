"""One door for tables: formats, guesses, and every bad file as a sentence."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlagent.contracts.errors import BadInput
from mlagent.data.door import open_table
from mlagent.data.wire import TypedTable

Put = Callable[..., Path]
CHARACTERS = st.sampled_from("ab1 ,;|\t\"\n%'é€NA?#\\")
CELLS = st.text(alphabet=CHARACTERS, max_size=8).map(lambda text: text.replace("%", "\r\n"))


def cells_of(path: Path) -> list[list[str | None]]:
    with open_table(path, minimum_rows=0) as table:
        return table.sample(10_000).to_numpy().tolist()


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=4, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_csv_comes_back_cell_by_cell(
    tmp_path: Path, rows: list[list[str]], delimiter: str, end: str, quoting: int
) -> None:
    # the last column is never blank: a blank line is no row in a CSV
    rows = [[*row[:2], f"z{row[2]}"] for row in rows]
    path = tmp_path / "any.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerow(["first name", "second", "third"])
        writer.writerows(rows)
    with open_table(path) as table:
        assert table.names == ("first name", "second", "third")
        assert table.ref.delimiter == delimiter
        got = table.sample(100).to_numpy().tolist()
    assert got == [[cell or None for cell in row] for row in rows]


def test_line_breaks_inside_quoted_cells_survive_in_a_large_file(tmp_path: Path) -> None:
    # duckdb cuts large files into blocks; a break inside quotes must not start a row
    path = tmp_path / "large.csv"
    cell = 'x,\n"q"\n1,2\n' * 30
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["n", "text", "end"])
        writer.writerows([n, cell[n % 50 :], "z"] for n in range(60_000))
    assert path.stat().st_size > 17_000_000
    with open_table(path) as table:
        assert table.ref.rows == 60_000
        frame = table.sample(100)
    assert (frame["end"] == "z").all()
    assert all(
        text == cell[int(n) % 50 :] for n, text in zip(frame["n"], frame["text"], strict=True)
    )


def test_the_reference_names_the_bytes_of_the_file(put: Put) -> None:
    path = put("a.csv", "x,y\n1,2\n3,4\n")
    with open_table(path) as table:
        assert table.ref.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (table.ref.rows, table.ref.bytes, table.ref.format) == (2, 12, "csv")


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-16", "utf-16"), ("utf-16-le", "Guessed"), ("cp1252", "cp1252")]
)
def test_other_encodings_are_read_and_the_guess_is_said(put: Put, encoding: str, said: str) -> None:
    text = "name;größe\n" + "Käse;1,5\nBrötchen;2\n" * 5
    with open_table(put("a.csv", text, encoding)) as table:
        assert table.names == ("name", "größe")
        assert table.sample(2).iloc[0].tolist() == ["Käse", "1,5"]
        assert any(said in note for note in table.ref.notes)


def test_a_byte_order_mark_is_no_part_of_the_first_name(put: Put) -> None:
    with open_table(put("a.csv", b'\xef\xbb\xbf"x",y\n1,2\n3,4\n')) as table:
        assert table.names == ("x", "y")


def test_quotes_that_quote_nothing_are_text(put: Put) -> None:
    path = put("a.tsv", 'size\tname\n5" pipe\tx\n"6" pipe\ty\n7\tz\n')
    with open_table(path) as table:
        assert table.ref.quote is None
        assert table.sample(9)["size"].tolist() == ['5" pipe', '"6" pipe', "7"]
        assert any("plain text" in note for note in table.ref.notes)


def test_mixed_line_ends_are_read_and_said(put: Put) -> None:
    with open_table(put("a.csv", b"x,y\n1,2\r\n3,4\n5,6\r\n")) as table:
        assert table.sample(9)["y"].tolist() == ["2", "4", "6"]
        assert any("Line ends" in note for note in table.ref.notes)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("broken", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("place", ["name", "cell", "name and cell"])
def test_a_line_break_inside_quotes_is_no_line_end_whatever_ends_the_lines(
    put: Put, end: str, broken: str, place: str
) -> None:
    name = f"usage{broken}gb" if "name" in place else "usage"
    cell = f"x{broken}y" if "cell" in place else "x"
    lines = [f'"{name}","left"', f'"{cell}","yes"', *(f'"{n}","no"' for n in range(5))]
    with open_table(put("a.csv", end.join(lines) + end)) as table:
        assert table.names == (name, "left")
        assert table.sample(9).to_numpy().tolist() == [
            [cell, "yes"],
            *([str(n), "no"] for n in range(5)),
        ]


@pytest.mark.parametrize("broken", ["\n", "\r\n"])
def test_a_line_break_in_the_first_json_record_stays_in_its_cell(put: Put, broken: str) -> None:
    records = [{"a": f"x{broken}y", "b": "\r"}, {"a": "z", "b": "\n"}]
    path = put("a.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    with open_table(path) as table:
        assert table.sample(5).to_numpy().tolist() == [[f"x{broken}y", "\r"], ["z", "\n"]]


def test_names_that_are_missing_or_double_are_given_and_said(put: Put) -> None:
    with open_table(put("a.csv", "x,,x,X\n1,2,3,4\n5,6,7,8\n")) as table:
        assert table.names == ("x", "column_2", "x_2", "X_3")
        assert len(table.ref.notes) == 3


def test_a_file_without_a_header_keeps_its_first_row(put: Put) -> None:
    with open_table(put("a.csv", "1.5,a,2\n2.5,b,3\n3.5,c,9\n4.5,c,9\n")) as table:
        assert table.names == ("column_1", "column_2", "column_3")
        assert table.ref.rows == 4
        assert any("looks like data" in note for note in table.ref.notes)


def test_years_as_column_names_are_a_header(put: Put) -> None:
    with open_table(put("a.csv", "country,1990,1991,1992\na,1,2,5\nb,3,4,6\nc,5,6,7\n")) as table:
        assert table.names == ("country", "1990", "1991", "1992")


def test_hostile_names_and_cells_stay_data(put: Put) -> None:
    names = ['"); import os #', "{{7*7}}", "'; DROP TABLE x; --"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([["1", "{{ 7*7 }}", "$(id)"], ["2", "b", "'; --"]])
    with open_table(put("it's [1]*.csv", text.getvalue())) as table:
        assert list(table.names) == names
        assert table.sample(5).iloc[0].tolist() == ["1", "{{ 7*7 }}", "$(id)"]


def test_json_lines_keep_digits_and_missing_keys(put: Put) -> None:
    records = '{"a": 1.10, "b": "x,y"}\n\n{"b": null, "c": true, "a": 12345678901234567890}\n'
    with open_table(put("a.jsonl", records)) as table:
        assert table.ref.format == "jsonl"
        assert table.names == ("a", "b", "c")
        assert table.sample(5).to_numpy().tolist() == [
            ["1.10", "x,y", None],
            ["12345678901234567890", None, "true"],
        ]


def test_a_broken_json_line_is_named(put: Put) -> None:
    with pytest.raises(BadInput, match="line 2, is not JSON"):
        open_table(put("a.jsonl", json.dumps({"a": 1}) + "\n{oops\n"))


@pytest.mark.parametrize("first", ["{{7*7}}", "{a}", "{"])
def test_a_csv_whose_first_name_begins_with_a_brace_is_a_csv(put: Put, first: str) -> None:
    path = put("a.csv", f'{first},b,"""); import os #"\n' + "1,2,3\n" * 30)
    with open_table(path) as table:
        assert table.ref.format == "csv"
        assert table.names == (first, "b", '"); import os #')


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
@pytest.mark.parametrize("first", ['{"a": 1, "b', '{ "a": nope}', "{"])
def test_a_broken_first_json_line_is_named(put: Put, name: str, first: str) -> None:
    with pytest.raises(BadInput, match="line 1, is not JSON"):
        open_table(put(name, first + '\n{"a": 2}\n'))


def test_the_suffix_says_json_where_the_first_line_says_nothing(put: Put) -> None:
    with pytest.raises(BadInput, match="line 1, is not JSON"):
        open_table(put("a.jsonl", "{a: 1}\n{a: 2}\n"))


def test_parquet_is_read_as_text(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "n": [1.5, None],
            "d": pd.to_datetime(["2020-01-02", "2021-03-04 05:06:07"], format="ISO8601"),
            "s": ["x", None],
        }
    )
    TypedTable.write_frame(frame, tmp_path / "a.parquet")
    with open_table(tmp_path / "a.parquet") as table:
        assert table.ref.format == "parquet"
        assert table.sample(5).to_numpy().tolist() == [
            ["1.5", "2020-01-02 00:00:00", "x"],
            [None, "2021-03-04 05:06:07", None],
        ]


def test_a_sample_is_the_same_for_the_same_seed_and_spread_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,m\n" + "".join(f"{n},{n % 7}\n" for n in range(20_000)))
    with open_table(path) as table:
        one, again, other = table.sample(500, 1), table.sample(500, 1), table.sample(500, 2)
    assert one.equals(again)
    assert not one.equals(other)
    numbers = one["n"].astype(int)
    assert len(one) > 450
    assert numbers.is_monotonic_increasing
    assert numbers.max() > 19_000


BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "0 bytes"),
    "blank": ("\n\n  \n", "empty"),
    "header only": ("a,b,c\n", "header and no rows"),
    "one row": ("a,b,c\n1,2,3\n", "only 1 row"),
    "binary": (bytes(range(256)) * 20, "binary file"),
    "zip": (b"PK\x03\x04" + b"\0" * 50, "Excel"),
    "gzip": (b"\x1f\x8b" + b"\0" * 50, "gunzip"),
    "short line": ("a,b,c\n1,2,3\n4,5\n6,7,8\n", "line 3 has 2 cells where the header has 3"),
    "long line": ("a,b\n1,2\n3,4,5\n6,7\n", "line 3 has 3 cells"),
    "short header": ("a\n1,2\n3,4\n5,6\n", "line 1 has 1 column"),
    "title line": ("Report\na,b\n1,2\n3,4\n5,6\n7,8\n", "line 1 has 1 column"),
    "one column with a delimiter in its name": ("a,b\nx\ny\nz\n", "line 2 has 1 cell"),
    "open quote": ('a,b\n"1","2"\n3,"4\n5,6\n', "line 4, cannot be cut"),
    "not parquet": (b"PAR1" + b"x" * 100, "not a readable Parquet"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_sentence_with_a_remedy(put: Put, case: str) -> None:
    content, said = BAD[case]
    with pytest.raises(BadInput, match=said) as caught:
        open_table(put("bad.csv", content))
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert "mlagent-data-" not in str(caught.value)


def test_a_ragged_line_far_down_is_found_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [f"{n},x,y" for n in range(200_000)]
    lines[150_000] = "150000,x"
    path.write_text("n,a,b\n" + "\n".join(lines) + "\n")
    with pytest.raises(BadInput, match="line 150002 has 2 cells"):
        open_table(path)


def test_a_missing_file_and_a_folder_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="is a folder"):
        open_table(tmp_path)


def test_the_connection_reads_no_other_file_and_leaves_nothing_behind(put: Put) -> None:
    import duckdb

    secret = put("secret.txt", "a\nb\n")
    with open_table(put("a.csv", "x,y\n1,2\n3,4\n")) as table:
        folder = table.engine.folder
        with pytest.raises(duckdb.Error):
            table.engine.rows(f"SELECT * FROM read_text('{secret}')")
        with pytest.raises(duckdb.Error):
            table.engine.rows("SET enable_external_access=true")
    assert not folder.exists()
