"""`mlagent plan` and the plan it writes: what is inferred, refused, kept, and said after edits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mlagent.cli.main import main
from mlagent.cli.progress import PlainProgress
from mlagent.contracts.plan import Plan
from mlagent.documents import read_record
from mlagent.orchestrator.execute_flow import ExecuteFlags, make_request
from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here
from mlagent.orchestrator.planning import read_plan
from mlagent.orchestrator.preparing import check_test
from mlagent.orchestrator.state import State
from mlagent.store.project import Project
from mlagent.testing.tables import build_tree, churn_frame, write_csv


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]
SELECTED = "  ml-engineer: "
ROLE = "{role: number, dtype: int64}"


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
    """The command line in an empty folder, without an engine. A command that fails must leave
    every file as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")

    def run(*words: str) -> Done:
        before = user_files(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mlagent", *words])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        done = Done(int(str(left.value.code)), out, err)
        assert "Traceback" not in out + err
        assert "should not happen" not in err
        if done.code:
            assert user_files(tmp_path) == before
        return done

    return run


@pytest.fixture(scope="module")
def churn_plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | bytes]:
    """churn.csv and its plan.yaml, made once."""
    folder = tmp_path_factory.mktemp("planned")
    write_csv(churn_frame(300), folder / "churn.csv")
    make_plan_here(folder, PlanFlags("churn model"), None)
    return dict(user_files(folder))


@pytest.fixture
def planned(tmp_path: Path, churn_plan: dict[str, str | bytes]) -> Path:
    """A folder with churn.csv and its plan.yaml."""
    return build_tree(tmp_path, churn_plan)


def edit(folder: Path, old: str, new: str) -> int:
    """Replace the first `old` of plan.yaml; the line where it stood."""
    text = (folder / "plan.yaml").read_text(encoding="utf-8")
    assert old in text
    (folder / "plan.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def rows(count: int = 200) -> str:
    return "".join(
        f"{i % 17},{i * 7 % 13},{i * 3 % 11},{'yes' if i % 3 else 'no'}\n" for i in range(count)
    )


# --- a plan edited by hand ---


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        (
            SELECTED + "option_",
            SELECTED + "opton_",
            "selection.ml-engineer",
            "allowed values: option_a, option_b, option_c",
        ),
        (
            SELECTED,
            "  ml-enginer: ",
            "selection.ml-enginer",
            "did you mean 'ml-engineer'?); allowed values: ml-engineer, data-explorer",
        ),
        (
            ROLE,
            "{role: numbr, dtype: int64}",
            "columns.found.tenure.role",
            "did you mean 'number'?); allowed values: number, category, text",
        ),
        (
            ROLE,
            "{role: number, dtype: int46}",
            "columns.found.tenure.dtype",
            "did you mean 'int64'?); allowed values: float64, int64, bool",
        ),
        (
            ROLE,
            "{role: number, dtype: int64, size: 3}",
            "columns.found.tenure.size",
            "allowed keys",
        ),
        ("  seconds: 300.0", "  secnds: 300.0", "budget.secnds", "did you mean 'seconds'?"),
        ("  seconds: 300.0", "  seconds: 5m", "budget.seconds", "valid number"),
        ("  seconds: 300.0", "  seconds: -1", "budget.seconds", "greater than"),
        ("  seconds: 300.0", "  seconds: 1.0e+300", "budget.seconds", "604800"),
        ("vault: auto", "vault: 0.9", "vault", "auto, 0 nor a share from 0.02 to 0.5"),
        ("selection:", "speed: high\nselection:", "speed", "allowed keys: schema, created"),
        (
            "  metric: roc_auc",
            "  metric: roc_auk",
            "task.metric",
            "allowed values: roc_auc, pr_auc",
        ),
        ("  metric: roc_auc", "  metric: rmse", "task.metric", "for a binary task"),
        ("  direction: maximize", "  direction: minimize", "task.direction", "'maximize'"),
        ("  classes: ['no', 'yes']", "  classes: ['yes', 'no']", "task.classes", "last"),
        ("  kind: binary", "  kind: binry", "task.kind", "did you mean 'binary'?"),
        ("  seed: 0", "  seed: -1", "task.seed", "greater than or equal to 0"),
        (
            "  exclude: []",
            "  exclude: tenure",
            "columns.exclude",
            "'tenure' is refused: it should be a list",
        ),
        ("  exclude: []", "  exclude: {a: b}", "columns.exclude", "a list"),
        (ROLE, "3", "columns.found.tenure", "3 is refused: it should be a map"),
        (
            "  exclude: []",
            "  exclude: [tenur]",
            "columns.exclude[0]",
            "no column 'tenur' (did you mean 'tenure'?); allowed values: ",
        ),
        (
            "  exclude: []",
            "  exclude: [tenure, churned]",
            "columns.exclude[1]",
            "'churned' is the target; allowed values: ",
        ),
        (
            ROLE,
            "{role: target, dtype: int64}",
            "columns.found.tenure.role",
            "task.target is 'churned'; allowed values: number, category",
        ),
        (SELECTED, SELECTED + "&x ", "selection.ml-engineer", "anchor"),
        (
            SELECTED + "option_",
            SELECTED + "!!python/object/apply:os.system ['touch harm'] # ",
            "selection.ml-engineer",
            "python/object/apply:os.system' is refused",
        ),
    ],
)
def test_a_typo_in_the_plan_is_named_with_file_line_field_and_what_is_allowed(
    planned: Path, mlagent: Run, old: str, new: str, field: str, said: str
) -> None:
    line = edit(planned, old, new)
    done = mlagent("execute")
    assert done.code == 2
    assert f"plan.yaml, line {line}, {field}: " in done.err
    assert said in done.err
    assert not (planned / "harm").exists()
    assert not (planned / "runs").exists()


