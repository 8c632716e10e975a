"""Only paths below the client's roots, judged by where they really lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from mcp_clients import MODES

from mlagent.contracts.errors import BadInput
from mlagent.doors.mcp.roots import place_of, roots_of_client, roots_without_client
from mlagent.testing.tables import build_tree, churn_frame, write_csv

OUTSIDE = "outside the folders that this client allows"
SECRET = "SECRET-4711"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the root, with a table and a run whose model card is a secret."""
    folder = tmp_path / "outside"
    folder.mkdir()
    write_csv(churn_frame(200, canary=SECRET), folder / "churn.csv")
    build_tree(
        folder,
        {
            "cand/solution.py": "def fit(a, b): ...\ndef predict(a, b): ...\n",
            "runs/20260101-000000-01/journal.jsonl": "",
            "runs/20260101-000000-01/manifest.json": "{}",
            "runs/20260101-000000-01/model_card.md": SECRET,
        },
    )
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_paths_outside_the_roots_are_refused(
    standing: Any, churn: Path, outside: Path, mode: str
) -> None:
    (churn / "link.csv").symlink_to(outside / "churn.csv")
    (churn / "door").symlink_to(outside)
    run = outside / "runs" / "20260101-000000-01"

    async def script(talk: Any) -> list[str]:
        await talk.facts("plan", task="churn model", data="churn.csv")
        return [
            await talk.refused("profile", data=str(outside / "churn.csv")),
            await talk.refused("profile", data="../outside/churn.csv"),
            await talk.refused("profile", data="link.csv"),
            await talk.refused("plan", task="churn model", data="door/churn.csv"),
            await talk.refused("plan", task="churn model", folder=str(outside)),
            await talk.refused("plan", task="churn model", folder="door"),
            await talk.refused("plan", task="churn model", folder=".."),
            await talk.refused("review_plan", plan=str(outside / "plan.yaml")),
            await talk.refused("run", test=str(outside / "churn.csv")),
            await talk.refused("try", candidate=str(outside / "cand")),
            await talk.refused("try", candidate="door/cand"),
            await talk.refused("run_status", folder="/"),
        ] + [await talk.refused(name, run=str(run)) for name in ("report", "gates", "run_status")]

    said = standing(churn, script, mode=mode)
    for sentence in said[:-3]:
        assert OUTSIDE in sentence, sentence
    for sentence in said[-3:]:
        assert "is not the id of a run" in sentence
    assert SECRET not in " ".join(said)
    assert not (churn / "runs").exists()


def test_a_project_whose_own_files_lead_outside_is_refused(
    standing: Any, churn: Path, outside: Path
) -> None:
    names = ("mlagent.yaml", "plan.yaml", "runs", ".mlagent", "plans")
    for name in names:
        (churn / f"with-{name}").mkdir()
        write_csv(churn_frame(60), churn / f"with-{name}" / "churn.csv")
        if not (outside / name).exists():
            (outside / name).write_text(SECRET)
        (churn / f"with-{name}" / name).symlink_to(outside / name)

    async def script(talk: Any) -> list[str]:
        said = []
        for name in names:
            said.append(await talk.refused("plan", task="churn model", folder=f"with-{name}"))
            said.append(await talk.refused("run_status", folder=f"with-{name}"))
            said.append(await talk.refused("report", folder=f"with-{name}"))
        return said

    for sentence in standing(churn, script):
        assert OUTSIDE in sentence
        assert SECRET not in sentence
    found = {path.name for path in outside.iterdir()}
    assert found == {"churn.csv", "cand", *names}
    assert (outside / "plan.yaml").read_text() == SECRET


def test_a_link_inside_a_run_folder_is_not_followed_out(
    standing: Any, churn: Path, outside: Path
) -> None:
    run = build_tree(churn, {"runs/20260202-000000-01/journal.jsonl": ""})
    run = churn / "runs" / "20260202-000000-01"
    secret = outside / "runs" / "20260101-000000-01" / "model_card.md"
    (run / "model_card.md").symlink_to(secret)

    async def script(talk: Any) -> str:
        from mcp import MCPError

        with pytest.raises(MCPError) as problem:
            await talk.client.read_resource("mlagent://runs/20260202-000000-01/report")
        return str(problem.value)

    said = standing(churn, script)
    assert OUTSIDE in said
    assert SECRET not in said


