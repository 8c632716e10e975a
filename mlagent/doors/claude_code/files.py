"""The files of an export, as path -> text: for a project, for a user, as a plugin.

Guarantees: nothing is written here, so a caller can look before anything changes; the same content
gives the same bytes; no path of this machine is in any of them. settings.json is not among them:
it belongs to the user, and `settings_merge` only adds to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from mlagent import __version__
from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES
from mlagent.contracts.claude_code import ClaudeCodeExport, ExportScope

from .agent_text import agent_markdown
from .hook.entry import ALIVE, PLUGIN
from .policy import compile_policy, contract_sha256, load_work

Scope = ExportScope
SCOPES: tuple[Scope, ...] = ("project", "user", "plugin")
SKILLS = ("mlagent-plan", "mlagent-run", "mlagent-review")
ABOUT = (
    "Three machine-learning specialists bound by contracts: options with trade-offs, a sealed "
    "sandbox, a referee that measures."
)
MARKETPLACE = "mlagent"
HOOK_TIMEOUT = 30
"""Seconds; Claude Code ignores a hook that takes longer, so the hook kills itself before."""
MUTE = "mlagent: the hook gave no verdict, so the step is refused"
ATTRIBUTES = "*.md text eol=lf\n*.json text eol=lf\n*.py text eol=lf\n*.yaml text eol=lf\n"


class Place(NamedTuple):
    """Where an export lies, as its own files see it.

    root: folder of the scope inside the output folder. hook: folder of the hook, inside `root`.
    contracts: folder of the copies, inside `root`. record: what was exported, inside `root`.
    shell: `root` in a hook's command.
    """

    root: str
    hook: str
    contracts: str
    record: str
    shell: str

    def inside(self, path: str) -> str:
        """A path below `root`, as a path below the output folder."""
        return f"{self.root}/{path}".removeprefix("/")


PLACES: Mapping[Scope, Place] = {
    "project": Place(
        ".claude", "mlagent/hook", "mlagent/contracts", "mlagent/exported.json",
        '"$CLAUDE_PROJECT_DIR"/.claude',
    ),
    "user": Place(
        "", "mlagent/hook", "mlagent/contracts", "mlagent/exported.json",
        '"${CLAUDE_CONFIG_DIR:-$HOME/.claude}"',
    ),
    "plugin": Place(
        f"plugins/{PLUGIN}", "hooks/hook", "contracts", "exported.json",
        '"${CLAUDE_PLUGIN_ROOT}"',
    ),
}  # fmt: skip


def export_files(content: Content, scope: Scope) -> dict[str, str]:
    """Path below the output folder -> text of each file, settings.json excepted."""
    place = PLACES[scope]
    contracts, works = load_contracts(content), load_work(content)
    policy = compile_policy(content, contracts, works, scope)
    found: dict[str, str] = {}
    for role in ROLES:
        copy = f"{place.contracts}/{role}.yaml"
        found[f"agents/{role}.md"] = agent_markdown(
            content,
            contracts[role],
            works[role],
            contract_place=place.inside(copy) if scope == "project" else copy,
            contract_sha256=contract_sha256(content, role),
        )
        found[copy] = content.text(f"contracts/{role}.yaml")
    for name, text in hook_sources().items():
        found[f"{place.hook}/{name}"] = text
    found[f"{place.hook}/policy.json"] = _json(policy.model_dump(mode="json"))
    if scope == "plugin":
        found |= _plugin_files(content, {role: contracts[role].role for role in ROLES})
    else:
        found["agents/.gitattributes"] = ATTRIBUTES
    inside = {place.inside(path): text for path, text in found.items()}
    if scope == "plugin":
        inside[".claude-plugin/marketplace.json"] = _json(_marketplace(place.root))
    inside[place.inside(place.record)] = _json(record_of(inside).model_dump(mode="json"))
    return dict(sorted(inside.items()))


def record_of(files: Mapping[str, str]) -> ClaudeCodeExport:
    """By which the next export knows the files of this one."""
    return ClaudeCodeExport(
        schema_="mlagent/claude-code-export/v1",
        mlagent=__version__,
        files={path: text_sha256(text.encode()) for path, text in sorted(files.items())},
    )


def text_sha256(data: bytes) -> str:
    """Of a text file, whatever line ends git gave it."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def hook_sources() -> dict[str, str]:
    """The hook's own modules: what runs inside Claude Code is what is tested here."""
    folder = Path(__file__).parent / "hook"
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py"))}


def hook_groups(scope: Scope) -> dict[str, dict[str, Any]]:
    """Event -> the one group that this export adds to it, as settings.json and hooks.json hold it.

    The command starts Python only when the event names one of the agents. Whatever goes wrong (no
    `cat`, no Python, no file, a crash, a kill) is exit code 2, which refuses the step; so is a
    Python that ends well without the word ALIVE, such as one whose file is empty. That holds for
    every stop: Claude Code (2.1.197, 2.1.329) ends an agent by itself once eight were refused.
    """
    place = PLACES[scope]
    names = "|".join(f"*{role}*" for role in ROLES)
    found = {}
    for event, kind in (("PreToolUse", "pre-tool-use"), ("SubagentStop", "subagent-stop")):
        run = f"python3 -I -S -B {place.shell}/{place.hook} {kind}"
        closed = f"{{ echo '{MUTE}' >&2; exit 2; }}"
        asked = f"o=$(printf '%s' \"$i\" | {run})"
        said = f'r="${{o%{ALIVE}}}" && [ "$r" != "$o" ] && printf \'%s\' "$r"'
        judge = f"{names}) {asked} && {said} || {closed};;"
        command = f'i=$(cat) || exit 2; case "$i" in {judge} esac'
        handler = {"type": "command", "command": command, "timeout": HOOK_TIMEOUT}
        found[event] = {"matcher": "*", "hooks": [handler]}
    return found


def _plugin_files(content: Content, roles: Mapping[str, str]) -> dict[str, str]:
    folder = "templates/claude_code"
    template = SandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True
    ).from_string(content.text(f"{folder}/README.md.j2"))
    agents = {name: " ".join(role.split()) for name, role in roles.items()}
    hooks = {event: [group] for event, group in hook_groups("plugin").items()}
    server = {"command": "mlagent", "args": ["mcp"]}
    found = {
        ".claude-plugin/plugin.json": _json(
            {
                "name": PLUGIN,
                "version": __version__,
                "description": ABOUT,
                "author": {"name": "the mlagent authors"},
                "license": "MIT",
                "keywords": ["machine-learning", "automl", "planning", "evaluation"],
            }
        ),
        "hooks/hooks.json": _json({"description": "Holds the contracts.", "hooks": hooks}),
        ".mcp.json": _json({"mcpServers": {PLUGIN: server}}),
        "README.md": template.render(version=__version__, agents=agents, skills=SKILLS),
        "LICENSE": content.text(f"{folder}/LICENSE"),
        ".gitattributes": ATTRIBUTES,
    }
    for skill in SKILLS:
        found[f"skills/{skill}/SKILL.md"] = content.text(f"{folder}/skills/{skill}/SKILL.md")
    return found


def _marketplace(source: str) -> dict[str, Any]:
    entry = {"name": PLUGIN, "source": f"./{source}", "description": ABOUT, "license": "MIT"}
    return {
        "name": MARKETPLACE,
        "description": ABOUT,
        "owner": {"name": "the mlagent authors"},
        "plugins": [entry],
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
