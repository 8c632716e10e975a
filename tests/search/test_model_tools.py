"""What each tool gives: aggregates and masked text, of files and rows that the contract names."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from desks import EmptySandbox, desk_at
from engineers import ANALYSE, CONTENT, CONTRACT, FORGED
from planning_tables import churn, context

from mlagent.agents.model_tools import (
    MOST_ANALYSES,
    MOST_QUESTIONS,
    AskUser,
    LookAtProfile,
    ReadArtifact,
    RunAnalysis,
)
from mlagent.agents.tool_loop import (
    Refusal,
    Tool,
    offered,
)
from mlagent.contracts.ports import Job, Outcome
from mlagent.data.frames import write_frame
from mlagent.orchestrator.masking import CELL, NUMBER, Mask
from mlagent.sandbox.process_tier import ProcessSandbox


def test_the_profile_tells_of_columns_and_of_no_others() -> None:
    tool = LookAtProfile(context(churn()))
    told = tool.use({"columns": ["tenure", "contract", "tenure"]})
    assert told.count("tenure") == 1
    assert "contract" in told
    assert "region" not in told
    assert "999" not in LookAtProfile(context(churn())).use({"columns": ["charges"]}), "a maximum"
    for wrong in ({}, {"columns": "tenure"}, {"columns": []}, {"columns": [1]}):
        with pytest.raises(Refusal):
            tool.use(wrong)
    with pytest.raises(Refusal, match="no column 'nope'"):
        tool.use({"columns": ["nope"]})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with files, a link out of it, and something outside."""
    folder = tmp_path / "run"
    found = folder / "artifacts" / "data-explorer"
    found.mkdir(parents=True)
    (tmp_path / "secret.json").write_text('"outside"')
    (found / "link.json").symlink_to(tmp_path / "secret.json")
    (found / "folder.json").mkdir()
    (found / "binary.json").write_bytes(b"\xff\xfe\x00")
    (found / "broken.json").write_text("{")
    (found / "large.json").write_text("1" * (2**20 + 1))
    looks = [{"name": "fee", "edges": [1.2345678, 918273.645], "association": 0.123456}]
    (found / "exploration.json").write_text(json.dumps({"looks": looks}))
    candidate = folder / "artifacts" / "ml-engineer" / "option_a"
    candidate.mkdir(parents=True)
    (candidate / "solution.py").write_text("".join(f"line_{i} = {i}\n" for i in range(2_000)))
    (folder / "seal.json").write_text('{"vault_rows": [1]}')
    (folder / "artifacts" / "linked").symlink_to(found)
    return folder


def plain(text: str, code: str) -> str:
    return text


def test_an_artifact_is_read_without_extremes(run: Path) -> None:
    told = ReadArtifact(run, CONTRACT, plain).use(
        {"path": "/run/artifacts/data-explorer/exploration.json"}
    )
    assert "0.123" in told
    assert "0.1234" not in told
    assert "918273" not in told


def test_a_long_artifact_has_pages(run: Path) -> None:
    tool = ReadArtifact(run, CONTRACT, plain)
    path = "/run/artifacts/ml-engineer/option_a/solution.py"
    first = tool.use({"path": path})
    number = int(re.match(r"page 1 of (\d+)\n", first)[1])  # type: ignore[index]
    pages = [tool.use({"path": path, "page": n + 1}).split("\n", 1)[1] for n in range(number)]
    whole = run / "artifacts" / "ml-engineer" / "option_a" / "solution.py"
    assert "\n".join(pages) + "\n" == whole.read_text()
    with pytest.raises(Refusal, match=f"{number} page"):
        tool.use({"path": path, "page": number + 1})


@pytest.mark.parametrize(
    "path",
    [
        "/run/seal.json",
        "/run/../secret.json",
        "/run/artifacts/data-explorer/../../seal.json",
        "/run/artifacts/data-explorer/link.json",
        "/run/artifacts/data-explorer/folder.json",
        "/run/artifacts/data-explorer/binary.json",
        "/run/artifacts/data-explorer/broken.json",
        "/run/artifacts/data-explorer/large.json",
        "/run/artifacts/data-explorer/absent.json",
        "/run/artifacts/linked/exploration.json",
        "/run/artifacts/data-explorer/a\0.json",
        "/run/artifacts//data-explorer/./../data-explorer/link.json",
        "/in/train.parquet",
        "/etc/passwd",
        "artifacts/data-explorer/exploration.json",
        "",
        7,
    ],
)
def test_no_other_file_is_read(run: Path, path: Any) -> None:
    with pytest.raises(Refusal):
        ReadArtifact(run, CONTRACT, plain).use({"path": path})


def test_what_the_contract_does_not_name_is_not_read(run: Path) -> None:
    none = CONTRACT.model_copy(update={"reads": ("/in/*.parquet",)})
    with pytest.raises(Refusal, match="does not allow"):
        ReadArtifact(run, none, plain).use(
            {"path": "/run/artifacts/data-explorer/exploration.json"}
        )


