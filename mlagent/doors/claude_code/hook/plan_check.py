"""Whether a value is an `agent_plan`: the generated JSON Schema, and what a schema cannot say.

Guarantees: what passes, `mlagent.contracts.plan.AgentPlanDocument` accepts too, as far as the
schema beside it is the generated one; each refusal names the field. A schema word that this module
does not know is a broken contract, never ignored. Numbers follow the record: `"0.5"` and `true`
count as numbers there, so they do here.
"""

from __future__ import annotations

import difflib
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_PROBLEMS = 5
KNOWN = frozenset(
    {"$ref", "type", "enum", "anyOf", "properties", "required", "additionalProperties"}
    | {"propertyNames", "items", "minLength", "minimum"}
)
SILENT = frozenset({"$schema", "$id", "$defs", "title", "description", "default"})
"""Words that say nothing about what is allowed."""
TYPES: dict[str, type] = {"object": dict, "array": list, "string": str, "null": type(None)}
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?\Z", re.ASCII)


class BrokenSchema(ValueError):
    """The schema itself cannot be used."""


def check_schema(schema: Any) -> None:
    """Raises BrokenSchema when a word of the schema is not known here."""
    if not isinstance(schema, dict) or not isinstance(schema.get("$defs", {}), dict):
        raise BrokenSchema("a schema is no map")
    for word, value in schema.items():
        if word not in KNOWN and word not in SILENT:
            raise BrokenSchema(f"the schema word {word!r} is not known")
        if word == "type" and value not in (*TYPES, "number"):
            raise BrokenSchema(f"the type {value!r} is not known")
        if word in ("items", "propertyNames") or (
            word == "additionalProperties" and value is not False
        ):
            check_schema(value)
        if word in ("properties", "$defs"):
            for inner in value.values():
                check_schema(inner)
        if word == "anyOf":
            for inner in value:
                check_schema(inner)


def plan_problems(schema: dict[str, Any], value: Any) -> list[str]:
    """Sentences on what is wrong with the document `agent_plan: {...}`; empty when nothing is."""
    found = _Checker(schema).check(schema, value, "")
    return found[:MAX_PROBLEMS] or _options(value["agent_plan"])


def contract_problems(role: str, planning: dict[str, int], value: Any) -> list[str]:
    """What a valid plan may still get wrong about whose plan it is."""
    plan = value["agent_plan"]
    found = []
    if plan["agent_name"] != role:
        found.append(f"agent_plan.agent_name is {plan['agent_name']!r}; you are {role!r}.")
    count, least, most = (
        len(plan["implementation_options"]),
        planning["min_options"],
        planning["max_options"],
    )
    if not least <= count <= most:
        found.append(f"The contract asks for {least} to {most} options; there are {count}.")
    return found


def _options(plan: dict[str, Any]) -> list[str]:
    names = sorted(plan["implementation_options"])
    missing = [name for name in ("option_a", "option_b") if name not in names]
    if missing:
        return [f"agent_plan.implementation_options needs {' and '.join(missing)}."]
    selected = plan["recommendation"]["selected"]
    if selected not in names:
        return [
            f"agent_plan.recommendation.selected is {selected!r}, but the options are "
            f"{', '.join(names)}."
        ]
    return []


class _Checker:
    def __init__(self, root: dict[str, Any]) -> None:
        self.definitions = root.get("$defs", {})

    def check(self, schema: dict[str, Any], value: Any, path: str) -> list[str]:
        """Problems of `value` at `path` under `schema`."""
        if "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            if name not in self.definitions:
                raise BrokenSchema(f"the schema has no {name!r}")
            return self.check(self.definitions[name], value, path)
        if "anyOf" in schema:
            results = [self.check(inner, value, path) for inner in schema["anyOf"]]
            return [] if [] in results else results[0]
        kind = schema.get("type")
        if kind == "number":
            return self.number(schema, value, path)
        if "enum" in schema and value not in schema["enum"]:
            allowed = [str(word) for word in schema["enum"]]
            meant = _meant(value, allowed)
            return [f"{_where(path)} {_given(value)}{meant}; allowed: {_list(allowed)}."]
        if kind is not None and not isinstance(value, TYPES[kind]):
            return [f"{_where(path)} {_given(value)}; {_wanted(kind, value)}."]
        if isinstance(value, str) and len(value) < schema.get("minLength", 0):
            return [f"{_where(path)} empty; write a text."]
        if isinstance(value, list) and "items" in schema:
            parts = (
                self.check(schema["items"], item, f"{path}[{index}]")
                for index, item in enumerate(value)
            )
            return [problem for part in parts for problem in part]
        if isinstance(value, dict):
            return self.map(schema, value, path)
        return []

    def map(self, schema: dict[str, Any], value: dict[str, Any], path: str) -> list[str]:
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        found = [
            f"{_dotted(path, name)} is missing."
            for name in schema.get("required", ())
            if name not in value
        ]
        for name, inner in value.items():
            here = _dotted(path, name)
            names = schema.get("propertyNames")
            if name in known:
                found += self.check(known[name], inner, here)
            elif rest is False:
                allowed = list(known)
                found.append(
                    f"{here} is no known key{_meant(name, allowed)}; allowed: {_list(allowed)}."
                )
            elif names is not None and self.check(names, name, ""):
                allowed = list(names.get("enum", ()))
                found.append(
                    f"{here} is no known key{_meant(name, allowed)}; allowed: {_list(allowed)}."
                )
            elif isinstance(rest, dict):
                found += self.check(rest, inner, here)
        return found

    def number(self, schema: dict[str, Any], value: Any, path: str) -> list[str]:
        if isinstance(value, str) and _NUMBER.match(value):
            value = float(value)
        if not isinstance(value, (int, float)):
            return [f"{_where(path)} {_given(value)}; a number is needed."]
        if value < schema.get("minimum", value):
            return [f"{_where(path)} {value}; it must be at least {schema['minimum']}."]
        return []


def _dotted(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _where(path: str) -> str:
    return f"{path} is" if path else "The document is"


def _given(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "a map" if isinstance(value, dict) else "a list"
    return "empty" if value is None else repr(value)[:60]


def _wanted(kind: str, value: Any) -> str:
    if kind == "string" and isinstance(value, (dict, int, float)):
        return "a text is needed; put it in quotes"
    return {"object": "a map is needed", "array": "a list is needed"}.get(kind, "a text is needed")


def _meant(given: Any, allowed: list[str]) -> str:
    close = difflib.get_close_matches(str(given), allowed, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _list(words: list[str]) -> str:
    return ", ".join(words)
