"""The documented rules for a plugin's files beside its agents: `mlagent agents check --strict`.

Guarantees: plugin.json, hooks.json, .mcp.json, each SKILL.md and the README have a list of broken
rules, each with a name and a sentence. What `claude plugin validate --strict` of 2.1.329 refuses is
broken here (a test asks it); skills are held to the portable keys, and the plugin to a README and a
licence, which it lets pass. Does not judge agents (`strict`), nor what a hook's command does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlagent.contracts.agent_files import BrokenRule, CheckedPart
from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json
from mlagent.sandbox.sanitize import clean_line

from .frontmatter import MAX_DESCRIPTION, NAME
from .hook_shapes import matchers_problem
from .lenient_yaml import Number
from .loading import MAX_FILE_BYTES, load
from .plugin_places import Judge, place_problems
from .strict import encoding_rules

README_WORDS = 40
MANIFEST = ".claude-plugin/plugin.json"
# fmt: off
EVENTS = frozenset(
    {
        "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "Notification",
        "UserPromptSubmit", "UserPromptExpansion", "SessionStart", "SessionEnd", "Stop",
        "StopFailure", "SubagentStart", "SubagentStop", "PreCompact", "PostCompact",
        "PreModelSwitch", "PostModelSwitch", "PermissionRequest", "PermissionDenied", "Setup",
        "TeammateIdle", "TaskCreated", "TaskCompleted", "Elicitation", "ElicitationResult",
        "ConfigChange", "WorktreeCreate", "WorktreeRemove", "InstructionsLoaded", "CwdChanged",
        "FileChanged", "DirectoryAdded", "MessageDisplay",
    }
)
# fmt: on
"""Events that 2.1.329 knows."""
TEXT, LIST, MAP, YES_NO, PLACES = "text", "a list", "a map", "true or false", "a path, list or map"
MANIFEST_KEYS: Mapping[str, str] = {
    **dict.fromkeys(("$schema", "name", "version", "displayName", "description"), TEXT),
    **dict.fromkeys(("homepage", "repository", "license", "icon"), TEXT),
    **dict.fromkeys(("keywords", "channels", "dependencies"), LIST),
    **dict.fromkeys(("author", "userConfig", "settings", "experimental"), MAP),
    **dict.fromkeys(("commands", "agents", "skills", "hooks", "mcpServers"), PLACES),
    **dict.fromkeys(("outputStyles", "lspServers", "workflows"), PLACES),
    "defaultEnabled": YES_NO,
}
"""Keys of plugin.json, and what each must be."""
_KINDS: Mapping[str, tuple[type, ...]] = {
    TEXT: (str,),
    LIST: (list,),
    MAP: (dict,),
    YES_NO: (bool,),
    PLACES: (str, list, dict),
}
ADVISED = ("version", "description", "author")
SKILL_KEYS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
"""The keys that every reader of skills knows; others are an error for some."""
REMOTE = ("http", "sse", "ws")


def checked_parts(plugin: Path) -> Iterator[CheckedPart]:
    """Each file of the plugin that has rules, agents excepted; the README also when it is absent.

    Args:
        plugin: the folder that holds `.claude-plugin/plugin.json`.
    """
    licensed = any(path.name.upper().startswith("LICEN") for path in plugin.iterdir())
    yield judged_part(
        plugin, MANIFEST, judged_json(lambda value: _manifest(plugin, value, licensed))
    )
    if (plugin / "hooks" / "hooks.json").exists():
        yield judged_part(plugin, "hooks/hooks.json", judged_json(_hooks))
    if (plugin / ".mcp.json").exists():
        yield judged_part(plugin, ".mcp.json", judged_json(_servers))
    for file in sorted(plugin.glob("skills/*/SKILL.md")):
        name = file.relative_to(plugin).as_posix()
        yield judged_part(plugin, name, partial(_skill, file.parent.name))
    yield judged_part(plugin, "README.md", _readme)


Rules = Callable[[bytes], Iterator[BrokenRule]]


def judged_part(plugin: Path, name: str, rules: Rules) -> CheckedPart:
    """The file `name` of the folder, held to these rules; a link or no file is broken."""
    file = plugin / name
    if file.is_symlink() or not file.is_file():
        what = "a link; links are not followed." if file.is_symlink() else "it is not there."
        found = [broken("file", what)]
    elif file.stat().st_size > MAX_FILE_BYTES:
        found = [broken("file", "it is larger than 1 MiB.")]
    else:
        found = list(rules(file.read_bytes()))
    return CheckedPart(file=clean_line(name), rules=tuple(found))


def kind_problem(kind: str, given: Any) -> str:
    """What is wrong with a value that must be of this kind; empty when nothing is."""
    return "" if isinstance(given, _KINDS[kind]) else f"must be {kind}"


def broken(rule: str, what: str) -> BrokenRule:
    """A broken rule, safe to print."""
    return BrokenRule(rule=rule, what=clean_line(what))


def judged_json(rules: Callable[[dict[str, Any]], Iterator[BrokenRule]]) -> Rules:
    """Rules for the map that a file of JSON holds."""

    def read(data: bytes) -> Iterator[BrokenRule]:
        yield from encoding_rules(data)
        try:
            value = load_json(data.decode("utf-8", "replace").removeprefix("\ufeff"), "the file")
        except BadInput as problem:
            yield broken("json", problem.message)
            return
        if isinstance(value, dict):
            yield from rules(value)
        else:
            yield broken("json", "a map is needed.")

    return read


def manifest_of(plugin: Path) -> dict[str, Any]:
    """What plugin.json holds; empty when it cannot be read."""
    file = plugin / MANIFEST
    if file.is_symlink() or not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
        return {}
    try:
        value = load_json(file.read_bytes().decode("utf-8", "replace").removeprefix("\ufeff"), "")
    except BadInput:
        return {}
    return value if isinstance(value, dict) else {}


def _manifest(plugin: Path, value: dict[str, Any], licensed: bool) -> Iterator[BrokenRule]:
    for key, given in value.items():
        if key not in MANIFEST_KEYS:
            yield broken("keys", f"`{key[:60]}` is no documented key of plugin.json.")
        elif problem := kind_problem(MANIFEST_KEYS[key], given):
            yield broken("values", f"`{key}` {problem}.")
    if not NAME.match(str(value.get("name", ""))):
        yield broken("name", "the name must be lower-case words joined by single hyphens.")
    for key in ADVISED:
        if not value.get(key):
            yield broken("advised", f"`{key}` is missing.")
    author, words, page = (value.get(key) for key in ("author", "keywords", "homepage"))
    if isinstance(author, dict) and not isinstance(author.get("name"), str):
        yield broken("values", "`author` needs the text `name`.")
    if isinstance(words, list) and not is_texts(words):
        yield broken("values", "`keywords` must be texts.")
    if isinstance(page, str) and not urlsplit(page).scheme:
        yield broken("values", "`homepage` must be a URL.")
    for rule, what in place_problems(plugin, value, _told(_hooks), _told(_servers)):
        yield broken(rule, what)
    yield from _listed_maps(value)
    if not licensed and not value.get("license"):
        yield broken("licence", "there is neither a `license` nor a file LICENSE.")


def _listed_maps(value: dict[str, Any]) -> Iterator[BrokenRule]:
    """Keys whose entries have a kind of their own."""
    for key, kinds in (("channels", (dict,)), ("dependencies", (dict, str))):
        given = value.get(key)
        if isinstance(given, list) and not all(isinstance(item, kinds) for item in given):
            yield broken("values", f"an entry of `{key}` is of another kind than documented.")
    config = value.get("userConfig")
    if isinstance(config, dict) and not all(isinstance(item, dict) for item in config.values()):
        yield broken("values", "each entry of `userConfig` must be a map.")


def _told(judge: Callable[[dict[str, Any]], Iterator[BrokenRule]]) -> Judge:
    def told(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for rule in judge(value):
            yield rule.rule, rule.what

    return told


def _hooks(value: dict[str, Any]) -> Iterator[BrokenRule]:
    hooks = value.get("hooks")
    if not isinstance(hooks, dict):
        yield broken("hooks", "`hooks` must be a map from event to hooks.")
        return
    for event, matchers in hooks.items():
        if event not in EVENTS:
            yield broken("events", f"`{event[:60]}` is no event of Claude Code.")
        if problem := matchers_problem(_with_numbers(matchers)):
            yield broken("hooks", f"{event[:60]}: {problem}.")


def _with_numbers(value: Any) -> Any:
    """JSON as `hook_shapes` reads a frontmatter."""
    if isinstance(value, dict):
        return {key: _with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return Number(value) if number else value


def _servers(value: dict[str, Any]) -> Iterator[BrokenRule]:
    servers = value.get("mcpServers", value)
    if not isinstance(servers, dict):
        yield broken("servers", "`mcpServers` must be a map from name to server.")
        return
    for name, server in servers.items():
        for problem in _server_problems(server):
            yield broken("servers", f"{name[:60]}: {problem}.")


def _server_problems(server: Any) -> Iterator[str]:
    if not isinstance(server, dict):
        yield "a server is a map"
        return
    kind = server.get("type", "stdio")
    if kind not in ("stdio", *REMOTE):
        yield f"`type` must be stdio, {', '.join(REMOTE)}"
        return
    needed = "url" if kind in REMOTE else "command"
    if not isinstance(server.get(needed), str) or not server[needed]:
        yield f"a server of type {kind} needs the text `{needed}`"
    if not is_texts(server.get("args", [])):
        yield "`args` must be a list of texts"
    env = server.get("env", {})
    if not isinstance(env, dict) or not is_texts(list(env.values())):
        yield "`env` must be a map to texts"


def is_texts(value: Any) -> bool:
    """Whether it is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _skill(folder: str, data: bytes) -> Iterator[BrokenRule]:
    yield from encoding_rules(data)
    seen = load(data, "SKILL.md")
    if not seen.keys:
        yield broken("block", "the file must start with YAML between lines of `---`.")
        return
    for key in seen.keys:
        if key not in SKILL_KEYS:
            yield broken("keys", f"`{key[:60]}` is no key that every reader of skills knows.")
    name, description = seen.keys.get("name"), seen.keys.get("description")
    if name != folder or not NAME.match(folder):
        yield broken("name", "the name must be that of the folder, lower-case with hyphens.")
    if not isinstance(description, str) or not 0 < len(description) <= MAX_DESCRIPTION:
        yield broken("description", f"a description of at most {MAX_DESCRIPTION:,} characters.")
    tools = seen.keys.get("allowed-tools", "")
    if not isinstance(tools, str) and not is_texts(tools):
        yield broken("values", "`allowed-tools` must be text or a list of texts.")
    if not seen.body.strip():
        yield broken("body", "the body is empty.")


def _readme(data: bytes) -> Iterator[BrokenRule]:
    words = len(data.decode("utf-8", "replace").split())
    if words < README_WORDS:
        yield broken("readme", f"it has {words} words; {README_WORDS} are asked for.")
