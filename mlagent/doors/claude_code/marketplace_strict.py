"""The documented rules for a marketplace: `.claude-plugin/marketplace.json`, and where its plugins
lie.

Guarantees: what `claude plugin validate --strict` of 2.1.329 refuses in a marketplace.json is
broken here (a test asks it), and so is a local source that is not there, which it lets pass.
Follows no link and fetches nothing: plugins from elsewhere are named by `elsewhere`, not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mlagent.contracts.agent_files import BrokenRule, CheckedPart
from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json
from mlagent.sandbox.sanitize import clean_line

from .frontmatter import NAME
from .loading import MAX_FILE_BYTES
from .plugin_strict import (
    LIST,
    MANIFEST,
    MANIFEST_KEYS,
    MAP,
    TEXT,
    YES_NO,
    broken,
    is_texts,
    judged_json,
    judged_part,
    kind_problem,
)

MARKETPLACE = ".claude-plugin/marketplace.json"
KEYS = {
    **dict.fromkeys(("$schema", "name", "description", "version"), TEXT),
    **dict.fromkeys(("owner", "metadata"), MAP),
    **dict.fromkeys(("plugins", "allowCrossMarketplaceDependenciesOn"), LIST),
    "forceRemoveDeletedPlugins": YES_NO,
}
ENTRY_KEYS = {
    **MANIFEST_KEYS,
    "category": TEXT,
    "tags": LIST,
    "strict": YES_NO,
}
SOURCES = {
    "github": "repo", "url": "url", "git-subdir": "url", "npm": "package", "pip": "package",
}  # fmt: skip
"""Kind of a source elsewhere -> the text that it needs."""


class Local(NamedTuple):
    """A plugin that lies in the marketplace: its path inside, with `/`."""

    name: str
    path: str


def marketplace_part(folder: Path) -> CheckedPart:
    """The rules that marketplace.json breaks."""
    return judged_part(folder, MARKETPLACE, judged_json(lambda value: _rules(folder, value)))


def local_plugins(folder: Path) -> list[Local]:
    """The plugins below the folder that its marketplace.json names; links are not followed."""
    found: dict[str, Local] = {}
    for entry in _entries(folder):
        source = entry.get("source")
        if isinstance(source, str) and not source_problem(source):
            path = folder / source
            if not _linked(folder, source) and path.is_dir():
                inside = PurePosixPath(source).as_posix()
                found.setdefault(inside, Local(str(entry.get("name", "")), inside))
    return list(found.values())


def elsewhere(folder: Path) -> list[str]:
    """Names of plugins that are fetched from elsewhere, or lie behind a link."""
    return [
        clean_line(str(entry.get("name", "?")), 80)
        for entry in _entries(folder)
        if isinstance(entry.get("source"), dict)
        or (isinstance(entry.get("source"), str) and _linked(folder, entry["source"]))
    ]


def _entries(folder: Path) -> list[dict[str, Any]]:
    file = folder / MARKETPLACE
    if file.is_symlink() or file.stat().st_size > MAX_FILE_BYTES:
        return []
    try:
        value = load_json(file.read_bytes().decode("utf-8", "replace").removeprefix("\ufeff"), "")
    except BadInput:
        return []
    plugins = value.get("plugins") if isinstance(value, dict) else None
    return [e for e in plugins if isinstance(e, dict)] if isinstance(plugins, list) else []


def _linked(folder: Path, source: str) -> bool:
    path = folder
    for part in PurePosixPath(source).parts:
        path = path / part
        if path.is_symlink():
            return True
    return False


def source_problem(source: str) -> str:
    """What is wrong with a local source; empty when nothing is."""
    if not source.startswith("./"):
        return "must begin with './'"
    return "may not hold '..'" if ".." in PurePosixPath(source).parts else ""


def _rules(folder: Path, value: dict[str, Any]) -> Iterator[BrokenRule]:
    yield from _typed(value, KEYS, "marketplace.json", "")
    if not NAME.match(str(value.get("name", ""))):
        yield broken("name", "the name must be lower-case words joined by single hyphens.")
    owner = value.get("owner")
    if not isinstance(owner, dict) or not isinstance(owner.get("name"), str):
        yield broken("owner", "`owner` must be a map with the text `name`.")
    about = value.get("metadata")
    if not value.get("description") and not (isinstance(about, dict) and about.get("description")):
        yield broken("advised", "`description` is missing.")
    plugins = value.get("plugins")
    if not isinstance(plugins, list) or not plugins:
        yield broken("plugins", "`plugins` must be a list of at least one plugin.")
        return
    for number, entry in enumerate(plugins):
        if isinstance(entry, dict):
            yield from _entry(folder, entry, f"plugins[{number}]")
        else:
            yield broken("plugins", f"plugins[{number}] is no map.")
    names = Counter(str(entry.get("name")) for entry in plugins if isinstance(entry, dict))
    for name, count in names.items():
        if count > 1:
            yield broken("plugins", f"the plugin {name[:60]!r} stands {count} times.")


def _entry(folder: Path, entry: dict[str, Any], where: str) -> Iterator[BrokenRule]:
    keys = {key: value for key, value in entry.items() if key != "source"}
    yield from _typed(keys, ENTRY_KEYS, "a plugin's entry", f"{where}.")
    if not NAME.match(str(entry.get("name", ""))):
        yield broken("name", f"{where}: the name must be lower-case words joined by hyphens.")
    for key in ("keywords", "tags"):
        if isinstance(entry.get(key), list) and not is_texts(entry[key]):
            yield broken("values", f"`{where}.{key}` must be texts.")
    source = entry.get("source")
    if isinstance(source, dict):
        needed = SOURCES.get(str(source.get("source")))
        if needed is None:
            yield broken("source", f"{where}: a source elsewhere is {', '.join(SOURCES)}.")
        elif not isinstance(source.get(needed), str):
            yield broken("source", f"{where}: this source needs the text `{needed}`.")
    elif not isinstance(source, str):
        yield broken("source", f"{where} needs a `source`: a path, or a map.")
    elif problem := source_problem(source):
        yield broken("source", f"{where}: the source {source[:60]!r} {problem}.")
    else:
        yield from _local(folder, entry, source, where)


def _local(folder: Path, entry: dict[str, Any], source: str, where: str) -> Iterator[BrokenRule]:
    if _linked(folder, source):
        yield broken("source", f"{where}: {source[:60]!r} is a link; links are not followed.")
        return
    manifest = folder / source / MANIFEST
    if not manifest.is_file():
        if not (folder / source).is_dir() or entry.get("strict") is not False:
            yield broken("source", f"{where}: there is no {source[:60]}/{MANIFEST}.")
        return
    try:
        own = load_json(manifest.read_bytes()[:MAX_FILE_BYTES].decode("utf-8", "replace"), "")
    except BadInput:
        return  # its own part says so
    if isinstance(own, dict):
        for key in ("name", "version"):
            said, theirs = entry.get(key), own.get(key)
            if said is not None and theirs is not None and said != theirs:
                two = f"{str(said)[:40]!r}, in its plugin.json {str(theirs)[:40]!r}"
                yield broken("source", f"{where}: {key} is {two}.")


def _typed(
    value: dict[str, Any], keys: dict[str, str], whose: str, before: str
) -> Iterator[BrokenRule]:
    for key, given in value.items():
        if key not in keys:
            yield broken("keys", f"`{before}{key[:60]}` is no documented key of {whose}.")
        elif problem := kind_problem(keys[key], given):
            yield broken("values", f"`{before}{key}` {problem}.")
