"""An importer, one subagent file, and what a report says of a statement."""

from __future__ import annotations

from mlagent.content import Content
from mlagent.contracts.agent_files import AgentImport
from mlagent.doors.claude_code.importing import Importer
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
