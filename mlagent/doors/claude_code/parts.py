"""Which part of a contract a section speaks about, read from its heading.

Guarantees: each section gets exactly one part; the same headings give the same parts. Reads English
headings. Does not read the text below: `importing` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlagent.contracts.agent_files import Part

from .sections import Section

_WORDS: tuple[tuple[Part, str], ...] = (
    ("planning", r"planning mode|^planning$"),
    ("boundaries", r"boundar|does not|do not|don t|not responsible|out of scope|^scope$|"
     r"limitation|non goals|when not to use|restrictions"),
    ("guardrails", r"guard ?rail|anti ?pattern|red flag|best practice|principle|^rules|hard rules|"
     r"constraint|safety|^security|ethic|privacy|governance|reproducib|pitfall|^never|"
     r"critical rules|important rules"),
    ("success", r"success|acceptance|definition of done|quality (standard|assurance|gate|check|"
     r"metric)|delivery standard|performance metric|performance target|\bkpis?\b|"
     r"production readiness"),
    ("reads", r"^reads?\b|read access|files? (it|you|this agent) reads?"),
    ("writes", r"^writes?\b|write access|files? (it|you|this agent) writes?"),
    ("outputs", r"output|deliverable|^to [a-z]"),
    ("inputs", r"^inputs?\b|input requirement|required input|prerequisite|^requires|"
     r"^context needed|^from [a-z]"),
    ("handoffs", r"collaborat|hand ?off|dependenc|integration (with|point)|works? with|"
     r"^with [a-z]|escalat|delegat|communication protocol|workflow integration"),
    ("responsibilities", r"responsibilit|duties|what you do|your (job|task)|"
     r"core (function|task)s?"),
    ("tools", r"\btools?\b|tech(nology)? stack|core technolog"),
    ("role", r"^role\b|identity|^overview|^mission|^purpose|persona\b|who you are|^about\b"),
    ("examples", r"example|sample|usage|when to use|use cases?"),
    ("process", r"workflow|\bprocess\b|approach|methodolog|framework$|phases?\b|when invoked|"
     r"protocol|^steps?\b|challenges and solutions|project structure"),
)  # fmt: skip
_PATTERNS = tuple((part, re.compile(words)) for part, words in _WORDS)
_HEIRS: frozenset[Part] = frozenset(
    {"responsibilities", "tools", "examples", "process", "planning", "reads", "writes"}
)
"""Below these a heading is a detail, whatever word it holds ("Input validation" is a duty)."""
_LENDERS: frozenset[Part] = frozenset(
    {"guardrails", "success", "handoffs", "boundaries", "inputs", "outputs"}
)
"""Below these a heading may say something else, and belongs to them when it does not."""

_EXPERTISE = re.compile(
    r"expertise|skill|capabilit|speciali[sz]|knowledge|technolog|implementation"
)
"""Headings of knowledge whose details are knowledge too ("Text Processing")."""


def part_of(heading: str) -> Part:
    """The part that a heading names by itself; 'knowledge' when it names none."""
    words = re.sub(r"[^a-z0-9]+", " ", heading.lower()).strip()
    words = re.sub(r"^(?:\d+ |phase \d+ |step \d+ |your |core |key |common )+(?=[a-z])", "", words)
    for part, pattern in _PATTERNS:
        if pattern.search(words):
            return part
    return "knowledge"


def parts_of(sections: Iterable[Section]) -> list[Part]:
    """The part of each section, the headings above it taken into account."""
    found: list[Part] = []
    above: list[tuple[int, Part, bool]] = []
    begins = True
    for section in sections:
        above = [entry for entry in above if entry[0] < section.level]
        over, heir = (above[-1][1], above[-1][2]) if above else ("knowledge", False)
        own: Part = part_of(section.heading)
        if section.level == 0 or (section.level == 1 and begins):
            found.append("role")  # the words before any heading, and the title
            continue
        if heir or (own == "knowledge" and over in _LENDERS):
            own = over
        found.append(own)
        begins = begins and own == "role"
        expert = own == "knowledge" and _EXPERTISE.search(section.heading.lower()) is not None
        above.append((section.level, own, heir or own in _HEIRS or expert))
    return found
