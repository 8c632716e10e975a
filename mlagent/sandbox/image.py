"""The sandbox image: find it by the hash of its lock, build it with or without a registry.

Guarantees: an image counts only when its label carries the sha256 of the shipped
requirements.lock; it is used by its id, never by a tag; every package in it came with a hash that
the lock names; the build's own steps run without network. Does not guarantee that two builds have
the same id (layers hold times): compare their `sbom.json`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlagent.content import Content
from mlagent.contracts.errors import BadInput, PrerequisiteMissing, SandboxBroken

from .engine import connect, engine_errors
from .sanitize import clean_line
from .staging import cache_root, run_folder

if TYPE_CHECKING:
    from docker import DockerClient

LOCK_LABEL = "io.mlagent.lock"
PROTOCOL = "1"
"""Changes when runner.py needs an image that older ones are not."""
DEFAULT_BASE = "python:3.12-slim"
BUILD = "Run `mlagent sandbox build`."
FILES = ("Dockerfile", "requirements.lock", "prune.py")


def shipped(name: str) -> Path:
    """A hardening file of the sandbox from the shipped copy: content overrides do not apply to
    it.
    """
    return Content().path(f"sandbox/{name}")


def recipe_hash() -> str:
    """sha256 over the lock, the Dockerfile and the prune script: what the label must say."""
    digest = hashlib.sha256(PROTOCOL.encode())
    for name in FILES:
        digest.update(shipped(name).read_bytes())
    return digest.hexdigest()


def find_image(client: DockerClient) -> str | None:
    """Id (sha256:...) of the newest image that was built from the shipped recipe; None when there
    is none.
    """
    with engine_errors("looking for the sandbox image"):
        images = client.api.images(filters={"label": f"{LOCK_LABEL}={recipe_hash()}"})
    newest = max(images, key=lambda image: image.get("Created", 0), default=None)
    return str(newest["Id"]) if newest else None


def build_image(
    *,
    base: str | None = None,
    wheelhouse: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Build the image and return its id.

    Args:
        base: an image in the engine with python3 (3.11 or 3.12), pip and venv; None:
            python:3.12-slim, pulled from the engine's registry when it is not there.
        wheelhouse: folder of wheels; None: they are downloaded with pip, by hash, and kept in the
            cache.
        on_line: gets each line of the build.

    Raises:
        PrerequisiteMissing: no engine, no base, no network for a download.
        BadInput: the wheelhouse lacks wheels.
        SandboxBroken: the build failed; the last lines are in the message.
    """
    say = on_line or (lambda line: None)
    client = connect()
    try:
        name = base or DEFAULT_BASE
        _ensure_base(client, name, pull=base is None, say=say)
        python, machine = _look_inside(client, name)
        wheels = wheelhouse or _download(python, machine, say)
        with run_folder() as context:
            for file in FILES:
                shutil.copyfile(shipped(file), context / file)
            count = _gather(wheels, context / "wheelhouse", python)
            say(f"building on {name} (Python {python}) from {count} wheels, without network")
            return _build(client, context, name, python, say)
    finally:
        client.close()


def _ensure_base(
    client: DockerClient, name: str, *, pull: bool, say: Callable[[str], None]
) -> None:
    import docker.errors

    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        if not pull:
            raise PrerequisiteMissing(
                f"The base image {name!r} is not in the engine.",
                remedy="Load it (`docker load`, `docker import`) or name another with --base.",
            ) from None
        say(f"pulling {name}")
        try:
            client.images.pull(name)
        except Exception as problem:
            raise PrerequisiteMissing(
                f"The base image {name!r} could not be pulled ({type(problem).__name__}).",
                remedy="Without a registry: `mlagent sandbox build --base IMAGE --wheelhouse DIR`.",
            ) from problem


