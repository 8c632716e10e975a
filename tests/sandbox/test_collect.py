"""Hostile files: whatever a tar or a folder holds, only allowed regular files within their caps
arrive, and nowhere else.
"""

import contextlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlagent.contracts.errors import SandboxBroken
from mlagent.sandbox.collect import BadArray, Collection, collect_folder, collect_tar, read_npy

CAP = 4096
ALLOWED = {"model.pkl": CAP, "*.npy": 100, "linear/fit.json": CAP}
NAMES = st.one_of(
    st.sampled_from(
        [
            "model.pkl",
            "a.npy",
            "linear/fit.json",
            "../model.pkl",
            "/etc/model.pkl",
            "a/../../model.pkl",
            "./model.pkl",
            "linear/../model.pkl",
            "-rf.npy",
            "..npy",
            "CON.npy.",
            "x" * 300 + ".npy",
            "\u202e.npy",
            "a\n.npy",
            "é.npy",
            "d/" * 200 + "model.pkl",
        ]
    ),
    st.text(min_size=1, max_size=30).filter(lambda name: "\0" not in name),
)
TYPES = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.AREGTYPE,
        tarfile.LNKTYPE,
        tarfile.SYMTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ]
)
MEMBERS = st.lists(
    st.tuples(
        NAMES,
        TYPES,
        st.binary(max_size=300),
        st.sampled_from(["", "/etc/passwd", "../../x", "model.pkl"]),
        st.booleans(),
    ),
    max_size=8,
)


def make_tar(
    members: list[tuple[str, bytes, bytes, str, bool]], form: int = tarfile.PAX_FORMAT
) -> bytes:
    """An archive as get_archive('/out') makes one; the flag of a member leaves out the root."""
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for name, kind, data, link, bare in members:
            info = tarfile.TarInfo(name if bare else f"out/{name}")
            info.type, info.linkname, info.mode = kind, link, 0o7777
            info.size = len(data) if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else 0
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def collect(data: bytes, into: Path, cut: int = 700, total: int = 1 << 20) -> Collection:
    pieces = (data[start : start + cut] for start in range(0, len(data), cut))
    return collect_tar(pieces, ALLOWED, into, root="out", total_bytes=total)


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(members=MEMBERS, cut=st.integers(1, 2000), form=st.sampled_from([0, 1, 2]))
def test_no_member_of_any_tar_escapes(
    tmp_path_factory: pytest.TempPathFactory,
    members: list[tuple[str, bytes, bytes, str, bool]],
    cut: int,
    form: int,
) -> None:
    try:
        data = make_tar(members, form)
    except (ValueError, UnicodeError):
        return  # tarfile itself cannot write it
    outside = tmp_path_factory.mktemp("outside")
    into = outside / "into"
    into.mkdir()
    try:
        result = collect(data, into, cut)
    except SandboxBroken:
        result = None
    found = everything_below(outside)
    assert found <= {"into/model.pkl", "into/linear/fit.json"} | {
        name for name in found if name.startswith("into/") and name.endswith(".npy")
    }
    if result is not None:
        assert {f"into/{name}" for name in result.files} == found
    for name in found:
        path = outside / name
        assert path.is_file()
        assert not path.is_symlink()
        assert path.stat().st_mode & 0o7777 == 0o644
        assert path.stat().st_size <= (100 if name.endswith(".npy") else CAP)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=3000), place=st.integers(0, 3000))
def test_a_damaged_tar_is_an_error_or_ends_but_never_hangs_or_escapes(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int
) -> None:
    good = make_tar([("model.pkl", tarfile.REGTYPE, b"x" * 700, "", False)] * 2)
    outside = tmp_path_factory.mktemp("outside")
    (outside / "into").mkdir()
    with contextlib.suppress(SandboxBroken):
        collect(good[:place] + noise + good[place + len(noise) :], outside / "into")
    assert all(name.startswith("into/") for name in everything_below(outside))
    assert not list((outside / "into").glob(".part-*"))


def test_the_first_of_two_members_with_one_name_counts(tmp_path: Path) -> None:
    twice = [("model.pkl", tarfile.REGTYPE, data, "", False) for data in (b"one", b"two")]
    result = collect(make_tar(twice), tmp_path)
    assert (tmp_path / "model.pkl").read_bytes() == b"one"
    assert "came twice" in result.refused[0]


def test_a_member_over_its_cap_is_refused_and_the_rest_still_comes(tmp_path: Path) -> None:
    members = [
        ("big.npy", tarfile.REGTYPE, b"x" * 101, "", False),
        ("model.pkl", tarfile.REGTYPE, b"m", "", False),
    ]
    result = collect(make_tar(members), tmp_path)
    assert set(result.files) == {"model.pkl"}
    assert "101 bytes, 100 are allowed" in result.refused[0]


def test_a_stream_over_the_total_is_cut(tmp_path: Path) -> None:
    members = [("junk", tarfile.REGTYPE, b"x" * 5000, "", False)] * 100
    members.append(("model.pkl", tarfile.REGTYPE, b"m", "", False))
    result = collect(make_tar(members), tmp_path, total=100_000)
    assert result.overflow
    assert result.files == {}


