"""LightGBM finds an OpenMP library on a host without libgomp."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from mlagent.sandbox import openmp


def test_a_host_without_libgomp_borrows_the_one_of_scikit_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openmp, "NAME", "libgomp-that-no-host-has.so.1")
    folder = openmp.library_folder(tmp_path)
    assert folder == tmp_path / "openmp"
    ctypes.CDLL(str(folder / openmp.NAME))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere")
    assert openmp.library_path(tmp_path) == f"/somewhere:{folder}"


def test_a_host_that_has_the_library_borrows_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openmp, "NAME", "libc.so.6")
    assert openmp.library_folder(tmp_path) is None
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    assert openmp.library_path(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
