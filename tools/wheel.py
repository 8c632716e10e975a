"""Build the wheel, install it into a clean venv, and try it from an empty folder.

Guarantees that what a user installs carries its content (contracts, templates, sandbox files) and
works away from the checkout. Needs the package registry for the dependencies.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*words: str, cwd: Path) -> str:
    """Run a command; its output, or leave with it when it fails."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main() -> None:
    """Build, install, try; print what was seen."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "-w",
            name,
            str(ROOT),
            cwd=scratch,
        )
        (wheel,) = scratch.glob("mlagent-*.whl")
        venv.create(scratch / "venv", with_pip=True)
        python = str(scratch / "venv" / "bin" / "python")
        run(python, "-m", "pip", "install", "--quiet", str(wheel), cwd=scratch)
        empty = scratch / "empty"
        empty.mkdir()
        mlagent = str(scratch / "venv" / "bin" / "mlagent")
        print(run(mlagent, "--version", cwd=empty).strip())
        run(mlagent, "contracts", "validate", cwd=empty)
        run(mlagent, "plan", "churn model", cwd=empty)
        (plan,) = empty.glob("plan.yaml")
        print(
            f"{wheel.name}: contracts are in it, and a plan of {plan.stat().st_size} bytes was made"
        )


if __name__ == "__main__":
    main()
