"""No word of a text cell leaves in what a candidate printed; its own code and plain words do."""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlagent.data.frames import write_frame
from mlagent.orchestrator.mask_reading import WORD, fold, plain_words
from mlagent.orchestrator.masking import CELL, LARGEST, NUMBER, Mask

CODE = "def fit(train, spec):\n    return train['plan'].map(prices).astype(float)\n"


@pytest.fixture
def mask(tmp_path: Path) -> Mask:
    table = pd.DataFrame(
        {
            "plan": ["gold", "silver", "zq-canary-7731", None],
            "note": ["Call Mrs. Quigley back", "", "o'neill's order", "the value is not valid"],
            "fee": [1.0, 2.0, 918273.645, 4.0],
        }
    )
    path = tmp_path / "t.parquet"
    write_frame(table, path)
    return Mask(path, ["plan", "note"], ["plan", "note", "fee"])


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("ValueError: could not convert string to float: 'gold'", f"float: '{CELL}'"),
        ("KeyError: 'zq-canary-7731'", CELL),
        ("Quigley", CELL),
        ("QUIGLEY quigley", f"{CELL} {CELL}"),
        ("fee 918273.645 too large", f"fee {NUMBER} too large"),
        ("918,273.645", NUMBER),
        ("1.234e-05", NUMBER),
        ("0.0012345", NUMBER),
    ],
)
def test_cells_are_taken_out(mask: Mask, said: str, left: str) -> None:
    cleaned = mask.clean(said, CODE)
    assert left in cleaned
    assert "quigley" not in cleaned.lower()
    assert "canary" not in cleaned


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("print('zq-canary' + '-7731')", CELL),
        ("print('7731', 'canary', 'zq')", CELL),
        ("KNOWN = {'zq-canary-7731': 0}", "zq-canary-7731"),
    ],
)
def test_words_that_the_code_holds_leave_only_as_it_joins_them(
    mask: Mask, code: str, left: str
) -> None:
    assert mask.clean("KeyError: 'zq-canary-7731'", code) == f"KeyError: '{left}'"
    assert mask.clean("zq_canary", "zq, canary = 1, 2") == CELL
    assert mask.clean("zq canary, gold-silver", "zq, canary, gold, silver") == (
        "zq canary, gold-silver"
    )


def test_code_names_and_plain_words_stay(mask: Mask) -> None:
    said = (
        'File "/in/candidate/solution.py", line 12, in fit\n'
        "    return train['plan'].map(prices).astype(float)\n"
        "ValueError: the value is not valid: column 'plan' of the frame"
    )
    cleaned = mask.clean(said, CODE)
    assert "map(prices).astype(float)" in cleaned
    assert "the value is not valid: column 'plan'" in cleaned
    assert "line 12, in fit" in cleaned


def test_a_short_word_is_hidden_only_as_a_word_of_a_cell(mask: Mask) -> None:
    assert mask.clean("after 4 s", CODE) == "after 4 s", "'silver' holds an s, but no such word"
    assert mask.clean("Mrs.", CODE) == f"{CELL}."


@pytest.mark.parametrize("number", ["0.837", "0.00123", "-1.2e-05", "999", "1e6", "0.0"])
def test_a_number_of_three_digits_stays(mask: Mask, number: str) -> None:
    assert mask.clean(f"about {number}", CODE) == f"about {number}"


def test_a_word_that_no_cell_holds_stays(mask: Mask) -> None:
    assert "LinAlgWarning singular matrix" in mask.clean("LinAlgWarning singular matrix", CODE)


def test_long_output_keeps_its_ends(mask: Mask) -> None:
    text = "begin " + "x " * 50_000 + "end"
    cleaned = mask.clean(text, CODE)
    assert len(cleaned) < LARGEST + 100
    assert cleaned.startswith("begin")
    assert cleaned.endswith("end")


def test_very_many_unknown_words_are_all_taken_out(mask: Mask) -> None:
    text = " ".join(f"wq{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{i}" for i in range(900))
    assert "gold" not in mask.clean(text + " gold", CODE)


