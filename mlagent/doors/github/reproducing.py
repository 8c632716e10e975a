"""Where the head's run was made, and the commands that repeat it in a clone.

Guarantees: commands are made of numbers, commit ids and checked names of the record, and of the
number that GitHub gives; `--mine` is never one, for to a reader the code is somebody else's.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from mlagent.contracts.pr_report import PrReport

from .markdown import Safe

if TYPE_CHECKING:
    from .comment import Links


def other_commit(report: PrReport) -> str:
    """The sentence that the run was made at another commit than the head; '' where it was not. Such
    a run measures no gate, every other one does."""
    if any(gate.outcome != "not measured" for gate in report.gates):
        return ""
    return next((gate.evidence for gate in report.gates), "")


def merge_of(report: PrReport) -> str | None:
    """GitHub's test merge, where the run was made at one: a commit that is not the head and yet
    stands for it."""
    own, head = report.head.commit, report.head_commit
    return own if head is not None and own != head and not other_commit(report) else None


def reproduce(report: PrReport, links: Links) -> dict[str, Any]:
    """The commands that repeat the head's run, made here from typed flags, and what they need."""
    how, run = report.reproduce, report.head.run
    words = ["mlagent", "execute", "--budget", f"{how.budget_s:g}s", "--seed", str(how.seed)]
    for agent, option in how.selection.items():
        words += ["--select", f"{agent}={option}"]
    if how.vault is not None:
        words += ["--vault", f"{how.vault:g}"]
    if how.test_file:
        words += ["--test", "FILE"]
    if how.refit:
        words += ["--refit", "all"]
    needs = "nothing"
    if how.candidate is not None:  # a replay has no schedule to follow there
        folder = f"runs/{run}/artifacts/ml-engineer/{how.candidate}" if how.candidate else "FOLDER"
        words += ["--candidate", folder]
        needs = "candidate"
    elif how.schedule:
        words += ["--replay", run]
        needs = "replay"
    merge = merge_of(report)
    lines = [*_checkout(report, links), shlex.join(words)]
    return {
        "commands": Safe("\n".join(["```sh", *lines, "```"])),
        "needs": needs,
        "merge": None if merge is None else Safe(merge[:7]),
        "merged": None if merge is None or how.merged is None else Safe(how.merged[:7]),
    }


def _checkout(report: PrReport, links: Links) -> list[str]:
    """Commands that bring the files of the run into a clone; none where its commit is unknown."""
    own, merged = report.head.commit, report.reproduce.merged
    if own is None:
        return []
    merge = merge_of(report)
    lines = [] if links.number is None else [f"git fetch origin pull/{links.number}/head"]
    if merge is None:
        return [*lines, f"git checkout {own[:12]}"]
    lines.append(f"git checkout {str(report.head_commit)[:12]}")
    if merged is not None:
        lines = ["git fetch origin", *lines, f"git merge --no-edit {merged[:12]}"]
    return lines
