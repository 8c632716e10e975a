"""What the three agents share when they work: a desk to build jobs at, and reading what came out.

Guarantees that a record from a sandbox is parsed strictly and validated before anybody reads it,
and that an outcome other than `ok` becomes a sentence. Does not decide anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from mlagent.content import Content
from mlagent.contracts.base import Record, Role
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.contracts.ports import (
    CodeClass,
    Job,
    Journal,
    Limits,
    Outcome,
    Progress,
    Sandbox,
    never,
)
from mlagent.documents import read_record
from mlagent.sandbox.limits import default_limits
from mlagent.sandbox.sanitize import clean_line

from .registry import capped

R = TypeVar("R", bound=Record)
MB = 2**20
MOST_CLAIMED = 10**15


@dataclass
class JobFacts:
    """One finished job, as the ledger wants to know it."""

    agent: Role
    name: str
    verdict: str
    wall_s: float
    limits: Limits
    command: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass
class Desk:
    """Everything an agent needs to run jobs.

    Attributes:
        scratch: private folder of this run; inputs are written below it.
        memory_mb, cpus: limits of each job, before the contract's ceilings.
        contracts: no job runs that its agent's contract does not allow.
        retries: how often an agent may try again after a record that broke its schema.
        stop: asked while a job runs; True ends it early.
    """

    content: Content
    sandbox: Sandbox
    journal: Journal
    progress: Progress
    scratch: Path
    clock: Callable[[], float]
    memory_mb: int
    cpus: int
    contracts: Mapping[Role, Contract]
    retries: int = 0
    stop: Callable[[], bool] = field(default=lambda: False)
    done: list[JobFacts] = field(default_factory=list)

    def folder(self, name: str) -> Path:
        """A new or existing folder below the scratch space."""
        path = self.scratch / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def shipped_class(self, relative: str) -> CodeClass:
        """B for shipped content, C when `--content` supplies this file."""
        path = self.content.path(relative)
        return "B" if path.is_relative_to(self.content.shipped) else "C"

    def run(
        self,
        agent: Role,
        name: str,
        command: str,
        *,
        inputs: Mapping[str, Path],
        outputs: Mapping[str, int],
        into: Path,
        wall_s: float,
        code: CodeClass,
        args: tuple[str, ...] = (),
        on_line: Callable[[str], None] | None = None,
        stop: Callable[[], bool] | None = None,
        side_by_side: int = 1,
    ) -> Outcome:
        """Run one job and write it to the journal. Raises SandboxBroken, PrerequisiteMissing.

        Args:
            side_by_side: so many jobs run at once; each gets its share of the cores.
        """
        contract = self.contracts[agent]
        permit(contract, command, tuple(inputs), tuple(outputs))
        asked = default_limits(self.content, wall_s)
        cpus = float(max(1, self.cpus // side_by_side))
        limits = capped(replace(asked, memory_mb=self.memory_mb, cpus=cpus), contract)
        job = Job(
            name=name,
            command=command,
            inputs=dict(inputs),
            outputs=dict(outputs),
            into=into,
            limits=limits,
            args=args,
            code=code,
        )
        outcome = self.sandbox.run(job, on_line, stop or self.stop)
        self.done.append(
            JobFacts(
                agent,
                name,
                outcome.verdict,
                outcome.wall_s,
                limits,
                command,
                tuple(inputs),
                tuple(outcome.files),
            )
        )
        self.journal.append(
            "job.end",
            agent=agent,
            job=name,
            verdict=outcome.verdict,
            sentence=outcome.sentence,
            wall_s=round(outcome.wall_s, 3),
            files={item.name: item.sha256 for item in outcome.files.values()},
            refused=list(outcome.refused),
        )
        return outcome

    def claims(self, candidate: str) -> Callable[[str], None]:
        """Shows the progress lines of a candidate: its own claims, never a score."""

        def on_line(line: str) -> None:
            if not line.startswith('{"progress"') or len(line) > 2000:
                return
            try:
                facts = json.loads(line)["progress"]
            except (ValueError, KeyError, RecursionError):
                return
            if isinstance(facts, dict):
                shown = {
                    clean_line(str(key), 20): _claimed(value)
                    for key, value in list(facts.items())[:8]
                }
                self.progress.update(**{**shown, "candidate": candidate})

        return on_line

    def _script(self, relative: str) -> dict[str, Path]:
        """The script as script.py, and the modules beside it under their own names."""
        main = self.content.path(relative)
        beside = {path.name: path for path in sorted(main.parent.glob("*.py")) if path != main}
        self.content.text(relative)
        return {"script.py": main, **beside}

    def script(
        self,
        agent: Role,
        name: str,
        relative: str,
        model: type[R],
        *,
        table: Path,
        request: Mapping[str, Any],
        into: Path,
        wall_s: float,
    ) -> R:
        """Run one shipped analysis script on dev rows and return its validated record.

        Raises:
            MlagentError: the script did not end well, or wrote something that is not the record.
        """
        asked = self.folder(f"in/{name}") / "request.json"
        asked.write_text(json.dumps(request, allow_nan=False))
        inputs = {**self._script(relative), "dev.parquet": table, "request.json": asked}
        attempts = 1 + self.retries
        for attempt in range(1, attempts + 1):
            outcome = self.run(
                agent,
                name,
                "script",
                inputs=inputs,
                outputs={"result.json": 8 * MB},
                into=into,
                wall_s=wall_s,
                code=self.shipped_class(relative),
                stop=never,
            )
            found = outcome.files.get("result.json")
            if not outcome.ok or found is None:
                raise MlagentError(
                    f"The {agent} did not finish ({name}): {outcome.sentence}",
                    remedy="" if outcome.verdict == "exit" else last_words(outcome.log),
                )
            text = found.path.read_text(encoding="utf-8")
            try:
                return read_record(model, text, f"{name}: result.json", format="json")
            except BadInput as problem:
                self.journal.append("record.refused", agent=agent, job=name, why=problem.message)
                if attempt == attempts:
                    raise MlagentError(
                        f"The {agent} did not deliver a valid record: {problem.message}",
                        remedy=problem.remedy,
                    ) from None
        raise AssertionError("at least one attempt is made")


def _claimed(value: object) -> object:
    """A number as it is; anything else as a short line."""
    small = isinstance(value, int) and abs(value) < MOST_CLAIMED
    return value if small or isinstance(value, float) else clean_line(str(value), 40)


def permit(
    contract: Contract, command: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    """Enforces `tools`, `reads` and `writes`, before anything runs.

    Raises:
        MlagentError: the contract does not allow it; names the clause.
    """
    if command not in contract.tools:
        raise MlagentError(
            f"The contract of {contract.name} does not allow {command!r}.",
            remedy=f"Its tools: {', '.join(contract.tools)}.",
        )
    for name in inputs:
        if not (contract.may_read(f"/in/{name}") or contract.may_read(f"/in/{name}/file")):
            raise MlagentError(
                f"The contract of {contract.name} does not allow reading /in/{name}.",
                remedy=f"Its reads: {', '.join(contract.reads)}.",
            )
    for name in outputs:
        if not contract.may_write(f"/out/{name}"):
            raise MlagentError(
                f"The contract of {contract.name} does not allow writing /out/{name}.",
                remedy=f"Its writes: {', '.join(contract.writes)}.",
            )


def last_words(log: str) -> str:
    """The last line that the code printed, as a sentence; its claim, not ours."""
    lines = [line for line in log.splitlines() if line.strip()]
    return f"Its last words: {lines[-1][:300]}" if lines else ""
