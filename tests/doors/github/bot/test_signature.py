"""The webhook's signature: GitHub's own test vector, and what does not hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlagent.contracts.errors import BadInput
from mlagent.doors.github.signature import SECRET, Verifier, read_secret, sign

VECTOR_SECRET = b"It's a Secret to Everybody"
VECTOR_BODY = b"Hello, World!"
VECTOR = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def holds(secret: bytes, header: str, body: bytes) -> bool:
    verifier = Verifier(secret, header)
    for index in range(0, len(body), 3):
        verifier.add(body[index : index + 3])
    return verifier.holds()


def test_the_official_vector_holds() -> None:
    assert sign(VECTOR_SECRET, VECTOR_BODY) == VECTOR
    assert holds(VECTOR_SECRET, VECTOR, VECTOR_BODY)


@pytest.mark.parametrize(
    ("secret", "body"),
    [
        (VECTOR_SECRET, b"Hello, World?"),
        (b"another secret, as long", VECTOR_BODY),
        (VECTOR_SECRET, b""),
    ],
)
def test_another_body_or_secret_does_not_hold(secret: bytes, body: bytes) -> None:
    assert not holds(secret, VECTOR, body)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        VECTOR[7:],
        f"sha1={VECTOR[7:47]}",
        VECTOR.upper(),
        f"{VECTOR}0",
        "sha256=é",
    ],
)
def test_a_header_that_is_no_signature_is_refused(header: str | None) -> None:
    with pytest.raises(BadInput):
        Verifier(VECTOR_SECRET, header)


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        Verifier(b"", VECTOR)


@pytest.mark.parametrize("secret", ["", "   ", "\n", "too short"])
def test_no_secret_or_a_short_one_is_refused(secret: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_secret({SECRET: secret})
    assert secret.strip() == "" or secret not in str(caught.value)
    with pytest.raises(BadInput):
        read_secret({})


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=50))
def test_what_was_signed_holds(body: bytes, secret: bytes) -> None:
    assert holds(secret, sign(secret, body), body)
