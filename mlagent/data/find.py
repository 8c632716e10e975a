"""Which file is meant: the flag, then mlagent.yaml, then the one plausible data file in the folder.

Guarantees: never a silent guess between two; a file that mlagent wrote is no candidate. Does not:
look into subfolders or open a file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlagent.contracts.errors import BadInput

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson")
NOT_READ = (
    ".gz", ".bz2", ".xz", ".zst", ".zip", ".xlsx", ".xls", ".ods", ".json", ".feather", ".arrow",
    ".orc", ".avro", ".dta", ".sav", ".sas7bdat", ".h5", ".db", ".sqlite", ".duckdb",
)  # fmt: skip
NOT_DATA = (
    "requirements",
    "readme",
    "license",
    "licence",
    "changelog",
    "constraints",
    "notes",
    "robots",
    "cmakelists",
)
OUTPUTS = ("prediction", "submission", "scored")
SHOWN = 12


def _nobody(_: Path) -> bool:
    return False


def find_table(
    folder: Path,
    flag: Path | str | None = None,
    configured: str | None = None,
    ours: Callable[[Path], bool] = _nobody,
) -> Path | None:
    """The table to read, or None when the folder holds none.

    Args:
        folder: where the user stands; relative `configured` paths start here.
        flag: `--data`, as typed.
        configured: `data` of mlagent.yaml.
        ours: whether a file was written by `predict`; such a file is taken only when it is named.

    Raises:
        BadInput: the named file is not there, or several files are plausible.
    """
    if flag is not None:
        _refuse_address(str(flag), "--data")
        return _existing(Path(flag), "--data")
    if configured:
        _refuse_address(configured, "mlagent.yaml (data)")
        path = Path(configured).expanduser()
        return _existing(path if path.is_absolute() else folder / path, "mlagent.yaml (data)")
    found = _plausible(folder, ours)
    if len(found) > 1:
        names = ", ".join(repr(path.name) for path in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise BadInput(
            f"Several files here could be the table: {names}{more}.",
            remedy=f"Choose one with --data, for example: --data {found[0].name}",
        )
    return found[0] if found else None


def unread_tables(folder: Path) -> list[str]:
    """Names of files in the folder that look like tables, of formats that are not read."""
    if not folder.is_dir():
        return []
    return [
        path.name
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in NOT_READ and not path.name.startswith(".") and path.is_file()
    ]


def _refuse_address(text: str, said_by: str) -> None:
    if "://" in text:
        raise BadInput(
            f"The table {text!r} named by {said_by} is an address; only local files are read.",
            remedy="Download it first, then name the file.",
        )


def _existing(path: Path, said_by: str) -> Path:
    if not path.exists():
        near = [other.name for other in _plausible(path.parent)] if path.parent.is_dir() else []
        hint = f" Files beside it: {', '.join(map(repr, near[:SHOWN]))}." if near else ""
        raise BadInput(
            f"The table {str(path)!r} named by {said_by} does not exist.",
            remedy=f"Check the path.{hint}",
        )
    if path.is_dir():
        raise BadInput(
            f"The table {str(path)!r} named by {said_by} is a folder.",
            remedy="Name the file in it.",
        )
    return path


def _plausible(folder: Path, ours: Callable[[Path], bool] = _nobody) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
        and not any(word in path.stem.lower() for word in OUTPUTS)
        and not (
            path.suffix.lower() == ".txt"
            and (
                any(path.stem.lower().startswith(word) for word in NOT_DATA)
                or path.stat().st_size == 0  # `mlagent plan ... > out.txt` makes it first
            )
        )
        and not ours(path)
    ]
