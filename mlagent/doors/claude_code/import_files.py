"""`mlagent agents import`: from a file, folder or archive to drafts and reports in a folder.

Guarantees: writes only `<name>.contract.yaml`, `<name>.import.json` and `<name>.import.md` into the
folder that was named, under names made of `a-z0-9-`, and overwrites nothing unless told to. Does
not use the drafts: a person looks at them, and `mlagent --content DIR` or a copy does.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mlagent.content import Content
from mlagent.contracts.agent_files import AgentImport
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.errors import BadInput
from mlagent.sandbox.sanitize import clean_line
from mlagent.store.files import json_bytes

from .checking import is_page, other_kind
from .import_page import import_page
from .importing import UNDERSTOOD, Imported, Importer
from .loading import load
from .sources import Source, no_text, read_sources


class ImportRun(NamedTuple):
    """What was imported, and what was left out with the reason."""

    reports: list[AgentImport]
    skipped: list[str]


def import_agents(
    path: Path, out: Path, *, agent: str | None, force: bool, content: Content | None = None
) -> ImportRun:
    """Import everything in `path` into the folder `out`.

    Raises:
        BadInput: `path` cannot be read (see `sources`), nothing in it is an agent, `agent` is none
            of the three, or a file of `out` would be overwritten.
    """
    if agent is not None and agent not in ROLES:
        raise BadInput(f"There is no agent {agent!r}.", remedy=f"Known: {', '.join(ROLES)}.")
    role: Role | None = next((known for known in ROLES if known == agent), None)
    sources = read_sources(path)
    importer = Importer(content or Content(), role)
    skipped = [f"{clean_line(item.name)}: {item.why}" for item in sources.skipped]
    chosen = []
    for source in sources.documents:
        if kind := no_text(source.data):
            skipped.append(f"{clean_line(source.name)}: {kind}")
        elif len(sources.documents) > 1 and (why := _no_agent(source, importer)):
            skipped.append(f"{clean_line(source.name)}: {why}")
        else:
            chosen.append(source)
    if not chosen:
        left = f"; left out: {skipped[0]}" if skipped else ""
        raise BadInput(
            f"{str(path)!r} holds no subagent file{left}.",
            remedy="A subagent file has a frontmatter, or sections such as Role and Boundaries.",
        )
    taken: set[str] = set()
    made = [(_stem(source, taken), importer.convert(source)) for source in chosen]
    return ImportRun(_write(made, out, force=force), skipped)


def _no_agent(source: Source, importer: Importer) -> str:
    """Why a file among others is left out; empty when it may be an agent."""
    loaded = load(source.data, source.name)
    if is_page(source.name, loaded):
        return "a page, no agent"
    if other := other_kind(source.name):
        return f"not an agent file, but {other}"
    if loaded.keys:
        return ""
    document = importer.read(source)
    if document.keys or UNDERSTOOD.intersection(document.parts):
        return ""
    return "no frontmatter, and no section that a contract could speak of"


def _stem(source: Source, taken: set[str]) -> str:
    """A file name from the document's own, never one that was taken before."""
    pure = PurePosixPath(source.name)
    plain = re.sub(r"[^a-z0-9]+", "-", pure.stem.lower()).strip("-")[:80] or "agent"
    stem, number = plain, 2
    while stem in taken:
        stem, number = f"{plain}-{number}", number + 1
    taken.add(stem)
    return stem


def _write(made: list[tuple[str, Imported]], out: Path, *, force: bool) -> list[AgentImport]:
    kinds = ("contract.yaml", "import.json", "import.md")
    there = [out / f"{stem}.{kind}" for stem, _ in made for kind in kinds]
    if out.exists() and not out.is_dir():
        raise BadInput(f"{str(out)!r} is no folder.", remedy="Name another with --out.")
    linked = next((path for path in there if path.is_symlink()), None)
    if linked is not None:
        raise BadInput(
            f"{str(linked)!r} is a link; nothing is written through one.",
            remedy="Remove it, or name another folder with --out.",
        )
    clash = next((path for path in there if path.exists()), None)
    if clash is not None and not force:
        raise BadInput(
            f"{str(clash)!r} is already there.",
            remedy="Name another folder with --out, or give --force to write over earlier imports.",
        )
    out.mkdir(parents=True, exist_ok=True)
    reports = []
    for stem, imported in made:
        draft = f"{stem}.contract.yaml"
        report = imported.report.model_copy(update={"draft": draft})
        (out / draft).write_text(imported.draft, encoding="utf-8", newline="\n")
        (out / f"{stem}.import.json").write_bytes(json_bytes(report))
        (out / f"{stem}.import.md").write_text(import_page(report), "utf-8", newline="\n")
        reports.append(report)
    return reports