def test_an_alias_in_the_plan_is_refused(planned: Path, mlagent: Run) -> None:
    line = edit(planned, "  data-explorer: option_", "  data-explorer: *o")
    done = mlagent("execute")
    assert done.code == 2
    assert f"plan.yaml, line {line}, selection.data-explorer: the alias" in done.err


def test_a_key_that_stands_twice_is_refused_with_both_lines(planned: Path, mlagent: Run) -> None:
    line = edit(planned, "vault: auto", "selection:\n  ml-engineer: option_a\nvault: auto")
    done = mlagent("execute")
    assert done.code == 2
    assert f"plan.yaml, line {line}: the key 'selection' stands twice (first on line" in done.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    tenure: {", "    tenur: {", "no column 'tenur' (did you mean 'tenure'?)"),
        ("  target: churned", "  target: churnd", "no column 'churnd' (did you mean 'churned'?)"),
        ("  seed: 0", "  time: tenur\n  seed: 0", "no column 'tenur' (did you mean 'tenure'?)"),
        ("  seed: 0", "  time: contract\n  seed: 0", "'contract' is read as str"),
        ("  id_columns: []", "  id_columns: [customer]", "no column 'customer'"),
        ("    churned: {role: target, dtype: str}\n", "", "no line for the target 'churned'"),
        ("  kind: binary\n", "", "task.kind is missing"),
        (SELECTED + "option_c\n", "", "no option for 'ml-engineer'"),
    ],
)
def test_an_edit_that_does_not_fit_the_table_is_refused_before_anything_runs(
    planned: Path, mlagent: Run, old: str, new: str, said: str
) -> None:
    if old.startswith(SELECTED):
        plan = read_record(Plan, (planned / "plan.yaml").read_text("utf-8"), "plan.yaml")
        old = f"{SELECTED}{plan.selection['ml-engineer']}\n"
    edit(planned, old, new)
    done = mlagent("execute")
    assert done.code == 2
    assert said in done.err
    assert not (planned / "runs").exists()


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"- a\n", b"a: [", b"\x00\x01", b"\xff\xfe"])
def test_a_plan_that_is_no_plan_is_refused(tmp_path: Path, mlagent: Run, text: bytes) -> None:
    build_tree(tmp_path, {"plan.yaml": text})
    done = mlagent("execute")
    assert done.code == 2
    assert "plan.yaml" in done.err


def test_a_plan_that_is_not_utf_8_is_refused_with_line_and_remedy(
    planned: Path, mlagent: Run
) -> None:
    plan = planned / "plan.yaml"
    plan.write_bytes(plan.read_bytes() + "# caf\u00e9\n".encode("cp1252"))
    done = mlagent("execute")
    assert done.code == 2
    assert f"is not UTF-8 text: line {len(plan.read_bytes().splitlines())}" in done.err
    assert "Save it as UTF-8" in done.err
    assert "codec" not in done.err


