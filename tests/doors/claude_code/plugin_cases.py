"""Broken plugins: one change to the exported one, the rule it breaks, and what Claude Code says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

MANIFEST, HOOKS, SERVERS = ".claude-plugin/plugin.json", "hooks/hooks.json", ".mcp.json"
SKILL = "skills/mlagent-plan/SKILL.md"


class Case(NamedTuple):
    """`file` and `rules` are what our check names; `refused`: `plugin validate --strict` refuses
    it too (2.1.329)."""

    file: str
    change: Callable[[str], str]
    rules: list[str]
    refused: bool = True

    def apply(self, plugin: Path) -> None:
        """Make the change."""
        target = plugin / self.file
        target.write_text(self.change(target.read_text()))


def with_key(**more: Any) -> Callable[[str], str]:
    return lambda text: json.dumps(json.loads(text) | more)


def without(key: str) -> Callable[[str], str]:
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != key})


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def server(value: Any) -> Callable[[str], str]:
    return lambda text: json.dumps({"mcpServers": {"a": value}})


CASES: dict[str, Case] = {
    "unknown key": Case(MANIFEST, with_key(colour="red"), ["keys"]),
    "key of a marketplace": Case(MANIFEST, with_key(tags=["a"]), ["keys"]),
    "name with blanks": Case(MANIFEST, with_key(name="Ml Agent"), ["name"]),
    "no name": Case(MANIFEST, without("name"), ["name"]),
    "version": Case(MANIFEST, with_key(version=1), ["values"]),
    "author as text": Case(MANIFEST, with_key(author="me"), ["values"]),
    "author without a name": Case(MANIFEST, with_key(author={"url": "x"}), ["values"]),
    "no author": Case(MANIFEST, without("author"), ["advised"]),
    "keywords": Case(MANIFEST, with_key(keywords=["a", 1]), ["values"]),
    "homepage": Case(MANIFEST, with_key(homepage="www.example.org"), ["values"]),
    "repository": Case(MANIFEST, with_key(repository={"url": "x"}), ["values"]),
    "enabled": Case(MANIFEST, with_key(defaultEnabled="yes"), ["values"]),
    "components": Case(MANIFEST, with_key(agents=5), ["values"]),
    **{
        f"{key} {json.dumps(value)[:60]}": Case(MANIFEST, with_key(**{key: value}), [rule])
        for key, value, rule in (
            ("agents", "../x", "places"),
            ("agents", "./../x", "places"),
            ("agents", "/etc", "places"),
            ("agents", ["./agents/none.md"], "places"),
            ("agents", "./agents", "places"),
            ("agents", "agents/ml-engineer.md", "places"),
            ("agents", {"a": {}}, "places"),
            ("agents", [5], "places"),
            ("commands", "./nope", "places"),
            ("commands", "commands", "places"),
            ("commands", {"a": {}}, "commands"),
            ("commands", {"a": "x"}, "commands"),
            ("commands", {"a": {"source": "./nope.md"}}, "places"),
            ("commands", {"a": {"content": "x", "source": "./README.md"}}, "commands"),
            ("skills", "./none", "places"),
            ("skills", "skills", "places"),
            ("skills", "./skills/mlagent-plan/SKILL.md", "places"),
            ("hooks", "./none.json", "places"),
            ("hooks", "hooks/hooks.json", "places"),
            ("hooks", "./README.md", "places"),
            ("hooks", "./.mcp.json", "hooks"),
            ("hooks", {"Nope": []}, "events"),
            ("hooks", {"PreToolUse": {}}, "hooks"),
            ("hooks", {"Stop": [{"hooks": [{"type": "x"}]}]}, "hooks"),
            ("hooks", [5], "places"),
            ("mcpServers", "./none.json", "places"),
            ("mcpServers", "./none.mcpb", "places"),
            ("mcpServers", "https://a.b/x.json", "places"),
            ("mcpServers", {"a": {}}, "servers"),
            ("mcpServers", {"a": {"command": ""}}, "servers"),
            ("mcpServers", [{"a": {"type": "http"}}], "servers"),
            ("outputStyles", "./none", "places"),
            ("outputStyles", {}, "places"),
            ("workflows", ["./none"], "places"),
            ("lspServers", "./none.json", "places"),
            ("lspServers", {"a": 5}, "languages"),
            ("lspServers", {"a": {"command": "x", "extensionToLanguage": {}}}, "languages"),
            (
                "lspServers",
                {"a": {"command": "x y", "extensionToLanguage": {".x": "x"}}},
                "languages",
            ),
            ("channels", [5], "values"),
            ("dependencies", [5], "values"),
            ("userConfig", {"a": 5}, "values"),
        )
    },
    "hooks in hooks": Case(MANIFEST, with_key(hooks={"hooks": {"Nope": []}}), ["events", "hooks"]),
    "an empty language server": Case(
        MANIFEST, with_key(lspServers={"a": {}}), ["languages", "languages"]
    ),
    "no json": Case(MANIFEST, lambda text: "{", ["json"]),
    "a list": Case(MANIFEST, lambda text: "[]", ["json"]),
    "a key twice": Case(MANIFEST, swap("{", '{"name": "x",'), ["json"], refused=False),
    "unknown event": Case(HOOKS, swap("PreToolUse", "PreToolUs"), ["events"]),
    "type of a hook": Case(HOOKS, swap('"type": "command"', '"type": "x"'), ["hooks"]),
    "hook without a command": Case(HOOKS, swap('"command": ', '"comand": '), ["hooks"]),
    "timeout": Case(HOOKS, swap('"timeout": 30', '"timeout": 0'), ["hooks"]),
    "matcher": Case(HOOKS, swap('"matcher": "*"', '"matcher": 5'), ["hooks"]),
    "hooks as a list": Case(HOOKS, with_key(hooks=[]), ["hooks"]),
    "an event as a map": Case(HOOKS, with_key(hooks={"SubagentStop": {}}), ["hooks"]),
    "hooks without their map": Case(HOOKS, without("hooks"), ["hooks"]),
    "server without a command": Case(SERVERS, server({}), ["servers"]),
    "command": Case(SERVERS, server({"command": 5}), ["servers"]),
    "args": Case(SERVERS, server({"command": "x", "args": "y"}), ["servers"]),
    "env": Case(SERVERS, server({"command": "x", "env": {"A": 1}}), ["servers"]),
    "type of a server": Case(SERVERS, server({"type": "x", "command": "y"}), ["servers"]),
    "server without a url": Case(SERVERS, server({"type": "http"}), ["servers"]),
    "another word for servers": Case(SERVERS, swap("mcpServers", "servers"), ["servers"]),
    "skill without a block": Case(SKILL, lambda text: "plan\n", ["block"]),
    "skill without a description": Case(
        SKILL, lambda text: "---\nname: mlagent-plan\n---\nx\n", ["description"]
    ),
    "tools of a skill": Case(
        SKILL, swap("license:", "allowed-tools: {a: b}\nlicense:"), ["values"]
    ),
    "key of a skill": Case(SKILL, swap("license:", "licence:"), ["keys"], refused=False),
    "name of a skill": Case(SKILL, swap("name: mlagent-plan", "name: x"), ["name"], refused=False),
    "line ends": Case(SKILL, lambda text: text.replace("\n", "\r"), ["encoding", "block"]),
    "short README": Case("README.md", lambda text: "A plugin.\n", ["readme"], refused=False),
}
FINE: dict[str, Case] = {
    "another key of the author": Case(MANIFEST, with_key(author={"name": "a", "x": 1}), []),
    "a path of agents": Case(MANIFEST, with_key(skills="./skills/"), []),
    **{
        f"{key} {json.dumps(value)[:60]}": Case(MANIFEST, with_key(**{key: value}), [])
        for key, value in (
            ("agents", "./agents/ml-engineer.md"),
            ("agents", []),
            ("commands", "./skills"),
            ("commands", {"a": {"content": "x"}}),
            ("commands", {"a": {"source": "./README.md"}}),
            ("skills", ["./skills/mlagent-plan"]),
            ("hooks", "./hooks/hooks.json"),
            ("hooks", {"PreToolUse": []}),
            ("hooks", [{"PreToolUse": []}]),
            ("mcpServers", "./.mcp.json"),
            ("mcpServers", "https://a.b/x.mcpb"),
            ("mcpServers", [{"a": {"command": "x"}}]),
            ("outputStyles", ["./README.md"]),
            ("workflows", "./skills"),
            ("lspServers", {"a": {"command": "x", "extensionToLanguage": {".x": "x"}}}),
            ("lspServers", {}),
        )
    },
    "servers without their map": Case(SERVERS, lambda text: '{"a": {"command": "x"}}', []),
    "a server elsewhere": Case(SERVERS, server({"type": "http", "url": "https://a.b"}), []),
    "a word about the hooks": Case(HOOKS, with_key(description="x"), []),
}
