"""Which tier runs the code: the strongest that is here, never a weaker one than the code's class
needs.

Never downgrades silently: where class B code falls back to a plain process, `Choice.reason` says
why, for the first line of the output. Tiers between (T1, T2) would be asked here, after Docker
and before the process.
"""

from __future__ import annotations

from typing import NamedTuple

from mlagent.content import Content
from mlagent.contracts.errors import BadInput, PrerequisiteMissing
from mlagent.contracts.ports import CodeClass, Sandbox

from .docker_tier import DockerSandbox
from .engine import connect
from .image import BUILD, find_image
from .process_tier import ProcessSandbox


class Choice(NamedTuple):
    """A sandbox, to be closed by the caller, and why it is not a container ('' when it is)."""

    sandbox: Sandbox
    reason: str


def choose_sandbox(*, content: Content, need: CodeClass, prefer: str | None = None) -> Choice:
    """Docker when an engine answers and the image is built; else a plain process, for class B only.

    Args:
        content: where runner.py is.
        need: the least trusted class of code that will run.
        prefer: 'docker' (no fall-back) or 'process' (class B only); None chooses.

    Raises:
        PrerequisiteMissing: no engine or no image, and the code must not run without.
        BadInput: `prefer` is unknown.
    """
    if prefer not in (None, "docker", "process"):
        raise BadInput(f"There is no sandbox {prefer!r}.", remedy="Use 'docker' or 'process'.")
    if prefer == "process":
        reason = "A plain process was asked for."
    else:
        try:
            return Choice(open_docker(content), "")
        except PrerequisiteMissing as missing:
            if prefer == "docker" or need != "B":
                raise
            reason = str(missing)
    if need != "B":
        raise PrerequisiteMissing(
            "Code that did not ship with mlagent runs only in a container.",
            remedy="Install Docker, start it, and run `mlagent sandbox build`.",
        )
    sandbox = ProcessSandbox(content)
    return Choice(sandbox, f"{reason} Using a {sandbox.describe()}.")


def open_docker(content: Content) -> DockerSandbox:
    """The Docker tier with the image of the shipped recipe. Raises PrerequisiteMissing."""
    client = connect()
    try:
        image = find_image(client)
        if image is None:
            raise PrerequisiteMissing(
                "The sandbox image is not built (or was built from an older recipe).", remedy=BUILD
            )
        return DockerSandbox(content, client, image)
    except BaseException:
        client.close()
        raise
