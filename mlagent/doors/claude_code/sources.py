"""Subagent files out of a file, a folder or an archive, all of it read into memory.

Guarantees: nothing is extracted to disk; no link is followed, in a folder or in an archive; a path
that leaves the archive refuses the whole archive; the numbers below are kept while reading,
whatever an archive claims about itself. Does not judge the files: `loading` and `importing` do.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from mlagent.contracts.errors import BadInput

SUFFIXES = (".md", ".markdown", ".txt")
ARCHIVES = (".zip", ".tar.gz", ".tgz")
MAX_ARCHIVE_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
"""All members together, those that are skipped too."""
MAX_ENTRIES = 20_000
MAX_DOCUMENTS = 5_000
MAX_DOCUMENT_BYTES = 1_048_576
MAX_DIRECTORY_BYTES = 4 * 2**20
"""Of a zip's table of contents, which Python reads in one go."""
LIBRARIES = ("node_modules", "site-packages", "__pycache__")
"""Folders of other people's packages, with virtual environments: not looked into."""
_NO_ZIP = (
    zipfile.BadZipFile, struct.error, zlib.error, RuntimeError, ValueError, EOFError, OSError
)  # fmt: skip
"""What `zipfile` raises: also where a name is no UTF-8 or a header ends early."""
_END = b"PK\x05\x06"
_LOCATOR_64 = b"PK\x06\x07"


TOO_LARGE = "larger than 1 MiB"


class Source(NamedTuple):
    """One document. `name`: its path inside the folder or archive, with `/`."""

    name: str
    data: bytes


class Skipped(NamedTuple):
    """Something that was not read, and why."""

    name: str
    why: str

    @property
    def too_large(self) -> bool:
        """Whether it is a document beyond the limit of Claude Code."""
        return self.why == TOO_LARGE


@dataclass(frozen=True)
class Sources:
    """What was found, in the order of the names."""

    documents: tuple[Source, ...]
    skipped: tuple[Skipped, ...]


def read_sources(path: Path) -> Sources:
    """The documents in `path`: a file, a folder, a .zip or a .tar.gz.

    Raises:
        BadInput: nothing is there, no archive, over a limit, or a path that leaves the archive.
    """
    if path.is_dir():
        return _gather(_walk(path), str(path))
    if not path.is_file():
        raise BadInput(
            f"{str(path)!r} is no file and no folder.",
            remedy="Give a subagent file, a folder of them, a .zip or a .tar.gz.",
        )
    if path.name.endswith(ARCHIVES):
        size = path.stat().st_size
        if size > MAX_ARCHIVE_BYTES:
            raise BadInput(
                f"{str(path)!r} has {size:,} bytes; archives up to {MAX_ARCHIVE_BYTES:,} are read.",
                remedy="Unpack it where you trust it, and give the folder.",
            )
        entries = _zip if path.name.endswith(".zip") else _tar
        return _gather(entries(path), str(path))
    with path.open("rb") as file:
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadInput(
            f"{str(path)!r} is larger than 1 MiB, which is no subagent file.",
            remedy="Claude Code skips such a file; take out of it what the agent need not know.",
        )
    if not data.strip():
        raise BadInput(f"{str(path)!r} is empty.", remedy="Give a file that says something.")
    return Sources((Source(path.name, data),), ())


def no_text(data: bytes) -> str:
    """Why these bytes are no document that a contract could be drafted from; '' when they are."""
    if data[257:262] == b"ustar":
        return "a .tar; pack it as .tar.gz or .zip"
    if data.startswith((b"%PDF-", b"PK\x03\x04", b"\x1f\x8b")):
        return "a PDF or an archive"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ""  # text, and `loading` says that it is to be saved otherwise
    return "no text: it holds NUL bytes" if b"\x00" in data else ""


def _gather(found: Iterator[Source | Skipped], where: str) -> Sources:
    documents: list[Source] = []
    skipped: list[Skipped] = []
    for item in found:
        if isinstance(item, Skipped):
            skipped.append(item)
        else:
            documents.append(item)
        if len(documents) > MAX_DOCUMENTS:
            raise BadInput(f"{where!r} holds more than {MAX_DOCUMENTS:,} documents.")
    if not documents:
        left = f"; left out: {skipped[0].name[:80]!r}, {skipped[0].why}" if skipped else ""
        more = f", and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        raise BadInput(
            f"{where!r} holds no subagent file ({', '.join(SUFFIXES)}){left}{more}.",
            remedy="Subagent files are Markdown.",
        )
    return Sources(tuple(sorted(documents)), tuple(sorted(skipped)))


def _walk(folder: Path) -> Iterator[Source | Skipped]:
    count = 0
    for root, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        for name in list(folders):
            if name == ".git" or name in LIBRARIES or (Path(root) / name / "pyvenv.cfg").is_file():
                folders.remove(name)
            elif (Path(root) / name).is_symlink():
                folders.remove(name)
                yield Skipped(_inside(Path(root) / name, folder), "a link; links are not followed")
        for name in sorted(files):
            count += 1
            if count > MAX_ENTRIES:
                raise BadInput(
                    f"{str(folder)!r} holds more than {MAX_ENTRIES:,} files.",
                    remedy="Give the folder that holds the subagent files.",
                )
            if not name.lower().endswith(SUFFIXES):
                continue
            yield _read_file(Path(root) / name, folder)


