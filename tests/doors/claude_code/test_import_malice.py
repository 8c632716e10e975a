"""Hostile subagent files: any text, bombs, megabytes, and words that would steer a terminal."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported import IMPORTER, imported

from mlagent.content import Content
from mlagent.contracts.agent_files import AgentImport
from mlagent.contracts.contract import Contract
from mlagent.documents import read_record
from mlagent.doors.claude_code.document import read_document
from mlagent.doors.claude_code.files import export_files
from mlagent.doors.claude_code.import_files import import_agents
from mlagent.doors.claude_code.sections import statements
from mlagent.doors.claude_code.sources import Source

LINE = st.sampled_from(
    [
        "# A",
        "## Boundaries",
        "### x",
        "- item",
        "text",
        "```",
        "~~~~",
        "| a | b |",
        "---",
        "",
        "* *",
    ]
) | st.text(max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE, max_size=25), st.booleans())
def test_any_document_gives_a_report_and_a_draft(texts: list[str], front: bool) -> None:
    text = "\n".join(texts)
    if front:
        text = f"---\nname: ml-engineer\ndescription: {text[:20]}\n---\n{text}"
    data = text.encode("utf-8", "replace")
    report, draft = IMPORTER.convert(Source("a.md", data))
    assert AgentImport.model_validate_json(report.model_dump_json()) == report
    if report.valid:
        read_record(Contract, draft, "draft")
    else:
        assert report.missing
    document = read_document(data, "a.md")
    assert len(report.sections) == len(document.sections) + bool(document.keys)
    assert IMPORTER.convert(Source("a.md", data)) == (report, draft)
    for section in document.sections:
        assert all(said.text for said in statements(section))


def test_an_alias_bomb_costs_nothing() -> None:
    doubled = "\n".join(
        f"{c}: &{c} [*{p}, *{p}]" for p, c in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    bomb = f"---\nname: ml-engineer\ndescription: d\na: &a [xxxxxxxx, x]\n{doubled}\n---\n"
    report, _ = imported(bomb)
    assert all(len(row.text) <= 300 for row in report.statements)


@pytest.mark.parametrize(
    "text",
    [
        "---" + "\n" * 900_000,
        "# ML engineer\n## Boundaries\n- " + "use " * 200_000,
        "# ML engineer\n## Responsibilities\n" + "- train\n" * 100_000,
        "# ML engineer\n## Success\n- " + "*a __b " * 100_000,
        "---\nname: a\ndescription: b\nx: " + "[{a: " * 150_000 + "\n---\n",
        "#" * 900_000,
    ],
    ids=["newlines", "delegations", "duties", "emphasis", "nest", "hashes"],
)
def test_a_megabyte_of_malice_takes_seconds(text: str) -> None:
    began = time.monotonic()
    report, _ = imported(text)
    assert time.monotonic() - began < 60  # a quadratic step would take hours
    assert report.sections or report.missing


LONG = 200_000
BLANKS = " " * LONG


@pytest.mark.parametrize(
    "text",
    [
        "\n---" + "\n" * 300_000,
        "---\nname: x: y\n" + "a\n" * 500_000,
        "# a" + BLANKS + "b",
        "```" + BLANKS + "`",
        "~" * LONG + "`",
        "# a\n" * 20_000,
        "# ML engineer\n## Guardrails\n" + ("- a" + "!" * 1_990 + "a\n") * 200,
    ],
    ids=["late", "lines", "heading", "fence", "tildes", "titles", "marks"],
)
def test_no_shape_of_a_file_takes_quadratic_time(text: str) -> None:
    began = time.monotonic()
    report, _ = imported(text)
    assert time.monotonic() - began < 12
    assert report.sections or report.missing


def test_blank_lines_in_a_file_of_our_own_take_linear_time() -> None:
    text = export_files(Content(), "user")["agents/ml-engineer.md"]
    blanks = "\n" * 100_000 + "schem: x\n"
    began = time.monotonic()
    report, _ = imported(f"{text}\na{BLANKS}b\n\n# New\n```\n{blanks}```\n")
    assert time.monotonic() - began < 12
    assert report.valid


def test_statements_beyond_the_limit_are_counted() -> None:
    report, _ = imported("# ML engineer\n## Guardrails\n" + "- be kind\n" * 2_100)
    assert report.sections[-1].became == "2000 advisory, 100 not read: too many"


def test_text_of_the_document_cannot_steer_a_terminal_or_the_page(tmp_path: Path) -> None:
    nasty = tmp_path / "a.md"
    text = "# ML engineer\n## Guardrails\n- \x1b[31mred\u202e | <b>x</b> `y`\n"
    nasty.write_text(text, encoding="utf-8")
    run = import_agents(nasty, tmp_path / "out", agent=None, force=False)
    page = (tmp_path / "out" / "a.import.md").read_text("utf-8")
    for shown in (page, run.reports[0].model_dump_json()):
        assert "\x1b" not in shown
        assert "\\u001b" not in shown
        assert "\u202e" not in shown
    assert r"red \| \<b\>x\</b\>" in page
