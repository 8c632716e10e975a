"""How much a job may use when nobody says: the numbers of sandbox/limits.yaml and the memory that
is free.
"""

from __future__ import annotations

import os
from pathlib import Path

from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.contracts.ports import Limits
from mlagent.documents import load_yaml

FLOOR_MB = 512
"""Below this, importing pandas, scikit-learn and LightGBM leaves no room for data."""


def free_memory_mb() -> int:
    """Memory that could be used without swapping; half of all memory where the system does not
    say.
    """
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    except (OSError, ValueError, IndexError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 // (1 << 20)


def default_memory_mb(share: float = 0.6) -> int:
    """MB for one job: `share` of what is free now, at least FLOOR_MB (referee rule 12)."""
    return max(FLOOR_MB, int(free_memory_mb() * share))


def default_limits(content: Content, wall_s: float) -> Limits:
    """The shipped limits with this wall time (seconds) and the memory that is free now."""
    values = load_yaml(content.text("sandbox/limits.yaml"), "sandbox/limits.yaml")
    try:
        share = float(values.pop("memory_share"))
        cpus = min(float(values.pop("cpus")), float(os.cpu_count() or 1))
        return Limits(wall_s=wall_s, memory_mb=default_memory_mb(share), cpus=cpus, **values)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise MlagentError(f"sandbox/limits.yaml is wrong: {problem}.") from problem
