"""The hook itself: one event on stdin, a verdict as exit code and text.

Guarantees: exit 0 and silence for an agent that is not of this export; for its own agents a refusal
as JSON on stdout, in the form that Claude Code documents for the event; exit 2 with a sentence on
stderr, which refuses too, when the policy is broken, the event cannot be read, or the hook fails. A
hook that hangs is killed, which the command around it turns into a refusal. Each verdict ends with
ALIVE, which that command demands and takes away: silence of a hook that never ran is no consent.
Does not know which file an agent comes from: only its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROLES = ("data-explorer", "statistical-analyst", "ml-engineer")
PLUGIN = "mlagent"
"""A plugin's agents are named `plugin:agent`."""
SCOPES = ("project", "user", "plugin")
SCHEMA = "mlagent/claude-code-policy/v1"
SECONDS = 20
"""A hook that reaches Claude Code's own limit would be ignored, so it ends before."""
ALIVE = "mlagent-judged"
"""The last word on stdout of a hook that came to its end."""
_LISTS = ("tools", "reads", "writes")


class BrokenPolicy(ValueError):
    """policy.json is missing, damaged or of another version."""


def seal(body: dict[str, Any]) -> str:
    """sha256 of the policy without its seal, whatever its layout."""
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_policy(path: str) -> dict[str, Any]:
    """The policy that `export` compiled from the contracts.

    Raises:
        BrokenPolicy: with what is wrong.
    """
    try:
        with open(path, encoding="utf-8") as file:
            policy = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenPolicy(f"it cannot be read ({type(error).__name__})") from None
    if not isinstance(policy, dict) or policy.get("schema") != SCHEMA:
        raise BrokenPolicy(f"it is no {SCHEMA}")
    body = {key: value for key, value in policy.items() if key != "seal"}
    if policy.get("seal") != seal(body):
        raise BrokenPolicy("it was changed after `mlagent agents export` wrote it")
    if policy.get("scope") not in (None, *SCOPES):
        raise BrokenPolicy("its scope is not known")
    agents = policy.get("agents")
    if not isinstance(agents, dict) or not isinstance(policy.get("plan_schema"), dict):
        raise BrokenPolicy("a part is missing")
    for role in ROLES:
        agent = agents.get(role)
        if not isinstance(agent, dict) or not all(_texts(agent.get(key)) for key in _LISTS):
            raise BrokenPolicy(f"the part of {role} is missing or incomplete")
        if not isinstance(agent.get("commands"), dict) or not isinstance(
            agent.get("planning"), dict
        ):
            raise BrokenPolicy(f"the part of {role} is incomplete")
    return policy


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def role_of(event: dict[str, Any], scope: str | None = None) -> str | None:
    """Whose event it is: a role, or None for the user's session and for other agents.

    A plugin's agents always bear its name before a colon, the others never do. `scope`: the export
    that this hook belongs to; None: not known, so either may be its own.
    """
    name = event.get("agent_type")
    if not isinstance(name, str):
        return None
    plugin, _, bare = name.rpartition(":")
    own = ("", PLUGIN) if scope is None else (PLUGIN,) if scope == "plugin" else ("",)
    return bare if bare in ROLES and plugin in own else None


def run(kind: str, text: str, policy_path: str) -> int:
    """Judge one event; prints, and returns the exit code."""
    event = json.loads(text)
    if not isinstance(event, dict):
        raise ValueError("the event is no map")
    role = role_of(event)
    if role is None:
        return 0
    stopping = kind == "subagent-stop"
    broken = False
    try:
        policy = read_policy(policy_path)
        if role_of(event, policy.get("scope")) is None:
            return 0
        problems = _stop(event, role, policy) if stopping else _tool(event, role, policy)
    except BrokenPolicy as error:
        broken = True
        problems = [f"The contract cannot be enforced, for policy.json is broken: {error}."]
        problems.append("The user can mend it with `mlagent agents export --to claude-code`.")
    if not problems:
        return 0
    sentence = f"mlagent, contract of {role}: {' '.join(problems)}"
    if broken:  # at every stop too: Claude Code itself ends an agent after eight refused ones
        sys.stderr.write(sentence + "\n")
        return 2
    if stopping and event.get("stop_hook_active") is True:
        _print({"systemMessage": f"{sentence} It stopped all the same."})
    elif stopping:
        _print({"decision": "block", "reason": sentence})
    else:
        refusal = {"permissionDecision": "deny", "permissionDecisionReason": sentence}
        _print({"hookSpecificOutput": {"hookEventName": "PreToolUse", **refusal}})
    return 0


def _print(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")


def _tool(event: dict[str, Any], role: str, policy: dict[str, Any]) -> list[str]:
    from .guard import tool_problem

    problem = tool_problem(event, policy["agents"][role])
    return [problem[:1].upper() + problem[1:]] if problem else []


def _stop(event: dict[str, Any], role: str, policy: dict[str, Any]) -> list[str]:
    from .plan_check import BrokenSchema, check_schema
    from .stopping import stop_problems

    try:
        check_schema(policy["plan_schema"])
        problems = stop_problems(event, role, policy)
    except BrokenSchema as error:
        raise BrokenPolicy(str(error)) from None
    if not problems:
        return []
    return ["The plan is not valid.", *problems, "Answer again with the whole plan, mended."]


def main() -> None:
    """`python3 -I -S -B FOLDER pre-tool-use|subagent-stop`, the event on stdin."""
    try:
        signal.alarm(SECONDS)
        kind = sys.argv[1] if len(sys.argv) == 2 else ""
        if kind not in ("pre-tool-use", "subagent-stop"):
            raise ValueError("the hook is called with pre-tool-use or subagent-stop")
        policy = os.path.join(os.path.dirname(os.path.abspath(__file__)), "policy.json")
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
        code = run(kind, text, policy)
        if code == 0:
            sys.stdout.write(ALIVE)
    except BaseException as error:
        sys.stderr.write(f"mlagent: the hook failed, so the step is refused: {error!r:.300}\n")
        code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
