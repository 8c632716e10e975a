"""Which file is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.data.find import find_table, unread_tables


def test_the_only_data_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_text("a,b\n1,2\n")
    (tmp_path / "plan.yaml").write_text("x: 1\n")
    (tmp_path / ".hidden.csv").write_text("a,b\n1,2\n")
    (tmp_path / "predictions.csv").write_text("a,b\n1,2\n")
    (tmp_path / "requirements.txt").write_text("pandas\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "old.csv").write_text("a,b\n1,2\n")
    assert find_table(tmp_path) == tmp_path / "churn.csv"


def test_two_plausible_files_are_never_guessed_between(tmp_path: Path) -> None:
    for name in ("a.csv", "b.parquet"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match=r"'a.csv', 'b.parquet'.*--data"):
        find_table(tmp_path)


def test_an_empty_folder_has_no_table(tmp_path: Path) -> None:
    assert find_table(tmp_path) is None


def test_the_flag_beats_the_configuration_and_the_folder(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    assert find_table(tmp_path, tmp_path / "b.csv", "c.csv") == tmp_path / "b.csv"
    assert find_table(tmp_path, None, "c.csv") == tmp_path / "c.csv"


def test_a_file_that_mlagent_wrote_is_taken_only_when_it_is_named(tmp_path: Path) -> None:
    for name in ("churn.csv", "p.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    found = find_table(tmp_path, ours=lambda path: path.name == "p.csv")
    assert found == tmp_path / "churn.csv"
    named = find_table(tmp_path, tmp_path / "p.csv", ours=lambda path: path.name == "p.csv")
    assert named == tmp_path / "p.csv"


def test_a_named_file_that_is_absent_is_an_error_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match=r"does not exist.*'churn.csv'"):
        find_table(tmp_path, tmp_path / "chrun.csv")
    with pytest.raises(BadInput, match="is a folder"):
        find_table(tmp_path, tmp_path)


def test_the_file_that_a_shell_makes_for_the_output_is_no_candidate(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "out.txt").touch()
    assert find_table(tmp_path) == tmp_path / "table.csv"


@pytest.mark.parametrize("typed", ["https://example.com/t.csv", "s3://bucket/t.csv"])
def test_an_address_is_printed_as_typed_and_only_local_files_are_read(
    tmp_path: Path, typed: str
) -> None:
    for flag, configured in ((typed, None), (None, typed)):
        with pytest.raises(BadInput, match="only local files") as caught:
            find_table(tmp_path, flag, configured)
        assert repr(typed) in str(caught.value)


def test_tables_of_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("t.csv.gz", "a.xlsx", "b.csv", "notes.md", ".x.zip"):
        (tmp_path / name).write_text("")
    assert unread_tables(tmp_path) == ["a.xlsx", "t.csv.gz"]
