"""The environment that code in a sandbox gets: short, explicit, the same in every tier. Nothing
is inherited.
"""

from __future__ import annotations

import math

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


def thread_environment(cpus: float) -> dict[str, str]:
    """Language, hash seed and thread counts; the counts follow the cpu limit (os.cpu_count() does
    not).
    """
    threads = str(max(1, math.ceil(cpus)))
    # threads that wait must not spin: on shared cores a fit then takes twenty times as long
    fixed = {
        "OMP_WAIT_POLICY": "PASSIVE",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
    }
    return fixed | dict.fromkeys(_THREADS, threads)