def _look_inside(client: DockerClient, name: str) -> tuple[str, str]:
    """Python version ('3.11') and machine ('x86_64') of the base image."""
    code = "import sys,platform;print('%d.%d'%sys.version_info[:2],platform.machine())"
    with engine_errors(f"looking into the base image {name!r}"):
        container = client.containers.create(
            name,
            ["python3", "-c", code],
            network_mode="none",
            cap_drop=["ALL"],
            use_config_proxy=False,
        )
        try:
            container.start()
            status = container.wait(timeout=60)["StatusCode"]
            words = container.logs(stderr=False).decode("ascii", "replace").split()
        finally:
            container.remove(force=True)
    if status or len(words) != 2 or words[0] not in ("3.11", "3.12"):
        raise PrerequisiteMissing(
            f"The base image {name!r} has no Python 3.11 or 3.12 (found {' '.join(words)!r}).",
            remedy="Name another with --base.",
        )
    return words[0], words[1]


def _download(python: str, machine: str, say: Callable[[str], None]) -> Path:
    """Wheels of the lock for the image, downloaded on the host by hash into the cache."""
    target = cache_root() / "wheels" / f"{recipe_hash()[:16]}-{python}-{machine}"
    if (target / ".complete").exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    say(f"downloading wheels for Python {python} on {machine}")
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps"]
    words += ["--require-hashes", "-r", str(shipped("requirements.lock"))]
    words += ["--python-version", python, "--dest", str(target)]
    for glibc in ("2_28", "2_27", "2_26", "2_24", "2_17"):
        words += ["--platform", f"manylinux_{glibc}_{machine}"]
    words += ["--platform", f"manylinux2014_{machine}"]
    done = subprocess.run(
        words, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"}
    )
    if done.returncode:
        problem = next((line for line in done.stderr.splitlines() if "ERROR" in line), "pip failed")
        raise PrerequisiteMissing(
            f"The image's packages could not be downloaded: {clean_line(problem, 300)}.",
            remedy="Without a network: `mlagent sandbox build --base IMAGE --wheelhouse DIR`.",
        )
    (target / ".complete").touch()
    return target


def _gather(wheels: Path, target: Path, python: str) -> int:
    """Link the locked wheels that fit this Python into the build context. Raises BadInput when
    some lack.
    """
    if not wheels.is_dir():
        raise BadInput(f"The wheelhouse {str(wheels)!r} is not a folder.")
    lock = shipped("requirements.lock").read_text("utf-8")
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))
    target.mkdir()
    found = set()
    for wheel in sorted(wheels.glob("*.whl")):
        tag = wheel.stem.split("-")[-3]
        if (
            tag.startswith("cp")
            and "abi3" not in wheel.name
            and tag != f"cp{python.replace('.', '')}"
        ):
            continue
        with wheel.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() not in hashes:
                continue
        try:
            os.link(wheel, target / wheel.name)
        except OSError:
            shutil.copyfile(wheel, target / wheel.name)
        found.add(re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower())
    wanted = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    if missing := sorted(wanted - found):
        raise BadInput(
            f"The wheelhouse {str(wheels)!r} lacks wheels of the lock: {', '.join(missing)}.",
            remedy=f"Fill it: `pip download --no-deps --require-hashes --python-version {python} "
            f"-r {shipped('requirements.lock')}`.",
        )
    return len(found)


def _build(
    client: DockerClient, context: Path, base: str, python: str, say: Callable[[str], None]
) -> str:
    lock = recipe_hash()
    labels = {
        LOCK_LABEL: lock,
        "io.mlagent.protocol": PROTOCOL,
        "io.mlagent.python": python,
        "org.opencontainers.image.title": "mlagent sandbox",
    }
    tail: list[str] = []
    image = ""
    with engine_errors("building the sandbox image"):
        events: Any = client.api.build(
            path=str(context),
            tag=f"mlagent-sandbox:{lock[:12]}",
            buildargs={"BASE": base},
            labels=labels,
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
            timeout=1800,
            use_config_proxy=False,
        )
        for event in events:
            line = clean_line(str(event.get("stream") or event.get("error") or ""), 500)
            if line:
                tail = [*tail[-7:], line]
                say(line)
            if "error" in event:
                raise SandboxBroken(f"The sandbox image could not be built: {' | '.join(tail)}")
            image = (event.get("aux") or {}).get("ID", image)
    found = find_image(client)
    if not image or found is None:
        raise SandboxBroken("The sandbox image was built but the engine does not list it.")
    return image
