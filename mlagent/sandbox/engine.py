"""Talks to the container engine: connect, and turn every way it fails into one of our errors.

Guarantees: only a local engine (a Unix socket) is used; the proxy settings of the user's Docker
configuration stay out of containers (docker-py copies them in unless `use_config_proxy=False`,
which `docker_tier.py` passes).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlagent.contracts.errors import PrerequisiteMissing, SandboxBroken

if TYPE_CHECKING:
    from docker import DockerClient

API_TIMEOUT_S = 30
START = "Install Docker (https://docs.docker.com/engine/install) or podman, and start it."


def connect() -> DockerClient:
    """A client of the local engine that has answered a ping.

    DOCKER_HOST may name another Unix socket (podman). Raises PrerequisiteMissing when no engine
    answers, or when it is remote.
    """
    import docker

    host = os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith("unix://"):
        raise PrerequisiteMissing(
            f"DOCKER_HOST is {host!r}: an engine on another machine is not supported yet.",
            remedy="Unset DOCKER_HOST, or let it name a local socket (unix:///...).",
        )
    if not host:
        places = [path for path in _sockets() if path.exists()]
        host = f"unix://{places[0]}" if places else "unix:///var/run/docker.sock"
    try:
        # Tried by hand first: docker-py leaves its socket open when there is nothing to connect to.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(API_TIMEOUT_S)
            probe.connect(host.removeprefix("unix://"))
        client = docker.DockerClient(base_url=host, timeout=API_TIMEOUT_S)
        try:
            client.ping()
        except BaseException:
            client.close()
            raise
    except Exception as problem:  # docker-py, requests and urllib3 each have their own
        raise PrerequisiteMissing(
            f"No container engine answers ({type(problem).__name__}).", remedy=START
        ) from problem
    return client


def _sockets() -> list[Path]:
    """Where engines put their socket: rootful Docker, Docker Desktop, colima, rootless Docker,
    podman.
    """
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
    home = Path.home()
    return [
        Path("/var/run/docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".colima/default/docker.sock",
        runtime / "docker.sock",
        runtime / "podman/podman.sock",
    ]


def refuse_weak_engine(info: dict[str, object]) -> None:
    """Raises PrerequisiteMissing for rootless engines on cgroup v1: they ignore memory and
    process limits.
    """
    options = info.get("SecurityOptions")
    rootless = bool(info.get("Rootless")) or "rootless" in str(options)
    if rootless and str(info.get("CgroupVersion", "1")) in ("1", "v1"):
        raise PrerequisiteMissing(
            "The engine is rootless on cgroup v1, which ignores memory and process limits.",
            remedy="Use a rootful engine, or boot with systemd.unified_cgroup_hierarchy=1.",
        )


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Any error of docker-py, requests or the socket becomes SandboxBroken: '... while {doing}'."""
    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    try:
        yield
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as problem:
        text = " ".join(str(problem).split())[:300]
        raise SandboxBroken(
            f"The container engine failed while {doing}: {type(problem).__name__}: {text}.",
            remedy="See `mlagent doctor`; the run can be resumed.",
        ) from problem


def engine_line(client: DockerClient) -> str:
    """'Docker 20.10.24' or 'Podman 4.3.1'."""
    version = client.version()
    names = " ".join(str(part.get("Name", "")) for part in version.get("Components") or [])
    return f"{'Podman' if 'podman' in names.lower() else 'Docker'} {version.get('Version', '?')}"
