"""Which subagent files of a folder Claude Code loads, and why not.

Guarantees: every file that is meant as a subagent has a verdict, every other document is listed
with what it is instead, and fails nothing; two files of one name are named both. Meant as one is
what lies in an `agents` folder, where Claude Code looks, and elsewhere what has a frontmatter with
a name or a description, also a broken one. In a plugin each file registers, so a file that would
not load in a project is named with what it becomes there (`plugin_names`); of a marketplace each
plugin in it is judged. Settings that switch hooks off are named, and so is what no longer holds the
contracts of an export (`enforcement`): a warning, under --strict a broken rule. An export in a
folder above, whose hooks do not run from here, is a warning too (`launching`).
Reads only; links are named and not followed, though Claude Code would.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from mlagent.contracts.agent_files import AgentCheck, CheckedFile, CheckedPart, LoadVerdict
from mlagent.contracts.errors import BadInput
from mlagent.sandbox.sanitize import clean_line

from .enforcement import not_enforced
from .hooks_off import hooks_off
from .launching import hooks_left_above
from .loading import MEASURED_ON, Loaded, load
from .marketplace_strict import MARKETPLACE, elsewhere, local_plugins, marketplace_part
from .plugin_names import Registered, registered_as
from .plugin_places import named_agents
from .plugin_strict import MANIFEST, broken, checked_parts, manifest_of
from .sources import SUFFIXES, Skipped, Source, Sources, read_named, read_sources
from .strict import broken_rules
from .user_folder import is_the_users, user_folders

_PAGES = re.compile(
    r"(readme|license|licence|changelog|contributing|code_of_conduct|security|support)\b.*\Z",
    re.IGNORECASE,
)

Place = Literal["agents", "plugin"]
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


class _Seen(NamedTuple):
    """What was found in a project, a plugin, or a folder of subagent files."""

    files: list[CheckedFile]
    parts: list[CheckedPart]
    skipped: list[str]
    settings: list[Path]
    warnings: list[str]


def check_folder(folder: Path, *, strict: bool) -> AgentCheck:
    """The check of `folder`: a project, a plugin, a marketplace, or a folder of subagent files.

    Raises:
        BadInput: no folder, or nothing to check in it.
    """
    if folder.is_file():
        raise BadInput(
            f"{str(folder)!r} is a file; a folder is checked as a whole.",
            remedy="Give the folder that it lies in: mlagent agents check "
            f"{shlex.quote(str(folder.parent))}",
        )
    if not folder.is_dir():
        raise BadInput(
            f"{str(folder)!r} is no folder.",
            remedy="Give a project, a plugin, a marketplace, or an agents folder.",
        )
    is_market = (folder / MARKETPLACE).is_file()
    place: Place = "plugin" if is_market else _root(folder)[1]
    above = hooks_left_above(folder) if place == "agents" else []
    hint = "".join(f" {said}" for said in above)
    try:
        seen = _look_at_market(folder, strict) if is_market else _look(folder, strict)
    except BadInput as error:
        raise BadInput(error.message, remedy=f"{error.remedy}{hint}".strip()) from None
    if not seen.files and not seen.parts:
        left = seen.skipped
        first = f"; left out: {left[0]}" if left else ""
        more = f", and {len(left) - 1} more" if len(left) > 1 else ""
        other = " --strict judges the other files of a plugin." if place == "plugin" else ""
        raise BadInput(
            f"{str(folder)!r} holds no subagent file{first}{more}.",
            remedy="They end in .md and begin with a frontmatter that has a name and a "
            f"description.{other}{hint}",
        )
    bad = any(not f.verdict.loads or f.rules or f.shadowed_by for f in seen.files)
    bad = bad or any(part.rules for part in seen.parts)
    return AgentCheck(
        schema_="mlagent/agent-check/v1",
        folder=str(folder),
        place=place,
        measured_on=MEASURED_ON,
        strict=strict,
        ok=not bad,
        files=tuple(seen.files),
        parts=tuple(seen.parts),
        skipped=tuple(seen.skipped),
        warnings=tuple(
            clean_line(said) for said in (*hooks_off(seen.settings), *seen.warnings, *above)
        ),
    )


def _look(folder: Path, strict: bool) -> _Seen:
    """A project, a plugin, or a plain folder."""
    root, place = _root(folder)
    plugin = place == "plugin"
    parts = list(checked_parts(folder)) if strict and plugin else []
    settings = _settings_folders(root, place)
    manifest = manifest_of(folder) if plugin else {}
    named = read_named(folder, named_agents(folder, manifest))
    plugin_name = str(manifest.get("name") or folder.resolve().name) if plugin else ""
    sources = read_sources(root) if not plugin or _has_documents(root) else Sources((), ())
    in_agents = _is_agents_folder(root)
    loaded: list[tuple[Source, Loaded]] = []
    files: list[CheckedFile] = []
    skipped: list[str] = []
    for item in (*sources.skipped, *(i for i in named if isinstance(i, Skipped))):
        path = PurePosixPath(item.name)
        meant = in_agents or "agents" in path.parts[:-1] or item.name.startswith("./")
        if item.too_large and path.suffix == ".md" and meant:
            files.append(_too_large(item.name))
        else:
            skipped.append(f"{clean_line(item.name)}: {item.why}")
    for source in sources.documents:
        seen = load(source.data, source.name)
        if why := _no_agent(source, seen, in_agents=in_agents):
            skipped.append(f"{clean_line(source.name)}: {why}")
        else:
            loaded.append((source, seen))
    loaded += [(item, load(item.data, item.name)) for item in named if isinstance(item, Source)]
    files += [_checked(source, seen, loaded, place, plugin_name, strict) for source, seen in loaded]
    lapsed = list(not_enforced(root.parent, [item for item, _ in loaded], plugin=plugin))
    if strict and lapsed:
        rules = tuple(broken("enforced", said) for said in lapsed)
        parts.append(CheckedPart(file="exported.json", rules=rules))
    warnings = [] if strict else lapsed
    return _Seen(sorted(files, key=lambda file: file.file), parts, skipped, settings, warnings)


def _look_at_market(folder: Path, strict: bool) -> _Seen:
    """A marketplace: its own file, each plugin that lies in it, and the project's agents."""
    files: list[CheckedFile] = []
    parts = [marketplace_part(folder)] if strict else []
    skipped = [f"plugin {name}: it is fetched from elsewhere" for name in elsewhere(folder)]
    settings, warnings = user_folders()[:1], []  # type: list[Path], list[str]
    for plugin in local_plugins(folder):
        inner = folder / plugin.path
        if (inner / MANIFEST).is_file():
            before = "" if plugin.path == "." else f"{plugin.path}/"
            found = _look(inner, strict)
            files += _below(found.files, f"{before}agents/")
            parts += [p.model_copy(update={"file": before + p.file}) for p in found.parts]
            skipped += [f"{before}agents/{line}" for line in found.skipped]
            warnings += [before + line for line in found.warnings]
    if (folder / ".claude" / "agents").is_dir():
        found = _look(folder / ".claude", strict)
        files += _below(found.files, ".claude/agents/")
        skipped += [f".claude/agents/{line}" for line in found.skipped]
        parts += [p.model_copy(update={"file": f".claude/{p.file}"}) for p in found.parts]
        warnings += [f".claude/{line}" for line in found.warnings]
        settings = found.settings
    return _Seen(files, parts, skipped, settings, warnings)


