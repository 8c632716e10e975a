"""Finds shipped content: contracts, personas, policies, templates, sandbox files.

Order: `--content DIR` (or MLAGENT_CONTENT) when given and it has the file, then the copy in the
wheel, then the checkout. Every file that was read is remembered with its sha256, so that the
manifest can name it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mlagent.contracts.errors import BadInput, MlagentError

KINDS = ("agents", "contracts", "orchestrator", "sandbox", "templates")


class Content:
    """Read-only view of the content folders.

    Args:
        override: folder that holds some of the content folders; its files win. Sandbox hardening
            (network, capabilities, seccomp, user) is not content and cannot be overridden.
    """

    def __init__(self, override: Path | None = None) -> None:
        if override is None and os.environ.get("MLAGENT_CONTENT"):
            override = Path(os.environ["MLAGENT_CONTENT"])
        if override is not None and not override.is_dir():
            raise BadInput(
                f"The content folder {str(override)!r} does not exist.",
                remedy="Give --content a folder with contracts/, orchestrator/ or templates/.",
            )
        package = Path(__file__).resolve().parent
        roots = [package / "_content", package.parent]
        self.override = override
        self.shipped = next((root for root in roots if (root / "contracts").is_dir()), roots[0])
        self.used: dict[str, str] = {}

    def path(self, relative: str) -> Path:
        """The file or folder `relative`, such as 'templates/a.j2'. Raises MlagentError."""
        kind = relative.split("/", 1)[0]
        if kind not in KINDS or ".." in relative.split("/"):
            raise MlagentError(f"{relative!r} is not content.")
        if self.override is not None and kind != "sandbox" and (self.override / relative).exists():
            return self.override / relative
        found = self.shipped / relative
        if not found.exists():
            raise MlagentError(
                f"The shipped file {relative!r} is missing.", remedy="Install mlagent again."
            )
        return found

    def text(self, relative: str) -> str:
        """The file's text; its hash is remembered in `used`."""
        data = self.path(relative).read_bytes()
        self.used[relative] = hashlib.sha256(data).hexdigest()
        return data.decode("utf-8")
