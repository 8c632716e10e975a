"""An agent's system prompt: its persona, rendered with its contract.

Guarantees: values from tables are values of the template, never part of it. Does not know who reads
the text: a language model through the API, or Claude Code.
"""

from __future__ import annotations

from typing import Any, Literal

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from mlagent.content import Content
from mlagent.contracts.contract import Contract, clauses

Mode = Literal["planning", "execution"]


def render_persona(
    content: Content, contract: Contract, mode: Mode, *, task: str = "", facts: str = ""
) -> str:
    """The whole prompt. Raises BadInput when the content has no such file."""
    return render_text(
        content.text(contract.prompts.system),
        contract=contract,
        clauses=list(clauses(contract)),
        mode=mode,
        task=task,
        facts=facts,
    )


def render_text(template: str, **values: Any) -> str:
    """A template's text with values. An undefined value is an error."""
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    return str(environment.from_string(template).render(**values))