def _read_file(path: Path, folder: Path) -> Source | Skipped:
    """Opened without following a link, also not one that was put there meanwhile."""
    name = _inside(path, folder)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as problem:
        linked = path.is_symlink()
        return Skipped(name, "a link; links are not followed" if linked else str(problem.strerror))
    with os.fdopen(descriptor, "rb") as file:
        if not os.path.isfile(descriptor):  # noqa: PTH113 (a descriptor has no Path)
            return Skipped(name, "no regular file")
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        return Skipped(name, TOO_LARGE)
    return Source(name, data)


def read_named(folder: Path, names: list[str]) -> list[Source | Skipped]:
    """The documents at these paths of the folder, under these names; links are not followed."""
    return [_read_file(folder / name, folder)._replace(name=name) for name in names]


def _inside(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _safe(name: str, archive: Path) -> str:
    """The member's name. Raises BadInput when it leaves the archive."""
    pure = PurePosixPath(name.replace("\\", "/"))
    drive = len(name) > 1 and name[1] == ":"
    if pure.is_absolute() or ".." in pure.parts or drive or "\x00" in name:
        raise BadInput(
            f"{str(archive)!r} holds the path {name[:80]!r}, which leaves the archive.",
            remedy="Do not use this archive: a path like that is there to overwrite files.",
        )
    return pure.as_posix()


def _zip(path: Path) -> Iterator[Source | Skipped]:
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_ENTRIES:
                raise BadInput(f"{str(path)!r} holds more than {MAX_ENTRIES:,} files.")
            left = MAX_UNPACKED_BYTES
            for info in infos:
                if not info.orig_filename:
                    raise BadInput(
                        f"{str(path)!r} holds a member without a name.",
                        remedy="Pack it again, or give the folder itself.",
                    )
                name = _safe(info.orig_filename, path)
                if info.is_dir() or not name.lower().endswith(SUFFIXES):
                    continue
                kind = (info.external_attr >> 16) & 0o170000
                if kind not in (0, 0o100000):
                    yield Skipped(name, "a link or device; only regular files are read")
                    continue
                if info.flag_bits & 0x1:
                    yield Skipped(name, "encrypted")
                    continue
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    yield Skipped(name, "an unusual compression; its memory has no limit")
                    continue
                with archive.open(info) as member:
                    item = _limited(member, name)
                left -= len(item.data) if isinstance(item, Source) else MAX_DOCUMENT_BYTES
                if left < 0:
                    raise _too_much(path)
                yield item
    except _NO_ZIP as problem:
        raise BadInput(
            f"{str(path)!r} is no readable zip archive: {problem}.",
            remedy="Pack it again, or give the folder itself.",
        ) from None


def _check_directory(path: Path) -> None:
    """The table of contents is small. `zipfile` would read one of any size into memory."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 65_557))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise BadInput(
            f"{str(path)!r} is no zip archive.", remedy="Pack it again, or give the folder itself."
        )
    if tail[max(0, at - 20) : at].startswith(_LOCATOR_64):
        raise BadInput(f"{str(path)!r} is a zip64 archive, which a few Markdown files never need.")
    entries, length = struct.unpack("<HL", tail[at + 10 : at + 16])
    if length > MAX_DIRECTORY_BYTES or entries > MAX_ENTRIES:
        raise BadInput(
            f"{str(path)!r}: the zip's table of contents is too large.",
            remedy=f"Archives with up to {MAX_ENTRIES:,} files are read.",
        )


class _Meter(io.RawIOBase):
    """Counts what a stream gives and stops at the limit, skipped members included."""

    def __init__(self, inner: gzip.GzipFile, path: Path) -> None:
        self.inner = inner
        self.path = path
        self.left = MAX_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        want = self.left + 1 if size < 0 else min(size, self.left + 1)
        data = self.inner.read(want)
        self.left -= len(data)
        if self.left < 0:
            raise _too_much(self.path)
        return data


def _tar(path: Path) -> Iterator[Source | Skipped]:
    try:
        with gzip.open(path) as unpacked, _open_tar(_Meter(unpacked, path)) as archive:
            for count, member in enumerate(archive):
                if count >= MAX_ENTRIES:
                    raise BadInput(f"{str(path)!r} holds more than {MAX_ENTRIES:,} files.")
                name = _safe(member.name, path)
                if member.isdir() or not name.lower().endswith(SUFFIXES):
                    continue
                if not member.isreg():
                    yield Skipped(name, "a link or device; only regular files are read")
                    continue
                content = archive.extractfile(member)  # into memory; `r|` has no other way
                assert content is not None
                yield _limited(content, name)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as problem:
        raise BadInput(
            f"{str(path)!r} is no readable .tar.gz archive: {problem}.",
            remedy="Pack it again, or give the folder itself.",
        ) from None


def _open_tar(stream: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|")


def _limited(stream: IO[bytes], name: str) -> Source | Skipped:
    data = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        return Skipped(name, TOO_LARGE)
    return Source(name, data)


def _too_much(path: Path) -> BadInput:
    return BadInput(
        f"{str(path)!r} unpacks to more than {MAX_UNPACKED_BYTES:,} bytes.",
        remedy="Do not use this archive: it looks like a decompression bomb.",
    )
