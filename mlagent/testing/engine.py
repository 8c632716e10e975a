"""The container engine and the sandbox image, for tests: one image for the whole machine, built
when it is absent.

MLAGENT_SANDBOX_BASE and MLAGENT_WHEELHOUSE (set by CI) let `sandbox_image` build without a
registry.
"""

from __future__ import annotations

import os
from pathlib import Path

from mlagent.content import Content
from mlagent.contracts.errors import MlagentError
from mlagent.sandbox.choose import open_docker
from mlagent.sandbox.docker_tier import DockerSandbox
from mlagent.sandbox.engine import connect
from mlagent.sandbox.image import build_image, find_image


def engine_problem() -> str | None:
    """None when a local container engine answers, else a sentence."""
    try:
        connect().close()
    except MlagentError as problem:
        return str(problem)
    return None


def sandbox_image() -> str:
    """Id of the sandbox image; built when absent and MLAGENT_SANDBOX_BASE names a base. Raises
    MlagentError.
    """
    client = connect()
    try:
        found = find_image(client)
    finally:
        client.close()
    base = os.environ.get("MLAGENT_SANDBOX_BASE")
    if found is None and base:
        wheels = os.environ.get("MLAGENT_WHEELHOUSE")
        return build_image(base=base, wheelhouse=Path(wheels) if wheels else None)
    if found is None:
        raise MlagentError(
            "The sandbox image is not built.",
            remedy="Run `mlagent sandbox build`, or set MLAGENT_SANDBOX_BASE (see this file).",
        )
    return found


def image_problem() -> str | None:
    """None when the engine and the image are there (or could be built), else a sentence: a reason
    to skip.
    """
    try:
        sandbox_image()
    except MlagentError as problem:
        return str(problem)
    return None


def sandbox_or_skip() -> DockerSandbox:
    """A Docker sandbox for a test, to be closed; skips (fails when MLAGENT_REQUIRE names docker)
    without one.
    """
    import pytest

    problem = image_problem()
    if problem and "docker" in os.environ.get("MLAGENT_REQUIRE", "").split(","):
        pytest.fail(f"MLAGENT_REQUIRE names 'docker', but: {problem}")
    if problem:
        pytest.skip(problem)
    return open_docker(Content())


def ours_in_the_engine(owner: str) -> list[str]:
    """Containers and volumes that carry `owner`'s label. A test asserts that this is empty."""
    from mlagent.sandbox.containers import OWNER_LABEL

    client = connect()
    try:
        wanted = {"label": f"{OWNER_LABEL}={owner}"}
        containers = [item["Id"] for item in client.api.containers(all=True, filters=wanted)]
        volumes = client.api.volumes(filters=wanted).get("Volumes") or []
        return containers + [item["Name"] for item in volumes]
    finally:
        client.close()
