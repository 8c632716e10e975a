"""The folder in which the bot keeps its queue: its own or nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.doors.github.bot import make_state


def test_a_folder_with_other_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("secret.env\n")
    before = tmp_path.stat().st_mode
    with pytest.raises(BadInput, match="not the bot's"):
        make_state(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "secret.env\n"
    assert tmp_path.stat().st_mode == before


def test_a_new_or_empty_folder_becomes_private_and_is_known_again(tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    make_state(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "queue.sqlite3").touch()
    make_state(folder)


def test_a_file_in_the_way_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be used"):
        make_state(tmp_path / "file")
