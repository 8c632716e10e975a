"""The report on an imported document, as a page to read.

Guarantees: shows what the JSON holds and nothing else; text of the document cannot become Markdown
structure. The JSON is the report, this is a view.
"""

from __future__ import annotations

import re

from mlagent.contracts.agent_files import AgentImport

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|!@~$])")
_MEANING = {
    "clause": "the draft has a clause that is enforced",
    "held": "clauses of the base contract cover all of it",
    "refused": "the base contract refuses it, and stays",
    "advisory": "nothing enforces all of it",
}


def import_page(report: AgentImport) -> str:
    """The page, in Markdown."""
    lines = [f"# Import of {_text(report.file)}", ""]
    lines += [
        f"- Claude Code {'loads it' if report.verdict.loads else 'does not load it'}: "
        f"{_text(report.verdict.why)}",
        *(f"- but: {_text(note)}" for note in report.verdict.notes),
        f"- Base: {report.agent or 'none'} ({_text(report.agent_why)})",
        f"- Draft: {report.draft or 'not written'}, "
        f"{'valid' if report.valid else 'to be completed'}",
    ]
    if report.missing:
        lines += ["", "## To fill in", ""]
        lines += [f"- {_text(item.field)}: {_text(item.why)}" for item in report.missing]
    if report.defaults:
        lines += ["", f"From the base contract: {', '.join(report.defaults)}."]
    lines += ["", "## Sections", "", "| line | section | about | statements | code | became |"]
    lines += ["|---:|---|---|---:|---:|---|"]
    for section in report.sections:
        lines.append(
            f"| {section.line} | {_text(section.heading)} | {section.part} | {section.statements} "
            f"| {section.code_blocks} | {_text(section.became)} |"
        )
    for outcome, meaning in _MEANING.items():
        rows = [row for row in report.statements if row.outcome == outcome]
        if rows:
            lines += ["", f"## {outcome.capitalize()}: {meaning}", ""]
            lines += ["| line | about | statement | clause | why |", "|---:|---|---|---|---|"]
        for row in rows:
            lines.append(
                f"| {row.line} | {row.part} | {_text(row.text)} | {_text(row.clause or '')} "
                f"| {_text(row.why)} |"
            )
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