def test_changed_data_is_refused_with_both_fingerprints(planned: Path, mlagent: Run) -> None:
    plan = read_record(Plan, (planned / "plan.yaml").read_text("utf-8"), "plan.yaml")
    assert plan.data is not None
    before = plan.data.sha256
    write_csv(churn_frame(301, seed=1), planned / "churn.csv")
    done = mlagent("execute")
    assert done.code == 2
    assert before[:12] in done.err
    assert mlagent("plan", "churn model").code == 0
    now = read_record(Plan, (planned / "plan.yaml").read_text("utf-8"), "plan.yaml").data
    assert now is not None
    assert now.sha256[:12] in done.err
    assert now.sha256 != before


def test_a_table_that_went_away_is_named(planned: Path, mlagent: Run) -> None:
    (planned / "churn.csv").rename(planned / "elsewhere.csv")
    done = mlagent("execute")
    assert done.code == 2
    assert "'churn.csv'" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--select", "ml-enginer=option_a"), "Its agents: data-explorer, statistical-analyst"),
        (("--select", "ml-engineer=option_x"), "Its options: option_a, option_b, option_c"),
        (("--select", "nonsense"), "'nonsense' is not an agent"),
        (("--vault", "most"), "--vault auto"),
        (("--vault", "nan"), "--vault auto"),
        (("--refit", "some"), "--refit all"),
        (("--budget", "soon"), "60s, 5m or 1h"),
        (("--memory", "3"), "256"),
        (("--test", "nope.csv"), "'nope.csv'"),
        (("--replay", "20200101"), "'20200101'"),
        (("--resume",), "no unfinished run"),
    ],
)
def test_a_flag_of_execute_that_makes_no_sense_is_refused_with_what_is_allowed(
    planned: Path, mlagent: Run, words: tuple[str, ...], said: str
) -> None:
    done = mlagent("execute", *words)
    assert done.code == 2
    assert said in done.err
    assert not (planned / "runs").exists()


def churn_text(rows: int = 40, **columns: str) -> str:
    """Other rows of the churn table, some columns with one text throughout or ("") taken out."""
    frame = churn_frame(rows, seed=9).drop(columns=[name for name, v in columns.items() if not v])
    return str(frame.assign(**{k: v for k, v in columns.items() if v}).to_csv(index=False))


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("churn.csv", "'churn.csv' is the training table itself"),
        ("copy.csv", "'copy.csv' is the training table itself"),
        ("no_target.csv", "lacks the columns 'churned'"),
        ("no_feature.csv", "lacks the columns 'fee', 'start'"),
        ("unknown.csv", "has no value in the target 'churned'"),
        ("maybe.csv", "none of the classes 'no', 'yes': 'maybe'"),
        ("empty.csv", "empty"),
        ("ragged.csv", "ragged: line 2"),
        ("binary.csv", "binary file"),
        ("header.csv", "a header and no rows"),
    ],
)
def test_a_test_file_that_cannot_judge_is_refused_before_a_run_begins(
    planned: Path, mlagent: Run, test: str, said: str
) -> None:
    build_tree(
        planned,
        {
            "copy.csv": (planned / "churn.csv").read_bytes(),
            "no_target.csv": churn_text(churned=""),
            "no_feature.csv": churn_text(fee="", start=""),
            "unknown.csv": churn_text(churned=" "),
            "maybe.csv": churn_text(churned="maybe"),
            "empty.csv": "",
            "ragged.csv": "a,b\n1,2,3\n",
            "binary.csv": bytes(range(256)) * 20,
            "header.csv": churn_text(0),
        },
    )
    done = mlagent("execute", "--test", test)
    assert done.code == 2
    assert said in done.err
    assert not (planned / "runs").exists()


@pytest.mark.parametrize("vault", ["0", "0.2"])
def test_a_test_file_and_a_vault_of_ones_own_cannot_both_hold(
    planned: Path, mlagent: Run, vault: str
) -> None:
    build_tree(planned, {"test.csv": churn_text()})
    done = mlagent("execute", "--test", "test.csv", "--vault", vault)
    assert done.code == 2
    assert f"--test and --vault {vault} cannot both hold" in done.err
    assert not (planned / "runs").exists()


