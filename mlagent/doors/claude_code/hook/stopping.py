"""SubagentStop: a plan that the record would refuse goes back to the agent that wrote it.

Guarantees: a message that holds an `agent_plan` passes only when the plan validates and is the
agent's own; an agent that was asked for planning mode (see `mode`) does not stop without one. A
plan goes back once: the second time the agent stops and the user is told. Other messages pass, and
so does any message without a plan when no transcript can be read. Of a long transcript the start
and the end are read; what a user said in between is not known.
"""

from __future__ import annotations

import json
import re

from .mode import mode_of
from .plan_check import contract_problems, plan_problems
from .plan_text import Refused, read_plan_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRANSCRIPT_START, TRANSCRIPT_END = 200_000, 1_800_000
"""Bytes of a longer transcript that are read: the first request, and what came last."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,}) *([A-Za-z]*)")
_BARE = re.compile(r" *(?:[{\"']+ *)?agent_plan[\"']? *:")


def stop_problems(event: dict[str, Any], role: str, policy: dict[str, Any]) -> list[str]:
    """What keeps the agent from stopping, as sentences; empty when nothing does."""
    message = event.get("last_assistant_message")
    path = event.get("agent_transcript_path")
    if not isinstance(message, str):
        message = _last_message(path)
    plans = find_plans(message)
    if not plans:
        if _was_asked_for_a_plan(path):
            return ["Planning mode ends with a YAML document that begins with `agent_plan:`."]
        return []
    if len(plans) > 1:
        return [f"The answer holds {len(plans)} plans; give one `agent_plan`."]
    try:
        value = read_plan_text(plans[0])
    except Refused as error:
        return [f"The YAML cannot be read: {error}."]
    planning = policy["agents"][role]["planning"]
    return plan_problems(policy["plan_schema"], value) or contract_problems(role, planning, value)


def find_plans(message: str) -> list[str]:
    """The texts of the message that are meant as plans: fenced blocks, or from `agent_plan:` on."""
    blocks, bare, fence, block = [], None, "", []  # type: list[str], int | None, str, list[str]
    lines = message.replace("\r\n", "\n").split("\n")
    for index, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip(" `~"):
                blocks.append("\n".join(block))
                fence = ""
            else:
                block.append(line)
        elif mark:
            fence, block = mark[1], []
        elif bare is None and (_BARE.match(line) or (line == "{" and _opens(lines, index))):
            bare = index
    if fence:
        blocks.append("\n".join(block))
    found = [text for text in blocks if any(_BARE.match(line) for line in text.split("\n"))]
    found = found or [text for text in blocks if "implementation_options:" in text]
    if not found and bare is not None:
        found.append("\n".join(lines[bare:]))
    return found


def _opens(lines: list[str], index: int) -> bool:
    return index + 1 < len(lines) and bool(_BARE.match(lines[index + 1]))


def _was_asked_for_a_plan(path: object) -> bool:
    return mode_of([text for kind, text in _transcript(path) if kind == "user"]) == "planning"


def _last_message(path: object) -> str:
    said = [text for kind, text in _transcript(path) if kind == "assistant" and text]
    return said[-1] if said else ""


def _transcript(path: object) -> list[tuple[str, str]]:
    """(who, text) of each message; empty when the transcript cannot be read."""
    if not isinstance(path, str):
        return []
    try:
        with open(path, "rb") as file:
            start = file.read(TRANSCRIPT_START)
            behind = file.seek(0, 2) - TRANSCRIPT_END
            file.seek(max(len(start), behind))
            end = file.read(TRANSCRIPT_END)
    except (OSError, ValueError):
        return []
    gap = b"\n" if behind > len(start) else b""
    lines = (start + gap + end).decode("utf-8", "replace").split("\n")
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            content = entry["message"]["content"]
            who = entry["type"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(content, list):
            parts = [part for part in content if isinstance(part, dict)]
            content = "\n".join(str(part["text"]) for part in parts if "text" in part)
        if isinstance(content, str):
            found.append((str(who), content))
    return found
