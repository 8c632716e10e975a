"""A client that has tool arguments is told of arguments, never of flags."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mlagent.doors.mcp.wording import in_words
from mlagent.testing.tables import churn_frame, write_csv


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Choose one with --data, such as: --data a.csv", 'with `data`, such as: data="a.csv"'),
        ("Write --vault auto, or --vault 0.", 'Write vault="auto", or vault="0".'),
        ("Leave it out with --exclude 'a b'.", "Leave it out with exclude=['a b']."),
        ("Leave --positive out.", "Leave `positive` out."),
        ("--constraint monotone names 'x'", "the constraint monotone names 'x'"),
        ('Make one first: mlagent plan "churn"', 'first: mlagent_plan with task="churn"'),
        (
            "Plan again: mlagent plan 'churn' --data a.csv",
            "mlagent_plan with task='churn' and data=\"a.csv\"",
        ),
        (
            "`mlagent runs` lists them; `mlagent execute --resume` goes on.",
            'mlagent_run_status lists them; mlagent_run with action="resume" goes on.',
        ),
        ('Start with `mlagent plan "..."`, then.', 'mlagent_plan with task="...", then.'),
        ("Plan with `--time COL`.", "Plan with `time COL`."),
        ("Run it anyway with --force.", "Run it anyway with force=true."),
        ("Run `mlagent sandbox build`.", "Run `mlagent sandbox build`."),
        ("Start it: mlagent mcp --root DIR", "mlagent mcp --root DIR"),
        ("There is no column '--data' in it.", "There is no column '--data' in it."),
        ("mlagent does classification.", "mlagent does classification."),
    ],
)
def test_a_flag_becomes_an_argument(said: str, wanted: str) -> None:
    assert wanted in in_words(said)


BAD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("plan", {"target": "nope"}),
    ("plan", {"metric": "nope"}),
    ("plan", {"metric": "rmse"}),
    ("plan", {"positive": "perhaps"}),
    ("plan", {"exclude": ["churned"]}),
    ("plan", {"group": "nope"}),
    ("plan", {"time": "region"}),
    ("plan", {"ids": ["nope"]}),
    ("plan", {"group": "region", "time": "tenure_months"}),
    ("plan", {"constraints": ["monotone=region:+"]}),
    ("plan", {"constraints": ["nope"]}),
    ("plan", {"task": ""}),
    ("plan", {"task": "forecast sales"}),
    ("profile", {"target": "nope"}),
    ("profile", {"data": ""}),
    ("run", {"vault": "much"}),
    ("run", {"vault": "0.2", "test": "churn.csv"}),
    ("run", {"test": "nope.csv"}),
    ("run", {"action": "resume"}),
    ("run", {"run": "x"}),
    ("report", {}),
    ("gates", {}),
    ("compare_runs", {"first": "a", "second": "b"}),
    ("try", {"candidate": ""}),
    ("review_plan", {"plan": "nope.yaml"}),
)


async def nobody(*asked: Any) -> None:
    """A user who is never asked: what is refused is refused before."""
    raise AssertionError(asked)


def test_no_refusal_names_a_flag_or_a_command(standing: Any, churn: Path) -> None:
    async def script(talk: Any) -> list[str]:
        said = [await talk.refused("run"), await talk.refused("review_plan")]
        await talk.facts("plan", task="churn model")
        for name, arguments in BAD:
            given = {"task": "churn model"} | arguments if name == "plan" else arguments
            said.append(await talk.refused(name, **given))
        return said

    for sentence in standing(churn, script, user=nobody):
        assert not re.search(r"--[a-z]|mlagent [a-z]+\b.*[`\"]", sentence), sentence


@pytest.mark.parametrize("name", ["profile", "plan"])
def test_an_empty_name_of_a_table_says_which_there_are(
    standing: Any, churn: Path, name: str
) -> None:
    async def script(talk: Any) -> str:
        more = {"task": "churn model"} if name == "plan" else {}
        return str(await talk.refused(name, data="", **more))

    said = standing(churn, script)
    assert "`data` is an empty text. Tables here: 'churn.csv'." in said


def test_only_tables_that_would_be_taken_are_offered(
    standing: Any, churn: Path, tmp_path: Path
) -> None:
    """A link that leads outside is none, neither in the list nor as the only one."""
    outside = tmp_path / "outside.csv"
    write_csv(churn_frame(60), outside)
    (churn / "link.csv").symlink_to(outside)
    alone = churn / "alone"
    alone.mkdir()
    (alone / "link.csv").symlink_to(outside)
    write_csv(churn_frame(60), churn / "other.csv")

    async def script(talk: Any) -> list[str]:
        return [
            await talk.refused("profile"),
            await talk.refused("profile", data="nope.csv"),
            await talk.refused("plan", task="churn model", folder="alone"),
        ]

    several, absent, lonely = standing(churn, script)
    assert "'churn.csv', 'other.csv'" in several
    assert 'data="churn.csv"' in several
    assert "Tables here: 'churn.csv', 'other.csv'" in absent
    assert "link.csv" not in several + absent
    assert "lies outside" in lonely
    assert not (alone / "plan.yaml").exists()

    (churn / "other.csv").unlink()

    async def one(talk: Any) -> Any:
        return await talk.facts("profile")

    assert standing(churn, one)["table"] == "churn.csv"


def test_a_refusal_is_short_and_quotes_no_file_that_is_no_plan(standing: Any, churn: Path) -> None:
    (churn / ".env").write_text("TOKEN-4711\n")

    async def script(talk: Any) -> list[str]:
        return [
            await talk.refused("plan", task="forecast " + "x" * 9_000),
            await talk.refused("review_plan", plan=".env"),
            await talk.refused("review_plan", plan="churn.csv"),
            await talk.refused("profile", folder="nope"),
        ]

    long, hidden, table, folder = standing(churn, script)
    assert len(long) <= 2_000
    assert "out of scope" in long
    for said in (hidden, table):
        assert "a plan is a YAML file" in said
        assert "4711" not in said
        assert "tenure" not in said
    assert "leave `folder` out" in folder


@pytest.mark.parametrize("value", ["x" * 5_000, "a/" * 2_000 + "x.csv", "b\x1b[31mred\x07.csv"])
def test_a_long_or_unprintable_name_is_not_echoed(standing: Any, churn: Path, value: str) -> None:
    """Neither from an argument nor from a file that somebody edited."""

    async def script(talk: Any) -> list[str]:
        said = [
            await talk.refused("profile", data=value),
            await talk.refused("profile", folder=value),
            await talk.refused("plan", task="churn model", target=value),
            await talk.refused("plan", task="churn model", metric=value),
            await talk.refused("report", run=value),
            await talk.refused(value),
        ]
        await talk.facts("plan", task="churn model")
        plan = churn / "plan.yaml"
        plan.write_text(plan.read_text().replace("path: churn.csv", f"path: {json.dumps(value)}"))
        said.append(await talk.refused("run"))
        said.append(" ".join((await talk.facts("review_plan"))["reasons"]))
        (churn / "mlagent.yaml").write_text(f"data: {json.dumps(value)}\n")
        return [*said, await talk.refused("profile")]

    for sentence in standing(churn, script):
        assert len(sentence) < 1_000, sentence
        assert value not in sentence
        assert all(sign.isprintable() or sign == "\n" for sign in sentence)
        assert "defect" not in sentence


def test_a_table_with_an_odd_name_is_shown_cleanly(standing: Any, churn: Path) -> None:
    (churn / "churn.csv").rename(churn / "a\x1b[31m\nb.csv")

    async def script(talk: Any) -> list[str]:
        done = await talk.call("profile")
        return [done.content[0].text, done.structured_content["table"]]

    text, table = standing(churn, script)
    assert "\x1b" not in text + table
    assert table == "a [31m b.csv"
