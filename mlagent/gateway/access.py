"""What the environment says of the service: a key and an address, checked before anything is done.

Guarantees: blanks and line ends around a value (a key file with Windows line ends) are taken off;
what can be neither a key nor an address is refused in a sentence that holds no key and no password.
Does not ask the service whether it knows them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mlagent.contracts.errors import BadInput, PrerequisiteMissing

KEY, TOKEN, ADDRESS = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"
SHOWN = 80
"""Characters of an address that cannot be used."""


@dataclass(frozen=True)
class Access:
    """How to reach the service.

    Attributes:
        address: None for the vendor's.
    """

    key: str | None
    token: str | None
    address: str | None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no sentence may hold."""
        return tuple(secret for secret in (self.key, self.token) if secret)


def read_access(environment: Mapping[str, str] | None = None) -> Access:
    """Key and address of the environment.

    Raises:
        PrerequisiteMissing: there is no key.
        BadInput: a key that cannot be sent, or an address that is none.
    """
    found = os.environ if environment is None else environment
    key, token = _secret(KEY, found), _secret(TOKEN, found)
    if not key and not token:
        raise PrerequisiteMissing(
            f"There is no key for Claude: {KEY} is empty.",
            remedy=f"Set {KEY} in the environment, or use --author template.",
        )
    access = Access(key, token, found.get(ADDRESS, "").strip() or None)
    if access.address is not None and (why := _no_address(access.address)):
        shown = re.sub(r"[^/@\s]*@", "[...]@", access.address)  # a password may stand there
        for secret in access.secrets:
            shown = shown.replace(secret, "[key]")
        raise BadInput(
            f"{ADDRESS} {shown[:SHOWN]!r} cannot be used: {why}.",
            remedy="Write it like https://gateway.example.com, or unset it for the vendor's own.",
        )
    return access


def _secret(name: str, found: Mapping[str, str]) -> str | None:
    secret = found.get(name, "").strip()
    if secret and not re.fullmatch(r"[!-~]+", secret):
        raise BadInput(
            f"{name} cannot be sent: it holds a blank, a line break or another character that no "
            "key has.",
            remedy=f"Set {name} to the key alone, on one line.",
        )
    return secret or None


def _no_address(text: str) -> str:
    """Why this is no address of a service; '' when it may be one."""
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        return "it holds a blank or a line break"
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https"):
            return "it does not begin with http:// or https://"
        if not parts.hostname or parts.port == 0:
            return "it names no host and port"
    except ValueError as problem:  # an IPv6 address without its end, a port that is no number
        return str(problem).rstrip(".")
    try:
        import httpx2
    except ImportError:  # the service says so
        return ""
    try:
        httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError) as problem:
        return str(problem).rstrip(".")
    return ""
