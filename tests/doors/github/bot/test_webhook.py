"""The door of the bot: what GitHub did not sign, sent twice, or did not mean runs nothing."""

from __future__ import annotations

import http.client
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from mlagent.doors.github.signature import sign
from mlagent.doors.github.webhook import MOST_BYTES, PATH
from mlagent.testing.github import FakeGitHub

from .bot_case import (
    AUTHOR_ID,
    REPO,
    SECRET,
    Case,
    accounts,
    bot,
    created,
    on_a_pull_request,
    payload,
    reactions,
)

HEAD, BASE = "1" * 40, "2" * 40


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.pull(1, [HEAD], BASE)
        with bot(tmp_path / "state", hub) as made:
            yield made


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["outcome"])


def test_githubs_own_vector_passes_the_signature(case: Case) -> None:
    """`Hello, World!` is no JSON: a 400 says that the signature had held, a 401 that it had not."""
    vector = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    right = case.send(b"Hello, World!", headers={"x-hub-signature-256": vector})
    wrong = case.send(b"Hello, World?", headers={"x-hub-signature-256": vector})
    assert (outcome(right), outcome(wrong)) == ((400, "refused"), (401, "refused"))
    assert case.nothing_happened()


def test_a_tampered_body_is_refused_before_it_is_parsed(case: Case) -> None:
    raw = json.dumps(created("/mlagent help", 1)).encode()
    changed = raw.replace(b"/mlagent help", b"/mlagent plan")
    assert changed != raw
    for body in (changed, b"{", b"\xff"):
        answer = case.send(body, headers={"x-hub-signature-256": sign(SECRET, raw)})
        assert outcome(answer) == (401, "refused")
    assert case.nothing_happened()


@pytest.mark.parametrize("header", ["", "sha256=", "sha1=" + "0" * 40, "sha256=" + "0" * 64])
def test_no_signature_or_another_kind_is_refused(case: Case, header: str) -> None:
    answer = case.send(created("/mlagent help", 1), headers={"x-hub-signature-256": header})
    assert outcome(answer) == (401, "refused")
    assert case.nothing_happened()


def test_a_replayed_delivery_is_refused(case: Case) -> None:
    comment = case.comment("/mlagent help")
    value = created("/mlagent help", comment.id)
    assert outcome(case.send(value, delivery="72d3162e-cc78-11e3-81ab")) == (202, "queued")
    assert outcome(case.send(value, delivery="72d3162e-cc78-11e3-81ab")) == (409, "refused")
    assert outcome(case.send(value, delivery="0b989ba4-242f-11e5-81e1")) == (409, "refused"), (
        "the delivery's id is not signed: under a fresh one the comment is still the same"
    )
    case.drain()
    assert len(case.answers()) == 1
    assert outcome(case.send(value, delivery="72d3162e-cc78-11e3-81ab")) == (409, "refused")
    assert len(case.parts.queue.jobs()) == 1


def test_a_replay_after_a_restart_is_refused(tmp_path: Path) -> None:
    with FakeGitHub(REPO) as hub:
        accounts(hub)
        hub.pull(1, [HEAD], BASE)
        with bot(tmp_path / "state", hub) as before:
            assert before.send(created("/mlagent help", 5), delivery="delivery-5").is_success
        with bot(tmp_path / "state", hub) as after:
            answer = after.send(created("/mlagent help", 5), delivery="delivery-5")
            assert outcome(answer) == (409, "refused")
            assert len(after.parts.queue.jobs()) == 1


def test_a_body_over_25_mb_is_refused_by_its_length_alone(case: Case) -> None:
    host = case.address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.putrequest("POST", PATH)
    connection.putheader("content-length", str(MOST_BYTES + 1))
    connection.putheader("x-hub-signature-256", "sha256=" + "0" * 64)
    connection.endheaders()
    answer = connection.getresponse()  # no byte of the body was sent
    assert answer.status == 413
    connection.close()
    assert case.nothing_happened()


SIGNED = {"x-hub-signature-256": "sha256=" + "0" * 64}


