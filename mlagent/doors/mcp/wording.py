"""Sentences of mlagent, in the words of a client that has tool arguments and no command line.

Guarantees: a flag or command that has a tool or an argument here is named by that; what only a
terminal can do (`mlagent doctor`, `mlagent sandbox build`, `mlagent mcp` with flags) stays. What
stands in quotes right before a flag's dashes is data and stays too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

ARGUMENTS = {
    "data": "data",
    "target": "target",
    "metric": "metric",
    "positive": "positive",
    "id": "ids",
    "group": "group",
    "time": "time",
    "exclude": "exclude",
    "constraint": "constraints",
    "budget": "budget",
    "seed": "seed",
    "select": "select",
    "vault": "vault",
    "test": "test",
    "candidate": "candidate",
}
"""Flag -> argument."""
LISTS = ("exclude", "ids", "constraints")
_NAMES = "|".join(ARGUMENTS)
_FREE = r"(?<![\w'\"-])"
"""Not inside a quoted value, and no end of another word."""
_QUOTED = r"((?P<q>['\"])(?:(?!(?P=q)).)*(?P=q))"
_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (
        rf"`?mlagent plan {_QUOTED} --data ([\w./-]*\w)`?",
        r'mlagent_plan with task=\1 and data="\3"',
    ),
    (rf"`?mlagent plan {_QUOTED}`?", r"mlagent_plan with task=\1"),
    (r"`?mlagent execute --resume\b`?", 'mlagent_run with action="resume"'),
    (r"`?mlagent (plan|try|report)\b(?! \w)`?", r"mlagent_\1"),
    (r"`?mlagent execute\b`?", "mlagent_run"),
    (r"`?mlagent runs\b`?", "mlagent_run_status"),
    (rf"{_FREE}--refit all\b", "refit_all=true"),
    (rf"{_FREE}--force\b", "force=true"),
    (rf"{_FREE}--resume\b", 'action="resume"'),
    (rf"{_FREE}--vault (auto|[\d.]*\d)", r'vault="\1"'),
    (rf"{_FREE}--constraint (interpretable|monotone)\b", r"the constraint \1"),
    (rf"{_FREE}--({_NAMES})[ =]('[^']*')", lambda found: _given(found[1], found[2])),
    (
        rf"{_FREE}--(data|metric)[ =]([\w./-]*\w)(?=[.,;)]|\Z)",
        lambda found: _given(found[1], f'"{found[2]}"'),
    ),
    (rf"(?<=`)--({_NAMES})\b(?!-)", lambda found: ARGUMENTS[found[1]]),
    (rf"{_FREE}--({_NAMES})\b(?!-)", lambda found: f"`{ARGUMENTS[found[1]]}`"),
)
_COMPILED = tuple((re.compile(pattern), by) for pattern, by in _RULES)


def _given(flag: str, value: str) -> str:
    name = ARGUMENTS[flag]
    return f"{name}=[{value}]" if name in LISTS else f"{name}={value}"


def in_words(text: str) -> str:
    """The sentence, with arguments of tools where it named flags of the command line."""
    if "--" not in text and "mlagent " not in text:
        return text
    for pattern, by in _COMPILED:
        text = pattern.sub(by, text)
    return text
