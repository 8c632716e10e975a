"""Bad input gets one clear sentence and exit code 2 (or 4 for what this machine lacks), and nothing
is lost: the user's files and an older plan stay as they were."""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from mlagent.cli.main import main
from mlagent.content import Content
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.plan import Plan
from mlagent.documents import read_record
from mlagent.testing.tables import build_tree, churn_frame, write_csv

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}
OLDER_PLAN = "# an older plan, edited for an hour\n"
HEADER = "a,b,churned\n"
INJECTION, TEMPLATE = '"); import os #', "{{7*7}}"


def rows(count: int = 120) -> str:
    return "".join(f"{i % 17},{i * 7 % 13},{'yes' if i % 3 else 'no'}\n" for i in range(count))


GOOD = HEADER + rows()


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


def user_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in ("runs", ".mlagent")
    }


@pytest.fixture
def mlagent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The command line in an empty folder, without an engine."""
    monkeypatch.chdir(tmp_path)
    for name, value in NO_ENGINE.items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["mlagent", *words])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return Done(int(str(left.value.code)), out, err)

    return run


@pytest.fixture
def refused(tmp_path: Path, mlagent: Run) -> Callable[..., str]:
    """Runs a command that must be refused: the exit code, one sentence and a remedy at most, no
    traceback, all files as before, nothing started. Returns the words on stderr."""

    def run(*words: str, code: int = 2) -> str:
        before = user_files(tmp_path)
        done = mlagent(*words)
        assert done.code == code, done.err
        assert "Traceback" not in done.out + done.err
        assert done.err.startswith("mlagent: ")
        assert 1 <= len(done.err.splitlines()) <= 2
        assert done.out == ""
        assert user_files(tmp_path) == before
        assert not (tmp_path / "runs").exists()
        return done.err

    return run


def plan_here(folder: Path) -> Plan:
    return read_record(Plan, (folder / "plan.yaml").read_text("utf-8"), "plan.yaml")


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


# --- what this machine lacks ---


def test_try_without_docker_names_the_remedy(
    tmp_path: Path, mlagent: Run, refused: Callable[..., str]
) -> None:
    write_csv(churn_frame(120), tmp_path / "churn.csv")
    assert mlagent("plan", "churn model").code == 0
    build_tree(tmp_path, {"mine/solution.py": "def fit(t, s): ...\ndef predict(m, f): ...\n"})
    err = refused("try", "mine", code=4)
    assert "container engine" in err
    assert "Install Docker" in err


LIBGOMP = """\
raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")
"""


def python_without(folder: Path, *packages: str) -> tuple[Path, Path]:
    """A real interpreter with everything of this one but `packages`: itself and its
    site-packages."""
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.lower().startswith((*packages, "__pycache__", "_virtualenv")):
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python", site


def typed(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-m", "mlagent", *words],
        cwd=folder,
        env=os.environ | NO_ENGINE,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


LACKING = {
    "libgomp": ({"lightgbm/__init__.py": LIBGOMP}, ("'libgomp.so.1'", "LightGBM", "libgomp1")),
    "package": ({}, ("'lightgbm'", "sandbox build")),
}


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Done]]:
    """`plan` and `execute` where LightGBM cannot be imported, in each way; side by side."""
    words = "execute --select data-explorer=option_a --select statistical-analyst=option_a "
    words += "--select ml-engineer=option_b --budget 60s"
    started = {}
    for name, (stub, _) in LACKING.items():
        folder = tmp_path_factory.mktemp(name)
        python, site = python_without(folder / "python", "lightgbm")
        build_tree(site, stub)
        project = build_tree(folder / "project", {"notes.txt": "mine"})
        write_csv(churn_frame(1200), project / "churn.csv")
        assert typed(python, project, "plan", "churn model").returncode == 0
        started[project] = (
            name,
            user_files(project),
            subprocess.Popen(
                [str(python), "-m", "mlagent", *words.split()],
                cwd=project,
                env=os.environ | NO_ENGINE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ),
        )
    found = {}
    for project, (name, before, process) in started.items():
        out, err = process.communicate(timeout=300)
        assert user_files(project) == before
        found[name] = (project, Done(process.returncode, out, err))
    return found


@pytest.mark.parametrize("name", LACKING)
def test_what_the_sandbox_lacks_is_named_with_how_to_get_it(
    lacking: dict[str, tuple[Path, Done]], name: str
) -> None:
    project, done = lacking[name]
    assert done.code == 4, done.err
    assert "Traceback" not in done.out + done.err
    assert len(done.err.splitlines()) == 2
    for part in LACKING[name][1]:
        assert part in done.err
    assert not list(project.glob("runs/*/manifest.json"))
    assert not (project / ".mlagent" / "scratch").exists()


# --- what is strange, but no error: it works, and it stays data ---


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hostile column names, '1,234', blanks and infinite values: planned and executed once."""
    folder = tmp_path_factory.mktemp("strange")
    rng = np.random.default_rng(0)
    size = 1200
    first, second = rng.normal(size=size), rng.integers(1000, 9999, size)
    amount = np.where(rng.random(size) < 0.1, " ", [f"{value:,}" for value in second])
    ratio = np.round(rng.normal(size=size), 3).astype(str).astype(object)
    ratio[::40], ratio[7::40] = "inf", "-Infinity"
    odds = 1 / (1 + np.exp(-2 * first - (second - 5500) / 2000))
    frame = pd.DataFrame(
        {
            INJECTION: first.round(3),
            TEMPLATE: rng.choice(["x", "y", TEMPLATE], size),
            "amount": amount,
            "ratio": ratio,
            "churned": np.where(rng.random(size) < odds, "yes", "no"),
        }
    )
    write_csv(frame, folder / "table.csv")
    python = Path(sys.executable)
    planned = typed(python, folder, "plan", "churn model")
    assert planned.returncode == 0, planned.stderr
    words = ("execute", "--budget", "25s", "--select", "ml-engineer=option_b", "--json")
    done = typed(python, folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    build_tree(folder, {"stdout.txt": done.stdout, "stderr.txt": done.stderr})
    return folder


def test_hostile_column_names_dirty_numbers_and_infinite_values_are_planned_as_they_are(
    strange: Path,
) -> None:
    found = plan_here(strange).columns.found
    assert list(found) == [INJECTION, TEMPLATE, "amount", "ratio", "churned"]
    assert (found[INJECTION].role, found[TEMPLATE].role) == ("number", "category")
    assert (found["amount"].role, found["amount"].thousands) == ("number", True)
    assert found["amount"].missing_tokens == (" ",)
    assert (found["ratio"].role, found["ratio"].dtype) == ("number", "float64")


def test_hostile_column_names_are_learned_from_and_stay_data(strange: Path) -> None:
    done = json.loads((strange / "stdout.txt").read_text())
    run = Path(done["folder"])
    evaluation = Evaluation.model_validate_json((run / "evaluation.json").read_bytes())
    assert evaluation.model.value > 0.7
    spec = json.loads((run / "candidate" / "spec.json").read_text())
    assert {INJECTION, TEMPLATE} <= set(spec["columns"])
    code = (run / "candidate" / "solution.py").read_text()
    assert "import os #" not in code
    assert TEMPLATE not in code
    for page in ("report.html", "artifacts/data-explorer/explore.html"):
        shown = html.unescape((run / page).read_text())
        assert INJECTION in shown, page
        assert TEMPLATE in shown, page


def test_execute_json_is_one_document_and_the_progress_is_on_stderr(strange: Path) -> None:
    done = json.loads((strange / "stdout.txt").read_text())
    assert set(done) == {"run", "folder", "evaluation", "manifest"}
    assert "T0" in (strange / "stderr.txt").read_text()
    runs = typed(Path(sys.executable), strange, "runs", "--json")
    assert [row["run"] for row in json.loads(runs.stdout)["runs"]] == [done["run"]]
    board = typed(Path(sys.executable), strange, "board", "--json")
    assert {row["name"] for row in json.loads(board.stdout)["rows"]} == {
        "option_b",
        "linear",
        "dummy",
    }


def test_new_rows_with_hostile_names_and_cells_are_predicted(strange: Path) -> None:
    new = pd.read_csv(strange / "table.csv", dtype=str, keep_default_na=False).head(20)
    new.loc[0, ["amount", "ratio"]] = ["1,234,567", "-inf"]
    new.loc[1, INJECTION] = "=cmd()"
    write_csv(new.drop(columns="churned"), strange / "new.csv")
    before = (strange / "new.csv").read_bytes()
    done = typed(Path(sys.executable), strange, "predict", "new.csv", "--out", "out.csv")
    assert done.returncode == 0, done.stderr
    assert (strange / "new.csv").read_bytes() == before
    scored = pd.read_csv(strange / "out.csv")
    assert list(scored.columns[:2]) == [INJECTION, TEMPLATE]
    assert scored["p_yes"].between(0, 1).all()


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
