"""Key and address of the environment: mended where they can be, refused in a sentence elsewhere."""

from __future__ import annotations

import pytest

from mlagent.contracts.errors import BadInput, PrerequisiteMissing
from mlagent.gateway.access import read_access
from mlagent.gateway.service import require_key

SECRET = "sk-ant-test-0123456789"


@pytest.mark.parametrize("around", ["{}\r\n", "{}\r", "{}\n", "  {}\t", "{}"])
def test_blanks_around_a_key_and_an_address_are_taken_off(around: str) -> None:
    given = {
        "ANTHROPIC_API_KEY": around.format(SECRET),
        "ANTHROPIC_BASE_URL": around.format("https://gateway.example.com/claude"),
    }
    access = read_access(given)
    assert access.key == SECRET
    assert access.address == "https://gateway.example.com/claude"
    assert require_key(given) == (SECRET,)


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
@pytest.mark.parametrize("middle", [" ", "\r\n", "\x00", "é", "\ufeff"])
def test_a_key_that_cannot_be_sent_is_refused_without_it(name: str, middle: str) -> None:
    with pytest.raises(BadInput) as refused:
        require_key({name: f"{SECRET}{middle}{SECRET}"})
    assert f"{name} cannot be sent" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("blank", ["", " ", "\r\n"])
def test_a_blank_key_is_no_key(blank: str) -> None:
    with pytest.raises(PrerequisiteMissing, match="ANTHROPIC_API_KEY is empty"):
        require_key({"ANTHROPIC_API_KEY": blank})
    assert read_access({"ANTHROPIC_API_KEY": blank, "ANTHROPIC_AUTH_TOKEN": "t"}).token == "t"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nonsense", "it does not begin with http"),
        ("ftp://x", "it does not begin with http"),
        ("http://", "it names no host"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://host:99999", "Port out of range"),
        ("http://ho st", "a blank or a line break"),
        ("http://ho\r\nst", "a blank or a line break"),
        (SECRET, "it does not begin with http"),
        ("ftp://me:hush-hush@host", "it does not begin with http"),
    ],
)
def test_what_is_no_address_is_a_sentence_that_names_the_variable(address: str, why: str) -> None:
    with pytest.raises(BadInput) as refused:
        require_key({"ANTHROPIC_API_KEY": SECRET, "ANTHROPIC_BASE_URL": address})
    told = str(refused.value)
    assert told.startswith("ANTHROPIC_BASE_URL ")
    assert why in told
    assert SECRET not in told
    assert "hush-hush" not in told
