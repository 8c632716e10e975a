"""A whole session with the SDK's client: list, plan, run with progress, report, read, compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp_clients import MODES

from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.plan import Plan
from mlagent.contracts.run import Manifest
from mlagent.documents import read_record

READING = {
    "mlagent_profile",
    "mlagent_review_plan",
    "mlagent_contract",
    "mlagent_run_status",
    "mlagent_compare_runs",
    "mlagent_gates",
    "mlagent_report",
}
WRITING = {"mlagent_plan", "mlagent_run", "mlagent_try"}


@pytest.mark.parametrize("mode", MODES)
def test_ten_tools_are_listed_and_run_alone_asks_the_user(
    standing: Any, churn: Path, mode: str
) -> None:
    async def script(talk: Any) -> Any:
        return (await talk.client.list_tools()).tools

    tools = {tool.name: tool for tool in standing(churn, script, mode=mode)}
    assert set(tools) == READING | WRITING
    asking = {
        name
        for name, tool in tools.items()
        if (tool.meta or {}).get("anthropic/requiresUserInteraction") is True
    }
    assert asking == {"mlagent_run"}
    assert {name for name, tool in tools.items() if tool.annotations.read_only_hint} == READING
    for tool in tools.values():
        assert 0 < len(tool.description) <= 2048
        assert not {"anyOf", "oneOf", "allOf"} & set(tool.input_schema)
        assert tool.output_schema["type"] == "object"
        for argument in tool.input_schema["properties"].values():
            assert "title" not in argument


def test_the_instructions_fit_what_claude_code_shows(session: Any, churn: Path) -> None:
    async def script(talk: Any) -> str:
        return str(talk.client.instructions)

    text = session(churn, script)
    assert "mlagent_plan" in text
    assert len(text.encode()) <= 2048


def test_a_plan_is_written_and_says_its_options(recorded: Any) -> None:
    planned = recorded.planned
    plan = read_record(Plan, (recorded.folder / "plan.yaml").read_text(), "plan.yaml")
    assert planned["target"] == plan.task.target == "churned"
    assert planned["table"] == "churn.csv"
    assert planned["roots_from"] == "client"
    assert {agent["agent"] for agent in planned["agents"]} == set(plan.agent_plans)
    for agent in planned["agents"]:
        assert agent["selected"] == plan.selection[agent["agent"]]
        assert len(agent["options"]) in (2, 3)


def test_a_run_reports_progress_until_it_is_finished(recorded: Any) -> None:
    assert recorded.run["state"] == "finished"
    assert recorded.run["tier"] == "T0"
    manifest = Manifest.model_validate_json(
        (recorded.folder / "runs" / recorded.run["run"] / "manifest.json").read_bytes()
    )
    assert recorded.run["verdict"] == manifest.verdict
    assert recorded.run["phases_done"][-1] == "report"
    at = [item[0] for item in recorded.progress]
    assert at == sorted(set(at))
    assert len(at) >= 4
    assert max(b - a for a, b in zip(at, at[1:], strict=False)) < 10
    assert {item[1] for item in recorded.progress if item[1] is not None} == {10.0}
    told = " ".join(str(item[2]) for item in recorded.progress)
    assert "ml-engineer: baselines and folds" in told
    assert "verdict" in told


def test_the_report_holds_the_numbers_of_the_evaluation(recorded: Any) -> None:
    run = recorded.folder / "runs" / recorded.run["run"]
    evaluation = Evaluation.model_validate_json((run / "evaluation.json").read_bytes())
    report = recorded.report
    assert report["score"]["value"] == pytest.approx(evaluation.model.value, rel=1e-5)
    assert report["score"]["n"] == evaluation.model.n == 80
    assert report["baselines"].keys() == {"dummy", "linear"}
    assert report["difference_to_linear"]["verdict"] == evaluation.difference_to_linear.verdict
    assert (recorded.folder / report["report"]).is_file()
    assert (recorded.folder / report["model_card"]).is_file()


def test_nothing_in_the_project_folder_was_imported(recorded: Any) -> None:
    assert not recorded.marker.exists()


def test_default_answers_stay_under_2000_tokens(recorded: Any) -> None:
    assert {name: size for name, size in recorded.sizes.items() if size > 3 * 2000} == {}


@pytest.mark.parametrize("mode", MODES)
def test_resources_and_prompts_are_read(standing: Any, recorded: Any, mode: str) -> None:
    run = recorded.run["run"]

    async def script(talk: Any) -> dict[str, str]:
        templates = (await talk.client.list_resource_templates()).resource_templates
        texts = {"templates": " ".join(item.uri_template for item in templates)}
        for name in (f"runs/{run}/report", f"runs/{run}/plan", "contracts/data-explorer"):
            read = await talk.client.read_resource(f"mlagent://{name}")
            texts[name] = read.contents[0].text
        for name, words in (("plan", {"task": "churn\nmodel"}), ("review", {})):
            prompt = await talk.client.get_prompt(name, words)
            texts[name] = prompt.messages[0].content.text
        return texts

    texts = standing(recorded.folder, script, mode=mode)
    for template in ("contracts/{agent}", "runs/{id}/report", "runs/{id}/plan"):
        assert f"mlagent://{template}" in texts["templates"]
    folder = recorded.folder / "runs" / run
    assert texts[f"runs/{run}/report"] == (folder / "model_card.md").read_text()
    assert texts[f"runs/{run}/plan"] == (folder / "plan.yaml").read_text()
    assert "name: data-explorer" in texts["contracts/data-explorer"]
    assert "    churn model\n" in texts["plan"]
    assert "mlagent_review_plan" in texts["review"]


def test_what_is_not_there_is_a_sentence(standing: Any, recorded: Any) -> None:
    async def script(talk: Any) -> list[str]:
        from mcp import MCPError

        said = [
            await talk.refused("report", run="20990101"),
            await talk.refused("contract", agent="web-designer"),
            await talk.refused(
                "compare_runs", first=recorded.run["run"], second=recorded.run["run"]
            ),
            await talk.refused("plan", task=" "),
            await talk.refused("plan", task="churn model", taget="churned"),
            await talk.refused("plan", task="churn model", seed=-1),
            await talk.refused("plan"),
            await talk.refused("run", budget="soon"),
            await talk.refused("run", action="stop"),
            await talk.refused("run", action="resume"),
            await talk.refused("run", select={"ml-engineer": "option_z"}),
        ]
        for name in ("runs/20990101/report", "contracts/web-designer"):
            with pytest.raises(MCPError) as problem:
                await talk.client.read_resource(f"mlagent://{name}")
            said.append(str(problem.value))
        return said

    said = standing(recorded.folder, script)
    for part, sentence in zip(
        (
            "no one run '20990101'",
            "no agent 'web-designer'",
            "compared with itself",
            "The task is empty",
            "no argument 'taget'. Did you mean 'target'?",
            "'seed'",
            "'task'",
            "'soon'",
            "Nothing is at work",
            "no unfinished run",
            "option_z",
            "no one run '20990101'",
            "no agent 'web-designer'",
        ),
        said,
        strict=True,
    ):
        assert part in sentence
        assert "Traceback" not in sentence


def test_a_second_run_is_compared_on_the_same_rows(standing: Any, twice: Any) -> None:
    async def script(talk: Any) -> Any:
        return await talk.facts("compare_runs", first=twice[0], second=twice[1])

    made = standing(twice.folder, script)
    assert (made["first"], made["second"]) == (twice[0], twice[1])
    assert made["rows"] == 80
    gap = made["difference"]
    assert gap["low"] <= gap["value"] <= gap["high"]
    covers = gap["low"] <= 0 <= gap["high"]
    assert (gap["verdict"] == "not distinguishable") is covers
    assert json.dumps(made)
