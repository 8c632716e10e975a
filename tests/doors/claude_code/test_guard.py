"""PreToolUse: files by real path, commands by their words, tools by name; all else is refused."""

from __future__ import annotations

import copy
import random
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from guarded import ENGINEER, EXPLORER, POLICY, make_project, problem

from mlagent.cli.main import app
from mlagent.doors.claude_code.hook.command_line import command_problem
from mlagent.doors.claude_code.hook.guard import JUDGED, tool_problem


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one that Claude Code is open in."""
    root = make_project(tmp_path)
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(root))
    return root


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("plan.yaml", "both"),
        ("runs/r1/artifacts/data-explorer/x.json", "both"),
        ("runs/r1/artifacts/ml-engineer/x.json", "the engineer's"),
        ("candidates/one/solution.py", "the engineer's"),
    ],
)
def test_what_the_agent_works_with_is_readable(project: Path, path: str, whose: str) -> None:
    assert problem(project, "Read", file_path=str(project / path)) is None
    assert (problem(project, "Read", EXPLORER, file_path=path) is None) is (whose == "both")


@pytest.mark.parametrize(
    "path",
    [
        "churn.csv",
        "runs/r1/seal.json",
        "runs/r1/predictions/vault.parquet",
        "runs/r1/board.json",
        "mlagent.yaml",
        "candidates/away/solution.py",
        "candidates/two/solution.py",
        "candidates/one/../../churn.csv",
        "../outside/secret.txt",
        "/etc/passwd",
        "~/.ssh/id_rsa",
        ".mlagent/seals/a.json",
        "runs/r1/artifacts/.hidden/x",
        "plan.yaml/../churn.csv",
        "",
    ],
)
def test_tables_seals_and_what_a_link_hides_are_not_readable(project: Path, path: str) -> None:
    for name in (path, str(project / path)) if path[:1] not in "/~" else (path,):
        said = problem(project, "Read", file_path=name)
        assert said, name
    assert problem(project, "Grep", pattern="x", path=path or ".")


def test_only_the_engineer_writes_and_only_its_candidate(project: Path) -> None:
    new = project / "candidates" / "three" / "solution.py"
    for tool in ("Write", "Edit"):
        assert problem(project, tool, file_path=str(new)) is None
        assert "not among your tools" in str(problem(project, tool, EXPLORER, file_path=str(new)))
        for path in (
            "plan.yaml",
            "candidates/three/train.py",
            "candidates/away/solution.py",
            "candidates/two/solution.py",
            "candidates/../solution.py",
            "candidates/a/b/solution.py",
            ".claude/mlagent/hook/policy.json",
            ".claude/settings.json",
            "runs/r1/evaluation.json",
        ):
            said = problem(project, tool, file_path=str(project / path))
            assert said is not None, path
            assert "may not write" in said


def test_a_search_needs_a_place_that_is_readable_as_a_whole(project: Path) -> None:
    artifacts = str(project / "runs/r1/artifacts")
    assert problem(project, "Grep", pattern="leak", path=artifacts) is None
    assert problem(project, "Grep", pattern="leak", path="plan.yaml") is None
    for path in (None, ".", "runs", "runs/r1", "candidates", "candidates/away", "/"):
        said = problem(project, "Grep", pattern="x", **({"path": path} if path else {}))
        assert "may not search" in str(said), path


def test_names_may_be_listed_inside_the_project_only(project: Path) -> None:
    assert problem(project, "Glob", pattern="**/*.py") is None
    assert problem(project, "Glob", pattern="*", path="runs") is None
    for pattern, path in (
        ("../*", None),
        ("/etc/*", None),
        ("~/*", None),
        ("{a,../../b}/*", None),
        ("*", "/etc"),
        ("*", ".."),
        ("*", "candidates/away"),
        (None, None),
    ):
        assert problem(project, "Glob", pattern=pattern, path=path), (pattern, path)


@pytest.mark.parametrize(
    "tool",
    ["Agent", "Task", "WebFetch", "WebSearch", "NotebookEdit", "MultiEdit", "Monitor", "Skill"]
    + ["mcp__mlagent__mlagent_run", "PowerShell", "", "bash", "TodoWrite", "SendMessage"],
)
def test_every_other_tool_is_refused(project: Path, tool: str) -> None:
    said = problem(project, tool, command="mlagent board", file_path="plan.yaml")
    assert "not among your tools" in str(said)


def test_a_tool_that_cannot_be_judged_is_refused_even_when_a_policy_names_it(
    project: Path,
) -> None:
    assert problem(project, "WebFetch", {**ENGINEER, "tools": ["WebFetch"]}, url="x")
    assert set(ENGINEER["tools"]) <= JUDGED


def command(project: Path, text: Any, agent: dict[str, Any] = ENGINEER) -> str | None:
    return problem(project, "Bash", agent, command=text)


@pytest.mark.parametrize(
    "text",
    [
        "mlagent plan 'churn model' --data churn.csv --json",
        'mlagent plan "predict the sale price" --target SalePrice --constraint monotone=area:+',
        "mlagent plan 'what is $5 & more; really?' --budget=60s",
        "mlagent execute --select ml-engineer=option_b --budget 60s --json",
        "mlagent execute --resume",
        "mlagent execute --candidate candidates/one --json",
        "mlagent try candidates/one --budget 60s",
        "  mlagent board --json",
        "mlagent contracts explain ml-engineer",
        "mlagent --help",
        "mlagent plan --help",
        "mlagent compare 20260101-1200 20260102-0900",
        "mlagent plan 'x' --data churn.csv --target runs --id candidates --time '/day'",
        "mlagent plan 'x' --target=../day --positive /etc --exclude .env --group below/runs",
        "mlagent plan 'x' --positive -1",
    ],
)
def test_plain_commands_of_mlagent_pass(project: Path, text: str) -> None:
    assert command(project, text) is None


REFUSED = [
    "python train.py",
    "python -c 'import sklearn'",
    "/usr/bin/mlagent board",
    "./mlagent board",
    "mlagent-evil board",
    "env mlagent board",
    "MLAGENT_CONTENT=x mlagent board",
    "mlagent --content evil board",
    "mlagent board; python train.py",
    "mlagent board && python train.py",
    "mlagent board || python train.py",
    "mlagent board | tee x",
    "mlagent board & python train.py",
    "mlagent board > x",
    "mlagent board < x",
    "mlagent board\npython train.py",
    "mlagent board\rpython train.py",
    "mlagent board $(python train.py)",
    "mlagent board `python train.py`",
    'mlagent plan "$(python train.py)"',
    'mlagent plan "`python train.py`"',
    'mlagent plan "$HOME"',
    "mlagent plan $HOME",
    "mlagent plan $'\\x41'",
    "mlagent plan 'a' \\\n 'b'",
    "mlagent plan a\\ b",
    "mlagent plan {a,b}",
    "mlagent try candidates/*",
    "mlagent try candidates/?ne",
    "mlagent try [a]",
    "mlagent plan x --data ~/x.csv",
    "mlagent plan x --data=~/x.csv",
    "mlagent plan x --data =ls",
    "mlagent plan 'x' # comment",
    "mlagent plan !x",
    'mlagent plan "x!y"',
    "mlagent plan (x)",
    "mlagent plan 'open",
    "mlagent try candidates/one --mine",
    "mlagent try /tmp",
    "mlagent try ../outside",
    "mlagent try candidates/away",
    "mlagent plan x --data /etc/passwd",
    "mlagent plan x --data mlagent.yaml",
    "mlagent execute --force",
    "mlagent execute plan.yaml",
    "mlagent plan 'x' --data runs/r1/predictions/vault.parquet --target truth",
    "mlagent plan 'x' --data linked.parquet",
    "mlagent execute --test runs/r1/predictions/vault.parquet",
    "mlagent plan x --data below/runs/r2/vault.parquet",
    "mlagent plan 'x' --data .env",
    "mlagent plan 'x' --data=.git/config",
    "mlagent execute --candidate candidates/one --mine",
    "mlagent execute --candidate ../outside/one",
    "mlagent execute --replay ../outside",
    "mlagent execute --replay runs/r1",
    "mlagent plan x --target --data /etc/passwd",
    "mlagent plan x --target",
    "mlagent execute candidates/one/solution.py",
    "mlagent execute --test ../outside/secret.txt",
    "mlagent report --open",
    "mlagent runs rm r1",
    "mlagent runs prune -y",
    "mlagent sandbox build",
    "mlagent agents export --to claude-code",
    "mlagent agents import x",
    "mlagent contracts validate /etc/passwd",
    "mlagent predict churn.csv",
    "mlagent mcp",
    "mlagent",
    "mlagent fly",
    "mlagent plan a b c",
    "mlagent plan x --data",
    "mlagent plan -x",
    "",
    "   ",
    None,
    7,
    ["mlagent", "board"],
    "mlagent plan '" + "x" * 9_000 + "'",
    "mlagent plan x\x00",
    "mlagent\u00a0board",
    "mlagent board \u2028 x",
    "''mlagent'' board; x",
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text)[:40])
def test_everything_else_is_refused(project: Path, text: Any) -> None:
    assert command(project, text)


def test_a_policy_that_names_no_paths_takes_every_value_for_one(project: Path) -> None:
    commands = copy.deepcopy(ENGINEER["commands"])
    for rule in commands.values():
        del rule["paths"]
    older = {**ENGINEER, "commands": commands}
    for text in ("mlagent plan x --target runs", "mlagent plan x --target '/day'"):
        assert command(project, text) is None
        assert command(project, text, older)
    assert command(project, "mlagent plan x --target SalePrice", older) is None


def test_an_agent_without_try_may_not_try(project: Path) -> None:
    assert "not among your commands" in str(
        command(project, "mlagent try candidates/one", EXPLORER)
    )


def test_only_who_may_submit_a_candidate_hands_one_to_execute(project: Path) -> None:
    text = "mlagent execute --candidate candidates/one --json"
    assert command(project, text) is None
    assert "`mlagent execute --candidate` is refused" in str(command(project, text, EXPLORER))
    assert command(project, "mlagent execute --json", EXPLORER) is None


def test_the_shell_must_stand_inside_the_project(project: Path) -> None:
    event = {"tool_name": "Bash", "tool_input": {"command": "mlagent board"}}
    assert tool_problem({**event, "cwd": str(project / "runs")}, ENGINEER) is None
    assert tool_problem({**event, "cwd": str(project.parent)}, ENGINEER)
    assert tool_problem({**event, "cwd": str(project / "candidates/away")}, ENGINEER)


PLAIN = ["candidates/one", "--json", "--budget=60s", "a=b", "'a b'", '"a b"', "x", "''", "'$x;'"]
ODD = [
    *"'\"$`;&|>\\*~#!(=%^\t<?é{}[]\n",
    "$(id)",
    "${x}",
    "{a,b}",
    "&&",
    "||",
    "$'a'",
    "=ls",
    "[a]",
]


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_what_is_allowed_means_the_same_to_a_shell(shell: str, project: Path) -> None:
    rules = {
        name: {"words": 99, "text": False, "values": ["--budget"], "switches": ["--json"]}
        for name in ("plan", "board")
    }
    rng, here = random.Random(7), str(project)
    allowed = []
    for _ in range(4_000):
        words = [rng.choice(PLAIN if rng.random() < 0.9 else ODD) for _ in range(rng.randrange(7))]
        text = "mlagent " + rng.choice(("plan ", "board ", '"plan" ', "bo'ard' "))
        text += "".join(word + rng.choice((" ", "  ", "", " ")) for word in words)
        if command_problem(text, rules, here, here) is None:
            allowed.append(text)
    assert 300 < len(allowed) < 3_500
    some = rng.sample(allowed, 300)
    report = 'mlagent() { printf "%s\\0" "$#" "$@"; }\n'
    done = subprocess.run(
        [shell, "-c", report + "\n".join(some)], cwd=project, capture_output=True, check=False
    )
    wanted = [shlex.split(text)[1:] for text in some]
    said = [word for words in wanted for word in (str(len(words)), *words)]
    assert (done.stderr, done.stdout.decode().split("\0")[:-1]) == (b"", said)


def test_every_command_and_flag_of_the_rules_exists() -> None:
    root = typer.main.get_command(app)
    for agent in POLICY["agents"].values():
        for name, rule in agent["commands"].items():
            found: Any = root
            for word in name.split():
                found = found.commands[word]
            flags = {flag for option in found.params for flag in option.opts}
            takes = {flag for o in found.params if not getattr(o, "is_flag", 0) for flag in o.opts}
            assert set(rule["values"]) <= takes, name
            assert set(rule["switches"]) <= flags - takes, name
            files = {"--data", "--test", "--candidate", "--replay"}  # a run is named by path too
            assert set(rule["paths"]) == files & set(rule["values"]), name
            words = [o for o in found.params if o.param_type_name == "argument"]
            assert rule["words"] == (0 if name == "execute" else len(words)), name


def test_no_flag_that_only_a_person_may_give_is_in_the_rules() -> None:
    for agent in POLICY["agents"].values():
        flags = {
            f for rule in agent["commands"].values() for f in rule["values"] + rule["switches"]
        }
        assert not flags & {"--mine", "--force", "--open", "--content", "--yes"}
