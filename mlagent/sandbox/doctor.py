"""Proves a tier's promises with canaries, and says what is missing on this machine.

Guarantees: a promise counts as kept only when something that breaks it was tried and failed, in
this engine, with this image and these flags; the result is cached under all three. Where a canary
fails, the tier is to be refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mlagent.content import Content
from mlagent.contracts.errors import MlagentError, PrerequisiteMissing, SandboxBroken
from mlagent.contracts.ports import Job, Limits, Outcome, Sandbox
from mlagent.documents import load_json

from .containers import environment, flags_hash
from .engine import connect, engine_line
from .image import BUILD, find_image
from .kept import keep, recall
from .limits import free_memory_mb
from .openmp import library_path
from .staging import cache_root, run_folder

LIMITS = Limits(
    wall_s=20,
    memory_mb=256,
    cpus=1,
    pids=64,
    output_mb=16,
    output_files=20,
    tmp_mb=16,
    stdout_kb=64,
)
_PROBES = {  # canary: the promise (of `Sandbox.enforced`) that it proves
    "user": "user",
    "capabilities": "user",
    "no new privileges": "user",
    "seccomp": "syscalls",
    "system calls": "syscalls",
    "32-bit calls": "syscalls",
    "socket families": "syscalls",
    "network interfaces": "network",
    "network": "network",
    "name lookup": "network",
    "read-only root": "filesystem",
    "engine socket": "filesystem",
    "environment": "environment",
    "process limit": "pids",
    "output bytes": "disk",
    "output files": "disk",
    "scratch bytes": "disk",
}
_KILLED = {  # mode of canaries.py: promise, the verdict that proves it
    "memory": ("memory", "memory"),
    "time": ("wall", "time"),
    "stdout": ("stdout", "output"),
}


@dataclass(frozen=True)
class Canary:
    """One thing that must not work in the sandbox. `ok`: it did not."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Prerequisite:
    """One thing that mlagent needs, or (not `required`) is better with."""

    name: str
    ok: bool
    detail: str
    required: bool = False
    remedy: str = ""


def run_canaries(sandbox: Sandbox, *, fresh: bool = False) -> list[Canary]:
    """Try to break each promise that the tier makes. Four jobs, at most two at a time.

    A cached result (same engine, image, flags, canaries) is used unless `fresh`. Raises
    SandboxBroken when the canaries cannot be run at all.
    """
    script = Content().path("sandbox/canaries.py")
    key = "|".join(
        (
            sandbox.tier,
            sandbox.describe(),
            flags_hash(),
            hashlib.sha256(script.read_bytes()).hexdigest(),
        )
    )
    if not fresh and (known := recall("canaries", key)):
        return [Canary(**item) for item in known]
    found = _try_all(sandbox, script)
    if all(canary.ok for canary in found):
        keep("canaries", key, [vars(canary) for canary in found])
    return found


def refuse_unproven(canaries: list[Canary]) -> None:
    """Raises PrerequisiteMissing naming the canaries that failed."""
    failed = [f"{canary.name} ({canary.detail})" for canary in canaries if not canary.ok]
    if failed:
        raise PrerequisiteMissing(
            f"The sandbox does not keep its promises here: {', '.join(failed)}.",
            remedy="Use an engine with cgroups and seccomp; `mlagent doctor --fresh` tries again.",
        )


def _try_all(sandbox: Sandbox, script: Path) -> list[Canary]:
    promises = sandbox.enforced()
    probes = [name for name, promise in _PROBES.items() if promise in promises]
    modes = [mode for mode, (promise, _) in _KILLED.items() if promise in promises]
    with run_folder() as folder, ThreadPoolExecutor(2) as pool:
        waiting = {
            mode: pool.submit(_run, sandbox, script, folder / mode, mode, probes)
            for mode in ("probe", *modes)
        }
        outcomes = {mode: future.result() for mode, future in waiting.items()}
        probe = outcomes.pop("probe")
        if "result.json" not in probe.files:
            raise SandboxBroken(
                f"The canaries could not be run: {probe.sentence}", remedy="See the sandbox's log."
            )
        results = load_json(probe.files["result.json"].path.read_text("utf-8"), "result.json")
    canaries = [Canary(name, results[name][0] is True, str(results[name][1])) for name in probes]
    for mode, outcome in outcomes.items():
        wanted = _KILLED[mode][1]
        canaries.append(Canary(f"{mode} limit", outcome.verdict == wanted, outcome.sentence))
    return canaries


def _run(sandbox: Sandbox, script: Path, folder: Path, mode: str, probes: list[str]) -> Outcome:
    limits = Limits(**(vars(LIMITS) | ({"wall_s": 1.0} if mode == "time" else {})))
    folder.mkdir()
    config = {"mode": mode, "canaries": probes, "environment": environment(limits)}
    (folder / "config.json").write_text(json.dumps(config | vars(limits)), "utf-8")
    return sandbox.run(
        Job(
            name=f"canary {mode}",
            command="script",
            inputs={"script.py": script, "config.json": folder / "config.json"},
            outputs={"result.json": 1 << 16},
            into=folder,
            limits=limits,
            code="B",
        )
    )


def prerequisites() -> list[Prerequisite]:
    """What this machine has. Never raises."""
    version = ".".join(map(str, sys.version_info[:3]))
    found = [
        Prerequisite(
            "python", sys.version_info >= (3, 11), version, True, "Install Python 3.11 or newer."
        ),
        _openmp(),
        *_engine(),
    ]
    free = shutil.disk_usage(cache_root()).free >> 20
    remedy = f"Free some space below {str(cache_root())!r}."
    found.append(Prerequisite("disk", free >= 2048, f"{free} MB free", False, remedy))
    memory = free_memory_mb()
    found.append(
        Prerequisite("memory", memory >= 1024, f"{memory} MB free", False, "Close other programs.")
    )
    return found


def _openmp() -> Prerequisite:
    """LightGBM needs libgomp; tried in a process of its own."""
    path = library_path(cache_root())
    done = subprocess.run(
        [sys.executable, "-c", "import lightgbm"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | ({"LD_LIBRARY_PATH": path} if path else {}),
    )
    detail = (done.stderr.strip().splitlines() or [""])[-1][:200]
    remedy = "apt-get install libgomp1 (Debian), dnf install libgomp (Fedora), brew install libomp."
    return Prerequisite(
        "lightgbm (libgomp)", not done.returncode, detail or "imports", True, remedy
    )


def _engine() -> list[Prerequisite]:
    try:
        client = connect()
    except PrerequisiteMissing as missing:
        return [Prerequisite("container engine", False, missing.message, False, missing.remedy)]
    try:
        image = find_image(client)
        return [
            Prerequisite("container engine", True, engine_line(client)),
            Prerequisite("sandbox image", image is not None, image or "not built", False, BUILD),
        ]
    except MlagentError as problem:
        return [Prerequisite("container engine", False, problem.message, False, problem.remedy)]
    finally:
        client.close()
