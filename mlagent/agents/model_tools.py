"""The tools that a language model may call before it hands something in.

Guarantees: what a tool gives are aggregates, or text that `clean` masked; analyses run as a
stranger's code on dev rows, which only a container tier takes; of files, only those that the
contract's `reads` name below /run are opened, through no link and not outside the run. Does not
count rounds and does not fence: `tool_loop` does.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlagent.contracts.contract import Contract, ModelTool
from mlagent.contracts.errors import MlagentError, PrerequisiteMissing
from mlagent.contracts.findings import Analysis, Exploration
from mlagent.contracts.words import counted
from mlagent.sandbox.sanitize import clean_line

from .jobs import Desk, permit
from .planning_context import PlanningContext
from .table_text import column_line, shown
from .tool_loop import Refusal, text_in

Clean = Callable[[str, str], str]
"""(text, code that it came from) -> the text without cells."""
MOST_COLUMNS = 20
LARGEST_CODE, LARGEST_FILE, PAGE = 20_000, 2**20, 6_000
LONGEST_QUESTION = 400
ANALYSIS_S = 20.0
MOST_ANALYSES, MOST_QUESTIONS = 6, 3
"""Of a run."""


@dataclass
class LookAtProfile:
    """What is known of some columns: the profile, and what explorer and analyst found.

    Attributes:
        exploration, analysis: None in planning, before anybody looked.
    """

    context: PlanningContext
    exploration: Exploration | None = None
    analysis: Analysis | None = None
    clean: Clean = lambda text, code: text
    name: ModelTool = "look_at_profile"

    @property
    def described(self) -> dict[str, Any]:
        return {
            "description": "Aggregates of some columns: kind, distinct values, missing cells, "
            "quantiles, and what the data-explorer and the statistical-analyst found there.",
            "input_schema": schema(
                columns={
                    "type": "array",
                    "items": {"type": "string"},
                    "description": f"names, at most {MOST_COLUMNS}",
                }
            ),
        }

    def use(self, given: Mapping[str, Any]) -> str:
        names = given.get("columns")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refusal("columns is no list of names.")
        if not 1 <= len(names) <= MOST_COLUMNS:
            raise Refusal(f"Name 1 to {MOST_COLUMNS} columns.")
        profile = self.context.profile
        known = {} if profile is None else {column.name: column for column in profile.columns}
        if strange := [name for name in names if name not in known]:
            raise Refusal(f"There is no column {shown(strange[0])}.")
        lines = []
        for name in dict.fromkeys(names):
            lines.append(column_line(known[name], self.context))
            lines += [f"  {self.clean(line, '')}" for line in self._found(name)]
        return "\n".join(lines)

    def _found(self, name: str) -> list[str]:
        lines = []
        if self.exploration is not None:
            for look in self.exploration.looks:
                if look.name == name and look.association is not None:
                    lines.append(f"association with the target {look.association:.3g} of 1")
            for one, other, value in self.exploration.pairs:
                if name in (one, other):
                    lines.append(f"pair {shown(one)}, {shown(other)}: {value:.3g}")
        for found in (self.exploration, self.analysis):
            for finding in () if found is None else found.findings:
                if name in finding.columns:
                    lines.append(f"{finding.code} ({finding.severity}): {finding.evidence}")
        return lines


@dataclass
class ReadArtifact:
    """A file of this run, page by page.

    Attributes:
        folder: of the run.
    """

    folder: Path
    contract: Contract
    clean: Clean
    name: ModelTool = "read_artifact"

    @property
    def described(self) -> dict[str, Any]:
        allowed = [path for path in self.contract.reads if path.startswith("/run/")]
        return {
            "description": "A file of this run, without cells. Allowed: " + ", ".join(allowed),
            "input_schema": schema(
                path={"type": "string", "description": "such as " + (allowed or ["(none)"])[0]},
                page={"type": "integer", "description": "1 is the first"},
            ),
        }

    def use(self, given: Mapping[str, Any]) -> str:
        path, page = text_in(given, "path", 300), given.get("page", 1)
        if isinstance(page, bool) or not isinstance(page, int) or page < 1:
            raise Refusal("page is no number from 1 on.")
        if not self.contract.may_read(path) or not path.startswith("/run/"):
            raise Refusal(f"The contract does not allow reading {shown(path)}.")
        text = self._text(path)
        pages = _pages(_rounded(text) if path.endswith(".json") else text)
        if page > len(pages):
            raise Refusal(f"It has {counted(len(pages), 'page')}.")
        code = text if path.endswith(".py") else ""
        return f"page {page} of {len(pages)}\n{self.clean(pages[page - 1], code)}"

    def _text(self, path: str) -> str:
        root = self.folder.resolve()
        file = root.joinpath(*path.split("/")[2:])
        try:
            if file.resolve(strict=True) != file or not file.is_file():
                raise Refusal("It is no plain file of this run.")
            if file.stat().st_size > LARGEST_FILE:
                raise Refusal("It is larger than 1 MiB.")
            return file.read_text(encoding="utf-8")
        except (OSError, ValueError):  # absent, a NUL in its name, or no text
            raise Refusal("There is no such text in this run.") from None


@dataclass
class RunAnalysis:
    """Code on the dev rows, in the sandbox, as a stranger's.

    Attributes:
        dev: Parquet of dev rows with the target.
        made: analyses of this run so far, earlier processes of it included.
    """

    desk: Desk
    contract: Contract
    dev: Path
    clean: Clean
    made: int = 0
    name: ModelTool = "run_analysis"

    @property
    def described(self) -> dict[str, Any]:
        return {
            "description": "Runs `def analyse(table)` on a pandas DataFrame of the dev rows, "
            "target included, without network. What it prints or returns comes back, with text "
            "cells and numbers of more than three digits masked: print aggregates, rounded. "
            f"At most {ANALYSIS_S:.0f} s each, {MOST_ANALYSES} in a run.",
            "input_schema": schema(code={"type": "string", "description": "a whole module"}),
        }

    def use(self, given: Mapping[str, Any]) -> str:
        code = text_in(given, "code", LARGEST_CODE)
        _check_analysis(code)
        if self.made >= MOST_ANALYSES:
            raise Refusal(f"{MOST_ANALYSES} analyses were made in this run, and no more are.")
        name = f"question-{self.made + 1}"
        written = self.desk.folder(f"in/{name}") / "question_code.py"
        written.write_text(code, encoding="utf-8")
        inputs = {
            "script.py": self.desk.content.path("templates/question/question.py"),
            "question_code.py": written,
            "dev.parquet": self.dev,
        }
        try:
            permit(self.contract, "script", tuple(inputs), ())
        except MlagentError as problem:
            raise Refusal(problem.message) from None
        try:
            outcome = self.desk.run(
                self.contract.name,
                name,
                "script",
                inputs=inputs,
                outputs={},
                into=self.desk.folder(f"out/{name}"),
                wall_s=ANALYSIS_S,
                code="D",
            )
        except PrerequisiteMissing as problem:  # a tier that is too weak for a stranger's code
            raise Refusal(f"Analyses do not run here: {problem.message}") from None
        self.made += 1
        ended = "" if outcome.ok else f"{outcome.sentence}\n"
        return self.clean(f"{ended}{outcome.log}", code) or "(it printed nothing)"


@dataclass
class AskUser:
    """A question to the person at the terminal.

    Attributes:
        ask: the answer; None when nobody is here.
        asked: questions of this run so far, earlier processes of it included.
    """

    ask: Callable[[str], str | None]
    asked: int = 0
    name: ModelTool = "ask_user"

    @property
    def described(self) -> dict[str, Any]:
        return {
            "description": "Asks the person at the terminal one short question about the table "
            "or the task. Often nobody is there; do not wait for anything that you can find out.",
            "input_schema": schema(question={"type": "string"}),
        }

    def use(self, given: Mapping[str, Any]) -> str:
        question = clean_line(text_in(given, "question", LONGEST_QUESTION))
        if self.asked >= MOST_QUESTIONS:
            raise Refusal("The user was asked often enough in this run.")
        self.asked += 1
        answer = self.ask(question)
        return "Nobody is here to answer." if answer is None else answer or "(no answer)"


def schema(**properties: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an input: an object with these properties and no others."""
    required = [name for name in properties if name != "page"]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _check_analysis(code: str) -> None:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise Refusal(f"The code does not parse: {str(problem)[:200]}") from None
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "analyse" not in names:
        raise Refusal("The code defines no function 'analyse' at its top level.")


def _pages(text: str) -> list[str]:
    """Whole lines, so that no word is cut in two; a line longer than a page is a page."""
    pages: list[str] = []
    lines: list[str] = []
    size = 0
    for line in text.splitlines():
        if lines and size + len(line) > PAGE:
            pages.append("\n".join(lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    return [*pages, "\n".join(lines)]


def _rounded(text: str) -> str:
    """A record with three digits, and without the edges of histograms: those are a column's least
    and greatest cell."""
    try:
        return json.dumps(_plain(json.loads(text)), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        raise Refusal("It is no JSON.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if name != "edges"}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value
