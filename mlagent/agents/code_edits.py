"""Changes to a candidate's code, as a language model gives them: search and replace, word for word.

Guarantees: an edit whose search text does not occur exactly once changes nothing and says so; the
result is Python that parses. Does not run anything.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NamedTuple

LARGEST = 200_000
MOST_EDITS = 20


class Edit(NamedTuple):
    """One change."""

    search: str
    replace: str


def apply_edits(code: str, edits: Sequence[Edit]) -> str:
    """The code with all edits, one after the other. Raises ValueError with what to mend."""
    if not edits:
        raise ValueError("there is no edit")
    if len(edits) > MOST_EDITS:
        raise ValueError(f"{len(edits)} edits are not one change; at most {MOST_EDITS} are taken")
    for number, edit in enumerate(edits, start=1):
        found = code.count(edit.search) if edit.search else 0
        if found != 1:
            times = "does not occur" if not found else f"occurs {found} times"
            raise ValueError(
                f"edit {number}: its search text {times} in the code; give one that occurs once, "
                f"with more lines around it: {edit.search[:120]!r}"
            )
        code = code.replace(edit.search, edit.replace)
    return checked(code)


def checked(code: str) -> str:
    """The code, when it is a candidate in form. Raises ValueError."""
    if len(code.encode()) > LARGEST:
        raise ValueError(f"the code is larger than {LARGEST:,} bytes")
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise ValueError(f"the code does not parse: {str(problem)[:200]}") from None
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    lacking = [name for name in ("fit", "predict") if name not in names]
    if lacking:
        raise ValueError(f"the code defines no function {lacking[0]!r} at its top level")
    return code if code.endswith("\n") else code + "\n"
