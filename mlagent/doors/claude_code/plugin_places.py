"""Where plugin.json says that agents, commands, skills, hooks and servers lie, or what they are.

Guarantees: what `claude plugin validate --strict` of 2.1.329 refuses in these keys is broken here
(a test asks it): a path that is not there, leaves the plugin or ends otherwise, a file of hooks or
servers that cannot be read, a wrong shape of what stands in the manifest itself. Paths behind links
that leave the plugin are refused. The agents that it names are found for `checking` to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json

from .loading import MAX_FILE_BYTES

Told = Iterator[tuple[str, str]]
"""(rule, sentence) of each broken rule."""
Judge = Callable[[dict[str, Any]], Told]
BUNDLES = (".mcpb", ".dxt")


class Kind(NamedTuple):
    """`ends`: how a path must end; empty: any. `folder`: it must be one."""

    ends: tuple[str, ...] = ()
    folder: bool = False


KINDS: Mapping[str, Kind] = {
    "agents": Kind((".md",)),
    "commands": Kind(),
    "skills": Kind(folder=True),
    "outputStyles": Kind(),
    "workflows": Kind(),
    "hooks": Kind((".json",)),
    "mcpServers": Kind((".json", *BUNDLES)),
    "lspServers": Kind((".json",)),
}
DEFAULTS = {"hooks": "hooks/hooks.json", "mcpServers": ".mcp.json"}
"""Files that are judged anyhow."""


def place_problems(plugin: Path, manifest: Mapping[str, Any], hooks: Judge, servers: Judge) -> Told:
    """Every broken rule of these keys.

    Args:
        hooks: judges a map with the key `hooks`. servers: one with the key `mcpServers`.
    """
    inline: dict[str, Judge] = {
        "commands": lambda value: _commands(plugin, value),
        "hooks": lambda value: hooks({"hooks": value}),
        "mcpServers": lambda value: servers({"mcpServers": value}),
        "lspServers": _languages,
    }
    files = {"hooks": hooks, "mcpServers": servers}
    for key, kind in KINDS.items():
        value = manifest.get(key)
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            if isinstance(item, str):
                problem = _path_problem(plugin, item, kind, bundle=key == "mcpServers")
                if problem:
                    yield "places", f"`{key}`: {item[:80]!r} {problem}."
                elif key in files and item.endswith(".json") and _plain(item) != DEFAULTS[key]:
                    for rule, what in _file(plugin / item, files[key]):
                        yield rule, f"{item[:80]}: {what}"
            elif not isinstance(item, dict):
                if isinstance(value, list):  # else the manifest's own kinds say so
                    yield "places", f"`{key}` holds what is no path."
            elif key not in inline or (key == "commands" and isinstance(value, list)):
                yield "places", f"`{key}` must be a path or a list of paths."
            else:
                for rule, what in inline[key](item):
                    yield rule, f"`{key}`: {what}"


def named_agents(plugin: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Paths that `agents` names outside of the folder `agents`, as they stand in the manifest."""
    value = manifest.get("agents")
    found = []
    for item in dict.fromkeys(i for i in _listed(value) if isinstance(i, str)):
        inside = PurePosixPath(item)
        if not _path_problem(plugin, item, KINDS["agents"]) and inside.parts[:1] != ("agents",):
            found.append(f"./{inside}")
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(path: str) -> str:
    return PurePosixPath(path).as_posix()


def _path_problem(plugin: Path, path: str, kind: Kind, *, bundle: bool = False) -> str:
    if bundle and urlsplit(path).scheme in ("http", "https") and path.endswith(BUNDLES):
        return ""
    if ".." in PurePosixPath(path).parts:
        return "leaves the plugin: it may not hold '..'"
    if not path.startswith("./"):
        return "must begin with './'"
    if kind.ends and not path.endswith(kind.ends):
        return f"must end in {' or '.join(kind.ends)}"
    target = plugin / path
    if "\0" in path or not target.exists():
        return "is not there"
    if not target.resolve().is_relative_to(plugin.resolve()):
        return "leads out of the plugin by a link"
    if kind.folder and not target.is_dir():
        return "must be a folder that holds a SKILL.md"
    return "is no file" if kind.ends and not target.is_file() else ""


def _file(file: Path, judge: Judge) -> Told:
    if file.stat().st_size > MAX_FILE_BYTES:
        yield "file", "it is larger than 1 MiB."
        return
    try:
        value = load_json(file.read_bytes().decode("utf-8", "replace"), "the file")
    except BadInput as problem:
        yield "json", problem.message
        return
    if isinstance(value, dict):
        yield from judge(value)
    else:
        yield "json", "a map is needed."


def _commands(plugin: Path, value: dict[str, Any]) -> Told:
    for name, command in value.items():
        where = name[:60]
        if not isinstance(command, dict):
            yield "commands", f"{where} must be a map."
            continue
        if ("source" in command) is ("content" in command):
            yield "commands", f"{where} needs `source`, a path, or `content`, and not both."
        for key in ("source", "content", "description", "argumentHint"):
            if key in command and not isinstance(command[key], str):
                yield "commands", f"{where}: `{key}` must be text."
        source = command.get("source")
        if isinstance(source, str) and (problem := _path_problem(plugin, source, Kind())):
            yield "places", f"{where}: {source[:80]!r} {problem}."


def _languages(value: dict[str, Any]) -> Told:
    for name, server in value.items():
        for problem in _language_problems(server):
            yield "languages", f"{name[:60]}: {problem}."


_LSP_KEYS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("command", "transport", "workspaceFolder"), (str,)),
    **dict.fromkeys(("extensionToLanguage", "env"), (dict,)),
    **dict.fromkeys(("initializationOptions", "settings"), (object,)),
    "args": (list,),
    **dict.fromkeys(("startupTimeout", "shutdownTimeout", "maxRestarts"), (int, float)),
    **dict.fromkeys(("restartOnCrash", "diagnostics"), (bool,)),
}


def _language_problems(server: Any) -> Iterator[str]:
    if not isinstance(server, dict):
        yield "a server is a map"
        return
    for key, given in server.items():
        if key not in _LSP_KEYS:
            yield f"`{key[:60]}` is no documented key"
        elif not isinstance(given, _LSP_KEYS[key]):
            yield f"`{key}` is of another kind than documented"
    command, languages = server.get("command"), server.get("extensionToLanguage")
    if not isinstance(command, str) or not command:
        yield "it needs the text `command`"
    elif " " in command and not command.startswith("/"):
        yield "`command` may hold no blank; `args` takes the rest"
    if not isinstance(languages, dict) or not languages:
        yield "it needs the map `extensionToLanguage`"
    elif not all(k.startswith(".") and v and isinstance(v, str) for k, v in languages.items()):
        yield "`extensionToLanguage` maps endings such as '.py' to names"
    if server.get("transport", "stdio") not in ("stdio", "socket"):
        yield "`transport` must be stdio or socket"
    if not all(isinstance(item, str) for item in _listed(server.get("args", []))):
        yield "`args` must be texts"
