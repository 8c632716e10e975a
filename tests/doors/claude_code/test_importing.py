"""Anybody's subagent file becomes a draft contract, and the report leaves nothing out."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagent.content import Content
from mlagent.contracts.agent_files import AgentImport
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput
from mlagent.documents import read_record
from mlagent.doors.claude_code.document import read_document, tool_names
from mlagent.doors.claude_code.import_files import import_agents
from mlagent.doors.claude_code.importing import UNDERSTOOD, Importer
from mlagent.doors.claude_code.parts import part_of, parts_of
from mlagent.doors.claude_code.sections import read_sections, statements
from mlagent.doors.claude_code.sources import Source

IMPORTER = Importer(Content())
ENGINEER = """---
name: churn-engineer
description: "Machine learning engineer for tables. Use it for models. user: 'predict churn'"
tools: Read, Bash, Agent(worker, researcher), mcp__db__*
model: opus
version: 2.3.4
---

# Churn Engineer

You build models that predict who leaves.

## Responsibilities
- Train a classification model
- Deploy it to kubernetes
- Water the plants

## Boundaries
This agent does not:
- build dashboards in React (delegate to ui-builder)
- forecast sales
- play chess

## Reads
- /in/train.parquet
- /etc/passwd
- Customer documents

## Writes
- /out/model.pkl
- /srv/models

## Tools
- pandas and scikit-learn
- PyTorch

## Guardrails
- Never expose personal data
- Fix random seeds
- Be kind

## Success Criteria
- [ ] ROC AUC of at least 0.8
- [ ] Accuracy: 90% or so
- [ ] Beats the baseline
- [ ] Everybody is happy