def test_a_cut_stream_is_a_broken_sandbox_not_an_empty_success(tmp_path: Path) -> None:
    data = make_tar([("model.pkl", tarfile.REGTYPE, b"x" * 3000, "", False)])
    for length in (0, 100, 512, 1500):
        with pytest.raises(SandboxBroken, match="ended"):
            collect(data[:length], tmp_path)
    assert everything_below(tmp_path) == set()


def test_the_path_max_archive_writes_nothing(tmp_path: Path) -> None:
    """The shape of CVE-2025-4517: a long chain of directories and links, then a file through it."""
    deep = "/".join(["d" * 247] * 16)
    members = [(deep, tarfile.DIRTYPE, b"", "", False)]
    members.append(("escape", tarfile.SYMTYPE, b"", deep + "/" + "../" * 17, False))
    members.append(("escape/model.pkl", tarfile.REGTYPE, b"x", "", False))
    members.append(("linear", tarfile.SYMTYPE, b"", "/tmp", False))
    members.append(("linear/fit.json", tarfile.REGTYPE, b"{}", "", False))
    into = tmp_path / "into"
    into.mkdir()
    result = collect(make_tar(members), into)
    assert set(result.files) == {"linear/fit.json"}
    assert not (into / "linear").is_symlink()
    assert everything_below(tmp_path) == {"into/linear/fit.json"}


def test_from_a_folder_no_link_fifo_or_second_name_is_read(tmp_path: Path) -> None:
    out, into = tmp_path / "out", tmp_path / "into"
    (out / "linear").mkdir(parents=True)
    into.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("host")
    (out / "model.pkl").symlink_to(secret)
    os.mkfifo(out / "fifo.npy")
    os.link(secret, out / "hard.npy")
    (out / "large.npy").write_bytes(b"x" * 101)
    (out / "good.npy").write_bytes(b"x" * 100)
    (out / "linear" / "fit.json").write_text("{}")
    result = collect_folder(out, ALLOWED, into, total_bytes=10_000)
    assert set(result.files) == {"good.npy", "linear/fit.json"}
    assert len(result.refused) == 4
    assert everything_below(into) == {"good.npy", "linear/fit.json"}


def test_a_linked_sub_folder_is_not_entered(tmp_path: Path) -> None:
    out, into, other = tmp_path / "out", tmp_path / "into", tmp_path / "other"
    for folder in (out, into, other):
        folder.mkdir()
    (other / "fit.json").write_text("host")
    (out / "linear").symlink_to(other)
    assert collect_folder(out, ALLOWED, into, total_bytes=10_000).files == {}


def test_a_folder_over_the_total_or_with_too_many_entries_overflows(tmp_path: Path) -> None:
    out, into = tmp_path / "out", tmp_path / "into"
    out.mkdir()
    into.mkdir()
    for number in range(10):
        (out / f"{number}.npy").write_bytes(b"x" * 90)
    assert collect_folder(out, ALLOWED, into, total_bytes=200).overflow
    assert collect_folder(out, ALLOWED, into, total_bytes=10_000, entries=5).overflow
    assert not collect_folder(out, ALLOWED, into, total_bytes=10_000, entries=10).overflow


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_the_right_shape_is_read_as_it_is(
    tmp_path: Path, shape: tuple[int, ...], order: str
) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "p.npy", np.array(values, order=order))  # type: ignore[call-overload]
    columns = shape[1] if len(shape) > 1 else 1
    np.testing.assert_array_equal(read_npy(tmp_path / "p.npy", 5, columns), values)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(4), "shape"),
        (np.zeros((5, 1)), "shape"),
        (np.zeros(()), "shape"),
        (np.zeros(5, dtype="float32"), "type"),
        (np.zeros(5, dtype=">f8"), "type"),
        (np.zeros(5, dtype="int64"), "type"),
        (np.array([0, 1, np.nan, 2, 3]), "1 of 5"),
        (np.array([0, 1, np.inf, 2, -np.inf]), "2 of 5"),
        (np.array([1, "a", None, {}, 2], dtype=object), "type"),
    ],
)
def test_a_wrong_array_is_a_sentence(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    np.save(tmp_path / "p.npy", array, allow_pickle=True)
    with pytest.raises(BadArray, match=reason):
        read_npy(tmp_path / "p.npy", 5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x09\x00",
        b"\x93NUMPY\x01\x00\x10\x00" + b"__import__('os')",
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b"{" * 100,
    ],
)
def test_what_is_no_array_file_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p.npy").write_bytes(data)
    with pytest.raises(BadArray, match="not a NumPy array file"):
        read_npy(tmp_path / "p.npy", 5)


def test_a_header_that_claims_more_than_the_file_holds_reads_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros(5))
    with (tmp_path / "p.npy").open("ab") as file:
        file.write(b"\0" * 8)
    with pytest.raises(BadArray, match="48 bytes of data, expected 40"):
        read_npy(tmp_path / "p.npy", 5)
