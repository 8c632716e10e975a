"""Makes the image's venv lean and safe to score in, then proves that it still imports.

Runs while the image is built. Takes out test folders and scikit-learn's bundled data sets (their
labels would let a candidate look up answers). Where the base has no libgomp.so.1 (slim images),
LightGBM gets the one that scikit-learn bundles.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = "numpy pandas scipy sklearn.ensemble lightgbm xgboost optuna duckdb catboost"


def main(venv: Path) -> None:
    site = next(venv.glob("lib/python3*/site-packages"))
    for folder in sorted(site.rglob("tests"), reverse=True):
        if folder.is_dir():
            shutil.rmtree(folder)
    for name in ("data", "images"):
        shutil.rmtree(site / "sklearn" / "datasets" / name, ignore_errors=True)
    openmp = venv / "openmp"
    openmp.mkdir()
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        bundled = next((site / "scikit_learn.libs").glob("libgomp*.so*"))
        (openmp / "libgomp.so.1").symlink_to(bundled)
    imports = "; ".join(f"import {name}" for name in PACKAGES.split())
    subprocess.run(
        [sys.executable, "-c", imports],
        check=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(openmp)},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
