"""A candidate that somebody wrote: `try FOLDER`, and `execute --candidate FOLDER`, where it stands
in the place of the option that the plan chose.

Guarantees: only solution.py (and a README.md) is taken, as bytes; nothing of it is imported or run
here. The names of baselines and options stay theirs. Does not judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import OptionName
from mlagent.contracts.ports import CodeClass
from mlagent.store.runs import RunFolder

LARGEST_SOURCE = 2**20
TAKEN = ("dummy", "linear", *get_args(OptionName))


@dataclass(frozen=True)
class HandedIn:
    """A candidate as it was handed in.

    Attributes:
        name: of its folder; `my-linear` where that name is taken.
        source: the bytes of solution.py.
        readme: its README.md, or a few words in its place.
        code: C for the user's own, D for a stranger's.
    """

    name: str
    source: bytes
    readme: bytes
    code: CodeClass


def read_candidate(folder: Path, *, mine: bool) -> HandedIn:
    """Take a candidate from its folder.

    Raises:
        BadInput: it has no solution.py, or one that cannot be read.
    """
    name = name_of(folder)
    readme = f"# {name}\n\nHanded in; the code says what it does.\n".encode()
    theirs = folder / "README.md"
    if theirs.is_file() and not theirs.is_symlink():  # a link could show another file to all
        readme = _read(theirs)
    return HandedIn(name, read_source(folder), readme, "C" if mine else "D")


def read_source(folder: Path) -> bytes:
    """The bytes of solution.py. Raises BadInput."""
    file = folder / "solution.py"
    if not file.is_file():
        raise BadInput(
            f"{str(folder)!r} is not a candidate: it has no solution.py.",
            remedy="A candidate is a folder with solution.py that defines fit(train, spec) and "
            "predict(model, features).",
        )
    return _read(file)


def _read(file: Path) -> bytes:
    if file.stat().st_size > LARGEST_SOURCE:
        raise BadInput(f"{str(file)!r} is larger than 1 MiB.")
    try:
        return file.read_bytes()
    except OSError as problem:
        raise BadInput(f"{str(file)!r} cannot be read: {problem.strerror}.") from None


def name_of(folder: Path) -> str:
    """The folder's name; the names of baselines and options stay theirs, a copy is `my-linear`."""
    name = folder.resolve().name
    return f"my-{name}" if name in TAKEN else name


def home_of(run: RunFolder, name: str) -> Path:
    """Where a run keeps a candidate and the spec that it was given last."""
    return run.path / "artifacts" / "ml-engineer" / name


def keep(run: RunFolder, handed: HandedIn) -> None:
    """Write it into the run folder, from where it is judged, resumed and packaged."""
    home = home_of(run, handed.name)
    home.mkdir(parents=True, exist_ok=True)
    (home / "solution.py").write_bytes(handed.source)
    (home / "README.md").write_bytes(handed.readme)


def kept(run: RunFolder, start: Mapping[str, Any]) -> HandedIn | None:
    """What an unfinished run was started with; None when that was no candidate.

    Args:
        start: facts of its first event.
    """
    if not start.get("candidate"):
        return None
    home = home_of(run, str(start["candidate"]))
    code: CodeClass = "C" if start["candidate_code"] == "C" else "D"
    return HandedIn(str(start["candidate"]), read_source(home), _read(home / "README.md"), code)
