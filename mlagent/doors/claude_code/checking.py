"""Which subagent files of a folder Claude Code loads, and why not.

Guarantees: every file that is meant as a subagent has a verdict, every other document is listed
with what it is instead, and fails nothing; two files of one name are named both. Meant as one is
what lies in an `agents` folder, where Claude Code looks, and elsewhere what has a frontmatter with
a name or a description, also a broken one. In a plugin each file registers, so a file that would
not load in a project is named with what it becomes there. Settings that switch hooks off are named.
Reads only; links are named and not followed, though Claude Code would.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Literal

from mlagent.contracts.agent_files import AgentCheck, CheckedFile
from mlagent.contracts.errors import BadInput
from mlagent.sandbox.sanitize import clean_line

from .hooks_off import hooks_off
from .loading import MEASURED_ON, Loaded, load
from .plugin_strict import checked_parts
from .sources import Source, read_sources
from .strict import broken_rules
from .user_folder import is_the_users, user_folders

_PAGES = re.compile(
    r"(readme|license|licence|changelog|contributing|code_of_conduct|security|support)\b.*\Z",
    re.IGNORECASE,
)

_KINDS = {
    "agents": "",
    "skills": "a part of a skill",
    "commands": "a command",
    "ISSUE_TEMPLATE": "a form for issues",
}
"""Folders by which Claude Code, or GitHub, knows what a file is; the nearest one counts."""
_BEGIN = re.compile(r"\s*---[ \t]*\r?\n(.*?)(?:^---|\Z)", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^(name|description|title)[ \t]*:", re.MULTILINE)
MAX_HEAD = 65_536


def check_folder(folder: Path, *, strict: bool) -> AgentCheck:
    """The check of `folder`: a project, a plugin, or a folder of subagent files.

    Raises:
        BadInput: no folder, or nothing to check in it.
    """
    if not folder.is_dir():
        raise BadInput(
            f"{str(folder)!r} is no folder.",
            remedy="Give a project, a plugin, or an agents folder.",
        )
    root, place = _root(folder)
    sources = read_sources(root)
    skipped = [f"{clean_line(item.name)}: {item.why}" for item in sources.skipped]
    loaded: list[tuple[Source, Loaded]] = []
    for source in sources.documents:
        seen = load(source.data, source.name)
        if why := _no_agent(source, seen, in_agents=_is_agents_folder(root)):
            skipped.append(f"{clean_line(source.name)}: {why}")
        else:
            loaded.append((source, seen))
    if not loaded:
        first = f"; left out: {skipped[0]}" if skipped else ""
        more = f", and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        raise BadInput(
            f"{str(root)!r} holds no subagent file{first}{more}.",
            remedy="They end in .md and begin with a frontmatter that has a name and a "
            "description.",
        )
    files = tuple(_checked(source, seen, loaded, place, strict) for source, seen in loaded)
    parts = tuple(checked_parts(root.parent)) if strict and place == "plugin" else ()
    bad = any(not f.verdict.loads or f.rules or f.shadowed_by for f in files)
    bad = bad or any(part.rules for part in parts)
    return AgentCheck(
        schema_="mlagent/agent-check/v1",
        folder=str(folder),
        place=place,
        measured_on=MEASURED_ON,
        strict=strict,
        ok=not bad,
        files=files,
        parts=parts,
        skipped=tuple(skipped),
        warnings=tuple(clean_line(said) for said in hooks_off(_settings_folders(root, place))),
    )


def _root(folder: Path) -> tuple[Path, Literal["agents", "plugin"]]:
    if (folder / ".claude-plugin" / "plugin.json").is_file() and (folder / "agents").is_dir():
        return folder / "agents", "plugin"
    if (folder / ".claude" / "agents").is_dir():
        return folder / ".claude" / "agents", "agents"
    if _holds_settings(folder) and (folder / "agents").is_dir():
        return folder / "agents", "agents"
    return folder, "agents"


def _holds_settings(folder: Path) -> bool:
    return folder.resolve().name == ".claude" or is_the_users(folder)


def _settings_folders(root: Path, place: Literal["agents", "plugin"]) -> list[Path]:
    """Where settings lie that hold for the hooks of these agents; a plain folder has none."""
    own = user_folders()[:1]
    if place == "plugin":
        return own
    return [root.parent, *own] if _holds_settings(root.parent) else []


def _is_agents_folder(root: Path) -> bool:
    """Whether Claude Code, or a plugin's author, takes each Markdown file in it for an agent; a
    repository that is called `agents` holds other pages too."""
    return root.resolve().name == "agents" and not (root / ".git").exists()


def _no_agent(source: Source, seen: Loaded, *, in_agents: bool) -> str:
    """Why a document is not meant as a subagent file; empty when it is."""
    path = PurePosixPath(source.name)
    if is_page(source.name, seen):
        return "a page, no agent"
    if not in_agents and (other := other_kind(source.name)):
        return f"not an agent file, but {other}"
    if path.suffix == ".md" and (in_agents or "agents" in path.parts[:-1]):
        return ""
    fields = set(seen.keys) or set(_FIELD.findall(_head(source.data)))
    if "name" in fields or ("description" in fields and "title" not in fields):
        return ""
    return "not an agent file: no frontmatter with a name or a description"


def other_kind(name: str) -> str:
    """What a document is that lies in a folder for other things; empty when nothing says so."""
    kinds = [part for part in PurePosixPath(name).parts[:-1] if part in _KINDS]
    return _KINDS[kinds[-1]] if kinds else ""


def _head(data: bytes) -> str:
    """What stands between the first two lines of `---`, however broken; empty without them."""
    match = _BEGIN.match(data[:MAX_HEAD].decode("utf-8", "replace").removeprefix("\ufeff"))
    return match[1] if match else ""


def is_page(name: str, loaded: Loaded) -> bool:
    """README and its like, which stand among agents and are none."""
    return not loaded.keys and _PAGES.match(PurePosixPath(name).name) is not None


def _checked(
    source: Source,
    seen: Loaded,
    everything: list[tuple[Source, Loaded]],
    place: Literal["agents", "plugin"],
    strict: bool,
) -> CheckedFile:
    verdict = seen.verdict
    plugin = place == "plugin"
    if plugin and not verdict.loads:
        stem = PurePosixPath(source.name).stem
        why = f"{verdict.why.rstrip('.')}; in a plugin it registers under the file name {stem!r}."
        verdict = verdict.model_copy(update={"why": why})
    twin = next(
        (
            other.name
            for other, its in everything
            if other.name != source.name
            and verdict.loads
            and its.verdict.loads
            and its.verdict.name == verdict.name
        ),
        None,
    )
    cleaned = verdict.model_copy(
        update={
            "name": clean_line(verdict.name) if verdict.name else None,
            "why": clean_line(verdict.why),
            "notes": tuple(clean_line(note) for note in verdict.notes),
        }
    )
    rules = tuple(broken_rules(source.data, seen, plugin=plugin)) if strict else ()
    return CheckedFile(
        file=clean_line(source.name),
        verdict=cleaned,
        shadowed_by=clean_line(twin) if twin else None,
        rules=tuple(rule.model_copy(update={"what": clean_line(rule.what)}) for rule in rules),
    )
