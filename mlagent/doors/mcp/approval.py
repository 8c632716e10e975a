"""Who says yes to a run, and what is said before: the folder, the time, the isolation, the command.

Guarantees: nothing is started without a yes. A client that can put a question is asked; Claude Code
asks by itself; any other client starts nothing, unless the person who started the server said
`--allow-runs`. Does not know whether a client is what it calls itself, nor what Claude Code shows:
both are the client's own claim.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, cast

from mcp_types import ClientCapabilities
from pydantic import BaseModel, Field

from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.ports import CodeClass
from mlagent.orchestrator.execute_flow import unfinished
from mlagent.sandbox.choose import choose_sandbox
from mlagent.store.journal import read_journal

from .roots import Place

ASKS_ITSELF = "claude-code"
"""This client shows its own question for a tool with `requiresUserInteraction`."""


class Approval(BaseModel):
    """What the user is asked before a run."""

    approved: bool = Field(description="Start the run now.", strict=True)


YES = Approval(approved=True)


def to_be_asked(able: ClientCapabilities | None, name: str | None, *, allowed: bool) -> bool:
    """Whether the server puts the question; False where the client or `--allow-runs` decides.

    Args:
        able: what the client says that it can do.
        name: what it calls itself.
        allowed: the server was started with `--allow-runs`.

    Raises:
        BadInput: nobody can be asked.
    """
    if name == ASKS_ITSELF:
        return False
    asks = able.elicitation if able is not None else None
    if asks is not None and not (asks.url is not None and asks.form is None):
        return True
    if allowed:
        return False
    raise BadInput(
        "A run needs the user's yes, and this client cannot put the question (it has no form "
        "elicitation); nothing was started.",
        remedy="Use a client that can. Or the user, and nobody else, allows runs without a "
        "question by starting the server as `mlagent mcp --allow-runs`.",
    )


def isolation(need: CodeClass) -> str:
    """What a run would be kept in, in a sentence: chosen as the run itself will choose.

    Asks the container engine, and starts nothing.

    Raises:
        PrerequisiteMissing: the code must not run without a container, and there is none.
    """
    choice = choose_sandbox(content=Content(), need=need)
    with closing(cast(Any, choice.sandbox)):
        if choice.reason:
            return f"NO container: {choice.reason}"
        return f"Its code runs in a container: {choice.sandbox.describe()}."


def code_of(place: Place, action: str, candidate: str | None) -> CodeClass:
    """The least trusted class of code that the run executes. Raises BadInput."""
    if action == "resume":
        start = read_journal(unfinished(place.project).path / "journal.jsonl")[0].facts
        if start.get("author", "template") != "template":
            return "D"
        if start.get("candidate"):
            return "C" if start.get("candidate_code") == "C" else "D"
    elif candidate is not None:
        return "D"
    return "B" if Content().override is None else "C"