class Printing(EmptySandbox):
    """A sandbox in which every job prints the same."""

    tier = "T3"

    def __init__(self, log: str) -> None:
        self.log, self.jobs = log, list[Job]()

    def run(self, job: Job, on_line: Any = None, stop: Any = None) -> Outcome:
        self.jobs.append(job)
        return Outcome("ok", "ended", 0, 0.1, self.log)


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    table = {"note": ["Mrs. Quigley called", "zq-canary-7731"], "fee": [918273.645, 2.0]}
    path = tmp_path / "dev.parquet"
    write_frame(pd.DataFrame(table), path)
    return path


def test_an_analysis_runs_as_a_strangers_code_on_dev_rows_and_is_masked(
    tmp_path: Path, dev: Path
) -> None:
    sandbox = Printing(f"mean 0.837 of Quigley, zq-canary-7731, 918273.645 {FORGED}")
    mask = Mask(dev, ["note"], ["note", "fee"])
    tool = RunAnalysis(desk_at(sandbox, tmp_path, 512, 1), CONTRACT, dev, mask.clean)
    told = tool.use({"code": ANALYSE})
    (job,) = sandbox.jobs
    assert (job.code, job.command) == ("D", "script")
    assert job.inputs["dev.parquet"] == dev
    assert set(job.inputs) == {"script.py", "question_code.py", "dev.parquet"}
    assert "mean 0.837 of" in told
    assert CELL in told
    assert NUMBER in told
    for hidden in ("Quigley", "canary", "918273"):
        assert hidden not in told


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def analyse(:", "does not parse"),
        ("x = 1", "no function 'analyse'"),
        ("x" * 50_000, "longer than"),
        ("", "missing, empty"),
        (None, "no text"),
        ("(" * 5_000, "does not parse"),
    ],
)
def test_an_analysis_that_cannot_run_is_refused(
    tmp_path: Path, dev: Path, code: Any, said: str
) -> None:
    sandbox = Printing("")
    tool = RunAnalysis(desk_at(sandbox, tmp_path, 512, 1), CONTRACT, dev, plain)
    with pytest.raises(Refusal, match=said):
        tool.use({"code": code})
    assert sandbox.jobs == []


def test_analyses_of_a_run_are_bounded(tmp_path: Path, dev: Path) -> None:
    sandbox = Printing("fine")
    tool = RunAnalysis(desk_at(sandbox, tmp_path, 512, 1), CONTRACT, dev, plain)
    described = tool.described
    for _ in range(MOST_ANALYSES):
        tool.use({"code": ANALYSE})
    with pytest.raises(Refusal, match="no more are"):
        tool.use({"code": ANALYSE})
    assert tool.described == described, "a request's tools stay the same, so they stay cached"


@pytest.mark.parametrize(
    ("gone", "said"), [({"tools": ("run_analysis",)}, "'script'"), ({"reads": ()}, "/in/script.py")]
)
def test_an_analysis_needs_its_clauses(
    tmp_path: Path, dev: Path, gone: dict[str, Any], said: str
) -> None:
    sandbox = Printing("")
    contract = CONTRACT.model_copy(update=gone)
    tool = RunAnalysis(desk_at(sandbox, tmp_path, 512, 1), contract, dev, plain)
    with pytest.raises(Refusal, match=said):
        tool.use({"code": ANALYSE})
    assert sandbox.jobs == []


def test_without_a_container_tier_no_analysis_runs(tmp_path: Path, dev: Path) -> None:
    desk = desk_at(ProcessSandbox(CONTENT), tmp_path, 512, 1)
    tool = RunAnalysis(desk, CONTRACT, dev, plain)
    with pytest.raises(Refusal, match="Analyses do not run here"):
        tool.use({"code": ANALYSE})


def test_the_user_is_asked_at_a_terminal_only_and_not_for_ever() -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "only after they left"

    tool = AskUser(answer)
    told = tool.use({"question": "Is fee known then?\x1b[2J\n\nyes/no"})
    assert told == "only after they left"
    assert asked == ["Is fee known then?  yes/no"]
    for _ in range(MOST_QUESTIONS - 1):
        tool.use({"question": "and?"})
    with pytest.raises(Refusal, match="often enough"):
        tool.use({"question": "and?"})
    assert AskUser(lambda _: None).use({"question": "hello?"}) == "Nobody is here to answer."
    with pytest.raises(Refusal):
        AskUser(answer).use({"question": " "})


@pytest.mark.parametrize("tool", [LookAtProfile(context(churn())), AskUser(lambda _: None)])
def test_tools_are_described_as_the_sdk_wants_them(tool: Tool) -> None:
    from anthropic.types import ToolParam

    from mlagent.testing.request_types import fault

    (described,) = offered(CONTRACT, [tool])
    assert fault(described, ToolParam) is None
