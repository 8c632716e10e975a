"""What a sandbox prints is made harmless, kept small, and turned into one sentence."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlagent.content import Content
from mlagent.contracts.ports import Limits
from mlagent.documents import load_yaml
from mlagent.sandbox.drain import HARD_CAP, Drain
from mlagent.sandbox.limits import FLOOR_MB, default_limits, default_memory_mb, free_memory_mb
from mlagent.sandbox.sanitize import clean, clean_line
from mlagent.sandbox.verdicts import End, judge

LIMITS = Limits(wall_s=7, memory_mb=300)


@given(st.text(st.characters(), max_size=200) | st.text("\x1b\x9b[]0;m\x07\\\u202e\n", max_size=50))
def test_clean_text_only_prints(text: str) -> None:
    for letter in clean(text):
        assert letter in "\n\t" or unicodedata.category(letter)[0] not in "C"
    assert "\n" not in clean_line(text)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text, ünïcode 日本", "plain text, ünïcode 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x9b2Jb", "ab"),
        ("50 %\rdone", "50 %\ndone"),
        ("\u202eabc\u2066\ud800", "abc"),
    ],
)
def test_escapes_vanish_and_text_stays(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_drain_keeps_head_and_tail_and_tells_the_gap() -> None:
    drain = Drain(keep_kb=1)
    drain.feed(b"first\n" + b"x" * 5000)
    drain.feed(b"\nlast\n", stdout=False)
    text = drain.text()
    assert text.startswith("first\n")
    assert text.endswith("\nlast\n")
    assert f"{drain.total - 1024} bytes left out" in text
    assert not drain.flooded


def test_a_drain_floods_at_its_hard_cap_and_stays_small() -> None:
    lines: list[str] = []
    drain = Drain(keep_kb=1, on_line=lines.append)
    for _ in range(HARD_CAP + 1):
        drain.feed(b"x" * 1024)
    assert drain.flooded
    assert len(drain.text()) < 1200
    assert max(map(len, lines)) <= 16_384


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lines_do_not_depend_on_how_the_stream_is_cut(pieces: list[bytes]) -> None:
    whole: list[str] = []
    parts: list[str] = []
    one, many = Drain(64, whole.append), Drain(64, parts.append)
    one.feed(b"".join(pieces))
    for piece in pieces:
        many.feed(piece)
    one.close()
    many.close()
    assert whole == parts
    assert one.text() == many.text()


@pytest.mark.parametrize(
    ("end", "verdict", "words"),
    [
        (End(0), "ok", "ended by itself"),
        (End(0, oom=True), "ok", "child process"),
        (End(1), "exit", "exit code 1): ValueError: x"),
        (End(124), "time", "limit of 7 s"),
        (End(124, inner_timeout=False), "exit", "exit code 124"),
        (End(137, by_us="time"), "time", "limit of 7 s"),
        (End(143, by_us="stopped"), "stopped", "on request"),
        (End(137, by_us="output"), "output", "more than it may"),
        (End(137, oom=True), "memory", "300 MB"),
        (End(137, by_us="memory"), "memory", "300 MB"),
        (End(137), "killed", "outside"),
        (End(153), "output", "512 MB"),
        (End(159), "forbidden", "forbids"),
        (End(None), "vanished", "removed"),
    ],
)
def test_each_end_has_one_verdict_and_a_sentence(end: End, verdict: str, words: str) -> None:
    found, sentence = judge(end, LIMITS, "Traceback\nValueError: x\n")
    assert found == verdict
    assert words in sentence
    assert sentence.endswith(".")


def test_default_memory_is_a_share_of_what_is_free() -> None:
    assert FLOOR_MB <= default_memory_mb() <= max(FLOOR_MB, free_memory_mb())
    assert default_memory_mb(0.0) == FLOOR_MB


def test_the_shipped_limits_reach_the_job() -> None:
    content = Content()
    limits = default_limits(content, wall_s=3)
    written = load_yaml(content.text("sandbox/limits.yaml"), "limits.yaml")
    assert limits.wall_s == 3
    assert limits.pids == int(written["pids"])
    assert limits.output_mb == int(written["output_mb"])
    assert set(written) - {"memory_share"} <= set(vars(limits))