def test_a_test_file_beats_the_vault_of_the_plan(planned: Path) -> None:
    edit(planned, "vault: auto", "vault: 0")
    plan = read_plan(planned / "plan.yaml")
    build_tree(planned, {"test.csv": churn_text(customer_id="")})
    request = make_request(
        Project(planned),
        plan,
        planned / "plan.yaml",
        ExecuteFlags(test=planned / "test.csv"),
        None,
    )
    check_test(State(request, request.plan.task))
    assert request.vault is None


def test_execute_without_a_plan_says_how_to_make_one(mlagent: Run) -> None:
    done = mlagent("execute")
    assert done.code == 2
    assert "no plan" in done.err
    assert "mlagent plan" in done.err


# --- no data, two tables, older plans ---


def test_a_plan_without_data_states_its_assumptions_and_execute_asks_for_data(
    tmp_path: Path, mlagent: Run
) -> None:
    done = mlagent("plan", "churn model", "--json")
    assert done.code == 0
    plan = Plan.model_validate_json(done.out)
    assert plan.data is None
    assert len(plan.agent_plans) == 3
    for made in plan.agent_plans.values():
        assert made.recommendation.conditions
        assert made.questions_for_review
    shown = mlagent("plan", "churn model").out
    assert "condition: " in shown
    assert "question: " in shown
    refused = mlagent("execute")
    assert refused.code == 2
    assert "--data" in refused.err


def test_without_a_table_the_files_that_are_not_read_are_named(
    tmp_path: Path, mlagent: Run
) -> None:
    build_tree(tmp_path, {"t.csv.gz": b"", "book.xlsx": b""})
    done = mlagent("plan", "churn model")
    assert done.code == 0
    assert "No table here" in done.out
    assert "Seen and not read: 'book.xlsx', 't.csv.gz'. Give a CSV" in done.out


def test_two_plausible_tables_are_a_question_not_a_guess(tmp_path: Path, mlagent: Run) -> None:
    build_tree(tmp_path, {"a.csv": "x,y,z,churned\n" + rows(), "b.csv": "x,y\n1,2\n3,4\n"})
    done = mlagent("plan", "churn model")
    assert done.code == 2
    assert "'a.csv'" in done.err
    assert "'b.csv'" in done.err
    assert "--data" in done.err
    assert mlagent("plan", "churn model", "--data", "a.csv").code == 0


def test_planning_again_moves_the_older_plan_and_keeps_its_every_byte(
    planned: Path, mlagent: Run
) -> None:
    edit(planned, "  seconds: 300.0", "  seconds: 77.0")
    edited = (planned / "plan.yaml").read_bytes()
    done = mlagent("plan", "churn model")
    assert done.code == 0
    (kept,) = (planned / "plans").iterdir()
    assert kept.read_bytes() == edited
    assert f"plans/{kept.name}" in done.out.replace("\n", "")


# --- routing ---


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("build me a React page", "frontend-architect"),
        ("forecast the sales of next month", "out of scope"),
        ("   ", "empty"),
    ],
)
def test_work_of_others_is_refused_with_a_sentence(
    tmp_path: Path, mlagent: Run, sentence: str, said: str
) -> None:
    build_tree(tmp_path, {"t.csv": "x,y,z,churned\n" + rows(), "plan.yaml": "# older\n"})
    done = mlagent("plan", sentence)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("sentence", "delegate"),
    [
        ("churn model and a React page", "frontend-architect"),
        ("churn model, and forecast the sales", None),
        ("forecast the sales, then a model of who churned", None),
    ],
)
def test_of_a_mixed_sentence_one_part_is_done_and_the_other_said_not_to_be(
    tmp_path: Path, mlagent: Run, sentence: str, delegate: str | None
) -> None:
    build_tree(tmp_path, {"t.csv": "sales,page,react,churned\n" + rows()})
    done = mlagent("plan", sentence, "--json")
    assert done.code == 0
    plan = Plan.model_validate_json(done.out)
    assert plan.task.target == "churned"
    assert plan.task.description == sentence
    assert [refused.delegate_to for refused in plan.routing.refused] == [delegate]
    shown = mlagent("plan", sentence).out
    assert "Not done here: " in shown