def memory() -> int:
    """This process's most memory so far, in bytes; the bot runs in it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("headers", [SIGNED, {}], ids=["signed", "unsigned"])
@pytest.mark.parametrize("length", [True, False], ids=["with a length", "chunked"])
def test_who_sends_over_25_mb_can_read_why_it_is_refused(
    case: Case, headers: dict[str, str], length: bool
) -> None:
    """Repeatedly, because a connection that is reset loses the answer only now and then."""
    size, piece = 30_000_000, b" " * 500_000

    def pieces() -> Iterator[bytes]:
        for _ in range(size // len(piece)):
            yield piece

    known = {"content-length": str(size)} if length else {}
    before = memory()
    for _ in range(5):
        answer = httpx.post(
            f"{case.address}{PATH}", content=pieces(), headers=headers | known, timeout=30
        )
        assert outcome(answer) == (413, "refused")
        assert "larger than 25,000,000 bytes" in answer.json()["reason"]
        assert answer.headers["connection"] == "close"
    assert memory() - before < 3 * MOST_BYTES
    assert case.nothing_happened()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_can_read_it_too(case: Case, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b" " * 30_000_000)
    for words in ([], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]):
        done = subprocess.run(
            ["curl", "-sS", "-w", "%{http_code}", "--data-binary", f"@{large}", *words]
            + [f"{case.address}{PATH}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("413")
    assert case.nothing_happened()


def test_an_endless_body_is_cut_off(case: Case) -> None:
    sent = 0
    piece = b" " * 500_000

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 40 * MOST_BYTES:
            sent += len(piece)
            yield piece

    with suppress(httpx.TransportError):
        httpx.post(f"{case.address}{PATH}", content=endless(), headers=SIGNED, timeout=30)
    assert MOST_BYTES < sent < 8 * MOST_BYTES
    assert case.nothing_happened()


def test_who_signs_nothing_can_read_the_401(case: Case) -> None:
    for _ in range(5):
        answer = httpx.post(f"{case.address}{PATH}", content=b" " * 20_000_000, timeout=30)
        assert outcome(answer) == (401, "refused")
    small = httpx.post(f"{case.address}{PATH}", content=iter([b"{}"]), timeout=30)
    assert outcome(small) == (401, "refused")
    assert case.nothing_happened()


def test_a_signed_body_of_25_mb_is_read(case: Case) -> None:
    value = json.dumps(created("/mlagent help", 9)).encode()
    answer = case.send(value + b" " * (MOST_BYTES - len(value)))
    assert outcome(answer) == (202, "queued")


def test_a_body_that_trickles_is_given_up(tmp_path: Path) -> None:
    def slow() -> Iterator[bytes]:
        yield b"{"
        time.sleep(1.5)
        yield b"}"

    with FakeGitHub(REPO) as hub:
        accounts(hub)
        with bot(tmp_path / "state", hub, read_s=0.3) as case:
            head = {"x-hub-signature-256": "sha256=" + "0" * 64}
            answer = httpx.post(f"{case.address}{PATH}", content=slow(), headers=head, timeout=30)
            assert answer.status_code == 408
            assert case.nothing_happened()


def test_an_edited_or_deleted_comment_is_not_read(case: Case) -> None:
    for name in ("issue_comment.edited", "issue_comment.deleted"):
        value = on_a_pull_request(payload(name), 1)
        value["comment"]["body"] = "/mlagent help"
        assert outcome(case.send(value)) == (200, "ignored")
    assert case.nothing_happened()


def test_a_comment_of_the_bot_itself_is_not_read(case: Case) -> None:
    me = next(one for one in case.hub.accounts.values() if one.login == "mlagent-bot")
    assert case.parts.own_id == me.id
    value = created("/mlagent help", 6)
    for user in (value["comment"]["user"], value["sender"]):
        user |= {"login": me.login, "id": me.id}
    answer = case.send(value)
    assert outcome(answer) == (200, "ignored")
    assert "own" in answer.json()["reason"]
    assert case.nothing_happened()


def test_comments_of_bots_and_apps_are_not_read(case: Case) -> None:
    machine = payload("workflow_job.in_progress")["sender"]
    assert machine["type"] == "Bot"
    by_bot, by_app = created("/mlagent help", 6), created("/mlagent help", 7)
    by_bot["comment"]["user"] = by_bot["sender"] = machine
    by_app["comment"]["performed_via_github_app"] = {"id": 1, "slug": "an-app"}
    other = created("/mlagent help", 8)
    other["sender"]["id"] = AUTHOR_ID + 1
    for value in (by_bot, by_app, other):
        assert outcome(case.send(value)) == (200, "ignored")
    assert case.nothing_happened()


def test_the_packages_own_payloads_are_harmless(case: Case) -> None:
    """On an issue, without a command, of other events: nothing to do."""
    assert case.send(payload("ping"), event="ping").json()["reason"] == "pong"
    for name in ("issue_comment.created", "issue_comment.edited", "issue_comment.deleted"):
        assert outcome(case.send(payload(name))) == (200, "ignored")
    for name in ("pull_request.opened", "pull_request_review_comment.created"):
        assert outcome(case.send(payload(name), event=name.split(".")[0])) == (200, "ignored")
    assert case.nothing_happened()


def test_a_payload_under_another_events_name_is_refused(case: Case) -> None:
    value = payload("pull_request_review_comment.created")
    value["comment"]["body"] = "/mlagent help"
    assert outcome(case.send(value)) == (400, "refused")
    assert case.nothing_happened()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("comment.id", "1"),
        ("comment.id", True),
        ("comment.id", 2**70),
        ("comment.body", None),
        ("comment.body", "/mlagent help" + " " * 70_000),
        ("comment.user.login", "../../admin"),
        ("comment.user", None),
        ("issue", []),
        ("repository", "x"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(case: Case, path: str, value: object) -> None:
    sent = created("/mlagent help", 1)
    *parents, last = path.split(".")
    part = sent
    for name in parents:
        part = part[name]
    part[last] = value
    assert outcome(case.send(sent)) == (400, "refused")
    assert case.nothing_happened()


def test_a_closed_pull_request_and_a_foreign_repository_are_not_served(case: Case) -> None:
    closed, foreign = created("/mlagent help", 1), created("/mlagent help", 2)
    closed["issue"]["state"] = "closed"
    foreign["repository"]["full_name"] = "somebody/else"
    assert outcome(case.send(closed)) == (200, "ignored")
    assert outcome(case.send(foreign)) == (403, "refused")
    assert case.nothing_happened()


@pytest.mark.parametrize("delivery", ["", "short", "x" * 65, "delivery 1", "1;drop"])
def test_a_delivery_needs_an_id(case: Case, delivery: str) -> None:
    headers = {"x-github-delivery": delivery}
    answer = case.send(created("/mlagent help", 1), headers=headers)
    assert outcome(answer) == (400, "refused")
    reason = answer.json()["reason"]
    if delivery:
        assert repr(delivery) in reason
        assert "8 to 64 letters, digits and hyphens" in reason
    else:
        assert "no delivery id" in reason
    assert case.nothing_happened()


def test_a_form_is_told_which_setting_to_change(case: Case) -> None:
    """GitHub's default for a new webhook, signed as it is sent."""
    raw = urlencode({"payload": json.dumps(created("/mlagent help", 1))}).encode()
    for kind in ("application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; a=b"):
        answer = case.send(raw, headers={"content-type": kind})
        assert outcome(answer) == (400, "refused")
        reason = answer.json()["reason"]
        assert "content type of this delivery is application/x-www-form-urlencoded" in reason
        assert "set it to application/json" in reason
    unsigned = case.send(raw, headers={"content-type": kind, "x-hub-signature-256": "sha256=0"})
    assert outcome(unsigned) == (401, "refused")
    assert case.nothing_happened()


def test_the_answer_does_not_wait_for_github(case: Case) -> None:
    asked = len(case.hub.log)
    comment = case.comment("/mlagent help")
    start = time.monotonic()
    assert outcome(case.send(created("/mlagent help", comment.id))) == (202, "queued")
    assert time.monotonic() - start < 2
    assert len(case.hub.log) == asked, "GitHub is asked later, by the worker"
    assert reactions(comment) == []


def test_the_server_says_little(case: Case) -> None:
    for path in ("/", "/docs", "/openapi.json", "/redoc"):
        assert httpx.get(f"{case.address}{path}").status_code == 404
    health = httpx.get(f"{case.address}/health")
    assert health.json() == {"open_jobs": 0}
    assert "server" not in health.headers