## Notes
```python
# Not a heading
```
"""


def imported(text: str, name: str = "a.md") -> tuple[AgentImport, str]:
    report, draft = IMPORTER.convert(Source(name, text.encode()))
    return report, draft


def outcome(report: AgentImport, start: str) -> tuple[str, str | None]:
    (row,) = [row for row in report.statements if row.text.startswith(start)]
    return row.outcome, row.clause


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


# --- the five seed documents ---


@pytest.fixture(scope="session")
def seeds() -> list[Source]:
    """`../shared/seeds` beside the checkout, or MLAGENT_SEEDS."""
    beside = Path(__file__).parents[4] / "shared" / "seeds"
    folder = Path(os.environ.get("MLAGENT_SEEDS", beside))
    if not folder.is_dir():
        pytest.skip("the seed documents (../shared/seeds) are not here")
    return [Source(path.name, path.read_bytes()) for path in sorted(folder.glob("*.txt"))]


def headings_outside_code(text: str) -> list[tuple[int, str]]:
    """(line, heading), counted without the code under test."""
    found, fence = [], ""
    for number, line in enumerate(text.splitlines(), start=1):
        mark = line.strip()[:3]
        if mark == "```":
            fence = "" if fence else mark
        elif not fence and re.match(r"#{1,6} ", line):
            found.append((number, line.lstrip("# ").strip()))
    return found


def test_every_section_of_the_seeds_is_accounted_for(seeds: list[Source]) -> None:
    assert len(seeds) == 5
    for seed in seeds:
        report, draft = IMPORTER.convert(seed)
        headings = headings_outside_code(seed.data.decode())
        rows = [(s.line, s.heading) for s in report.sections if s.level]
        assert rows == headings
        assert all(section.became for section in report.sections)
        said = [s for s in report.sections if s.part in UNDERSTOOD]
        assert sum(s.statements for s in said) == sum(
            row.part in UNDERSTOOD and row.line > 8 for row in report.statements
        )
        assert report.agent == "ml-engineer"
        assert report.valid
        assert read_record(Contract, draft, seed.name).name == "ml-engineer"


def test_the_parts_that_the_seeds_speak_of_are_found(seeds: list[Source]) -> None:
    parts = [{s.part for s in IMPORTER.convert(seed).report.sections} for seed in seeds]
    assert {"role", "responsibilities", "inputs", "outputs", "handoffs", "success"} <= parts[0]
    assert {"responsibilities", "process", "guardrails", "success", "planning"} <= parts[1]
    assert {"role", "guardrails", "handoffs", "tools", "success"} <= parts[2]
    assert {"role", "knowledge", "process", "outputs"} <= parts[3]
    assert {"boundaries", "reads", "writes", "tools", "guardrails", "success"} <= parts[4]
    last = IMPORTER.convert(seeds[4]).report
    assert outcome(last, "Does not handle frontend") == ("held", "boundaries[user-interface]")


HELD_IN_THE_SEEDS = [
    [(95, "outputs[model]"), (327, "guardrails.seeds")],
    [(467, "quality_gates[better-than-dummy]"), (495, "planning"), (501, "planning")],
    [(162, "quality_gates[better-than-dummy]")],
    [],
    [
        (16, "inputs[task]"),
        (389, "routing.handles"),
        (392, "quality_gates[better-than-dummy]"),
        (407, "boundaries[user-interface]"),
        (408, "boundaries[database-design]"),
        (476, "guardrails.max_usd"),
        (478, "guardrails.environment, guardrails.seeds"),
        (535, "guardrails.environment"),
        (545, "quality_gates[better-than-dummy]"),
    ],
]
"""(line, clause) of every statement that mlagent holds as a whole, each read by hand."""


def test_what_is_called_held_in_the_seeds_is_what_was_checked_by_hand(seeds: list[Source]) -> None:
    for seed, wanted in zip(seeds, HELD_IN_THE_SEEDS, strict=True):
        rows = IMPORTER.convert(seed).report.statements
        assert [(row.line, row.clause) for row in rows if row.outcome == "held"] == wanted
        assert not [row for row in rows if row.part == "success" and row.outcome == "clause"]


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("Guardrails", "Privacy: Implement differential privacy where needed"),
        ("Guardrails", "Data Privacy: Never log or expose sensitive data"),
        ("Guardrails", "Environment versioning"),
        ("Guardrails", "Version Everything: Code, data, models, and configurations"),
        ("Guardrails", "Set memory limits, use GPU efficiently"),
        ("Guardrails", "Do not fix random seeds"),
        ("Guardrails", "Never: fixed random seeds"),
        ("Guardrails", "Fix random seeds only when asked"),
        ("Guardrails", "Data Leakage: Using future information in training data"),
        ("Guardrails", "Log reproducibility of experiments"),
        ("Guardrails", "Train on the test set"),
        ("Guardrails", "Spend the whole budget"),
        ("Responsibilities", "Model compression"),
        ("Responsibilities", "Naive Bayes classifiers"),
        ("Responsibilities", "Model serving endpoints"),
        ("Responsibilities", "Learning curves"),
        ("Responsibilities", "Train models and compress them"),
        ("Outputs", "Model APIs and SDKs"),
        ("Outputs", "Model documentation"),
        ("Inputs", "Clean, processed datasets"),
        ("Inputs", "Preprocessed datasets from Data Explorer"),
        ("Inputs", "Business requirements"),
        ("Handoffs", "Data Explorer: Receives prepared datasets"),
        ("Boundaries", "Does not deploy or answer the phone"),
        ("Boundaries", "Does not provision infrastructure (delegate to devops-architect)"),
        ("Tools", "pandas / polars"),
        ("Reads", "Training data files (CSV, HDF5)"),
        ("Reads", "Model configuration files"),
        ("Writes", "Model serving configurations"),
        ("Writes", "Trained model files (.pt, .pkl)"),
        ("Planning Mode", "Evaluate pros/cons/risks for each option"),
        ("Planning Mode", "Propose 2-3 distinct options"),
        ("Planning Mode", "Do not propose options"),
        ("Planning Mode", "When in execution mode (default), implement the task"),
        ("Success Criteria", "Reproducibility: Version all code, data, and models"),
        ("Success Criteria", "Model training time"),
        ("Success Criteria", "Accuracy Metrics: Meet or exceed baseline requirements"),
        ("Success Criteria", "Accuracy above 90% on the smallest class"),
    ],
)
def test_a_word_alone_holds_nothing(section: str, text: str) -> None:
    report, _ = imported(f"# ML engineer\n## {section}\n- {text}\n")
    (row,) = report.statements
    assert row.outcome in ("advisory", "refused"), row
    assert row.why


@pytest.mark.parametrize(
    ("heading", "text", "outcome"),
    [
        ("Best Practices", "Fixed random seeds", "held"),
        ("Anti-Patterns", "Fixed random seeds", "advisory"),
        ("Guardrails", "❌ Fixed random seeds", "advisory"),
        ("Common Pitfalls", "Not establishing simple baselines", "held"),
        ("Best Practices", "Not establishing simple baselines", "advisory"),
        ("Never", "Train on the test set", "advisory"),
        ("Never", "Never train on the test set", "held"),
        ("Out of Scope", "React dashboards", "held"),
        ("Scope", "React dashboards", "refused"),
        ("Scope", "No React dashboards", "held"),
    ],
)
def test_what_stands_among_faults_or_in_scope_is_read_that_way(
    heading: str, text: str, outcome: str
) -> None:
    report, _ = imported(f"# ML engineer\n## {heading}\n- {text}\n")
    (row,) = report.statements
    assert row.outcome == outcome, row


@pytest.mark.parametrize(
    ("section", "text", "clause"),
    [
        ("Guardrails", "Always set a random seed", "guardrails.seeds"),
        ("Guardrails", "Seeds: fix random seeds for every run", "guardrails.seeds"),
        ("Guardrails", "Pin dependencies", "guardrails.environment"),
        ("Guardrails", "Never train on the test set", "guardrails.labels"),
        ("Guardrails", "Keep the hold-out set untouched", "guardrails.labels"),
        ("Guardrails", "No internet access", "resources.network"),
        ("Guardrails", "Set memory limits", "resources.memory_mb"),
        ("Guardrails", "Respect the token budget", "guardrails.max_tokens"),
        ("Guardrails", "Start with a simple baseline", "quality_gates[better-than-dummy]"),
        ("Responsibilities", "Train classification models", "routing.handles"),
        ("Inputs", "Training data", "inputs[dev_rows]"),
        ("Inputs", "Column roles from the data explorer", "inputs[column_roles]"),
        ("Handoffs", "Hands the candidate to the referee", "handoffs[candidate -> referee]"),
        ("Planning Mode", "Propose two or three options with trade-offs", "planning"),
        ("Reads", "Training data (Parquet)", "reads[/in/*.parquet]"),
        ("Writes", "The trained model", "writes[/out/model.pkl]"),
    ],
)
def test_what_is_covered_as_a_whole_is_held(section: str, text: str, clause: str) -> None:
    report, _ = imported(f"# ML engineer\n## {section}\n- {text}\n")
    (row,) = report.statements
    assert (row.outcome, row.clause) == ("held", clause), row


def test_aggregates_are_held_by_the_agents_that_hand_on_records() -> None:
    text = "# x\n## Guardrails\n- Report only aggregates\n"
    said = {}
    for role in ("data-explorer", "statistical-analyst", "ml-engineer"):
        report = Importer(Content(), role).convert(Source("a.md", text.encode())).report
        said[role] = report.statements[0].outcome
    assert said == {
        "data-explorer": "held",
        "statistical-analyst": "held",
        "ml-engineer": "advisory",
    }


# --- hostile documents, and files ---

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


def test_statements_beyond_the_limit_are_counted() -> None:
    report, _ = imported("# ML engineer\n## Guardrails\n" + "- be kind\n" * 2_100)
    assert report.sections[-1].became == "2000 advisory, 100 not read: too many"


def test_a_paragraph_or_a_hundred_and_first_item_is_no_criterion() -> None:
    items = "".join(f"- item {number}\n" for number in range(101))
    report, draft = imported(f"# ML engineer\n## Success\nBe good.\n\n{items}")
    assert outcome(report, "Be good.") == ("advisory", None)
    assert outcome(report, "item 99") == ("advisory", "success_criteria[advisory]")
    assert outcome(report, "item 100") == ("advisory", None)
    criteria = [item.criterion for item in read_record(Contract, draft, "draft").success_criteria]
    assert criteria[:100] == [f"item {number}" for number in range(100)]
    assert "item 100" not in criteria


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
