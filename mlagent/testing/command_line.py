"""The command line in a process of its own, for tests of projects that use mlagent.

Guarantees: the same interpreter and its mlagent; both streams as text; a command that fails is a
result, not an exception.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

NO_ENGINE: Mapping[str, str] = {"DOCKER_HOST": "unix:///nonexistent.sock"}
"""As on a machine without a container engine."""
LONGEST_S = 400.0


def run_mlagent(
    folder: Path,
    *words: str,
    environment: Mapping[str, str] | None = None,
    python: str | Path = sys.executable,
    longest_s: float = LONGEST_S,
) -> subprocess.CompletedProcess[str]:
    """`mlagent WORDS` in this folder.

    Args:
        environment: on top of this process's own, such as `NO_ENGINE`.
        python: another interpreter that has mlagent.

    Raises:
        subprocess.TimeoutExpired: it took longer than `longest_s`.
    """
    return subprocess.run(
        [str(python), "-m", "mlagent", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
        timeout=longest_s,
    )
