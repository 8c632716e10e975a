"""What each agent's turn really was, in one sentence each: the counterpart of what was planned.

Guarantees: counts and seconds are the host's. The name of a candidate and the members of its
schedule are its own words, cut to one line, and never a score. Does not say why: that is the
plan's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlagent.agents.ml_engineer import CandidateFolder, Fitted
from mlagent.contracts.base import Role
from mlagent.contracts.words import counted

from .state import State

LONGEST = 100
MOST_MEMBERS = 6


def what_ran(state: State, candidate: CandidateFolder, fitted: Fitted) -> dict[Role, str]:
    """Role -> sentence, for every agent that had a turn.

    Args:
        candidate, fitted: what ships.
    """
    said: dict[Role, str] = {}
    if (looked := state.exploration) is not None:
        rows = f"{looked.rows_used:,} of {looked.rows:,} dev rows"
        if looked.rows_used == looked.rows:
            rows = f"all {looked.rows:,} dev rows"
        said["data-explorer"] = (
            f"looked at {rows} and {counted(len(looked.looks), 'column')}; "
            f"{counted(len(looked.findings), 'finding')}."
        )
    if (found := state.analysis) is not None:
        plan = found.validation_plan
        folds = counted(plan.folds, "fold") + (f" x {plan.repeats}" if plan.repeats > 1 else "")
        judged = f"{len(state.judged):,} judged rows" if len(state.judged) else "judged out of fold"
        said["statistical-analyst"] = (
            f"{plan.kind} split of {len(state.dev) + len(state.judged):,} rows: {len(state.dev):,} "
            f"dev rows in {folds}, {judged}; "
            f"{counted(len(found.checks), 'check')}, "
            f"{counted(len(found.associations), 'association')} tested."
        )
    said["ml-engineer"] = what_ships(state, candidate, fitted)
    return said


def what_ships(state: State, candidate: CandidateFolder, fitted: Fitted) -> str:
    """'linear ships (Linear baseline): 19 features, fitted on 5,635 rows in 0.4 s.'"""
    option = state.request.engineer
    instead = "" if option == candidate.name else f" instead of {option}"
    title = title_of(candidate)
    schedule = in_words(fitted.schedule or {})
    return (
        f"{candidate.name} ships{instead}{f' ({title})' if title else ''}: "
        f"{counted(len(state.features), 'feature')}, fitted on {len(state.dev):,} rows in "
        f"{fitted.fit_seconds:.1f} s.{f' By its own schedule: {schedule}.' if schedule else ''}"
    )


def title_of(candidate: CandidateFolder) -> str:
    """The heading of the candidate's README.md, or ''."""
    file = candidate.path / "README.md"
    if not file.is_file():
        return ""
    first = file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
    return one_line(first.lstrip("# "))


def in_words(schedule: Mapping[str, Any]) -> str:
    """'lightgbm (usual), lightgbm (tuned), 12 trials': what a schedule.json tells of a fit."""
    members = schedule.get("members")
    names: list[str] = []
    for member in members if isinstance(members, list) else []:
        kind, name = member if isinstance(member, str) else "", ""
        if isinstance(member, dict):
            kind, name = str(member.get("kind", "")), str(member.get("name", ""))
        names.append(f"{kind} ({name})" if name and name != kind else kind)
    names = list(dict.fromkeys(one_line(name) for name in names if name))
    if len(names) > MOST_MEMBERS:
        names = [*names[:MOST_MEMBERS], f"{len(names) - MOST_MEMBERS} more"]
    trials = schedule.get("trials")
    if isinstance(trials, int) and not isinstance(trials, bool):
        names.append(counted(trials, "trial"))
    return ", ".join(names)


def one_line(text: str) -> str:
    """Printable, one line, cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
