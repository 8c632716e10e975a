"""Bad input gets one clear sentence and exit code 2, and nothing is lost: the user's files and an
older plan stay as they were."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Run

from mlagent.cli.main import main
from mlagent.content import Content
from mlagent.testing.tables import build_tree

OLDER_PLAN = "# an older plan, edited for an hour\n"
HEADER = "a,b,churned\n"


def rows(count: int = 120) -> str:
    return "".join(f"{i % 17},{i * 7 % 13},{'yes' if i % 3 else 'no'}\n" for i in range(count))


GOOD = HEADER + rows()


# --- files ---


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n \n", "is empty"),
        (HEADER.encode(), "a header and no rows"),
        ((HEADER + "1,2,yes\n").encode(), "only 1 row"),
        (bytes(range(256)) * 20, "binary file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG image"),
        (b"PK\x03\x04" + bytes(99), "Excel"),
        (b"PAR1 and no more", "not a readable Parquet file"),
        (b'[{"a": 1, "churned": "yes"}, {"a": 2, "churned": "no"}]', "one JSON array"),
        (b'{"a": 1, "churned": "yes"}\n{"a": \n', "line 2"),
        ((GOOD + "1,2\n" + rows()).encode(), "ragged: line 122 has 2 cells"),
        ((GOOD + "1,2,yes,9\n" + rows()).encode(), "ragged: line 122 has 4 cells"),
        ((HEADER + "1\n" + rows()).encode(), "ragged: line 2 has 1 cell"),
        (("a,b,c,churned\n" + rows()).encode(), "ragged: line 2 has 3 cells"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_table_is_refused_by_name(
    tmp_path: Path, refused: Callable[..., str], content: bytes, said: str
) -> None:
    build_tree(tmp_path, {"table.csv": content, "plan.yaml": OLDER_PLAN})
    err = refused("plan", "churn model")
    assert "table.csv" in err
    assert said in err


def test_a_missing_file_or_a_folder_is_refused_by_name(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    build_tree(tmp_path, {"table.csv": GOOD, "plan.yaml": OLDER_PLAN, "sub/x.csv": GOOD})
    missing = refused("plan", "churn model", "--data", "tabel.csv")
    assert "'tabel.csv'" in missing
    assert "'table.csv'" in missing
    assert "folder" in refused("plan", "churn model", "--data", "sub")


def test_a_folder_that_the_system_refuses_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".claude").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mlagent", "agents", "export", "--to", "claude-code"])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "cannot be used: Not a directory" in said
    assert "Traceback" not in said


# --- targets, features, flags ---


def column(value: str, count: int = 60) -> str:
    return HEADER + "".join(f"{i % 17},{i * 7 % 13},{value}\n" for i in range(count))


@pytest.mark.parametrize(
    ("table", "words", "said"),
    [
        (GOOD, ("--target", "churnd"), ("'churnd'", "'churned'")),
        (column("yes"), ("--target", "churned"), ("one value only",)),
        (column(""), ("--target", "churned"), ("missing in every row",)),
        (column(" "), ("--target", "churned"), ("missing in every row",)),
        (column("inf"), ("--target", "churned"), ("'churned'",)),
        (GOOD + "1,2,maybe\n", (), ("a class of one row: 'maybe'",)),
        (HEADER + "1,x,yes\n" * 30 + "1,x,no\n" * 30, (), ("every other column is constant",)),
        ("churned\n" + "yes\nno\n" * 30, (), ("'churned'", "stands alone")),
        (GOOD, ("--exclude", "churned"), ("is the target",)),
        (GOOD, ("--exclude", "a", "--exclude", "b"), ("constant or excluded",)),
        (GOOD, ("--exclude", "aa"), ("--exclude", "'aa'")),
        (GOOD, ("--metric", "roc_auk"), ("'roc_auk'", "'roc_auc'", "rmse, mae")),
        (GOOD, ("--metric", "rmse"), ("binary", "Allowed here: roc_auc, pr_auc")),
        (GOOD, ("--positive", "maybe"), ("'maybe'", "'yes', 'no'")),
        (GOOD, ("--target", "a", "--positive", "3"), ("--positive",)),
        (GOOD, ("--group", "zz"), ("--group", "'zz'")),
        (GOOD, ("--time", "zz"), ("--time", "'zz'")),
        (GOOD, ("--id", "zz"), ("--id", "'zz'")),
        (GOOD, ("--id", "churned", "--target", "churned"), ("--id", "is the target")),
        (GOOD, ("--constraint", "fast"), ("'fast'", "interpretable, max_latency_ms=NUMBER")),
        (GOOD, ("--constraint", "monotone=zz:+"), ("--constraint", "'zz'")),
        (GOOD, ("--constraint", "monotone=a:up"), ("'monotone=a:up'", "monotone=COLUMN:+")),
        (GOOD, ("--budget", "soon"), ("'soon'", "60s, 5m or 1h")),
        (GOOD, ("--budget", "0s"), ("'0s'", "between 1s and 7 days")),
        (GOOD, ("--budget", "9" * 400), ("between 1s and 7 days",)),
    ],
)
def test_what_cannot_be_learned_or_is_not_known_is_refused_with_what_is_allowed(
    tmp_path: Path,
    refused: Callable[..., str],
    table: str,
    words: tuple[str, ...],
    said: tuple[str, ...],
) -> None:
    build_tree(tmp_path, {"table.csv": table, "plan.yaml": OLDER_PLAN})
    err = refused("plan", "churn model", *words)
    for part in said:
        assert part in err


def test_a_flag_is_checked_before_the_table_is_read(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    build_tree(tmp_path, {"table.csv": b""})
    assert "'soon'" in refused("plan", "churn model", "--budget", "soon")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("table.csv", "--out", "table.csv"), "input file itself"),
        (("table.csv", "--out", "./sub/../table.csv"), "input file itself"),
        (("table.csv", "--out", "scored.xlsx"), ".csv nor .parquet"),
        (("table.csv", "--out", "nowhere/scored.csv"), "'nowhere'"),
        (("nope.csv",), "'nope.csv'"),
        (("20200101", "table.csv"), "'20200101'"),
        (("table.csv",), "no finished run"),
    ],
)
def test_predict_refuses_before_it_writes(
    tmp_path: Path, refused: Callable[..., str], words: tuple[str, ...], said: str
) -> None:
    build_tree(tmp_path, {"table.csv": GOOD, "sub/x.txt": ""})
    assert said in refused("predict", *words)


def test_settings_with_a_typo_name_file_line_and_field(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    build_tree(tmp_path, {"table.csv": GOOD, "mlagent.yaml": "budget: 60s\nmetrc: roc_auc\n"})
    err = refused("plan", "churn model")
    assert "mlagent.yaml, line 2, metrc" in err
    assert "did you mean 'metric'?" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("budget: soon", "mlagent.yaml, line 2, budget: The budget 'soon' is not a time"),
        ("metric: roc_auk", "mlagent.yaml, line 2, metric: 'roc_auk' is not known"),
        ("id: nope", "mlagent.yaml, line 2, id: 'nope' is refused: it should be a list"),
    ],
)
def test_a_value_of_the_settings_that_cannot_be_used_is_named_with_its_line(
    tmp_path: Path, refused: Callable[..., str], line: str, said: str
) -> None:
    build_tree(tmp_path, {"table.csv": GOOD, "mlagent.yaml": f"target: churned\n{line}\n"})
    assert said in refused("plan", "churn model")


def test_an_address_as_table_is_refused_as_typed(refused: Callable[..., str]) -> None:
    err = refused("plan", "churn model", "--data", "https://example.com/t.csv")
    assert "'https://example.com/t.csv'" in err
    assert "only local files are read" in err


# --- contracts that do not fit the router ---


def test_contracts_are_valid_only_together_with_their_routing(
    tmp_path: Path, mlagent: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mlagent("contracts", "validate")
    assert whole.code == 0
    assert [line.split()[:2] for line in whole.out.splitlines()] == [
        ["ok", "data-explorer"],
        ["ok", "ml-engineer"],
        ["ok", "statistical-analyst"],
        ["ok", "routing"],
    ]
    content = Content()
    policy = content.text("orchestrator/routing.yaml")
    unknown = policy.replace("\n  images:", "\n  paintings:")
    build_tree(tmp_path / "own", {"orchestrator/routing.yaml": unknown})
    monkeypatch.setenv("MLAGENT_CONTENT", str(tmp_path / "own"))
    broken = mlagent("contracts", "validate")
    assert broken.code == 2
    assert "orchestrator/routing.yaml: no contract has the boundary 'paintings'" in broken.err
    monkeypatch.delenv("MLAGENT_CONTENT")
    contract = content.text("contracts/ml-engineer.yaml")
    build_tree(tmp_path, {"mine.yaml": contract.replace("topic: predict", "topic: cook", 1)})
    mine = mlagent("contracts", "validate", "mine.yaml")
    assert mine.code == 2
    assert "has no words for 'cook'" in mine.err
