"""How long `mlagent --help` takes beside a bare interpreter, and what it imports, as a table."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

HEAVY = ("pandas", "numpy", "sklearn", "duckdb", "docker", "anthropic", "pydantic")
RUNS = 15


def median_ms(*words: str) -> float:
    """Median wall time of a command in milliseconds, output thrown away."""
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    bare = median_ms("-c", "pass")
    shown = median_ms("-m", "mlagent", "--help")
    code = f"import mlagent.cli.main, sys; print([n for n in {HEAVY!r} if n in sys.modules])"
    heavy = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    print("| what | median of 15 | times bare |\n|---|---|---|")
    print(f"| python -c pass | {bare:.0f} ms | 1 |")
    print(f"| mlagent --help | {shown:.0f} ms | {shown / bare:.1f} (at most 20) |")
    print(f"\nheavy modules imported: {heavy.stdout.strip()}")


if __name__ == "__main__":
    main()
