"""libgomp for LightGBM on hosts without it: scikit-learn's wheel carries one.

Guarantees that nothing is downloaded and nothing outside the cache folder is written. Does not help
where scikit-learn itself was built against the system's libgomp.
"""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path

NAME = "libgomp.so.1"


def library_path(cache: Path) -> str | None:
    """LD_LIBRARY_PATH for a process that needs libgomp: what is set, and the borrowed folder."""
    borrowed = library_folder(cache)
    parts = [os.environ.get("LD_LIBRARY_PATH", ""), "" if borrowed is None else str(borrowed)]
    return ":".join(part for part in parts if part) or None


def library_folder(cache: Path) -> Path | None:
    """A folder for LD_LIBRARY_PATH that holds libgomp.so.1; None when the system has one, or when
    there is none to borrow.

    Args:
        cache: existing folder where the link is made.
    """
    try:
        ctypes.CDLL(NAME)
    except OSError:
        pass
    else:
        return None
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        return None
    site = Path(found.origin).parent.parent
    bundled = sorted((site / "scikit_learn.libs").glob("libgomp*.so*"))
    if not bundled:
        return None
    folder = cache / "openmp"
    folder.mkdir(exist_ok=True)
    link = folder / NAME
    if not link.exists() or link.resolve() != bundled[0].resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(bundled[0])
    return folder
