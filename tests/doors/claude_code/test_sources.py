"""Archives of strangers: read in memory, within limits, and nothing leaves them."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.doors.claude_code import sources
from mlagent.doors.claude_code.sources import Source, read_sources

AGENT = b"---\nname: a\ndescription: b\n---\nbody\n"


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_file_a_folder_a_zip_and_a_tar_give_the_same_documents(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.md").write_bytes(AGENT)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    zipped = zip_of(tmp_path / "a.zip", {"sub/a.md": AGENT, "picture.png": b"\x89PNG"})
    tarred = tar_of(tmp_path / "a.tar.gz", (tarfile.TarInfo("sub/a.md"), AGENT))
    before = sorted(tmp_path.rglob("*"))
    for path in (folder, zipped, tarred):
        assert read_sources(path).documents == (Source("sub/a.md", AGENT),)
    assert read_sources(folder / "sub" / "a.md").documents == (Source("a.md", AGENT),)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["../evil.md", "/etc/evil.md", "a/../../evil.md", "C:\\evil.md", "..\\evil.md"]
)
def test_a_path_that_leaves_the_archive_refuses_all_of_it(tmp_path: Path, name: str) -> None:
    for path in (
        zip_of(tmp_path / "a.zip", {"good.md": AGENT, name: AGENT}),
        tar_of(
            tmp_path / "a.tar.gz",
            (tarfile.TarInfo("good.md"), AGENT),
            (tarfile.TarInfo(name), AGENT),
        ),
    ):
        with pytest.raises(BadInput, match="leaves the archive"):
            read_sources(path)


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.md").write_bytes(b"secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.md").write_bytes(AGENT)
    (folder / "link.md").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / "pipe.md")
    found = read_sources(folder)
    assert [item.name for item in found.documents] == ["a.md"]
    assert [item.name for item in found.skipped] == ["link.md", "linked", "pipe.md"]

    members = [(tarfile.TarInfo("a.md"), AGENT)]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo(f"kind{kind.decode()}.md")
        info.type, info.linkname = kind, str(secret)
        members.append((info, b""))
    found = read_sources(tar_of(tmp_path / "a.tar.gz", *members))
    assert [item.name for item in found.documents] == ["a.md"]
    assert len(found.skipped) == 4

    link = zipfile.ZipInfo("link.md")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.md", AGENT)
        archive.writestr(link, str(secret))
    found = read_sources(tmp_path / "a.zip")
    assert [item.name for item in found.documents] == ["a.md"]
    assert "link" in found.skipped[0].why


def test_a_large_document_is_left_out_whatever_its_header_says(tmp_path: Path) -> None:
    large = b"x" * (sources.MAX_DOCUMENT_BYTES + 1)
    path = zip_of(tmp_path / "a.zip", {"a.md": AGENT, "large.md": large})
    lying = bytearray(path.read_bytes())
    at = lying.rfind(b"PK\x01\x02")
    struct.pack_into("<L", lying, at + 24, 10)  # the size that the table of contents claims
    path.write_bytes(lying)
    with pytest.raises(BadInput, match="no readable zip"):
        read_sources(path)
    for honest in (
        zip_of(tmp_path / "b.zip", {"a.md": AGENT, "large.md": large}),
        tar_of(
            tmp_path / "b.tar.gz",
            (tarfile.TarInfo("a.md"), AGENT),
            (tarfile.TarInfo("large.md"), large),
        ),
    ):
        found = read_sources(honest)
        assert [item.name for item in found.documents] == ["a.md"]
        assert [item.name for item in found.skipped] == ["large.md"]


def test_a_bomb_is_refused_also_behind_members_that_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_UNPACKED_BYTES", 3_000_000)
    zeros = bytes(4_000_000)
    bomb = tar_of(
        tmp_path / "a.tar.gz",
        (tarfile.TarInfo("skipped.bin"), zeros),
        (tarfile.TarInfo("a.md"), AGENT),
    )
    assert bomb.stat().st_size < 20_000
    with pytest.raises(BadInput, match="unpacks to more than"):
        read_sources(bomb)
    many = {f"{number}.md": bytes(900_000) for number in range(5)}
    with pytest.raises(BadInput, match="unpacks to more than"):
        read_sources(zip_of(tmp_path / "a.zip", many))
    raw = tmp_path / "zeros.tar.gz"
    raw.write_bytes(gzip.compress(zeros))
    with pytest.raises(BadInput):
        read_sources(raw)


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_ENTRIES", 20)
    names = [f"{number}.bin" for number in range(30)]
    with pytest.raises(BadInput, match="too large"):
        read_sources(zip_of(tmp_path / "a.zip", dict.fromkeys(names, b"")))
    with pytest.raises(BadInput, match="more than 20 files"):
        read_sources(tar_of(tmp_path / "a.tar.gz", *((tarfile.TarInfo(n), b"") for n in names)))
    monkeypatch.setattr(sources, "MAX_DOCUMENTS", 3)
    with pytest.raises(BadInput, match="more than 3 documents"):
        read_sources(zip_of(tmp_path / "b.zip", {f"{n}.md": AGENT for n in range(5)}))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", b"PK\x05\x06" + b"\xff" * 18, gzip.compress(b"no tar"), b"\x1f\x8b"],
)
def test_what_is_no_archive_is_a_sentence(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput):
        read_sources(tmp_path / name)


def test_a_member_without_a_name_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("b.md"), AGENT)
        archive.infolist()[0].filename = ""
    with pytest.raises(BadInput, match="a member without a name"):
        read_sources(path)


def test_a_damaged_zip_is_read_or_a_sentence(tmp_path: Path) -> None:
    whole = zip_of(tmp_path / "a.zip", {"é.md": AGENT, "b.md": AGENT}).read_bytes()
    path, refused = tmp_path / "b.zip", 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
        try:
            read_sources(path)
        except BadInput:
            refused += 1
    assert 0 < refused < len(whole)


def test_a_zip64_or_oddly_packed_archive_is_not_read(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a.md": AGENT})
    data = path.read_bytes()
    at = data.rfind(b"PK\x05\x06")
    path.write_bytes(data[:at] + b"PK\x06\x07" + bytes(16) + data[at:])
    with pytest.raises(BadInput, match="zip64"):
        read_sources(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.md", AGENT)
        archive.writestr("b.md", AGENT, zipfile.ZIP_STORED)
    found = read_sources(path)
    assert [item.name for item in found.documents] == ["b.md"]
    assert "unusual compression" in found.skipped[0].why


def test_nothing_there_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(BadInput, match="no file|no subagent"):
            read_sources(path)


def test_an_archive_whose_only_member_is_left_out_says_which_and_why(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("team/a.md", AGENT)
    with pytest.raises(BadInput, match=r"left out: 'team/a\.md', an unusual compression"):
        read_sources(path)


def test_other_peoples_packages_are_not_looked_into(tmp_path: Path) -> None:
    for folder in ("node_modules/x", ".venv/lib", "agents"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.md").write_bytes(AGENT)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    assert [item.name for item in read_sources(tmp_path).documents] == ["agents/a.md"]
