"""Writes the JSON Schema of every record to contracts/, or says which ones have drifted.

    python tools/schemas.py            write
    python tools/schemas.py --check    exit code 1 when a file is missing, stale or left over

One file for each record that has a `schema` tag: contracts/<name>.schema.json, named after the tag.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlagent.contracts.base import Record  # noqa: E402
from mlagent.contracts.plan import AgentPlanDocument  # noqa: E402

MODULES = (
    "agent_files",
    "candidate",
    "claude_code",
    "contract",
    "evaluation",
    "findings",
    "plan",
    "policy",
    "profile",
    "run",
)
MODULES += ("drift", "pr_report", "prices", "search", "task", "usage")


def records() -> dict[str, type[Record]]:
    """Name ('plan', 'column-roles', ...) -> record. agent_plan is the one without a tag."""
    found: dict[str, type[Record]] = {"agent-plan": AgentPlanDocument}
    for module_name in MODULES:
        module = importlib.import_module(f"mlagent.contracts.{module_name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Record):
                tag = value.model_fields.get("schema_")
                if tag is not None and (tags := get_args(tag.annotation)):
                    found[str(tags[0]).split("/")[1]] = value
    return dict(sorted(found.items()))


def rendered() -> dict[str, str]:
    """File name -> text of its schema."""
    texts = {}
    for name, record in records().items():
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"{name}.schema.json",
            **record.model_json_schema(by_alias=True),
        }
        texts[f"{name}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return texts


def main(words: list[str] | None = None, folder: Path = ROOT / "contracts") -> int:
    """Write or check. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(words).check
    texts = rendered()
    present = {path.name: path.read_text("utf-8") for path in folder.glob("*.schema.json")}
    stale = sorted(name for name in texts if present.get(name) != texts[name])
    left = sorted(set(present) - set(texts))
    if check:
        for name in stale:
            print(f"contracts/{name} does not fit its record; run: python tools/schemas.py")
        for name in left:
            print(f"contracts/{name} belongs to no record; remove it")
        return 1 if stale or left else 0
    for name in stale:
        (folder / name).write_text(texts[name], "utf-8")
    for name in left:
        (folder / name).unlink()
    print(f"{len(texts)} schemas, {len(stale)} written, {len(left)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
