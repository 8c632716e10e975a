"""Slash commands: one line of a comment in, a typed command out, or a sentence why not.

    /mlagent plan "TASK" [--target COLUMN] [--metric NAME] [--budget TIME] [--at SHA]
    /mlagent execute [--option option_a|option_b|option_c] [--budget TIME] [--at SHA]
    /mlagent compare [--at SHA]
    /mlagent help

Guarantees: verbs and flags are a fixed list and every value has a type, so no comment can reach an
option of another command. What is no command to a reader (code, quotation) is none here either:
`command_lines` says which lines count. Does not: say who may give a command, or run anything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mlagent.contracts.errors import BadInput
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.plan import OptionName
from mlagent.settings import parse_duration

from .command_lines import WORD, command_lines

LONGEST_LINE = 1000
LONGEST_TASK = 500
LONGEST_NAME = 200
OPTIONS: tuple[OptionName, ...] = ("option_a", "option_b", "option_c")
USAGE = (
    (f'{WORD} plan "TASK"', "[--target COLUMN] [--metric NAME] [--budget TIME] [--at SHA]"),
    (f"{WORD} execute", f"[--option {'|'.join(OPTIONS)}] [--budget TIME] [--at SHA]"),
    (f"{WORD} compare", "[--at SHA]"),
    (f"{WORD} help", ""),
)
"""Each command with its flags, for the help answer."""


@dataclass(frozen=True)
class PlanCommand:
    """`plan "TASK"`. `budget_s`: seconds of `execute`; `at`: the head must begin with it."""

    task: str
    target: str | None = None
    metric: str | None = None
    budget_s: float | None = None
    at: str | None = None


@dataclass(frozen=True)
class ExecuteCommand:
    """`execute`. `option`: of the ml-engineer, else the plan's own selection."""

    option: OptionName | None = None
    budget_s: float | None = None
    at: str | None = None


@dataclass(frozen=True)
class CompareCommand:
    """`compare`: the latest run of the head against a run of the base."""

    at: str | None = None


@dataclass(frozen=True)
class HelpCommand:
    """`help`."""

    at: str | None = None


Command = PlanCommand | ExecuteCommand | CompareCommand | HelpCommand

_TOKEN = re.compile(r'[ \t]+(?:"([^"]*)"|([^\s"]+))')
_CURLY = str.maketrans("\u201c\u201d\u201e", '"""')
_SHA = re.compile(r"[0-9a-f]{7,40}", re.ASCII)


def parse_command(body: str, *, max_budget_s: float) -> Command | None:
    """The command of a comment; None when there is none.

    Args:
        max_budget_s: the longest `--budget` in seconds.

    Raises:
        BadInput: several commands, an unknown verb or flag, or a value of the wrong type.
    """
    lines = command_lines(body)
    if not lines:
        return None
    if len(lines) > 1:
        raise BadInput(f"The comment holds {len(lines)} commands; one is read at a time.")
    line = lines[0].translate(_CURLY)
    if len(line) > LONGEST_LINE:
        raise BadInput(f"The command is longer than {LONGEST_LINE} characters.")
    words = _words(line)
    if not words:
        return HelpCommand()
    (verb, quoted), rest = words[0], words[1:]
    if quoted or verb not in _VERBS:
        raise BadInput(f"There is no command {verb!r}.")
    return _VERBS[verb](rest, max_budget_s)


def _words(line: str) -> list[tuple[str, bool]]:
    """The words after `/mlagent`, each with whether it stood in quotes. Raises BadInput."""
    if any(unicodedata.category(mark)[0] == "C" and mark != "\t" for mark in line):
        raise BadInput("The command holds an invisible character.")
    line, place, found = line.rstrip(), len(WORD), []
    while place < len(line):
        match = _TOKEN.match(line, place)
        if match is None:
            raise BadInput("A quotation mark is not closed, or stands inside of a word.")
        found.append((match[2], False) if match[1] is None else (match[1], True))
        place = match.end()
    return found


def _flags(
    words: list[tuple[str, bool]], kinds: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any]:
    """`--name value` pairs, each value read by its kind. Raises BadInput."""
    found: dict[str, Any] = {}
    rest = iter(words)
    for word, quoted in rest:
        name = word.removeprefix("--")
        if quoted or not word.startswith("--"):
            raise BadInput(f"{word!r} is not expected there.")
        if name not in kinds:
            raise BadInput(f"There is no flag {word!r}.")
        if name in found:
            raise BadInput(f"{word} stands twice.")
        value, quoted = next(rest, ("", False))
        if not value or (value.startswith("-") and not quoted):
            raise BadInput(f"{word} needs a value.")
        found[name] = kinds[name](value)
    return found


def _budget(most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        seconds = parse_duration(text)
        if seconds > most:
            raise BadInput(f"The budget {text!r} is above {most:g} s, the most that is given here.")
        return seconds

    return read


def _sha(text: str) -> str:
    if not _SHA.fullmatch(text):
        raise BadInput(f"--at {text!r} is not the id of a commit (7 to 40 of 0-9, a-f).")
    return text


def _one_of(flag: str, allowed: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise BadInput(f"{flag} {text!r} is not known; allowed: {', '.join(allowed)}.")
        return text

    return read


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME:
        raise BadInput(f"A column's name has at most {LONGEST_NAME} characters here.")
    return text


def _plan(words: list[tuple[str, bool]], most: float) -> Command:
    if not words or not words[0][1]:
        raise BadInput('The task stands in quotes, right after plan: plan "churn model".')
    task = words[0][0].strip()
    if not 1 <= len(task) <= LONGEST_TASK:
        raise BadInput(f"The task has 1 to {LONGEST_TASK} characters.")
    given = _flags(
        words[1:],
        {
            "target": _name,
            "metric": _one_of("--metric", tuple(METRICS)),
            "budget": _budget(most),
            "at": _sha,
        },
    )
    return PlanCommand(
        task, given.get("target"), given.get("metric"), given.get("budget"), given.get("at")
    )


def _execute(words: list[tuple[str, bool]], most: float) -> Command:
    kinds = {"option": _one_of("--option", OPTIONS), "budget": _budget(most), "at": _sha}
    given = _flags(words, kinds)
    option = cast("OptionName | None", given.get("option"))
    return ExecuteCommand(option, given.get("budget"), given.get("at"))


def _compare(words: list[tuple[str, bool]], most: float) -> Command:
    return CompareCommand(_flags(words, {"at": _sha}).get("at"))


def _help(words: list[tuple[str, bool]], most: float) -> Command:
    _flags(words, {})
    return HelpCommand()


_VERBS: dict[str, Callable[[list[tuple[str, bool]], float], Command]] = {
    "plan": _plan,
    "execute": _execute,
    "compare": _compare,
    "help": _help,
}
