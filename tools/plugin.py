"""Keep the Claude Code plugin of this repository what `mlagent agents export` writes.

    python tools/plugin.py            write .claude-plugin/ and plugins/mlagent/
    python tools/plugin.py --check    exit code 1 when a file is missing, stale or left over

It is committed, so that `/plugin marketplace add` works on the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlagent.content import Content  # noqa: E402
from mlagent.doors.claude_code.files import export_files  # noqa: E402


def drifted() -> list[str]:
    """Files that differ from the export, are missing, or are left over."""
    wanted = export_files(Content(), "plugin")
    there = {
        str(file.relative_to(ROOT)): file.read_bytes()
        for folder in (".claude-plugin", "plugins")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    return sorted(
        path
        for path in wanted.keys() | there.keys()
        if path not in wanted or there.get(path) != wanted[path].encode()
    )


def main() -> None:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        if stale := drifted():
            sys.exit(f"out of date: {', '.join(stale)}; run `make fix`")
        print("plugin: true")
        return
    stale = drifted()
    wanted = export_files(Content(), "plugin")
    for path in stale:
        (ROOT / path).unlink(missing_ok=True)
        if path in wanted:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_bytes(wanted[path].encode())
    print(f"plugin: {len(stale)} of {len(wanted)} files brought up to date")


if __name__ == "__main__":
    main()
