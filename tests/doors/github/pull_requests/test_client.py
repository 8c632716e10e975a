"""The client against a real server on loopback: pages, etags, limits, lost answers, its token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from mlagent.contracts.errors import BadInput, PrerequisiteMissing
from mlagent.doors.github.client import GitHub, Lost, Refused, token_from
from mlagent.testing.github import ABUSE, SECONDARY, FakeGitHub, Fault

PATH = "/repos/octo/churn/issues/7/comments"


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = field(default_factory=time.time)
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(github: FakeGitHub, clock: Clock) -> Iterator[GitHub]:
    github.pull(7, ["a" * 40], "b" * 40)
    with GitHub("job-token", github.url, sleep=clock.sleep, clock=clock) as made:
        yield made


def test_every_page_is_read(github: FakeGitHub, client: GitHub) -> None:
    somebody = github.account("other", "somebody")
    for number in range(250):
        github.comment(7, somebody, f"comment {number}")
    found = [one["body"] for one in client.every(PATH)]
    assert found == [f"comment {number}" for number in range(250)]
    assert len(github.log) == 3


def test_a_page_that_did_not_change_is_not_sent_again(github: FakeGitHub, client: GitHub) -> None:
    somebody = github.account("other", "somebody")
    for number in range(150):
        github.comment(7, somebody, f"comment {number}")
    first = list(client.every(PATH))
    github.comment(7, somebody, "one more")
    second = list(client.every(PATH))
    assert [status for _, _, status in github.log] == [200, 200, 304, 200]
    assert second[:-1] == first
    assert second[-1]["body"] == "one more"


def test_the_next_page_is_never_taken_from_another_address(
    github: FakeGitHub, client: GitHub
) -> None:
    github.faults.append(
        Fault("GET", PATH, 200, headers={"link": '<http://127.0.0.1:9/x>; rel="next"'}, body=[])
    )
    with pytest.raises(Refused, match="another address"):
        list(client.every(PATH))


def test_a_redirect_is_not_followed(github: FakeGitHub, client: GitHub) -> None:
    github.faults.append(Fault("GET", PATH, 301, headers={"location": "http://127.0.0.1:9/x"}))
    with pytest.raises(Refused) as caught:
        list(client.every(PATH))
    assert caught.value.status == 301


@pytest.mark.parametrize(
    ("fault", "slept"),
    [
        (Fault("POST", PATH, 403, SECONDARY, {"retry-after": "17"}), [17]),
        (Fault("POST", PATH, 429, "slow down", {"retry-after": "5"}), [5]),
        (Fault("POST", PATH, 403, SECONDARY), [60]),
        (Fault("POST", PATH, 403, ABUSE, times=2), [60, 120]),
        (Fault("POST", PATH, 429, "slow down"), [60]),
    ],
)
def test_a_secondary_limit_is_waited_for(
    github: FakeGitHub, client: GitHub, clock: Clock, fault: Fault, slept: list[float]
) -> None:
    github.faults.append(replace(fault))
    made = client.post(PATH, {"body": "hello"})
    assert made["body"] == "hello"
    assert clock.slept == slept
    assert len(github.of(7)) == 1


def test_a_used_up_limit_is_waited_for_until_its_reset(
    github: FakeGitHub, client: GitHub, clock: Clock
) -> None:
    reset = int(clock.now) + 40
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
    github.faults.append(Fault("GET", PATH, 403, "API rate limit exceeded", headers))
    assert list(client.every(PATH)) == []
    assert clock.slept == [pytest.approx(40, abs=1.1)]


def test_the_patience_has_an_end(github: FakeGitHub, client: GitHub, clock: Clock) -> None:
    github.faults.append(Fault("GET", PATH, 403, SECONDARY, {"retry-after": "3000"}))
    with pytest.raises(Refused) as caught:
        list(client.every(PATH))
    assert caught.value.limited
    assert clock.slept == []
    github.faults.append(Fault("GET", PATH, 403, SECONDARY, {"retry-after": "1"}, times=99))
    with pytest.raises(Refused) as caught:
        list(client.every(PATH))
    assert caught.value.limited
    assert clock.slept == [1, 1, 1]


def test_the_servers_own_write_limit_is_met_and_waited_for(
    github: FakeGitHub, client: GitHub, clock: Clock
) -> None:
    github.writes_per_minute, github.retry_after = 2, 30
    for text in ("one", "two"):
        client.post(PATH, {"body": text})
    with pytest.raises(Refused) as caught:
        client.post(PATH, {"body": "three"})
    assert caught.value.limited
    assert [one.body for one in github.of(7)] == ["one", "two"]


def test_writes_are_a_second_apart(github: FakeGitHub, client: GitHub, clock: Clock) -> None:
    for text in ("one", "two", "three"):
        client.post(PATH, {"body": text})
    assert clock.slept == [pytest.approx(1.0, abs=0.01)] * 2


def test_a_plain_no_is_not_tried_again(github: FakeGitHub, client: GitHub, clock: Clock) -> None:
    github.pulls[7].locked = True
    with pytest.raises(Refused, match="locked") as caught:
        client.post(PATH, {"body": "hello"})
    assert caught.value.status == 403
    assert not caught.value.limited
    assert clock.slept == []
    assert len(github.log) == 1


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_read_survives_a_broken_server(
    github: FakeGitHub, client: GitHub, clock: Clock, status: int
) -> None:
    github.faults.append(Fault("GET", PATH, status, times=2))
    assert list(client.every(PATH)) == []
    assert clock.slept == [1, 2]


@pytest.mark.parametrize("status", [0, 500])
def test_a_write_without_an_answer_is_lost_and_not_repeated(
    github: FakeGitHub, client: GitHub, status: int
) -> None:
    github.faults.append(Fault("POST", PATH, status, then_do=True))
    with pytest.raises(Lost):
        client.post(PATH, {"body": "hello"})
    assert len(github.of(7)) == 1


def test_a_dropped_connection_of_a_read_is_tried_again(
    github: FakeGitHub, client: GitHub, clock: Clock
) -> None:
    github.faults.append(Fault("GET", PATH, 0))
    assert list(client.every(PATH)) == []
    assert clock.slept == [1]


def test_an_unknown_token_is_said_and_not_shown(github: FakeGitHub, clock: Clock) -> None:
    github.pull(7, ["a" * 40], "b" * 40)
    with (
        GitHub("ghp_verysecret", github.url, sleep=clock.sleep) as client,
        pytest.raises(Refused) as caught,
    ):
        list(client.every(PATH))
    assert caught.value.status == 401
    assert "ghp_verysecret" not in str(caught.value)
    assert "token is not valid" in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://api.example.org", "ftp://127.0.0.1", "api.github.com", "http://127.0.0.2"]
)
def test_the_token_is_not_sent_in_the_clear(address: str) -> None:
    with pytest.raises(BadInput, match="not https"):
        GitHub("ghp_x", address)


@pytest.mark.parametrize("token", ["", "two words", "line\nend", "\u00e9"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadInput, match="token"):
        GitHub(token)


def test_the_token_comes_from_the_environment() -> None:
    assert token_from({"GITHUB_TOKEN": "a\n", "GH_TOKEN": "b"}) == "a"
    assert token_from({"GITHUB_TOKEN": "", "GH_TOKEN": "b"}) == "b"
    with pytest.raises(PrerequisiteMissing, match="no GitHub token"):
        token_from({})


def test_the_server_knows_its_own_limits(github: FakeGitHub, client: GitHub) -> None:
    with pytest.raises(Refused, match="too long"):
        client.post(PATH, {"body": "x" * 65_537})
    with pytest.raises(Refused, match="blank"):
        client.post(PATH, {"body": " "})
    with pytest.raises(Refused) as caught:
        client.post("/repos/octo/churn/issues/8/comments", {"body": "x"})
    assert caught.value.status == 404
    github.issues_off = True
    with pytest.raises(Refused) as caught:
        client.post(PATH, {"body": "x"})
    assert caught.value.status == 410
    assert client.get("/repos/octo/churn/collaborators/nobody/permission")["role_name"] == "none"
