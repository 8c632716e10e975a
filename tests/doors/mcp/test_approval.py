"""A run needs the user's yes: asked through the client where it can put a question, in both ways
that the protocol has. Prompts that a client asks for wrongly end as a sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from mcp.shared.exceptions import MCPError
from mcp_clients import MODES
from mcp_types import (
    INVALID_PARAMS,
    ClientCapabilities,
    ElicitationCapability,
    ElicitRequestFormParams,
    ElicitResult,
    FormElicitationCapability,
    UrlElicitationCapability,
)

from mlagent.contracts.errors import BadInput, PrerequisiteMissing
from mlagent.doors.mcp.approval import code_of, isolation, to_be_asked
from mlagent.doors.mcp.roots import place_of, roots_of_client
from mlagent.store.journal import FileJournal
from mlagent.store.runs import Runs
from mlagent.testing.tables import build_tree


class User:
    """Answers each question alike and remembers what was asked."""

    def __init__(self, action: str, approved: Any = True) -> None:
        self.action, self.approved = action, approved
        self.asked: list[str] = []

    async def __call__(self, _: Any, question: ElicitRequestFormParams) -> ElicitResult:
        self.asked.append(question.message)
        content = {"approved": self.approved} if self.action == "accept" else None
        if self.approved is None:
            content = {}
        return ElicitResult(action=self.action, content=content)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "user",
    [
        User("decline"),
        User("cancel"),
        User("accept", approved=False),
        User("accept", approved="yes"),
        User("accept", approved=None),
    ],
)
def test_without_a_yes_nothing_is_started(
    standing: Any, churn: Path, mode: str, user: User
) -> None:
    user.asked.clear()

    async def script(talk: Any) -> str:
        await talk.facts("plan", task="churn model")
        return str(await talk.refused("run", budget="10s"))

    said = standing(churn, script, mode=mode, user=user)
    assert "did not approve" in said
    assert not (churn / "runs").exists()
    (question,) = user.asked
    assert str(churn) in question
    assert "about 10 s" in question
    assert "mlagent execute --budget=10s" in question


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"budget": "60s? (approved) Press yes"}, "is not a time"),
        ({"select": {"ml-engineer": "option_b? Press yes"}}, "has no 'option_b?"),
        ({"select": {"nobody": "option_b"}}, "'nobody' has no"),
        ({"candidate": "/etc"}, "lies outside"),
        ({"candidate": "nothing"}, "no solution.py"),
        ({"test": "nothing.csv"}, "The test file 'nothing.csv' is not here"),
        ({"action": "resume"}, "no unfinished run"),
        ({"vault": "none; press yes"}, "neither 'auto'"),
        ({"run": "x"}, "`run` is for action \"stop\", and this is action 'start'"),
        ({"action": "resume", "run": "x"}, "this is action 'resume'"),
        ({"action": "resume", "budget": "60s"}, "goes on with what it began with"),
        ({"action": "stop", "budget": "60s"}, "it only ends"),
        ({"vault": "0.2", "test": "churn.csv"}, "cannot both hold"),
    ],
)
def test_everything_is_checked_before_the_user_is_asked(
    standing: Any, churn: Path, arguments: dict[str, Any], said: str
) -> None:
    user = User("accept")

    async def script(talk: Any) -> str:
        await talk.facts("plan", task="churn model")
        return str(await talk.refused("run", **arguments))

    assert said in standing(churn, script, user=user)
    assert user.asked == []
    assert not (churn / "runs").exists()


def test_a_plan_that_lost_its_table_or_is_no_go_is_refused_before_the_question(
    standing: Any, churn: Path
) -> None:
    user = User("accept")

    async def script(talk: Any) -> tuple[str, str]:
        await talk.facts("plan", task="churn model", budget="10s")
        plan = churn / "plan.yaml"
        text = plan.read_text()
        edited = yaml.safe_load(text)
        for option in edited["agent_plans"]["ml-engineer"]["implementation_options"].values():
            option["dependencies"].append("artifact: embeddings")  # that nobody makes
        plan.write_text(yaml.safe_dump(edited))
        no_go = str(await talk.refused("run"))
        plan.write_text(text)
        (churn / "churn.csv").rename(churn / "gone.csv")
        return no_go, str(await talk.refused("run"))

    no_go, gone = standing(churn, script, user=user)
    assert "The review says no-go" in no_go
    assert "force=true" in no_go
    assert "The table 'churn.csv' of the plan is not here" in gone
    assert user.asked == []


def test_a_resume_is_asked_with_what_is_left_of_the_budget(standing: Any, churn: Path) -> None:
    """50 of 60 s went into finished phases: about 10 s are asked for."""
    user = User("decline")

    async def script(talk: Any) -> str:
        await talk.facts("plan", task="churn model")
        run = Runs(churn / "runs").create(datetime(2026, 1, 1, tzinfo=UTC))
        (run.path / "plan.yaml").write_bytes((churn / "plan.yaml").read_bytes())
        clock = iter([0.0, 0.1, 0.2, 50.0, 51.0])
        with FileJournal(run.path / "journal.jsonl", clock=lambda: next(clock)) as journal:
            journal.append("run.start", command="execute", budget_s=60.0)
            journal.append("phase.start", phase="read")
            journal.append("phase.done", phase="read")
        return str(await talk.refused("run", action="resume"))

    standing(churn, script, user=user)
    (question,) = user.asked
    assert "Resume the run" in question
    assert "about 10 s (what is left of 60 s)" in question


def test_the_question_is_the_command_and_says_what_isolates_it(standing: Any, churn: Path) -> None:
    """These servers have no container engine, so a candidate is refused before the question."""
    user = User("decline")
    build_tree(churn, {"mine/solution.py": "def fit(t, s): ...\n"})

    async def script(talk: Any) -> str:
        await talk.facts("plan", task="churn model")
        await talk.refused("run", vault="0", refit_all=True, force=True)
        return str(await talk.refused("run", candidate="mine"))

    refused = standing(churn, script, user=user)
    (question,) = user.asked
    for word in ("--vault=0", "--refit all", "--force", "no vault"):
        assert word in question
    assert "NO container: No container engine answers" in question
    assert "network and files are not closed off" in question
    assert "No container engine answers" in refused


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_cannot_ask_starts_nothing(standing: Any, churn: Path, mode: str) -> None:
    async def script(talk: Any) -> list[str]:
        await talk.facts("plan", task="churn model", budget="10s")
        said = [str(await talk.refused("run"))]
        run = Runs(churn / "runs").create(datetime(2026, 1, 1, tzinfo=UTC))
        (run.path / "plan.yaml").write_bytes((churn / "plan.yaml").read_bytes())
        with FileJournal(run.path / "journal.jsonl") as journal:
            journal.append("run.start", command="execute", budget_s=60.0)
        return [*said, str(await talk.refused("run", action="resume"))]

    for said in standing(churn, script, mode=mode):
        assert "this client cannot put the question" in said
        assert "nothing was started" in said
        assert "mlagent mcp --allow-runs" in said
    (run,) = (churn / "runs").glob("*/journal.jsonl")
    assert len(run.read_text().splitlines()) == 1


FORM, URL = FormElicitationCapability(), UrlElicitationCapability()


@pytest.mark.parametrize(
    ("can", "name", "allowed", "asked"),
    [
        (ElicitationCapability(), "editor", False, True),
        (ElicitationCapability(form=FORM), "editor", True, True),
        (ElicitationCapability(form=FORM, url=URL), None, False, True),
        (ElicitationCapability(url=URL), "editor", True, False),
        (None, "editor", True, False),
        (None, "claude-code", False, False),
        (ElicitationCapability(url=URL), "editor", False, None),
        (None, "claude-code-fork", False, None),
        (None, None, False, None),
    ],
)
def test_who_says_yes(
    can: ElicitationCapability | None, name: str | None, allowed: bool, asked: bool | None
) -> None:
    able = ClientCapabilities(elicitation=can)
    if asked is not None:
        assert to_be_asked(able, name, allowed=allowed) is asked
        return
    with pytest.raises(BadInput, match="nothing was started"):
        to_be_asked(able, name, allowed=allowed)


def test_the_isolation_is_the_one_that_the_run_would_choose(
    churn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    assert "plain process on this machine (T0)" in isolation("B")
    for code in ("C", "D"):
        with pytest.raises(PrerequisiteMissing):
            isolation(code)
    place = place_of(None, roots_of_client([churn.as_uri()]))
    assert (code_of(place, "start", None), code_of(place, "start", "mine")) == ("B", "D")
    for more, code in (
        ({}, "B"),
        ({"candidate": "mine", "candidate_code": "D"}, "D"),
        ({"candidate": "mine", "candidate_code": "C"}, "C"),
        ({"author": "claude"}, "D"),
    ):
        run = Runs(churn / "runs").create(datetime(2026, 1, 1, tzinfo=UTC))
        (run.path / "plan.yaml").touch()
        with FileJournal(run.path / "journal.jsonl") as journal:
            journal.append("run.start", command="execute", budget_s=60.0, **more)
        assert code_of(place, "resume", None) == code


@pytest.mark.docker
def test_with_a_container_the_question_says_so() -> None:
    assert "(T3)" in isolation("D")


@pytest.mark.parametrize(
    "file", ["runs/x/predictions/vault.csv", "sub/runs/x/vault.csv", ".env", ".git/config"]
)
def test_records_and_hidden_files_are_no_tables(standing: Any, churn: Path, file: str) -> None:
    build_tree(churn, {file: "truth,model\n1,0.5\n0,0.4\n"})

    async def script(talk: Any) -> tuple[str, str]:
        return (
            str(await talk.refused("profile", data=file)),
            str(await talk.refused("plan", task="churn model", data=file)),
        )

    for said in standing(churn, script):
        assert "a record of mlagent's or a hidden file" in said
        assert "truth" not in said


def test_an_edited_plan_does_not_make_a_record_a_table(standing: Any, churn: Path) -> None:
    """Not for a run, and not for a candidate, whose score would be of rows with their truth."""
    build_tree(churn, {"runs/x/vault.csv": "truth,model\n1,0.5\n0,0.4\n"})
    build_tree(churn, {"mine/solution.py": "def fit(a, b): ...\ndef predict(a, b): ...\n"})

    async def script(talk: Any) -> tuple[str, str]:
        await talk.facts("plan", task="churn model")
        plan = churn / "plan.yaml"
        plan.write_text(plan.read_text().replace("path: churn.csv", "path: runs/x/vault.csv"))
        return (
            str(await talk.refused("run")),
            str(await talk.refused("try", candidate="mine")),
        )

    for said in standing(churn, script):
        assert "a record of mlagent's or a hidden file" in said


@pytest.mark.parametrize("mode", MODES)
def test_after_a_yes_it_runs_and_the_same_server_stops_it(
    session: Any, churn: Path, mode: str
) -> None:
    user = User("accept")

    async def script(talk: Any) -> tuple[Any, Any]:
        await talk.facts("plan", task="churn model")
        begun = await talk.facts("run", budget="60s", vault="0.2")
        await anyio.sleep(1.0)
        return begun, await talk.facts("run", action="stop")

    begun, stopped = session(churn, script, mode=mode, user=user)
    assert begun["state"] == "running", begun
    assert stopped["state"] == "stopped", stopped
    assert len(user.asked) == 1, "stopping needs no approval"


def test_claude_code_asks_by_itself_and_is_not_asked_again(session: Any, churn: Path) -> None:
    user = User("decline")

    async def script(talk: Any) -> Any:
        await talk.facts("plan", task="churn model")
        await talk.facts("run", budget="30s", vault="0.2")
        return await talk.facts("run", action="stop")

    assert session(churn, script, user=user, name="claude-code")["state"] == "stopped"
    assert user.asked == []


WRONG_PROMPTS: dict[str, tuple[str, dict[str, str], str]] = {
    "unknown": ("nope", {}, "no prompt 'nope'. The prompts are plan, review."),
    "without its argument": ("plan", {}, "needs 'task'"),
    "with another argument": (
        "plan",
        {"task": "churn", "dta": "x"},
        "has no 'dta'. It takes task, data.",
    ),
}


@pytest.fixture(scope="module", params=MODES)
def wrong_prompts(
    request: pytest.FixtureRequest, session: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, MCPError], str]:
    """What one server answers to all of them, and its stderr to the end."""
    home = tmp_path_factory.mktemp("prompts")

    async def script(talk: Any) -> dict[str, MCPError]:
        refusals = {}
        for what, (name, arguments, _) in WRONG_PROMPTS.items():
            with pytest.raises(MCPError) as refused:
                await talk.client.get_prompt(name, arguments)
            refusals[what] = refused.value
        await talk.refused("profile")  # leaves a line on stderr: it is the server's own
        return refusals

    with (home / "stderr").open("w+") as errors:
        refusals = session(home, script, mode=request.param, errors=errors)
        errors.seek(0)
        return refusals, errors.read()


@pytest.mark.parametrize("what", WRONG_PROMPTS)
def test_a_wrong_prompt_is_a_sentence_and_no_traceback(
    wrong_prompts: tuple[dict[str, MCPError], str], what: str
) -> None:
    refusals, errors = wrong_prompts
    refused = refusals[what]
    assert refused.code == INVALID_PARAMS
    assert WRONG_PROMPTS[what][2] in refused.message
    assert "mlagent_profile refused" in errors
    assert "Traceback" not in errors
