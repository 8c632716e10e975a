"""Anybody's subagent file becomes a draft contract, and the report leaves nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest
from imported import ENGINEER, IMPORTER, imported, outcome

from mlagent.content import Content
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput
from mlagent.documents import read_record
from mlagent.doors.claude_code.document import read_document, tool_names
from mlagent.doors.claude_code.import_files import import_agents
from mlagent.doors.claude_code.importing import Importer
from mlagent.doors.claude_code.parts import part_of, parts_of
from mlagent.doors.claude_code.sections import read_sections
from mlagent.doors.claude_code.sources import Source


def test_each_statement_becomes_a_clause_is_held_is_refused_or_is_advisory() -> None:
    report, draft = imported(ENGINEER)
    assert report.agent == "ml-engineer"
    assert report.valid
    assert outcome(report, "Train a") == ("held", "routing.handles")
    assert outcome(report, "Deploy it") == ("refused", "boundaries[deployment]")
    assert outcome(report, "Water")[0] == "advisory"
    assert outcome(report, "build dash") == ("advisory", None)  # to another agent than ours
    assert outcome(report, "forecast") == ("held", "boundaries[forecasting]")
    assert outcome(report, "play chess")[0] == "advisory"
    assert outcome(report, "/in/train") == ("held", "reads[/in/train.parquet]")
    assert outcome(report, "/etc/passwd") == ("refused", "reads")
    assert outcome(report, "/out/model") == ("held", "writes[/out/model.pkl]")
    assert outcome(report, "/srv/models") == ("refused", "writes")
    assert outcome(report, "pandas") == ("held", "guardrails.environment")
    assert outcome(report, "PyTorch")[0] == "advisory"
    assert outcome(report, "Never expose")[0] == "advisory"  # a model may hold training rows
    assert outcome(report, "Fix random") == ("held", "guardrails.seeds")
    assert outcome(report, "Be kind")[0] == "advisory"
    roc = "success_criteria[gate: imported-roc-auc-at-least]"
    assert outcome(report, "ROC AUC") == ("clause", roc)
    assert outcome(report, "Accuracy")[0] == "advisory"  # no comparison, so no gate
    assert outcome(report, "Beats") == ("clause", "success_criteria[gate: better-than-dummy]")
    assert outcome(report, "Everybody") == ("advisory", "success_criteria[advisory]")
    assert outcome(report, "tools: Agent(worker, researcher)")[0] == "advisory"

    contract = read_record(Contract, draft, "draft")
    assert contract.version == "2.3.4"
    assert contract.model_tier == "deep"
    assert contract.role == "You build models that predict who leaves."
    gate = next(g for g in contract.quality_gates if g.name.startswith("imported"))
    assert (gate.metric, gate.comparison, gate.threshold) == ("roc_auc", "at_least", 0.8)
    assert "predict churn" in contract.routing.handles[0].examples
    base = IMPORTER.contracts["ml-engineer"]
    assert (contract.reads, contract.writes, contract.tools) == (
        base.reads,
        base.writes,
        base.tools,
    )
    assert (contract.resources, contract.guardrails) == (base.resources, base.guardrails)
    assert set(base.boundaries) <= set(contract.boundaries)


def test_a_document_of_no_agent_of_the_team_says_what_to_fill_in() -> None:
    text = "---\nname: poet\ndescription: Writes poems.\n---\n## Success\n- It rhymes\n"
    report, draft = imported(text)
    assert report.agent is None
    assert not report.valid
    missing = [item.field for item in report.missing]
    with pytest.raises(BadInput) as refusal:
        read_record(Contract, draft, "draft")
    listed = [name for name in Contract.model_fields if name in missing]
    assert listed[:3] == ["name", "version", "model_tier"]
    assert "resources" in missing
    assert "'name' is missing" in str(refusal.value)
    assert "fill in name: one of data-explorer" in draft
    assert "It rhymes" in draft
    chosen = Importer(Content(), "data-explorer").convert(Source("a.md", text.encode()))
    assert chosen.report.valid
    assert chosen.report.agent_why == "--as data-explorer"


@pytest.mark.parametrize(
    ("text", "read_as", "description"),
    [
        ("---\nname: a\ndescription: b\n---\n", "frontmatter", "b"),
        ("---\nname: a\ndescription: see: b\n---\n", "mended", "see: b"),
        ("---\r\nname: a\r\ndescription: see: b\r\n---\r\n", "mended", "see: b"),
        ("\n---\nname: a\ndescription: b\n---\n", "mended", "b"),
        ("\ufeff\ufeff---\nname: a\ndescription: b\n---\n", "mended", "b"),
        (
            "---\nname: a\ndescription: b\nuser: c\n<example>\n---\n",
            "lines",
            "b\nuser: c\n<example>",
        ),
        ("---\nname: a\ndescription: b\n", "mended", "b"),
        ("\n    ---\n    name: a\n    description: b\n    ---\n    c\n", "mended", "b"),
        ("Just words.\n", "none", ""),
    ],
)
def test_what_claude_code_would_not_read_is_read_all_the_same(
    text: str, read_as: str, description: str
) -> None:
    document = read_document(text.encode(), "a.md")
    assert (document.read_as, document.text("description")) == (read_as, description)


def test_tools_are_split_at_commas_outside_brackets() -> None:
    assert tool_names("Read, Agent(a, b), mcp__x__*") == ["Read", "Agent(a, b)", "mcp__x__*"]
    assert tool_names(["Read", "Bash(git *, ls)"]) == ["Read", "Bash(git *, ls)"]
    assert tool_names("[Read, 'Bash']") == ["Read", "Bash"]
    assert tool_names("a) b, (c, d), e\nf(g,h") == ["a) b", "(c, d)", "e", "f(g", "h"]
    assert len(tool_names("a," * 200_000)) == 200_000  # a quadratic step would take minutes
    assert tool_names(None) == tool_names({"a": 1}) == []


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("1. Core Responsibilities", "responsibilities"),
        ("Boundaries (What This Agent Does NOT Do)", "boundaries"),
        ("🚨 Critical Rules You Must Follow", "guardrails"),
        ("🎯 Your Success Metrics", "success"),
        ("Output Format", "outputs"),
        ("Handoff Protocols", "handoffs"),
        ("Planning Mode (Phase 2: Hybrid Planning)", "planning"),
        ("Text Processing", "knowledge"),
    ],
)
def test_a_heading_names_its_part(heading: str, part: str) -> None:
    assert part_of(heading) == part


def test_details_belong_to_the_section_above_them() -> None:
    text = "# A\n## Responsibilities\n### Input validation\n- x\n## Skills\n### Processes\n- y\n"
    assert (
        parts_of(read_sections(text))
        == ["role", "responsibilities", "responsibilities"] + ["knowledge"] * 2
    )


def test_a_paragraph_or_a_hundred_and_first_item_is_no_criterion() -> None:
    items = "".join(f"- item {number}\n" for number in range(101))
    report, draft = imported(f"# ML engineer\n## Success\nBe good.\n\n{items}")
    assert outcome(report, "Be good.") == ("advisory", None)
    assert outcome(report, "item 99") == ("advisory", "success_criteria[advisory]")
    assert outcome(report, "item 100") == ("advisory", None)
    criteria = [item.criterion for item in read_record(Contract, draft, "draft").success_criteria]
    assert criteria[:100] == [f"item {number}" for number in range(100)]
    assert "item 100" not in criteria


def test_importing_writes_three_files_each_and_overwrites_nothing(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "A b.md").write_text(ENGINEER, encoding="utf-8")
    (folder / "sub" / "a-b.md").write_text(ENGINEER, encoding="utf-8")
    (folder / "README.md").write_text("# Agents\n\nSome.\n", encoding="utf-8")
    (folder / "notes.txt").write_text("words\n", encoding="utf-8")
    (folder / "skills" / "go").mkdir(parents=True)
    (folder / "skills" / "go" / "SKILL.md").write_text(ENGINEER, encoding="utf-8")
    run = import_agents(folder, out, agent=None, force=False)
    assert sorted(path.name for path in out.iterdir()) == [
        f"a-b{number}.{kind}"
        for number in ("-2", "")
        for kind in ("contract.yaml", "import.json", "import.md")
    ]
    assert run.skipped.pop() == "skills/go/SKILL.md: not an agent file, but a part of a skill"
    assert run.skipped == [
        "README.md: a page, no agent",
        "notes.txt: no frontmatter, and no section that a contract could speak of",
    ]
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(BadInput, match="already there"):
        import_agents(folder, out, agent="data-explorer", force=False)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    import_agents(folder, out, agent=None, force=True)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (out / "a-b.import.md").unlink()
    (out / "a-b.import.md").symlink_to(victim)
    with pytest.raises(BadInput, match="is a link"):
        import_agents(folder, out, agent=None, force=True)
    assert victim.read_text(encoding="utf-8") == "mine"
    with pytest.raises(BadInput, match="no agent 'x'"):
        import_agents(folder, tmp_path / "other", agent="x", force=False)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("agents.tar", b"a.md".ljust(257, b"\0") + b"ustar\x0000", "a .tar; pack it as .tar.gz"),
        ("notes.pdf", b"%PDF-1.7\n# Role\nYou train models.\n", "a PDF or an archive"),
        ("agents.md", b"PK\x03\x04 # Role", "a PDF or an archive"),
        ("noise.md", bytes(range(256)) * 12, "no text: it holds NUL bytes"),
    ],
)
def test_what_is_no_text_is_refused_and_left_out_of_a_folder(
    tmp_path: Path, name: str, data: bytes, why: str
) -> None:
    file = tmp_path / "in" / name
    file.parent.mkdir()
    file.write_bytes(data)
    with pytest.raises(BadInput, match=f"holds no subagent file; left out: {name}: {why}"):
        import_agents(file, tmp_path / "out", agent=None, force=False)
    assert not (tmp_path / "out").exists()
    (file.parent / "good.md").write_text("---\nname: good\ndescription: d\n---\nhi\n")
    run = import_agents(file.parent, tmp_path / "out", agent=None, force=False)
    assert [report.verdict.name for report in run.reports] == ["good"]
    assert run.skipped == ([f"{name}: {why}"] if name.endswith(".md") else [])


def test_an_empty_file_is_refused_and_one_of_another_encoding_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.md"
    empty.write_bytes(b"\n \n")
    with pytest.raises(BadInput, match="is empty"):
        import_agents(empty, tmp_path / "out", agent=None, force=False)
    other = tmp_path / "latin.md"
    other.write_bytes("# ML engineer\n## Guardrails\n- caf\u00e9\n".encode("latin-1"))
    (report,) = import_agents(other, tmp_path / "out", agent=None, force=False).reports
    assert "not UTF-8: the byte 0xe9 in line 3" in report.verdict.notes[0]
    assert "not UTF-8" in (tmp_path / "out" / "latin.import.md").read_text("utf-8")
