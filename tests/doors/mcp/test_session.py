"""A whole session with the SDK's client: list, plan, run with progress, report, read, compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mcp_clients import MODES

from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.plan import Plan
from mlagent.contracts.run import Manifest
from mlagent.documents import read_record
from mlagent.doors.mcp.roots import roots_of_client, run_in_roots
from mlagent.testing.tables import build_tree

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
    for template in ("contracts/{agent}", "plan{?folder}", "runs/{id}/report", "runs/{id}/plan"):
        assert f"mlagent://{template}" in texts["templates"]
    folder = recorded.folder / "runs" / run
    assert texts[f"runs/{run}/report"] == (folder / "model_card.md").read_text()
    assert texts[f"runs/{run}/plan"] == (folder / "plan.yaml").read_text()
    assert "name: data-explorer" in texts["contracts/data-explorer"]
    assert "    churn model\n" in texts["plan"]
    assert "mlagent_review_plan" in texts["review"]


@pytest.mark.parametrize("mode", MODES)
def test_the_plan_and_the_runs_of_every_root_are_read(
    standing: Any, recorded: Any, churn: Path, mode: str
) -> None:
    """The project of the runs is the second root; the first one has a plan of its own."""
    run = recorded.run["run"]
    (churn / "plan.yaml").write_text("task: mine\n")

    async def script(talk: Any) -> dict[str, str]:
        from mcp import MCPError

        listed = [str(one.uri) for one in (await talk.client.list_resources()).resources]
        texts = {"listed": " ".join(listed)}
        for name in (f"runs/{run}/plan", "plan", f"plan?folder={quote(str(recorded.folder))}"):
            read = await talk.client.read_resource(f"mlagent://{name}")
            texts[name.partition("=")[0]] = read.contents[0].text
        wrong = [f"plan?folder={folder}" for folder in ("/etc", "none", "..%2F..")]
        for name in ("runs/20990101/plan", *wrong):
            with pytest.raises(MCPError) as problem:
                await talk.client.read_resource(f"mlagent://{name}")
            texts[name] = str(problem.value)
        return texts

    texts = standing(churn, script, mode=mode, roots=(churn, recorded.folder))
    assert texts["listed"] == "mlagent://plan"
    assert texts["plan"] == "task: mine\n"
    assert texts["plan?folder"] == (recorded.folder / "plan.yaml").read_text()
    kept = recorded.folder / "runs" / run / "plan.yaml"
    assert texts[f"runs/{run}/plan"] == kept.read_text()
    assert "no one run '20990101'" in texts["runs/20990101/plan"]
    for outside in ("/etc", "..%2F.."):
        assert "lies outside" in texts[f"plan?folder={outside}"]
    assert "is not a folder" in texts["plan?folder=none"]


def test_a_prefix_of_runs_in_two_roots_is_refused_and_a_whole_id_is_not(tmp_path: Path) -> None:
    ids = ("20260101-120000-01", "20260101-120000-02")
    for root, name in zip(("a", "b"), ids, strict=True):
        build_tree(tmp_path / root, {f"runs/{name}/journal.jsonl": ""})
    roots = roots_of_client([(tmp_path / root).as_uri() for root in ("a", "b")])
    for name, root in zip(ids, ("a", "b"), strict=True):
        place, run = run_in_roots(name, roots)
        assert (place.folder, run.id) == ((tmp_path / root).resolve(), name)
    with pytest.raises(BadInput, match="Several runs are meant by '20260101'"):
        run_in_roots("20260101", roots)
    with pytest.raises(BadInput, match="names no folder"):
        run_in_roots("20260101", roots_of_client([]))


def test_detailed_says_more_where_the_page_says_so(standing: Any, twice: Any) -> None:
    calls = {
        "gates": {"run": twice[0]},
        "contract": {"agent": "ml-engineer", "limit": 200},
        "compare_runs": {"first": twice[0], "second": twice[1]},
    }

    async def script(talk: Any) -> dict[str, Any]:
        return {
            name: [
                await talk.facts(name, **words, response_format=style)
                for style in ("concise", "detailed")
            ]
            for name, words in calls.items()
        }

    said = standing(twice.folder, script)
    for name, (concise, detailed) in said.items():
        assert len(json.dumps(detailed)) > len(json.dumps(concise)), name
    concise, detailed = said["gates"]
    for short, whole in zip(concise["gates"], detailed["gates"], strict=True):
        assert ("evidence" in short) is (short["outcome"] != "pass")
        assert whole["evidence"]
    concise, detailed = said["contract"]
    assert len(detailed["clauses"]) > len(concise["clauses"])
    concise, detailed = said["compare_runs"]
    assert "sides" not in concise
    assert [side["tier"] for side in detailed["sides"]] == ["T0", "T0"]
    assert detailed["sides"][0]["baselines"].keys() == {"dummy", "linear"}


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
