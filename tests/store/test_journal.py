"""The journal: append-only, chained, honest about damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.store.journal import START, FileJournal, read_journal


def write(path: Path, *kinds: str) -> str:
    with FileJournal(path, clock=iter(range(100)).__next__) as journal:
        for number, kind in enumerate(kinds):
            journal.append(kind, number=number)
        return journal.head


def test_events_come_back_in_order_and_are_chained(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    head = write(path, "run.start", "phase.done", "run.finished")
    events = read_journal(path)
    assert [event.kind for event in events] == ["run.start", "phase.done", "run.finished"]
    assert events[0].previous == START
    assert [event.previous for event in events[1:]] == [event.hash for event in events[:-1]]
    assert events[-1].hash == head


@pytest.mark.parametrize("damage", ["change", "remove", "swap"])
def test_an_edited_journal_is_found_with_its_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, "a", "b", "c")
    lines = path.read_text().splitlines()
    if damage == "change":
        event = json.loads(lines[1])
        event["facts"]["number"] = 99
        lines[1] = json.dumps(event)
    elif damage == "remove":
        del lines[1]
    else:
        lines[0], lines[1] = lines[1], lines[0]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match=r"line \d: the hash chain is broken"):
        read_journal(path)


def test_a_torn_last_line_is_dropped_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, "a", "b")
    path.write_bytes(path.read_bytes() + b'{"n": 2, "at": "20')
    assert [event.kind for event in read_journal(path)] == ["a", "b"]
    with FileJournal(path) as journal:
        journal.append("c")
    assert [event.kind for event in read_journal(path)] == ["a", "b", "c"]


@pytest.mark.parametrize("noted", [False, True])
def test_an_exception_in_the_middle_of_an_append_leaves_a_whole_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: bool
) -> None:
    """As a second Ctrl-C raises it: before the line is in the file, or after."""
    path = tmp_path / "journal.jsonl"
    with FileJournal(path) as journal:
        journal.append("a")
        broken = "mlagent.store.journal.os.fsync" if noted else "mlagent.store.journal._hash"

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(broken, interrupt)
            with pytest.raises(KeyboardInterrupt):
                journal.append("b")
        journal.append("c")
    assert [event.kind for event in read_journal(path)] == ["a", *"b" * noted, "c"]


def test_elapsed_time_goes_on_after_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, "a", "b", "c")
    before = read_journal(path)[-1].elapsed_s
    with FileJournal(path) as journal:
        journal.append("d")
    assert read_journal(path)[-1].elapsed_s >= before


def test_a_number_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    with (
        FileJournal(tmp_path / "journal.jsonl") as journal,
        pytest.raises(ValueError, match="not JSON compliant"),
    ):
        journal.append("scored", value=float("nan"))


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, "a")
    path.write_bytes(path.read_bytes() + b"hello\n")
    with pytest.raises(BadInput, match="line 2: this is not a journal event"):
        read_journal(path)