def test_a_table_that_only_the_settings_or_an_edited_plan_name_is_checked_too(
    standing: Any, churn: Path, outside: Path
) -> None:
    async def script(talk: Any) -> list[str]:
        await talk.facts("plan", task="churn model")
        plan = churn / "plan.yaml"
        edited = plan.read_text().replace("path: churn.csv", f"path: {outside / 'churn.csv'}")
        assert str(outside) in edited
        plan.write_text(edited)
        review = await talk.facts("review_plan")
        assert review["decision"] == "no-go", "a run would be refused"
        told = await talk.call("review_plan")
        said = [" ".join(review["reasons"]), told.content[0].text]
        said += [await talk.refused("run"), await talk.refused("try", candidate=".")]
        (churn / "solution.py").write_text("")
        said.append(await talk.refused("try", candidate="."))
        (churn / "mlagent.yaml").write_text("data: ../outside/churn.csv\n")
        return [*said, await talk.refused("plan", task="churn model")]

    for sentence in standing(churn, script):
        assert OUTSIDE in sentence
    assert not (churn / "runs").exists()


def test_a_plan_whose_table_is_gone_or_another_is_no_go(standing: Any, churn: Path) -> None:
    async def script(talk: Any) -> list[Any]:
        await talk.facts("plan", task="churn model")
        said = [await talk.facts("review_plan")]
        (churn / "churn.csv").rename(churn / "away.csv")
        return [*said, await talk.facts("review_plan"), await talk.refused("run")]

    here, gone, refused = standing(churn, script)
    assert here["decision"] == "go"
    assert gone["decision"] == "no-go"
    assert "is not here" in gone["reasons"][0]
    assert gone["reasons"][0] in refused


def test_a_folder_below_a_root_and_a_second_root_are_allowed(
    standing: Any, churn: Path, tmp_path: Path
) -> None:
    below, second = churn / "below", tmp_path / "second"
    for folder in (below, second):
        folder.mkdir()
        write_csv(churn_frame(60), folder / "churn.csv")

    async def script(talk: Any) -> list[Any]:
        return [
            await talk.facts("profile"),
            await talk.facts("profile", folder="below"),
            await talk.facts("profile", folder=str(second)),
            await talk.facts("profile", data=str(second / "churn.csv")),
        ]

    told = standing(churn, script, roots=(churn, second))
    assert [item["rows"] for item in told] == [200, 60, 60, 60]
    assert told[1]["folder"] == str(below.resolve())


def test_a_client_that_names_no_folder_gets_a_sentence(standing: Any, churn: Path) -> None:
    async def script(talk: Any) -> str:
        return str(await talk.refused("profile"))

    assert "names no folder" in standing(churn, script, roots=())


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        ((), {}, "working directory"),
        ((), {"CLAUDE_PROJECT_DIR": "{churn}"}, "CLAUDE_PROJECT_DIR"),
        (("--root", "{churn}"), {"CLAUDE_PROJECT_DIR": "{other}"}, "--root"),
    ],
)
def test_without_roots_the_fallback_is_used_and_said(
    session: Any,
    churn: Path,
    outside: Path,
    args: tuple[str, ...],
    env: dict[str, str],
    said: str,
) -> None:
    words = {"churn": str(churn), "other": str(outside)}

    async def script(talk: Any) -> list[Any]:
        refused = await talk.refused("profile", data=str(outside / "churn.csv"))
        return [await talk.facts("profile"), refused]

    told, refused = session(
        churn,
        script,
        no_roots=True,
        args=tuple(word.format(**words) for word in args),
        env={key: value.format(**words) for key, value in env.items()},
        cwd=churn if said == "working directory" else outside,
    )
    assert told["roots_from"] == said
    assert told["folder"] == str(churn.resolve())
    assert OUTSIDE in refused
    assert said in refused


@pytest.mark.parametrize("wide", [Path("/"), Path.home()])
def test_the_whole_disk_or_home_is_never_the_fallback(wide: Path) -> None:
    with pytest.raises(BadInput, match="--root"):
        roots_without_client((), {}, wide)


def test_odd_paths_are_sentences(churn: Path) -> None:
    place = place_of(None, roots_of_client([churn.as_uri()]))
    (churn / "loop").symlink_to(churn / "loop")
    for path in ("a\0b", "x" * 5000, "loop/a.csv", "~root/x/../../../../../../etc/passwd"):
        with pytest.raises(BadInput):
            place.inside(path, "table")


def test_roots_are_file_uris_decoded_and_resolved(tmp_path: Path) -> None:
    real = tmp_path / "a b%20ü"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    roots = roots_of_client(
        [real.as_uri(), link.as_uri(), "https://example.org/x", "file://elsewhere/x"]
    )
    assert roots.folders == (real.resolve(), real.resolve())
    assert roots.allow(real.resolve() / "x.csv")
    assert not roots.allow(Path(os.path.normpath(tmp_path / "a b%20ü2")))
