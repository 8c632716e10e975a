"""Keep the generated parts of the docs true.

A block between `<!-- help: mlagent plan -->` and `<!-- end -->` is the output of `mlagent plan
--help`; a block between `<!-- json: NAME RECORD -->` and `<!-- end -->` is a file of a real run:
`--run FOLDER` renews it, `--check` validates it against the record. Guarantees nothing about the
prose around.
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

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- (help|json): (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LONGEST = 60
"""Lines of an example; more are cut where a reader has seen enough."""


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


def json_of(words: str, old: str, run: Path | None) -> str:
    """A file of a run as a fenced block; without `run` the old block, validated."""
    name, record = words.split()
    module, _, attribute = record.rpartition(".")
    model = getattr(importlib.import_module(f"mlagent.contracts.{module}"), attribute)
    if run is not None:
        text = (run / name).read_text(encoding="utf-8")
        if name.endswith(".jsonl"):
            text = json.dumps(json.loads(text.splitlines()[-1]), indent=2, ensure_ascii=False)
        old = f"```json\n{shortened(json.loads(text))}\n```\n"
    body = old.strip().removeprefix("```json").removesuffix("```")
    model.model_validate_json(body)
    return old


def shortened(value: object) -> str:
    """JSON with long lists cut to their first two items, so that a page can be read."""

    def cut(part: object) -> object:
        if isinstance(part, dict):
            items = list(part.items())
            return {key: cut(item) for key, item in (items[:8] if len(items) > 30 else items)}
        if isinstance(part, list):
            return [cut(item) for item in part[:2]]
        return part

    return json.dumps(cut(value), indent=2, ensure_ascii=False)


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
            made = help_of(words) if kind == "help" else json_of(words, body, args.run)
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