def _below(files: list[CheckedFile], before: str) -> list[CheckedFile]:
    """The same files, named from the folder above; './' begins one beside the agents folder."""

    def named(file: str) -> str:
        beside = file.startswith("./")
        return before.removesuffix("agents/") + file[2:] if beside else before + file

    return [
        file.model_copy(
            update={
                "file": named(file.file),
                "shadowed_by": file.shadowed_by and named(file.shadowed_by),
            }
        )
        for file in files
    ]


def _has_documents(root: Path) -> bool:
    return root.is_dir() and any(path.name.lower().endswith(SUFFIXES) for path in root.rglob("*"))


def _too_large(name: str) -> CheckedFile:
    why = "the file is larger than 1 MiB, and Claude Code skips it without a word."
    return CheckedFile(
        file=clean_line(name), verdict=LoadVerdict(loads=False, reason="size", why=why)
    )


def _root(folder: Path) -> tuple[Path, Place]:
    if (folder / MANIFEST).is_file():
        return folder / "agents", "plugin"
    if (folder / ".claude" / "agents").is_dir():
        return folder / ".claude" / "agents", "agents"
    if _holds_settings(folder) and (folder / "agents").is_dir():
        return folder / "agents", "agents"
    return folder, "agents"


def _holds_settings(folder: Path) -> bool:
    return folder.resolve().name == ".claude" or is_the_users(folder)


def _settings_folders(root: Path, place: Place) -> list[Path]:
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


def in_a_plugin(found: Registered | None) -> str:
    """What becomes of a file that would not load in a project, as the end of a sentence."""
    if found is None:
        return "in a plugin it is not registered either"
    after = ", after its file" if found.by_file else ""
    return f"in a plugin it registers all the same, as {found.name!r}{after}"


def _listed_as(source: Source, seen: Loaded, plugin_name: str) -> str | None:
    """The name that two files must not share; None for one that is not listed."""
    if not plugin_name:
        return seen.verdict.name
    found = registered_as(plugin_name, source, seen)
    return found and found.name


def _checked(
    source: Source,
    seen: Loaded,
    everything: list[tuple[Source, Loaded]],
    place: Place,
    plugin_name: str,
    strict: bool,
) -> CheckedFile:
    verdict = seen.verdict
    plugin = place == "plugin"
    listed = _listed_as(source, seen, plugin_name)
    if plugin and not verdict.loads:
        why = f"{verdict.why.rstrip('.')}; {in_a_plugin(registered_as(plugin_name, source, seen))}."
        verdict = verdict.model_copy(update={"why": why})
    twin = next(
        (
            other.name
            for other, its in everything
            if other.name != source.name
            and listed is not None
            and _listed_as(other, its, plugin_name) == listed
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
