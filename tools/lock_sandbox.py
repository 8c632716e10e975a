"""Writes sandbox/requirements.lock from requirements.in: exact pins with the sha256 of every
wheel that may be used.

One version for all: Python 3.11 on x86_64 resolves, the other targets must have wheels of the
same versions. Wheels are downloaded to look at their bytes; the lock names no registry. Usage:
python tools/lock_sandbox.py [--wheels DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

SANDBOX = Path(__file__).resolve().parents[1] / "sandbox"
TARGETS = [("3.11", "x86_64"), ("3.12", "x86_64"), ("3.11", "aarch64"), ("3.12", "aarch64")]
MANYLINUX = ("2_28", "2_27", "2_26", "2_24", "2_17")


def download(python: str, machine: str, folder: Path, words: list[str]) -> None:
    """pip download for one target. Raises CalledProcessError."""
    platforms = [f"manylinux_{glibc}_{machine}" for glibc in MANYLINUX]
    platforms.append(f"manylinux2014_{machine}")
    command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:"]
    command += ["--python-version", python, "--dest", str(folder)]
    for platform in platforms:
        command += ["--platform", platform]
    subprocess.run([*command, *words], check=True, stderr=subprocess.DEVNULL)


def pins(folder: Path) -> dict[str, str]:
    """Normalised name -> version of the wheels in `folder`."""
    found = {}
    for wheel in folder.glob("*.whl"):
        name, version = wheel.name.split("-")[:2]
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="keep the wheels here, one folder per target")
    args = parser.parse_args()
    wanted = [
        line.split("#") for line in (SANDBOX / "requirements.in").read_text().splitlines() if line
    ]
    full = [name.strip() for name, *note in wanted if name.strip() and not note]
    alone = [name.strip() for name, *note in wanted if name.strip() and note]
    hashes: dict[str, set[str]] = defaultdict(set)
    versions: dict[str, str] = {}
    done = []
    with tempfile.TemporaryDirectory() as temporary:
        for python, machine in TARGETS:
            folder = (args.wheels or Path(temporary)) / f"{python}-{machine}"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                if not versions:
                    download(python, machine, folder, full)
                    download(python, machine, folder, ["--no-deps", *alone])
                    versions = pins(folder)
                else:
                    words = [f"{name}=={version}" for name, version in versions.items()]
                    download(python, machine, folder, ["--no-deps", *words])
            except subprocess.CalledProcessError:
                print(f"no wheels for Python {python} on {machine}: left out", file=sys.stderr)
                continue
            for wheel in folder.glob("*.whl"):
                name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
                hashes[name].add(hashlib.sha256(wheel.read_bytes()).hexdigest())
            done.append(f"{python} {machine}")
    lines = [f"# Made by tools/lock_sandbox.py for Linux wheels: {', '.join(done)}."]
    for name in sorted(versions):
        lines.append(f"{name}=={versions[name]} \\")
        lines.append(" \\\n".join(f"    --hash=sha256:{value}" for value in sorted(hashes[name])))
    (SANDBOX / "requirements.lock").write_text("\n".join(lines) + "\n")
    print(f"{len(versions)} packages for {', '.join(done)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
