"""The flags of a T3 container, in one place. Pure: nothing here talks to an engine.

Guarantees, with `DockerSandbox`: no network, no capability, read-only root, not root, own seccomp
profile, memory without swap, limited cpus, processes, scratch space, files and file sizes;
nothing of the host's environment. None of these can be overridden by content or settings.
`flags_hash` names them, so that canaries run again when they change.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mlagent.contracts.ports import Job, Limits

from .environment import thread_environment
from .image import shipped
from .verdicts import GRACE_S

USER = "10001:10001"
OWNER_LABEL = "io.mlagent.owner"
DEADLINE_LABEL = "io.mlagent.deadline"
HOLDER_MB = 32
"""The holder only sleeps, to keep the output volume mounted after the runner is gone."""
_TMP = "rw,nosuid,nodev,noexec,mode=1777"
_INODES = 100
"""Inodes beside the allowed number of files: folders, temporary names."""


def seccomp_profile() -> str:
    """Our profile as compact JSON; the engine takes it as a string."""
    return json.dumps(json.loads(shipped("seccomp.json").read_text("utf-8")), separators=(",", ":"))


def hardening(memory_mb: int, pids: int, cpus: float, file_bytes: int) -> dict[str, Any]:
    """What every container of ours has, runner or holder."""
    from docker.types import LogConfig, Ulimit

    return {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "read_only": True,
        "user": USER,
        "ipc_mode": "private",
        "hostname": "sandbox",
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
        "mem_limit": memory_mb << 20,
        "memswap_limit": memory_mb << 20,
        "nano_cpus": int(cpus * 1e9),
        "pids_limit": pids,
        "oom_score_adj": 500,
        "ulimits": [
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=1024, hard=1024),
            Ulimit(name="fsize", soft=file_bytes, hard=file_bytes),
        ],
        "log_config": LogConfig(type="none"),
        "stop_signal": "SIGKILL",
        "use_config_proxy": False,
        "auto_remove": False,
        "detach": True,
    }


class Flags:
    """What the engine is asked for. A subclass may only be a test that shows what a missing guard
    lets through.
    """

    def runner(
        self, job: Job, image: str, inputs: Path, volume: str, labels: dict[str, str]
    ) -> dict[str, Any]:
        """Arguments of `containers.create` for the container that runs the job's code."""
        limits = job.limits
        file_mb = max(limits.output_mb, limits.tmp_mb)
        return hardening(limits.memory_mb, limits.pids, limits.cpus, file_mb << 20) | {
            "image": image,
            "command": [
                *("timeout", "-k", f"{GRACE_S:g}", f"{limits.wall_s:g}"),
                *("python3", "-u", "-B", "-P", "-s", "/in/runner.py"),
                *(job.command, "--in", "/in", "--out", "/out", *job.args),
            ],
            "init": True,
            "shm_size": f"{limits.tmp_mb}m",
            "tmpfs": {"/tmp": f"{_TMP},size={limits.tmp_mb}m,nr_inodes=16384"},
            "environment": environment(limits),
            "volumes": {
                str(inputs): {"bind": "/in", "mode": "ro"},
                volume: {"bind": "/out", "mode": "rw,nocopy"},
            },
            "labels": labels,
        }

    def holder(self, image: str, volume: str, labels: dict[str, str]) -> dict[str, Any]:
        """Arguments of `containers.create` for the container that keeps the outputs; no code of
        the job is in it.
        """
        return hardening(HOLDER_MB, 8, 0.5, 1 << 20) | {
            "image": image,
            "command": ["sleep", "86400"],
            "environment": {},
            "volumes": {volume: {"bind": "/out", "mode": "ro,nocopy"}},
            "labels": labels,
        }

    def volume(self, limits: Limits) -> dict[str, str]:
        """driver_opts of the output volume: a tmpfs with a size and a number of files."""
        uid, _, gid = USER.partition(":")
        options = (
            f"size={limits.output_mb}m,nr_inodes={limits.output_files + _INODES},"
            f"uid={uid},gid={gid},mode=0700,noexec,nosuid,nodev"
        )
        return {"type": "tmpfs", "device": "tmpfs", "o": options}


def environment(limits: Limits) -> dict[str, str]:
    """All that the code finds in its environment, beside what the image sets."""
    return thread_environment(limits.cpus) | {"HOME": "/tmp", "TMPDIR": "/tmp"}


def flags_hash() -> str:
    """sha256 of everything above with fixed limits."""
    job = Job("flags", "fit", {}, {}, Path("/"), Limits(wall_s=1, memory_mb=1))
    flags = Flags()
    runner = flags.runner(job, "image", Path("/in"), "volume", {})
    holder = flags.holder("image", "volume", {})
    text = json.dumps([runner, holder, flags.volume(job.limits)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
