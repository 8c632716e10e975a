"""The comment: text of others stays text, and the body stays below GitHub's limit."""

from __future__ import annotations

import html
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pull_projects import Heads, add_run
from pydantic import ValidationError

from mlagent.content import Content
from mlagent.contracts.drift import ColumnSpread, Distributions
from mlagent.contracts.errors import BadInput
from mlagent.contracts.pr_report import PrReport
from mlagent.data.drift import difference
from mlagent.doors.github.comment import MOST, Links, Marker, compose, marker_of
from mlagent.doors.github.markdown import inline, length
from mlagent.doors.github.reporting import build_report, read_report

SPACE = "\u200b"
HOSTILE = (
    "| a | b |",
    "`code`",
    "```\nfence",
    "<img src=x onerror=alert(1)>",
    "<!-- mlagent:report v1 key=default -->",
    "@octocat",
    "fixes #1",
    "GH-12",
    "octo/churn#3",
    "https://example.org",
    "www.example.org",
    "me@example.org",
    "[a](http://x)",
    "![a](http://x)",
    "**bold** _it_ ~~no~~",
    "</details></code>",
    "{{ 7 * 7 }}",
    "\u202eevil",
    "line\nline\r\x1b[31m",
    "$x^2$",
    ":tada:",
    "&lt;b&gt;",
)


@pytest.fixture(scope="module")
def report(template: Heads, tmp_path_factory: pytest.TempPathFactory) -> PrReport:
    """A report with a comparison; tests write other texts into copies of it."""
    import shutil

    folder = tmp_path_factory.mktemp("comment") / "project"
    shutil.copytree(template.folder, folder)
    heads = Heads(folder, template.base, template.head, template.base_run)
    add_run(heads, "better")
    return build_report(folder, None, "main", None)


def changed(report: PrReport, **changes: Any) -> PrReport:
    """The record with other parts, validated."""
    return PrReport.model_validate(report.model_dump(mode="python") | changes)


def text_of(report: PrReport, **links: Any) -> str:
    return compose(report, Content(), "default", Links(**links)).text


@given(st.text(max_size=200))
@settings(max_examples=300)
def test_any_text_becomes_one_inert_line_that_reads_the_same(text: str) -> None:
    made = inline(text)
    plain = re.sub(r"&#\d+;", "", made)
    assert not re.search(r"[^\w ,\-\u0080-\U0010ffff]|_", plain)
    assert "\n" not in made
    read = html.unescape(made).replace(SPACE, "")
    if text.isprintable() and SPACE not in text and "\0" not in text:
        assert read == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_neither_links_nor_mentions_nor_breaks_out(text: str) -> None:
    made = inline(text)
    page = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(
        f"| a |\n|---|\n| {made} |"
    )
    assert page.count("<td>") == 1
    cell = re.search(r"<td>(.*)</td>", page, re.DOTALL)
    assert cell is not None
    assert "<" not in cell[1]
    shown = html.unescape(cell[1])
    assert not re.search(r"@\w", shown)
    assert not re.search(r"#\d", shown)
    assert not re.search(r"(?i)\bgh-\d", shown)


def test_long_text_is_cut_before_it_is_escaped() -> None:
    made = inline("|" * 1000, 50)
    assert html.unescape(made) == "|" * 49 + "…"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_leave_the_comment_as_it_is(report: PrReport, text: str) -> None:
    plain = _named(report, "name")
    hostile = _named(report, text)
    made, wanted = text_of(hostile), text_of(plain)
    assert made.count("<details>") == made.count("</details>") == wanted.count("<details>")
    assert made.count("```") == wanted.count("```")
    assert made.count("<!--") == 1
    assert len(made.splitlines()) == len(wanted.splitlines())
    assert [line.count("|") for line in made.splitlines()] == [
        line.count("|") for line in wanted.splitlines()
    ]
    parser = MarkdownIt("gfm-like", {"linkify": False, "html": True})
    assert "<a " not in parser.render(made)
    assert "<img" not in parser.render(made)
    marker = marker_of(made)
    assert marker is not None
    assert marker.sha == report.head_commit


def _named(report: PrReport, text: str) -> PrReport:
    """Every text of the record that others choose, replaced."""
    drift = {
        "column": text,
        "psi": 0.5,
        "noise": 0.1,
        "level": "large",
        "missing_before": 0.0,
        "missing_after": 0.0,
    }
    return changed(
        report,
        task=text,
        suspects=(text,),
        notes=(text,),
        mlagent=text,
        slices=tuple(
            row.model_dump() | {"column": text, "value": text, "note": text}
            for row in report.slices
        ),
        plan=tuple(row.model_dump() | {"approach": text} for row in report.plan),
        gates=tuple(
            gate.model_dump() | {"metric": text, "source": text, "evidence": text}
            for gate in report.gates
        ),
        cost=report.cost.model_dump() | {"language_model": text},
        head=report.head.model_dump() | {"model_name": text, "tier": text, "seal": text},
        data={
            "same_file": False,
            "rows_after": 3,
            "added": (text,),
            "removed": (text,),
            "retyped": ({"column": text, "before": text, "after": text},),
            "columns": (drift,),
            "compared": 1,
            "not_measured": text,
        },
    )


