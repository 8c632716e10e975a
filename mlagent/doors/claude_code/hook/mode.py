"""Which mode an agent was asked for: planning, execution, or nobody said.

Guarantees: a mode that is only denied, done with or still to come was not asked for; where both
were asked for, execution counts only when a line declares it before planning is spoken of; in every
other doubt the answer is planning, which demands a plan. "Plan mode", "planning phase" and being
asked for an `agent_plan` are planning mode. Reads English. Linear time.
"""

from __future__ import annotations

import re

MAX_TEXT = 100_000
_MENTION = re.compile(
    r"\b(?P<first>planning|execution)[ \t_-]{1,3}(?:mode|phase)\b"
    r"|\b(?P<plan>plan)[ \t_-]{1,3}mode\b"
    r"|\bmode\W{1,4}(?P<second>planning|execution)\b"
    r"|\bmode[ \t]*[:=][ \t]*[\"'`]?(?P<set>plan)[\"'`]?(?=[ \t]*(?:[\n,;})]|\.?\Z))"
    r"|\b(?P<record>(?:as (?:an?|one|your)|(?:give|send|show|write|return|produce|propose|make"
    r"|output|deliver|create|draft|provide|submit|want|need|expect"
    r"|(?:answer|reply|respond|end|finish) with)"
    r"(?:[ \t]+[a-z]{1,12}){0,4})[ \t]+[`\"']{0,2}agent_plan)\b(?![`\"']{0,2}[ \t]*:)",
    re.IGNORECASE,
)
_HINTS = (re.compile(r"mode\b"), re.compile(r"phase\b"), re.compile("agent_plan"))
"""One of them stands in whatever _MENTION finds; to look for them first is ten times as fast."""
_CLAUSE = re.compile(r"[.;:!?,()\n]|\bbut\b|\band\b|\bthen\b", re.IGNORECASE)
_NOT = re.compile(
    r"\bnot\b(?!\s+(?:only|just)\b)|\bno\b|\bnever\b|n['’]t\b|\bwithout\b|\binstead of\b"
    r"|\brather than\b|\bother than\b|\bneither\b|\bnor\b"
    r"|\b(?:leav|exit|skip|avoid|forbid|quit)\w*|\bstop\w*",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"\s+(?:is|are|was|must be|should be|has been|stays)"
    r"(?:n['’]t\b|\s+(?:not|never|off|over|forbidden|disabled|wrong)\b)"
    r"|\s*[:=]\s*(?:off|no|false)\b|\s+(?:off|forbidden|disabled)\b",
    re.IGNORECASE,
)
_DONE_BEFORE = re.compile(
    r"\b(?:after|following|from|since|past|beyond|earlier|previous|finished|completed|done with"
    r"|out of|by|approved in|chosen in|made in|left)\b(?:\W+\w+){0,2}\W*\Z",
    re.IGNORECASE,
)
_DONE_AFTER = re.compile(
    r"\s+(?:has\s+|have\s+)?(?:recommended|produced|proposed|chose|chosen|selected|gave|given|said"
    r"|made|ended|was\b|is (?:over|done|finished|complete))",
    re.IGNORECASE,
)
_LATER_BEFORE = re.compile(
    r"\b(?:before|until|later|eventually|afterwards?|next|towards?)\b(?:\W+\w+){0,2}\W*\Z",
    re.IGNORECASE,
)
_LATER_AFTER = re.compile(
    r"\s+(?:comes?|follows?|starts?|begins?|will|is)\b[^.;:!?\n]{0,30}?"
    r"\b(?:later|after|afterwards|next|follow|another|once)\b",
    re.IGNORECASE,
)
_DECLARED = re.compile(
    r"[^\w\n]*(?:(?:now|you(?: are|['’]re)|this is|we are|work|start|go on|continue|proceed|in|the"
    r"|mode)[^\w\n]+){0,5}\Z",
    re.IGNORECASE,
)
"""What may stand between the start of a line or sentence and the mode that it declares."""
WINDOW = 48
"""Characters before a mention that may deny it."""


def mode_of(texts: list[str]) -> str:
    """'planning', 'execution' or '': the last of the user's texts that speaks of a mode counts."""
    return next(filter(None, map(mode_asked_for, reversed(texts))), "")


def mode_asked_for(text: str) -> str:
    """What one text asks for."""
    text = text[:MAX_TEXT]
    folded = text.casefold()
    if not any(hint.search(folded) for hint in _HINTS):
        return ""
    asked, denied, declared = [], set(), False
    for mention in _MENTION.finditer(text):
        mode = (mention["first"] or mention["second"] or "planning").lower()
        before = text[max(0, mention.start() - WINDOW) : mention.start()]
        cuts = list(_CLAUSE.finditer(before))
        clause = before[cuts[-1].end() :] if cuts else before
        after = text[mention.end() : mention.end() + WINDOW]
        if (len(_NOT.findall(clause)) + bool(_NOT_AFTER.match(after))) % 2:
            denied.add(mode)
        elif not _at_another_time(mode, clause, after):
            if mode == "execution" and "planning" not in asked:
                line = text[: mention.start()].rpartition("\n")[2][-WINDOW * 2 :]
                opens = _DECLARED.match(re.split(r"[.!?]\s", line)[-1])
                declared = declared or bool(opens and not after.lstrip().startswith("?"))
            asked.append(mode)
    if "planning" in asked:
        return "execution" if declared else "planning"
    if "execution" in asked:
        return "execution"
    if "execution" in denied and "planning" not in denied:
        return "planning"
    return "execution" if "planning" in denied else ""


def _at_another_time(mode: str, clause: str, after: str) -> bool:
    """Whether planning is spoken of as done, or execution as still to come."""
    if mode == "planning":
        return bool(_DONE_BEFORE.search(clause) or _DONE_AFTER.match(after))
    return bool(_LATER_BEFORE.search(clause) or _LATER_AFTER.match(after))
