"""The bot end to end: a comment, a fetched commit, a real `mlagent`, an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.plan import Plan
from mlagent.contracts.run import Environment
from mlagent.documents import dump_yaml, read_record
from mlagent.doors.github.bot import BotFlags, handle_event
from mlagent.doors.github.checkout import Mirror
from mlagent.doors.github.markdown import inline
from mlagent.doors.github.queue import Queue
from mlagent.doors.github.runner import MARK
from mlagent.store.runs import Runs
from mlagent.testing.engine import sandbox_or_skip
from mlagent.testing.github import FakeGitHub, Fault

from .bot_case import REPO, TOKEN, Case, accounts, bot, connect, created, reactions
from .pull_request import PullRequest, commit, git, make, make_plan

NO_ENGINE = "unix:///nonexistent.sock"


@contextmanager
def serving(state: Path, pull: PullRequest, max_budget_s: float = 120.0) -> Iterator[Case]:
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.pull(1, [pull.head], pull.base)
        with bot(state, hub, pull.server, max_budget_s=max_budget_s) as case:
            yield case


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)


def kept_plan(state: Path) -> Plan:
    (file,) = (state / "plans").rglob("*.yaml")
    return read_record(Plan, file.read_text(), file.name)


def runs_of(state: Path) -> Runs:
    return Runs(state / "projects" / REPO.lower() / "runs")


@pytest.mark.usefixtures("no_engine")
def test_plan_is_made_from_the_base_and_nothing_of_the_head_runs(tmp_path: Path) -> None:
    pull, state = make(tmp_path, hostile=True), tmp_path / "state"
    with serving(state, pull) as case:
        comment, answer = case.tell('/mlagent plan "churn model" --budget 30s')
        assert answer.status_code == 202
        (job,) = case.drain()
        assert (job.state, job.reason) == ("done", "")
        assert (job.head, job.base) == (pull.head, pull.base)
        assert reactions(comment) == ["eyes", "rocket"]
        (text,) = case.answers()
    plan = kept_plan(state)
    assert plan.data is not None
    assert (plan.data.path, plan.data.rows) == ("churn.csv", 400), "the base's table"
    assert plan.task.target == "churned", "the base's settings"
    assert plan.columns.exclude == ("fee",), "the base's settings"
    assert plan.budget.seconds == 30
    assert f"Plan for <code>{pull.head[:7]}</code>" in text
    assert "schema: mlagent/plan/v1" in text
    assert "version counts, not the pull request" in text
    assert str(tmp_path) not in text
    assert list((state / "scratch").iterdir()) == [], "the checkout is gone"
    assert not pull.canary.exists()


@pytest.mark.usefixtures("no_engine")
def test_a_plan_that_asks_for_more_than_a_run_gets_says_so(tmp_path: Path) -> None:
    pull = make(tmp_path, hostile=False)
    with serving(tmp_path / "state", pull, max_budget_s=45) as case:
        comment, _ = case.tell('/mlagent plan "churn model" --budget 46s')
        case.tell('/mlagent plan "churn model" --budget 45s')
        case.tell('/mlagent plan "churn model"')
        assert [job.state for job in case.drain()] == ["refused", "done", "done"]
        refused, told, default = case.answers()
    assert reactions(comment) == ["eyes", "-1"]
    assert inline("The budget '46s' is above 45 s, the most that is given here.") in refused
    assert "at most" not in told
    assert kept_plan(tmp_path / "state").budget.seconds > 45
    assert inline("a run here gets 45 s at most.") in default


@pytest.mark.usefixtures("no_engine")
def test_execute_without_a_plan_or_on_a_wrong_target_says_so(tmp_path: Path) -> None:
    pull = make(tmp_path, hostile=False)
    with serving(tmp_path / "state", pull) as case:
        case.tell("/mlagent execute")
        case.tell('/mlagent plan "churn model" --target nowhere')
        case.tell("/mlagent compare")
        assert [job.state for job in case.drain()] == ["failed"] * 3
        no_plan, no_target, no_run = case.answers()
    assert "There is no plan for" in no_plan
    assert "nowhere" in no_target
    assert "There is no finished run" in no_run
    for text in (no_plan, no_target, no_run):
        assert str(tmp_path) not in text
        assert "scratch" not in text


@pytest.mark.usefixtures("no_engine")
def test_a_plan_of_the_head_cannot_name_a_table_elsewhere(tmp_path: Path) -> None:
    pull = make(tmp_path, hostile=False)
    plan = make_plan(pull.folder)
    assert plan.data is not None
    for path in (str(pull.folder / "churn.csv"), "../churn.csv", "/etc/passwd"):
        data = plan.data.model_copy(update={"path": path})
        text = dump_yaml(plan.model_copy(update={"data": data}))
        (pull.folder / "plan.yaml").write_text(text)
        head = commit(pull.folder, "another table")
        with FakeGitHub(REPO) as hub:
            accounts(hub)
            hub.pull(1, [head], pull.base)
            with bot(tmp_path / f"state-{head}", hub, pull.server) as case:
                case.tell("/mlagent execute")
                assert [job.state for job in case.drain()] == ["failed"]
                assert "is not a file of the base commit" in case.answers()[0]


@pytest.mark.usefixtures("no_engine")
def test_a_pull_request_brings_no_table_whatever_its_name_is(tmp_path: Path) -> None:
    """A table is read by its content: the list of suffixes alone would let `t.dat` through."""
    pull = make(tmp_path, hostile=False)
    folder, table = pull.folder, (pull.folder / "churn.csv").read_text()
    (folder / "t.dat").write_text(table)
    base = commit(folder, "a table of the base")
    plan = make_plan(folder)
    assert plan.data is not None
    data = plan.data.model_copy(update={"path": "./t.dat"})
    (folder / "plan.yaml").write_text(dump_yaml(plan.model_copy(update={"data": data})))
    (folder / "t.dat").write_text(table.replace("no", "yes", 1))
    head = commit(folder, "labels of its own")
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.pull(1, [head], base)
        with bot(tmp_path / "state", hub, pull.server) as case:
            case.tell("/mlagent execute")
            (job,) = case.drain()
            assert job.state == "failed"
            assert "'./t.dat' is not a file of the base commit" in job.reason
            assert not list(runs_of(tmp_path / "state").all())


def test_the_bases_own_table_may_have_any_name(tmp_path: Path) -> None:
    pull = make(tmp_path, hostile=False)
    (pull.folder / "t.dat").write_text("a,b\n1,2\n")
    base = commit(pull.folder, "a table of the base")
    (pull.folder / "u.dat").write_text("a,b\n1,2\n")
    head = commit(pull.folder, "another")
    mirror = Mirror(tmp_path / "mirror.git", f"{pull.server}/{REPO}", "")
    mirror.fetch(head, base)
    with mirror.checkout(head, base, tmp_path / "checkout") as written:
        assert {"churn.csv", "t.dat"} <= written.of_base
        assert not {"u.dat", "./t.dat"} & written.of_base
    mirror.close()


@pytest.mark.usefixtures("no_engine")
def test_execute_and_compare_hold_the_head_against_the_base(tmp_path: Path) -> None:
    """Both have a plan.yaml, and the head's is better: both are really run. A pull request that
    takes the change back is worse. Without an engine the candidate of the head is not run, and
    said."""
    pull = make(tmp_path, hostile=True, plan=True, better=True, rows=2000)
    state = tmp_path / "state"
    with serving(state, pull, max_budget_s=8) as case:
        case.tell("/mlagent execute --option option_a")
        assert [job.state for job in case.drain()] == ["done"]
        run = runs_of(state).find(None)
        assert run.manifest().budget_s == 8, "the plan asks for 10 s, the bot gives 8 at most"
        assert run.read("environment.json", Environment).git_commit == pull.head
        text = case.answers()[0]
        assert f"<code>{run.id}</code>" in text
        assert "tier T0" in text
        assert "Not run&#46; No container engine answers" in text
        assert f"- {inline('The plan asks for 10 s; a run here gets 8 s at most.')}" in text
        case.tell("/mlagent compare")
        assert [job.state for job in case.drain()] == ["done", "done"]
        made = {
            one.read("environment.json", Environment).git_commit for one in runs_of(state).all()
        }
        assert made == {pull.head, pull.base}
        report = case.answers()[1]
        said = "The base was run with the head's budget, 8 s; its plan asks for 10 s."
        assert inline(said) in report
        assert "No comparison" not in report
        assert f"base <code>{pull.base[:7]}</code>" in report
        assert "not-worse-than-base" in report
        assert " Better than the base\n" in report
        case.hub.pull(1, [pull.base], pull.head)
        case.tell("/mlagent compare")
        assert [job.state for job in case.drain()] == ["done"] * 3
        assert len(list(runs_of(state).all())) == 2, "both runs are there"
        assert "### ❌ Worse than the base\n" in case.answers()[2]
    assert not pull.canary.exists()


@pytest.mark.usefixtures("no_engine")
def test_a_pull_request_of_words_is_held_against_a_base_with_its_own_budget(tmp_path: Path) -> None:
    """The plan asks for 10 s: a base run of that time, or of an earlier comparison, is no measure
    of a head that had another."""
    pull, state = make(tmp_path, hostile=False, plan=True), tmp_path / "state"
    with serving(state, pull) as case:
        for words in ("execute --budget 8s", "compare", "execute --budget 6s", "compare"):
            case.tell(f"/mlagent {words}")
        assert [job.state for job in case.drain()] == ["done"] * 4
        _, first, _, second = case.answers()
    found = [
        (one.read("environment.json", Environment).git_commit, one.manifest().budget_s)
        for one in runs_of(state).all()
    ]
    assert found == [(pull.head, 8), (pull.base, 8), (pull.head, 6), (pull.base, 6)]
    for report, budget in ((first, "8 s"), (second, "6 s")):
        assert inline(f"The base was run with the head's budget, {budget}; its plan") in report
        assert "budgets differ" not in report
        assert "Better than the base" not in report


@pytest.mark.docker
def test_a_candidate_of_the_head_runs_in_a_container_only(tmp_path: Path) -> None:
    sandbox_or_skip().close()
    pull, state = make(tmp_path, hostile=True, plan=True, rows=1200), tmp_path / "state"
    with serving(state, pull) as case:
        case.tell("/mlagent execute --option option_a --budget 10s")
        (job,) = case.drain()
        assert (job.state, job.reason) == ("done", "")
        (text,) = case.answers()
    assert "tier T3" in text
    row = next(line for line in text.splitlines() if "candidates&#47;mine" in line)
    assert "| 0.5000 |" in row, "a constant ranks like a coin"
    assert "worse" in row
    assert not pull.canary.exists()
    tried = [run for run in runs_of(state).all() if run.manifest().kind == "try"]
    assert [run.manifest().tier for run in tried] == ["T3"]


@pytest.mark.usefixtures("no_engine")
def test_contracts_come_from_the_base(tmp_path: Path) -> None:
    """The base's own contract is broken, the head mends it: it is still the base's that holds."""
    pull = make(tmp_path, hostile=False)
    file = pull.folder / "contracts" / "ml-engineer.yaml"
    file.parent.mkdir()
    file.write_text("name: ml-engineer\n")
    base = commit(pull.folder, "a broken contract")
    file.unlink()
    head = commit(pull.folder, "no contract")
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.pull(1, [head], base)
        with bot(tmp_path / "state", hub, pull.server) as case:
            case.tell('/mlagent plan "churn model"')
            assert [job.state for job in case.drain()] == ["failed"]
            assert "contracts&#47;ml-engineer&#46;yaml" in case.answers()[0]


def test_a_checkout_holds_plain_files_and_the_bases_rules(tmp_path: Path) -> None:
    pull = make(tmp_path, hostile=True)
    (pull.folder / "churn.csv").unlink()
    head = commit(pull.folder, "the table is gone")
    mirror = Mirror(tmp_path / "mirror.git", f"{pull.server}/{REPO}", "")
    mirror.fetch(head, pull.base)
    into = tmp_path / "checkout"
    with mirror.checkout(head, pull.base, into) as written:
        assert written.candidates == ("candidates/mine",)
        assert not any(path.is_symlink() for path in into.rglob("*"))
        assert not (into / "secret").exists()
        assert not (into / "runs").exists()
        assert not (into / "loose.csv").exists(), "no table of the head"
        assert len((into / "churn.csv").read_text().splitlines()) == 401, "the base's table"
        assert (into / "mlagent.yaml").read_bytes() == blob(pull, pull.base, "mlagent.yaml")
        assert (into / "README.md").read_text() == "A change.\n"
        assert git(into, "rev-parse", "HEAD") == head
        assert any("mlagent.yaml" in note for note in written.notes)
    assert not into.exists()
    trees = git(tmp_path / "mirror.git", "worktree", "list", "--porcelain")
    assert str(into) not in trees
    mirror.close()
    assert not pull.canary.exists()


def test_what_a_checkout_leaves_out_is_said(tmp_path: Path) -> None:
    pull = make(tmp_path, hostile=False)
    for number in range(7):
        folder = pull.folder / f"candidate_{number}"
        folder.mkdir()
        (folder / "solution.py").write_text(f"# {number}\n")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (pull.folder / "big.bin").write_text(pointer)
    head = commit(pull.folder, "seven candidates")
    mirror = Mirror(tmp_path / "mirror.git", f"{pull.server}/{REPO}", "")
    mirror.fetch(head, pull.base)
    with mirror.checkout(head, pull.base, tmp_path / "checkout") as written:
        assert written.candidates == tuple(f"candidate_{number}" for number in range(5))
        assert any("'big.bin' is a Git LFS pointer" in note for note in written.notes)
        assert any("Of 7 candidates" in note for note in written.notes)
    mirror.close()


def blob(pull: PullRequest, commit_id: str, name: str) -> bytes:
    return git(pull.folder, "show", f"{commit_id}:{name}").encode() + b"\n"


def test_a_token_stands_in_no_file_of_the_mirror(tmp_path: Path) -> None:
    pull = make(tmp_path, hostile=False)
    mirror = Mirror(tmp_path / "mirror.git", f"{pull.server}/{REPO}", TOKEN)
    mirror.fetch(pull.head, pull.base)
    mirror.close()
    for file in (tmp_path / "mirror.git").rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()


def children(state: Path) -> list[int]:
    """Processes that carry the mark of this bot."""
    wanted, found = f"{MARK}={state.resolve()}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.usefixtures("no_engine")
def test_a_bot_that_goes_down_leaves_its_job_in_the_queue(tmp_path: Path) -> None:
    pull, state = make(tmp_path, hostile=False), tmp_path / "state"
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.pull(1, [pull.head], pull.base)
        with bot(state, hub, pull.server) as before:
            comment, _ = before.tell('/mlagent plan "churn model"')
            second, _ = before.tell("/mlagent help")
            before.parts.workers.start()
            for _ in range(400):
                if children(state):
                    break
                before.stop.wait(0.02)
            assert children(state), "the plan is being made"
            before.parts.workers.end()
            assert children(state) == []
            assert before.parts.queue.jobs()[0].state == "running"
            assert reactions(comment) == ["eyes"]
        with bot(state, hub, pull.server) as after:
            assert [job.attempts for job in after.parts.queue.recover()][:1] == [1]
            assert [job.state for job in after.drain()] == ["done", "done"]
            assert len(after.answers()) == 2
    assert reactions(comment) == reactions(second) == ["eyes", "rocket"]


def test_two_bots_do_not_share_a_folder(tmp_path: Path) -> None:
    pull = PullRequest("file:///nonexistent", tmp_path, "2" * 40, "1" * 40, tmp_path)
    with (
        serving(tmp_path / "state", pull),
        pytest.raises(BadInput, match="Another bot"),
        serving(tmp_path / "state", pull),
    ):
        pass


@pytest.mark.parametrize(("role", "answered"), [("write", 1), ("read", 0)])
def test_one_event_of_actions_is_handled_without_a_server(
    tmp_path: Path, role: str, answered: int
) -> None:
    with FakeGitHub(REPO) as hub:
        accounts(hub, role)
        hub.actions(TOKEN)
        hub.pull(1, ["1" * 40], "2" * 40)
        author = hub.accounts["authors-token"]
        comment = hub.comment(1, author, "/mlagent help")
        file = tmp_path / "event.json"
        file.write_text(json.dumps(created("/mlagent help", comment.id)))
        flags = BotFlags(tmp_path / "state", (REPO,), 60.0)
        environment = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": hub.url,
            "GITHUB_EVENT_NAME": "issue_comment",
        }
        if answered:
            assert handle_event(flags, file, environment, connect).startswith("Done")
            assert "came before" in handle_event(flags, file, environment, connect)
        else:
            with pytest.raises(MlagentError, match="refused"):
                handle_event(flags, file, environment, connect)
        said = [one for one in hub.of(1) if one.author.login == "github-actions[bot]"]
        assert len(said) == answered
        assert reactions(comment) == (["eyes", "rocket"] if answered else ["-1"])


def test_an_event_whose_command_could_not_be_answered_ends_with_the_reaction(
    tmp_path: Path,
) -> None:
    """A job of Actions comes once: nobody would try the command again."""
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.actions(TOKEN)
        hub.pull(1, ["1" * 40], "2" * 40)
        hub.faults.append(Fault("POST", r"/issues/1/comments$", 502))
        comment = hub.comment(1, hub.accounts["authors-token"], "/mlagent help")
        file = tmp_path / "event.json"
        file.write_text(json.dumps(created("/mlagent help", comment.id)))
        environment = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": hub.url,
            "GITHUB_EVENT_NAME": "issue_comment",
        }
        flags = BotFlags(tmp_path / "state", (REPO,), 60.0)
        with pytest.raises(MlagentError, match="The command was failed: .*502"):
            handle_event(flags, file, environment, connect)
        assert reactions(comment) == ["eyes", "-1"]
        assert Queue(flags.state / "queue.sqlite3").open() == 0