def test_a_column_that_only_the_refused_part_names_is_not_the_target(
    tmp_path: Path, mlagent: Run
) -> None:
    build_tree(tmp_path, {"t.csv": "a,b,sales,left\n" + rows()})
    done = mlagent("plan", "forecast sales, and a model of who left", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["task"]["target"] == "left"


# --- one document on stdout ---


def documents(text: str) -> list[Any]:
    found, decoder, rest = [], json.JSONDecoder(), text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def test_json_puts_exactly_one_document_on_stdout(planned: Path, mlagent: Run) -> None:
    (plan,) = documents(mlagent("plan", "churn model", "--json").out)
    assert plan["schema"] == "mlagent/plan/v1"
    assert documents(mlagent("runs", "--json").out) == [{"runs": []}]
    (agents,) = documents(mlagent("agents", "list", "--json").out)
    assert set(agents) == {"data-explorer", "statistical-analyst", "ml-engineer"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("plan", "churn model", "--metric", "x"), "BadInput"),
        (("execute", "--vault", "most"), "BadInput"),
        (("board",), "BadInput"),
        (("compare", "a"), "BadInput"),
        (("report",), "BadInput"),
        (("predict", "nope.csv"), "BadInput"),
        (("try", "nowhere"), "BadInput"),
        (("plan",), "Usage"),
        (("plan", "churn model", "--speed", "11"), "Usage"),
        (("execute", "--seed", "-1"), "Usage"),
    ],
)
def test_an_error_is_one_json_document_too_and_a_sentence_on_stderr(
    planned: Path, mlagent: Run, words: tuple[str, ...], kind: str
) -> None:
    done = mlagent(*words, "--json")
    assert done.code == 2
    (error,) = documents(done.out)
    assert error["schema"] == "mlagent/error/v1"
    assert error["error"] == kind
    assert error["message"]
    assert error["message"] in done.err


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (("monotone=contract:+",), "no number"),
        (("monotone=tenure:-", "interpretable"), "cannot both hold"),
        (("monotone=tenure:-", "monotone=tenure:+"), "twice"),
    ],
)
def test_a_monotone_constraint_that_no_model_can_keep_is_refused_at_once(
    mlagent: Run, tmp_path: Path, constraints: tuple[str, ...], words: str
) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    flags = [word for text in constraints for word in ("--constraint", text)]
    done = mlagent("plan", "churn model", *flags)
    assert done.code == 2
    assert words in done.err


def test_a_monotone_constraint_on_a_number_is_planned(mlagent: Run, tmp_path: Path) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    assert mlagent("plan", "churn model", "--constraint", "monotone=tenure:-").code == 0


@pytest.mark.parametrize("name", ["prediction", "p_yes"])
def test_a_feature_with_the_name_of_an_output_is_refused_before_training(
    mlagent: Run, tmp_path: Path, name: str
) -> None:
    write_csv(churn_frame(300).rename(columns={"fee": name}), tmp_path / "churn.csv")
    done = mlagent("plan", "churn model")
    assert done.code == 2
    assert name in done.err
    assert mlagent("plan", "churn model", "--exclude", name).code == 0


# --- what is printed where nobody sits ---


def piped(folder: Path, *words: str, stdout: int = subprocess.PIPE, **more: str) -> Done:
    """The command line in a process of its own, whose stdout is no terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "mlagent", *words],
        cwd=folder,
        env=os.environ | {"DOCKER_HOST": "unix:///nonexistent.sock"} | more,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout or "", done.stderr)


def test_piped_text_has_whole_lines_without_padding(tmp_path: Path) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    planned = [piped(tmp_path, "plan", "churn model", **more) for more in ({}, {"COLUMNS": "60"})]
    wide, narrow = (
        [line for line in done.out.splitlines() if "plans/" not in line] for done in planned
    )
    assert planned[0].code == 0, planned[0].err
    assert wide == narrow
    assert [line for line in wide if line != line.rstrip()] == []
    long = [line for line in wide if line.startswith("      + ")]
    assert any(len(line) > 60 for line in long)
    assert any("Commas in 'income'" in line for line in wide)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_closed_pipe_ends_in_silence_and_the_plan_is_written(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    write_csv(churn_frame(300), tmp_path / "churn.csv")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = piped(tmp_path, "plan", "churn model", *more, stdout=writer)
    finally:
        os.close(writer)
    assert (done.code, done.err) == (0, "")
    assert read_plan(tmp_path / "plan.yaml").task.target == "churned"


def test_a_run_goes_on_when_nobody_reads_its_progress(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out, PlainProgress(out) as progress:
        progress.phase("table", "read the table")
        progress.say("still there")
        out.write("no error at the end either")
    assert capfd.readouterr().err == ""
