"""Facts about an engine or image, kept between commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlagent.sandbox.kept import keep, recall


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_fact_is_found_under_its_key_only() -> None:
    assert recall("packages", "image a") is None
    keep("packages", "image a", {"numpy": "2"})
    assert recall("packages", "image a") == {"numpy": "2"}
    assert recall("packages", "image b") is None
    assert recall("canaries", "image a") is None


def test_a_damaged_fact_is_found_out_again(tmp_path: Path) -> None:
    keep("packages", "image a", {"numpy": "2"})
    (file,) = (tmp_path / "mlagent" / "packages").iterdir()
    file.write_text('{"numpy": ')
    assert recall("packages", "image a") is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "mlagent").mkdir()
    (tmp_path / "mlagent" / "packages").write_text("a file where the folder should be")
    keep("packages", "image a", {"numpy": "2"})
    assert recall("packages", "image a") is None
