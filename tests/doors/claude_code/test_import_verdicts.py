"""What an import calls held: in the five seed documents, and statement by statement."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from imported import IMPORTER, imported, outcome

from mlagent.content import Content
from mlagent.contracts.contract import Contract
from mlagent.documents import read_record
from mlagent.doors.claude_code.importing import UNDERSTOOD, Importer
from mlagent.doors.claude_code.sources import Source


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
