"""The signature of a webhook: HMAC-SHA256 over the raw bytes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from mlagent.contracts.errors import BadInput

SECRET = "MLAGENT_WEBHOOK_SECRET"
SHORTEST = 16
_HEADER = re.compile(rb"sha256=([0-9a-f]{64})")


def read_secret(environment: Mapping[str, str]) -> bytes:
    """The secret that the webhook signs with. Raises BadInput when it is absent or too short."""
    secret = environment.get(SECRET, "")
    if not secret.strip():
        raise BadInput(
            f"There is no webhook secret: {SECRET} is not set, so no request could be trusted.",
            remedy=f"Set {SECRET} to the secret that the webhook was made with.",
        )
    if len(secret) < SHORTEST:
        raise BadInput(
            f"The webhook secret in {SECRET} is shorter than {SHORTEST} characters.",
            remedy="Make a longer one (such as the output of `openssl rand -hex 32`) and set it in "
            "both places.",
        )
    return secret.encode()


def sign(secret: bytes, body: bytes) -> str:
    """The header value `sha256=...` for a body.

    >>> sign(b"It's a Secret to Everybody", b"Hello, World!")
    'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    """
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


class Verifier:
    """Reads a body piece by piece and says at the end whether its signature holds.

    Args:
        secret: from `read_secret`; never empty.
        header: `X-Hub-Signature-256` as it came.

    Raises:
        BadInput: the header is absent or is no such signature.
    """

    def __init__(self, secret: bytes, header: str | None) -> None:
        if not secret:
            raise ValueError("an empty secret signs nothing")
        match = _HEADER.fullmatch((header or "").encode("utf-8", "replace"))
        if match is None:
            raise BadInput("The request carries no signature (X-Hub-Signature-256).")
        self._wanted = match[1]
        self._mac = hmac.new(secret, digestmod=hashlib.sha256)

    def add(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._mac.update(piece)

    def holds(self) -> bool:
        """Whether the body so far is what was signed."""
        return hmac.compare_digest(self._mac.hexdigest().encode(), self._wanted)