@given(
    text=st.text(st.sampled_from("ab|`<@#😀é\u202e"), min_size=1, max_size=1000),
    slices=st.integers(0, 12),
    gates=st.integers(1, 100),
    columns=st.integers(0, 100),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_body_stays_below_the_limit_by_whole_sections(
    report: PrReport, text: str, slices: int, gates: int, columns: int
) -> None:
    long = _named(report, text[:300])
    row = long.slices[0].model_dump() | {"note": text}
    gate = long.gates[0].model_dump() | {"evidence": text}
    big = changed(
        long,
        slices=tuple(row for _ in range(slices)),
        gates=tuple(gate for _ in range(gates)),
        notes=tuple(text for _ in range(20)),
        data=long.data.model_dump()
        | {
            "added": tuple(text[:300] for _ in range(columns)),
            "removed": tuple(text[:300] for _ in range(columns)),
        },
    )
    made = compose(big, Content(), "default", Links())
    assert length(made.text) < MOST
    assert made.text.count("<details>") == made.text.count("</details>")
    assert made.text.count("```") % 2 == 0
    assert made.text.splitlines()[1].startswith("### ")
    for name in made.left_out:
        assert name in made.text
    tight = compose(big, Content(), "default", Links(), 4000)
    assert length(tight.text) < 4000
    assert "plots" in tight.left_out


def test_the_marker_is_read_back_and_only_from_the_first_line(report: PrReport) -> None:
    made = compose(report, Content(), "other-1", Links())
    assert marker_of(made.text) == Marker("other-1", made.sha, made.hash)
    assert marker_of(made.text.replace("\n", "\r\n")) == Marker("other-1", made.sha, made.hash)
    assert marker_of("> " + made.text) is None
    assert marker_of("\n" + made.text) is None


def test_links_come_from_the_job_and_never_from_the_report(report: PrReport) -> None:
    run = "https://github.com/octo/churn/actions/runs/1"
    assert run in text_of(report, run=run)
    assert "http" not in text_of(report)


def test_a_report_of_another_job_says_whose_code_made_its_numbers(report: PrReport) -> None:
    assert "ran this pull request's code" in text_of(report, privileged=True)
    checked = text_of(report, privileged=True, gates_checked=True)
    assert "its gates are those of the base commit" in checked


def _written(tmp_path: Path, report: PrReport, change: Any) -> Path:
    value = json.loads(report.model_dump_json())
    change(value)
    file = tmp_path / "report.json"
    file.write_text(json.dumps(value))
    return file


def test_a_report_is_read_back_as_it_was_written(report: PrReport, tmp_path: Path) -> None:
    read = read_report(_written(tmp_path, report, lambda value: None))
    assert read.model_dump() == report.model_dump()


def _set(*path: Any, to: Any) -> Any:
    def change(value: Any) -> None:
        for part in path[:-1]:
            value = value[part]
        value[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("surprise", to=1), "surprise"),
        (_set("schema", to="mlagent/pr-report/v9"), "schema"),
        (_set("head_commit", to="abc; rm"), "head_commit"),
        (_set("head", "run", to="../../etc"), "head.run"),
        (_set("head", "run", to=".."), "head.run"),
        (_set("head", "run", to="--mine"), "head.run"),
        (_set("metrics", 0, "difference", "verdict", to="worse"), "does not agree"),
        (_set("metrics", 0, "difference", to=None), "says otherwise"),
        (_set("metrics", 0, "metric", to="nice_auc"), "no metric"),
        (_set("gates", 0, "value", to=0.0), "does not agree"),
        (_set("gates", 0, "outcome", to="fail"), "does not agree"),
        (_set("rows", to="400"), "rows"),
        (_set("notes", to=["x" * 1001]), "notes"),
        (_set("notes", to=["x"] * 21), "notes"),
        (_set("reproduce", "selection", to={"ml-engineer": "$(id)"}), "reproduce"),
        (_set("reproduce", "candidate", to="../../../candidates/mine"), "reproduce.candidate"),
        (_set("reproduce", "candidate", to=".."), "reproduce.candidate"),
        (_set("reproduce", "candidate", to="--mine"), "reproduce.candidate"),
        (_set("reproduce", "candidate", to="a\n```\n@octocat"), "reproduce.candidate"),
        (_set("reproduce", "merged", to="main; rm"), "reproduce.merged"),
        (_set("reproduce", "schedule", to="no"), "reproduce.schedule"),
        (_set("metrics", to=[]), "metrics"),
        (_set("cost", "wall_s", to=-1), "wall_s"),
    ],
)
def test_a_record_that_was_bent_is_refused(
    report: PrReport, tmp_path: Path, change: Any, said: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read_report(_written(tmp_path, report, change))
    assert said in str(caught.value)


def test_a_file_that_is_no_record_is_refused(report: PrReport, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    good = report.model_dump_json()
    for text, said in (
        ("[" * 5000 + "]" * 5000, "nested deeper"),
        ('{"a": NaN}', "NaN"),
        (good[:-1] + ', "rows": 1}', "rows"),
        (good + " " * 1_000_001, "at most"),
        ("", "JSON"),
    ):
        file.write_text(text)
        with pytest.raises(BadInput, match=said):
            read_report(file)
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(BadInput, match="UTF-8"):
        read_report(file)
    link = tmp_path / "link.json"
    link.symlink_to(file)
    for other in (link, tmp_path, tmp_path / "absent.json"):
        with pytest.raises(BadInput, match="plain file"):
            read_report(other)


def test_one_of_something_is_said_in_the_singular(report: PrReport) -> None:
    data = report.model_dump(mode="python")
    data["cost"]["threads"], data["rows"], data["data"]["rows_after"] = 1, 1, 1
    text = text_of(PrReport.model_validate(data))
    assert "on the same 1 vault row." in text
    assert " on 1 thread, " in text
    assert "byte for byte (1 row)" in text


@pytest.mark.parametrize("kind", ["added", "removed", "retyped"])
def test_a_table_never_begins_in_a_paragraph(report: PrReport, kind: str) -> None:
    value = [{"column": "a", "before": "int", "after": "text"}] if kind == "retyped" else ["a", "b"]
    one = {"column": "fee", "psi": 0.3, "noise": 0.01, "level": "large"} | {
        "missing_before": 0.0,
        "missing_after": 0.0,
    }
    data = {"same_file": False, "rows_before": 5, "rows_after": 6, "compared": 1, "columns": [one]}
    text = text_of(changed(report, data=data | {kind: value}))
    for before, line in itertools.pairwise(text.splitlines()):
        assert not line.startswith("|") or before == "" or before.startswith("|"), before


def _table(columns: int, bent: int) -> Distributions:
    """Two bins a column and an id; in the first `bent` columns the rows went to one of them, the
    farther to the front the more."""
    spreads = [
        ColumnSpread(
            name=f"c{at}",
            role="number",
            dtype="float64",
            missing=0,
            edges=(0.0,),
            counts=(500 - 400 * (bent - at) // bent, 500 + 400 * (bent - at) // bent)
            if at < bent
            else (500, 500),
        )
        for at in range(columns)
    ]
    spreads.append(ColumnSpread(name="key", role="id", dtype="str", missing=0))
    sha256 = ("b" if bent else "a") * 64
    return Distributions(data_sha256=sha256, rows=1000, counted_rows=1000, columns=tuple(spreads))


@pytest.mark.parametrize(
    ("columns", "bent", "moved", "shown"),
    [
        (3, 1, "1 of 3 columns moved", "3 of 3 columns shown, largest PSI first. Ids"),
        (
            14,
            2,
            "2 of 14 columns moved",
            "10 of 14 columns shown, largest PSI first; the report's JSON has all. Ids",
        ),
        (
            170,
            20,
            " of 170 columns moved",
            "10 of 170 columns shown, largest PSI first; the report's JSON has the first 50. Ids",
        ),
        (170, 170, "at least 50 of 170 columns moved", "10 of 170 columns shown, largest PSI"),
    ],
)
def test_columns_that_are_not_shown_are_counted(
    report: PrReport, columns: int, bent: int, moved: str, shown: str
) -> None:
    data = difference(_table(columns, 0), _table(columns, bent))
    assert data.compared == columns
    text = text_of(changed(report, data=data.model_dump()))
    part = text.partition("<summary>Data: ")[2].partition("</details>")[0]
    assert moved in part.splitlines()[0]
    assert ("at least" in part) == (bent == 170)
    assert shown in part
    rows = re.findall(r"(?m)^\| <code>(c\d+)</code> \| ([\d.]+) ", part)
    assert [name for name, _ in rows[:bent]] == [f"c{at}" for at in range(min(bent, 10))]
    assert len(rows) == min(columns, 10)
    assert [float(psi) for _, psi in rows] == sorted((float(psi) for _, psi in rows), reverse=True)


def test_names_that_are_cut_are_said_to_be(report: PrReport) -> None:
    wide = _table(130, 0)
    data = difference(wide, wide.model_copy(update={"columns": ()}), names_after=["key"])
    text = text_of(changed(report, data=data.model_dump() | {"same_file": False}))
    assert "Columns that are gone, the first 100: <code>c0</code>, " in text


def test_more_columns_than_were_compared_are_no_report(report: PrReport) -> None:
    data = difference(_table(3, 0), _table(3, 1)).model_dump()
    with pytest.raises(ValidationError, match="than were compared"):
        changed(report, data=data | {"compared": 2})


def _part(text: str, title: str) -> str:
    return text.partition(f"<summary>{title}</summary>")[2].partition("</details>")[0]


def test_plots_are_text_and_mermaid(report: PrReport) -> None:
    """Exactly: what GitHub draws is what the numbers are."""
    gap = {"value": 0.1, "low": 0.05, "high": 0.2, "verdict": "better"}
    row = report.metrics[0].model_dump()
    row |= {"head": row["head"] | {"value": 0.8}, "base": row["head"] | {"value": 0.7}}
    row["difference"] = row["difference"] | gap
    curve = {
        "roc": (0.0, 0.75, 1.0),
        "calibration": ((0.1, 0.25, 40), (0.9, 1.0, 8)),
        "residuals": ((-1.5, 3), (0.0, 12), (1.5, 4)),
    }
    drawn = changed(
        report,
        metrics=(row,),
        gates=(),
        head_curve=curve,
        base_curve={"roc": (0.0, 0.5, 1.0)},
    )
    part = _part(text_of(drawn), "Plots")
    line = " " * 20 + "│" + " " * 4 + "─" * 5 + "●" + "─" * 10
    assert f"```text\nroc_auc  {line}  ±0.2\n```" in part
    assert (
        "First line: the pull request; second line: the base.\n\n"
        "```mermaid\nxychart-beta\n"
        '    title "ROC curve"\n'
        '    x-axis "false positive rate" 0 --> 1\n'
        '    y-axis "true positive rate" 0 --> 1\n'
        "    line [0.000, 0.750, 1.000]\n"
        "    line [0.000, 0.500, 1.000]\n```"
    ) in part
    assert (
        "```text\npredicted  observed  rows\n"
        "    0.100     0.250    40  █████\n"
        f"    0.900     1.000     8  {'█' * 20}\n```"
    ) in part
    assert (
        "```mermaid\nxychart-beta\n"
        '    title "Truth minus predicted"\n'
        '    x-axis ["-1.5", "0", "1.5"]\n'
        '    y-axis "rows"\n'
        "    bar [3, 12, 4]\n```"
    ) in part
    real = _part(text_of(report), "Plots")
    assert real.count("```mermaid\n") == 1
    assert len(re.findall(r"(?m)^    line \[(?:[\d.]+, ){10}[\d.]+\]$", real)) == 2
    assert "predicted  observed  rows\n" in real


def test_worst_slices_are_rows_with_the_bases_value(report: PrReport) -> None:
    score = report.metrics[0].head.model_dump()
    slices = tuple(
        {
            "column": "region",
            "value": value,
            "n": n,
            "head": score | {"value": head},
            "base": None if base is None else score | {"value": base},
            "note": note,
        }
        for value, n, head, base, note in (
            ("north", 1200, 0.5, 0.75, "few rows"),
            ("south", 30, 0.625, None, ""),
        )
    )
    part = _part(text_of(changed(report, slices=slices)), "Worst slices")
    assert part.strip().splitlines() == [
        "| column | value | rows | base | pull request | |",
        "|---|---|---:|---:|---:|---|",
        "| <code>region</code> | <code>north</code> | 1,200 | 0.7500 | 0.5000 | few rows |",
        "| <code>region</code> | <code>south</code> | 30 | – | 0.6250 |  |",
    ]


def test_what_the_run_took_is_said(report: PrReport) -> None:
    cost = {
        "wall_s": 12.25,
        "budget_s": 60.0,
        "base_wall_s": 11.0,
        "threads": 2,
        "model_mb": 1.5,
        "predict_seconds": 0.42,
        "language_model": "0 calls, 0 USD",
    }
    part = _part(text_of(changed(report, cost=cost)), "Cost and reproduction")
    assert part.strip().splitlines()[:2] == [
        "12.2 s of 1 min on 2 threads, tier T0 (base: 11 s). Model file 1.500 MB; predicting the "
        "judged rows took 0.42 s.",
        "Language model: 0 calls, 0 USD.",
    ]
    alone = _part(
        text_of(changed(report, cost=cost | {"base_wall_s": None})), "Cost and reproduction"
    )
    assert "(base:" not in alone
