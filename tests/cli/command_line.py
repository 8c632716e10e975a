"""The command line as a user types it, and what it left: exit code, both streams, the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


def user_files(folder: Path) -> dict[str, bytes]:
    """What lies in a project, without what mlagent keeps there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in ("runs", ".mlagent")
    }


def edit(folder: Path, old: str, new: str) -> int:
    """Replace the first `old` of plan.yaml; the line where it stood."""
    text = (folder / "plan.yaml").read_text(encoding="utf-8")
    assert old in text
    (folder / "plan.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def rows(count: int = 200) -> str:
    """Lines of three numbers and a class."""
    return "".join(
        f"{i % 17},{i * 7 % 13},{i * 3 % 11},{'yes' if i % 3 else 'no'}\n" for i in range(count)
    )
