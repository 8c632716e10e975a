"""No job runs that its agent's contract does not allow; limits never exceed the contract's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desks import EmptySandbox, Silence, desk_at

from mlagent.agents.jobs import Desk, last_words, permit
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.findings import Exploration
from mlagent.contracts.ports import Collected, Job, OnLine, Outcome


class RecordingSandbox(EmptySandbox):
    """Runs nothing: keeps the jobs it was given and hands out prepared results."""

    tier = "T0"

    def __init__(self, results: list[str]) -> None:
        self.jobs: list[Job] = []
        self.results = results

    def run(
        self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
    ) -> Outcome:
        self.jobs.append(job)
        path = job.into / "result.json"
        path.write_text(self.results.pop(0))
        file = Collected("result.json", path, path.stat().st_size, "0" * 64)
        return Outcome("ok", "The code ended by itself.", 0, 0.1, "", {"result.json": file})


GOOD = (
    '{"schema": "mlagent/exploration/v1", "rows": 3, "rows_used": 3, "roles": {"columns": {}}, '
    '"looks": [], "findings": []}'
)


def desk(tmp_path: Path, results: list[str], **changes: Any) -> tuple[Desk, RecordingSandbox]:
    sandbox = RecordingSandbox(results)
    made = desk_at(sandbox, tmp_path, memory_mb=10_000_000, cpus=9_999, **changes)
    return made, sandbox


def look(made: Desk, tmp_path: Path) -> Exploration:
    return made.script(
        "data-explorer",
        "explore",
        "templates/explore/explore.py",
        Exploration,
        table=tmp_path / "dev.parquet",
        request={},
        into=tmp_path,
        wall_s=10**9,
    )


def test_a_command_outside_the_contract_is_refused_before_anything_runs(tmp_path: Path) -> None:
    made, sandbox = desk(tmp_path, [])
    with pytest.raises(MlagentError, match="does not allow 'fit'"):
        made.run(
            "data-explorer",
            "x",
            "fit",
            inputs={},
            outputs={},
            into=tmp_path,
            wall_s=1,
            code="B",
        )
    assert sandbox.jobs == []


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        (("vault.csv",), (), "reading /in/vault.csv"),
        ((), ("labels.csv",), "writing /out/labels.csv"),
    ],
)
def test_paths_outside_the_contract_are_refused(
    inputs: tuple[str, ...], outputs: tuple[str, ...], words: str
) -> None:
    contract = load_contracts(Content())["ml-engineer"]
    with pytest.raises(MlagentError, match=words):
        permit(contract, "fit", inputs, outputs)


def test_limits_are_cut_to_what_the_contract_allows(tmp_path: Path) -> None:
    made, sandbox = desk(tmp_path, [GOOD])
    look(made, tmp_path)
    allowed = made.contracts["data-explorer"].resources
    (job,) = sandbox.jobs
    assert job.limits.memory_mb == allowed.memory_mb
    assert job.limits.cpus == allowed.cpus
    assert job.limits.wall_s == allowed.wall_s


def test_an_agent_tries_again_only_as_often_as_the_policy_allows(tmp_path: Path) -> None:
    made, sandbox = desk(tmp_path, ['{"rows": "many"}', GOOD], retries=1)
    assert look(made, tmp_path).rows == 3
    assert len(sandbox.jobs) == 2
    made, sandbox = desk(tmp_path, ['{"rows": "many"}', GOOD], retries=0)
    with pytest.raises(MlagentError, match="did not deliver a valid record"):
        look(made, tmp_path)
    assert len(sandbox.jobs) == 1


def test_a_candidates_progress_is_shown_as_its_claim_and_nothing_else_is(tmp_path: Path) -> None:
    made, _ = desk(tmp_path, [])
    seen: list[dict[str, Any]] = []

    class Screen(Silence):
        def update(self, /, **facts: Any) -> None:
            seen.append(facts)

    made.progress = Screen()
    on_line = made.claims("option_b")
    for line in ('{"progress": {"best": 0.9, "trial": 3}}', '{"progress": [1]}', "hello", '{"x'):
        on_line(line)
    assert seen == [{"candidate": "option_b", "best": 0.9, "trial": 3}]


def test_a_claim_cannot_break_or_steer_what_shows_it(tmp_path: Path) -> None:
    made, _ = desk(tmp_path, [])
    shown: list[dict[str, Any]] = []

    class Screen(Silence):
        def update(self, /, **facts: Any) -> None:
            shown.append(facts)

    made.progress = Screen()
    on_line = made.claims("option_b")
    for key in ("candidate", "self", "\\u001b[2Jx", "\\ud800"):
        on_line(f'{{"progress": {{"{key}": "\\u001b]0;y\\u0007z"}}}}')
    on_line('{"progress": {"n": 1' + "0" * 400 + "}}")
    assert [facts["candidate"] for facts in shown] == ["option_b"] * 5
    assert shown[1]["self"] == "z"
    assert all(str(part).isprintable() for facts in shown for part in (*facts, *facts.values()))
    assert len(str(shown[4]["n"])) <= 40


def test_an_error_says_once_how_a_script_failed(tmp_path: Path) -> None:
    class Failing(RecordingSandbox):
        def run(
            self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
        ) -> Outcome:
            return Outcome("exit", "The code failed: KeyError: 'x'.", 1, 0.1, "KeyError: 'x'")

    made, _ = desk(tmp_path, [])
    made.sandbox = Failing([])
    with pytest.raises(MlagentError) as caught:
        look(made, tmp_path)
    assert f"{caught.value.message} {caught.value.remedy}".count("KeyError") == 1


def test_the_last_words_of_failed_code_are_one_short_line() -> None:
    assert last_words("a\n\nValueError: no\n\n") == "Its last words: ValueError: no"
    assert last_words("") == ""
    assert len(last_words("x" * 5000)) < 400
