"""Keep the generated parts of the docs true.

A block between `<!-- help: mlagent plan -->` and `<!-- end -->` is the output of `mlagent plan
--help`; a block between `<!-- json: NAME RECORD -->` and `<!-- end -->` is a file of a real run,
shortened: `--run FOLDER` renews it, every run of this tool validates it against the record. A block
between `<!-- yaml: RECORD -->` and `<!-- end -->` is written by hand and validated. Guarantees
nothing about the prose around.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- (help|json|yaml): (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
MAPS = frozenset({"columns", "content", "files", "metrics", "packages", "host_packages"})
"""Keys whose value maps names of the table or the run: examples show the first three of them."""
SHOWN = 2
"""Items of a long list that an example shows. Short tuples of plain values stay whole."""


def help_of(words: str) -> str:
    """`mlagent ... --help` as a fenced block, 100 columns wide, without a terminal."""
    environment = os.environ | {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", *words.split(), "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT
    )
    text = done.stdout.replace("python -m mlagent", "mlagent").rstrip()
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"```text\n{lines}\n```\n"


def record_type(name: str) -> Any:
    """The record class of a name such as `evaluation.Evaluation` or `mlagent.settings.Settings`."""
    module, _, attribute = name.rpartition(".")
    if not module.startswith("mlagent."):
        module = f"mlagent.contracts.{module}"
    return getattr(importlib.import_module(module), attribute)


def json_of(words: str, old: str, run: Path | None) -> str:
    """A file of a run as a fenced block; without `run` the old block, validated."""
    name, record = words.split()
    if run is not None:
        text = (run / name).read_text(encoding="utf-8")
        if name.endswith(".jsonl"):
            text = text.splitlines()[-1]
        value = shortened(json.loads(text))
        old = f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"
    record_type(record).model_validate_json(inside(old, "json"))
    return old


def yaml_of(record: str, old: str) -> str:
    """The block as it stands, validated against its record."""
    from mlagent.documents import read_record

    read_record(record_type(record), inside(old, "yaml"), f"the example of {record}", format="yaml")
    return old


def inside(block: str, language: str) -> str:
    """The text of a fenced block."""
    return block.strip().removeprefix(f"```{language}").removesuffix("```")


def shortened(value: Any, key: str = "") -> Any:
    """Long lists and maps cut, so that a page can be read and the rest is still a valid record."""
    if isinstance(value, dict):
        items = list(value.items())
        return {name: shortened(part, name) for name, part in items[: 3 if key in MAPS else None]}
    if isinstance(value, list):
        plain = not any(isinstance(part, dict | list) for part in value)
        return [shortened(part) for part in (value if plain and len(value) <= 3 else value[:SHOWN])]
    return value


def main() -> None:
    """Renew or check every page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--run", type=Path, help="a finished run folder")
    args = parser.parse_args()
    stale = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")

        def renew(match: re.Match[str]) -> str:
            head, kind, words, body, end = match.groups()
            if kind == "help":
                made = help_of(words)
            else:
                made = json_of(words, body, args.run) if kind == "json" else yaml_of(words, body)
            return f"{head}{made}{end}"

        new = BLOCK.sub(renew, text)
        if new != text:
            stale.append(page.relative_to(ROOT))
            if not args.check:
                page.write_text(new, encoding="utf-8")
    if args.check and stale:
        sys.exit(f"out of date: {', '.join(map(str, stale))}; run `make docs`")
    print(f"docs: {'renewed ' + ', '.join(map(str, stale)) if stale else 'true'}")


if __name__ == "__main__":
    main()