def test_an_empty_text_and_a_table_without_texts(tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    write_frame(pd.DataFrame({"a": [1.0]}), path)
    mask = Mask(path, [], ["a"])
    assert mask.clean("", "") == ""
    assert mask.clean("Quigley 1234567", "") == f"Quigley {NUMBER}"


HIDDEN = [
    "First\nNLCANARY here",
    "[cell]\nKvapilZzba",
    "Hrabal\nZdenka\tTabová\rReturná",
    "Quenneville",
    "ΟΔΥΣΣΕΥΣ ΑΕΕΓΔΔΣ",
    "İSTANBULLU",
    "Jose\u0301phine",
    "Straßenbahn",
    "C:\\network\\Orth",
    "Bo Ulla",
    "𐐀𐐁𐐂𐐃 नमस्ते",
    "tel 445 880 122",
    "٤٤٥٨٨٠١٢٢",
]
PRINTED: dict[str, Callable[[str], str]] = {
    "str": str,
    "repr": repr,
    "repr twice": lambda cell: repr(repr(cell)),
    "ascii": ascii,
    "json": json.dumps,
    "json in repr": lambda cell: repr(json.dumps([cell])),
    "utf-8": lambda cell: repr(cell.encode()),
    "latin-1": lambda cell: repr(cell.encode("latin-1", "replace")),
    "names": lambda cell: repr(cell.encode("ascii", "namereplace")),
    "u": lambda cell: f"u{cell!r}",
    "f": lambda cell: f"row-{cell} col_{cell} value{cell}value {cell}:train",
    "unknown": lambda cell: f"zzq{cell}",
    "upper": lambda cell: cell.upper() + cell.lower() + " " + cell.title() + cell.swapcase(),
    "frame": lambda cell: pd.DataFrame({"plan": [cell]}).to_string(),
    "dict": lambda cell: str(pd.DataFrame({"plan": [cell]}).to_dict()),
    "csv": lambda cell: repr(pd.DataFrame({"plan": [cell]}).to_csv()),
    "frame as json": lambda cell: pd.DataFrame({"plan": [cell]}).to_json(),
    "array": lambda cell: repr(np.array([cell])),
    "error": lambda cell: f"ValueError: could not convert string to float: {cell!r}",
    "part": lambda cell: cell[: 2 + len(cell) // 2],
}


def mask_of(folder: Path, table: pd.DataFrame) -> Mask:
    path = folder / "t.parquet"
    write_frame(table, path)
    return Mask(path, [name for name in table if table[name].dtype.kind in "OU"], list(table))


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Mask:
    return mask_of(tmp_path_factory.mktemp("hidden"), pd.DataFrame({"plan": HIDDEN}))


def unescaped(text: str) -> str:
    """The text, and the text as Python would read it."""
    once = re.sub(r"\\+", r"\\", text).replace("\\[", "[").rstrip("\\")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = once.encode("latin-1", "backslashreplace").decode("unicode_escape", "replace")
    return f"{text}\n{read}\n{read.encode('latin-1', 'replace').decode('utf-8', 'replace')}"


def left_of(cell: str, text: str) -> set[str]:
    """Words of the cell of four letters or more that stand in the text, folded."""
    allowed = plain_words() | {"plan", "cell", "number"}
    words = {fold(word) for word in WORD.findall(cell) if not word.isdecimal()} - allowed
    said = "".join(fold(part) for part in re.split(r"(\W+)", unescaped(text)))
    return {word for word in words if len(word) > 3 and word in said}


@pytest.mark.parametrize("way", list(PRINTED))
@pytest.mark.parametrize("cell", HIDDEN)
def test_no_way_of_printing_lets_a_cell_out(hidden: Mask, cell: str, way: str) -> None:
    cleaned = hidden.clean(PRINTED[way](cell), CODE)
    assert left_of(cell, cleaned) == set()
    if way not in ("part", "unknown"):
        for short in ("445", "880", "122", "Ulla", "Bo", "ulla"):
            assert not re.search(rf"(?<![a-z]){short}(?![a-z])", cleaned), cleaned


CELLS = st.text(
    st.sampled_from("abcxyzABCXYZéßİıΣςσñŁnrtu0 1\n\t\r\\'\"-_.,\x00\x85\u0301निम𐐀"),
    min_size=1,
    max_size=24,
)


@given(st.lists(CELLS, min_size=1, max_size=5), st.sampled_from(sorted(PRINTED)))
@settings(max_examples=60, deadline=None)
@example(["First\nNLCANARY"], "repr")
def test_no_word_of_any_cell_is_left(cells: list[str], way: str) -> None:
    cells = [cell.replace("\0", " ") for cell in cells]
    with TemporaryDirectory() as folder:
        cleaner = mask_of(Path(folder), pd.DataFrame({"plan": cells}))
        for cell in cells:
            cleaned = cleaner.clean(PRINTED[way](cell), CODE)
            assert left_of(cell, cleaned) == set(), (cell, cleaned)


@pytest.mark.parametrize(
    "said", ["445 880 122", "['445', '880', '122']", "445\n880\n122", "x445-880", "+1 (880) 122"]
)
def test_the_digits_of_a_text_cell_do_not_leave_in_groups(hidden: Mask, said: str) -> None:
    cleaned = hidden.clean(said, CODE)
    assert not re.search("445|880|122", cleaned)
    assert hidden.clean("445 rows, 122 columns", CODE) == "445 rows, 122 columns"


def numbers(rows: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.random(rows).round(3),
            "age": rng.integers(18, 80, rows),
            "fee": rng.gamma(3, 25, rows).round(1),
            "flag": rng.integers(0, 2, rows),
        }
    )


@pytest.fixture(scope="module")
def numeric(tmp_path_factory: pytest.TempPathFactory) -> Mask:
    return mask_of(tmp_path_factory.mktemp("numeric"), numbers())


ROWS: dict[str, Callable[[pd.DataFrame], object]] = {
    "frame": lambda table: table.head(),
    "sample": lambda table: table.sample(5, random_state=1),
    "dict": lambda table: table.head(3).to_dict(),
    "two columns": lambda table: table[["fee", "x"]].head(3).to_dict(),
    "records": lambda table: table.tail(3).to_dict("records"),
    "csv": lambda table: repr(table.head().to_csv()),
    "json": lambda table: table.head().to_json(),
    "array": lambda table: table.head().to_numpy().tolist(),
    "flat": lambda table: table.head(3).to_numpy().ravel().tolist(),
    "one row": lambda table: table.iloc[5],
    "columns first": lambda table: table.head(4).T,
    "tuples": lambda table: list(table.head(3).itertuples()),
    "rounded": lambda table: table.head(4).map(lambda value: f"{value:.2g}").to_string(),
}


@pytest.mark.parametrize("way", list(ROWS))
def test_rows_of_short_numbers_do_not_leave(numeric: Mask, way: str) -> None:
    cleaned = numeric.clean(str(ROWS[way](numbers())), CODE)
    assert not re.search(r"\d\.\d", cleaned), cleaned


def test_aggregates_stay_readable(numeric: Mask) -> None:
    table = numbers()
    for said in (
        table.describe().map(lambda value: f"{value:.3g}").to_string(),
        table.corr().round(2).to_string(),
        table.age.value_counts().head(8).to_string(),
        table.groupby("flag").mean().map(lambda value: f"{value:.3g}").to_string(),
        table.isna().sum().to_string(),
        "              precision    recall  f1-score   support\n  0   0.83   0.91   0.87   120",
        "fold 1 auc 0.837\nfold 2 auc 0.842\nfold 3 auc 0.829",
        "[[50  3]\n [ 4 61]]",
    ):
        assert numeric.clean(said, CODE) == said


def test_cells_of_one_sparse_column_do_not_leave(tmp_path: Path) -> None:
    table = pd.DataFrame({"fee": np.random.default_rng(0).gamma(3, 25, 200).round(1)})
    cleaner = mask_of(tmp_path, table)
    assert cleaner.clean(str(table.fee.head(8).tolist()), CODE).count(NUMBER) == 8


def test_a_number_glued_to_letters_or_of_other_digits_is_hidden(mask: Mask) -> None:
    assert mask.clean("fee918273 n_918_273 ٩١٨٢٧٣", CODE) == f"fee{NUMBER} n_{NUMBER} {NUMBER}"
    assert mask.clean("at 2021-03-04 12:30:15, 2021-03-04T12:30", CODE).count(NUMBER) == 3


def test_masked_json_stays_json(mask: Mask) -> None:
    record = {"statistic": 210.0, "rows": 12345, "sizes": [9876, -54321, 3], "name": "gold"}
    cleaned = json.loads(mask.clean(json.dumps(record, indent=1), ""))
    assert cleaned["statistic"] == 210.0
    assert cleaned["rows"] == NUMBER
    assert cleaned["sizes"] == [NUMBER, NUMBER, 3]
    assert cleaned["name"] == CELL


def test_what_the_model_was_told_stays(mask: Mask, tmp_path: Path) -> None:
    told = Mask(tmp_path / "t.parquet", ["plan", "note"], ["plan"], told=["gold", "zq 10234"])
    assert told.clean("unknown label: 'gold' or 10234, not 'silver'", CODE) == (
        f"unknown label: 'gold' or 10234, not '{CELL}'"
    )


def test_a_large_log_is_masked_in_about_a_second(mask: Mask) -> None:
    rng = np.random.default_rng(0)
    text = "\n".join(str(row) for row in rng.random((20_000, 4)).round(3).tolist())
    text += "zqw\\n" * 200_000 + " Quigley"
    mask.clean("ready", CODE)
    begun = time.process_time()
    assert "Quigley" not in mask.clean(text, CODE)
    assert time.process_time() - begun < 1.5


def test_a_number_with_an_endless_exponent_is_no_error(mask: Mask) -> None:
    text = f"loss 1e{'9' * 5_000} and 1e-{'9' * 5_000}"
    assert "loss" in mask.clean(text, "")
