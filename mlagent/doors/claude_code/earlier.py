"""Which files of an earlier export may be renewed, and which are somebody else's.

Guarantees: a file is ours only when it is byte for byte (line ends aside) what the record
`exported.json` of the earlier export says, or what is to be written now; a subagent that a person
wrote under the same name, and a file of ours that was changed since, are in the way. Links and
folders in the place of a file are refused, also under `--force`. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlagent.contracts.claude_code import ClaudeCodeExport
from mlagent.contracts.errors import BadInput
from mlagent.documents import load_json, validate_record

from .files import PLACES, Scope, text_sha256


def in_the_way(folder: Path, scope: Scope, files: Mapping[str, str]) -> list[str]:
    """Paths of `files` at which something stands that no export wrote, in their order.

    Raises:
        BadInput: a link or a folder stands where a file belongs.
    """
    record = PLACES[scope].inside(PLACES[scope].record)
    known = _known(folder / record)
    found = []
    for path, text in files.items():
        target = folder / path
        if target.is_symlink() or (target.exists() and not target.is_file()):
            kind = "a link" if target.is_symlink() else "no file"
            raise BadInput(
                f"{str(target)!r} is {kind}, so nothing was changed.",
                remedy="Move it away, or choose another --out.",
            )
        if not target.exists():
            continue
        there = target.read_bytes()
        wanted = {text_sha256(text.encode()), known.get(path)}
        ours = path == record and bool(known)
        if not ours and text_sha256(there) not in wanted:
            found.append(path)
    return found


def _known(record: Path) -> Mapping[str, str]:
    """Path -> sha256, as the earlier export wrote it; empty when nothing there says so."""
    if not record.is_file():
        return {}
    try:
        value = load_json(record.read_text(encoding="utf-8"), record.name)
        return validate_record(ClaudeCodeExport, value, record.name).files
    except (BadInput, UnicodeDecodeError):
        return {}
