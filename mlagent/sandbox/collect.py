"""Takes files out of a sandbox: hostile data, from the engine's tar stream or from a folder.

Guarantees: only regular files with an allowed name arrive, inside `into`, under their own name,
each within its byte cap and all within the total; links, devices, FIFOs and sockets never do;
nothing is ever written elsewhere; modes, owners and times of the sandbox are ignored. Never
`extractall`: even `filter="data"` escaped on Python 3.11.7 (CVE-2025-4517). Says nothing about
what is inside a file.

A pattern is a file name with `*` and `?`, or one literal folder before it: `model.pkl`,
`oof_*.npy`, `linear/fit.json`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlagent.contracts.errors import SandboxBroken
from mlagent.contracts.ports import Collected

from .sanitize import clean_line

if TYPE_CHECKING:
    import numpy

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_CHUNK = 1 << 20
_BLOCK = 512
_PAX_CAP = 1 << 16
_REFUSALS_SHOWN = 20


class BadArray(ValueError):
    """A prediction file that is not the array that was asked for. The text is a sentence for
    people.
    """


@dataclass
class Collection:
    """What came out. `overflow`: the total cap was reached, so that later files were not looked
    at.
    """

    files: dict[str, Collected] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    overflow: bool = False

    def refuse(self, name: str, why: str) -> None:
        """Remember why an entry was not taken; the name is shown cleaned and short."""
        if len(self.refused) < _REFUSALS_SHOWN:
            self.refused.append(f"{clean_line(name, 80)!r}: {why}")


def cap_for(name: str, allowed: Mapping[str, int]) -> int | None:
    """Largest size in bytes that the file `name` may have; None when no pattern allows it."""
    *folders, base = name.split("/")
    if len(folders) > 1 or not all(_SAFE.fullmatch(part) for part in (*folders, base)):
        return None
    for pattern, cap in allowed.items():
        *wanted, last = pattern.split("/")
        if wanted == folders and fnmatch.fnmatchcase(base, last):
            return cap
    return None


def store(name: str, chunks: Iterable[bytes], into: Path) -> Collected:
    """Write `chunks` to a fresh file and rename it to into/name (`cap_for` has approved `name`)."""
    target = into / name
    target.parent.mkdir(mode=0o755, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        Path(part).chmod(0o644)
        Path(part).replace(target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return Collected(name=name, path=target, size=size, sha256=digest.hexdigest())


class _Overflow(Exception):
    pass


class _Stream:
    """Exact reads from an iterator of chunks, within a byte budget."""

    def __init__(self, chunks: Iterable[bytes], budget: int) -> None:
        self._chunks, self._left, self._rest = iter(chunks), budget, b""

    def pieces(self, size: int) -> Iterator[bytes]:
        """`size` bytes in pieces. Raises _Overflow past the budget, SandboxBroken when the stream
        ends.
        """
        while size:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    raise SandboxBroken(
                        "The engine's archive stream ended in the middle of a file."
                    )
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            self._left -= len(piece)
            if self._left < 0:
                raise _Overflow
            yield piece

    def read(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def skip(self, size: int) -> None:
        for _ in self.pieces(size):
            pass


def _number(raw: bytes) -> int:
    text = raw.strip(b" \0")
    if not re.fullmatch(rb"[0-7]{0,12}", text):
        raise SandboxBroken("The engine's archive has a malformed number in a header.")
    return int(text or b"0", 8)


def _checksum_holds(header: bytes) -> bool:
    return sum(header) - sum(header[148:156]) + 8 * 32 == _number(header[148:156])


def _pax(data: bytes) -> dict[str, str]:
    """`path`, `size` and sparse marks of a pax header; a malformed one is refused."""
    found: dict[str, str] = {}
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not re.fullmatch(rb"[1-9][0-9]{0,5}", length) or int(length) > len(data):
            raise SandboxBroken("The engine's archive has a malformed extended header.")
        record, data = data[len(length) + 1 : int(length)], data[int(length) :]
        key, equals, value = record.rstrip(b"\n").partition(b"=")
        if not equals:
            raise SandboxBroken("The engine's archive has a malformed extended header.")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return found


def collect_tar(
    chunks: Iterable[bytes],
    allowed: Mapping[str, int],
    into: Path,
    *,
    root: str,
    total_bytes: int,
    entries: int = 10_000,
) -> Collection:
    """Copy allowed members below `root` out of an uncompressed tar stream.

    Args:
        chunks: the stream, in any cut.
        allowed: name pattern -> largest size in bytes.
        into: existing folder on the host.
        root: first path component of the members that count ('out' for get_archive('/out')).
        total_bytes: of the whole stream, headers and refused files included (sparse files count
            in full).
        entries: members that are looked at.

    Raises:
        SandboxBroken: the stream is cut or is no tar.
    """
    result = Collection()
    stream = _Stream(chunks, total_bytes)
    extended: dict[str, str] = {}
    long_name: str | None = None
    try:
        for _ in range(entries):
            header = stream.read(_BLOCK)
            if not header.strip(b"\0"):
                return result
            if not _checksum_holds(header):
                raise SandboxBroken("The engine's archive has a damaged header.")
            kind = header[156:157]
            size = (
                int(extended["size"]) if _digits(extended.get("size")) else _number(header[124:136])
            )
            padding = -size % _BLOCK
            if kind in (b"x", b"g", b"L", b"K"):
                if size > _PAX_CAP:
                    raise SandboxBroken("The engine's archive has an oversized extended header.")
                data = stream.read(size)
                stream.skip(padding)
                if kind == b"x":
                    extended = _pax(data)
                elif kind == b"L":
                    long_name = data.rstrip(b"\0").decode("utf-8", "replace")
                continue
            raw = header[:100].rstrip(b"\0").decode("utf-8", "replace")
            if header[257:262] == b"ustar" and (prefix := header[345:500].rstrip(b"\0")):
                raw = prefix.decode("utf-8", "replace") + "/" + raw
            path = extended.get("path") or long_name or raw
            sparse = any(key.startswith("GNU.sparse") for key in extended)
            extended, long_name = {}, None
            size = 0 if kind in b"123456" else size  # POSIX: these have no data
            name = path.removeprefix("./")
            name = name.removeprefix(root + "/") if name != root else ""
            if name == path.removeprefix("./") and name:
                result.refuse(path, "outside the output folder")
            elif kind == b"5":
                pass
            elif kind not in (b"0", b"\0") or sparse:
                result.refuse(name, "not a regular file")
            else:
                cap = cap_for(name, allowed)
                if cap is not None and size > cap:
                    result.refuse(name, f"{size} bytes, {cap} are allowed")
                elif cap is not None and name in result.files:
                    result.refuse(name, "came twice")
                elif cap is not None:
                    result.files[name] = store(name, stream.pieces(size), into)
                    size = 0
            stream.skip(size + padding)
        result.overflow = True
    except _Overflow:
        result.overflow = True
    return result


def _digits(text: str | None) -> bool:
    return bool(text) and re.fullmatch(r"[0-9]{1,12}", text or "") is not None


def collect_folder(
    folder: Path, allowed: Mapping[str, int], into: Path, *, total_bytes: int, entries: int = 10_000
) -> Collection:
    """Copy allowed files out of a folder that hostile code could write. Same rules as
    `collect_tar`.

    Opens with O_NOFOLLOW (no symlink to the host's files) and O_NONBLOCK (a FIFO cannot hang us),
    takes only regular files with one link.
    """
    result = Collection()
    left = total_bytes
    folders = [""] + sorted({p.split("/")[0] for p in allowed if p.count("/") == 1})
    for sub in folders:
        try:
            handle = os.open(
                folder / sub if sub else folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            )
        except OSError:
            continue
        try:
            for base in sorted(os.listdir(handle)):  # noqa: PTH208 (by descriptor, not by name)
                entries -= 1
                if entries < 0:
                    result.overflow = True
                    return result
                name = f"{sub}/{base}" if sub else base
                cap = cap_for(name, allowed)
                taken = _take(handle, base, name, cap, left, into, result)
                if taken is None:
                    result.overflow = True
                    return result
                left -= taken
        finally:
            os.close(handle)
    return result


def _take(
    parent: int, base: str, name: str, cap: int | None, left: int, into: Path, result: Collection
) -> int | None:
    """Bytes taken (0: refused or not asked for); None when the total cap is reached."""
    try:
        found = os.stat(base, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            return 0
        if not stat.S_ISREG(found.st_mode):
            result.refuse(name, "not a regular file")
            return 0
        if cap is None:
            return 0
        handle = os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError as problem:
        result.refuse(name, f"cannot be opened ({problem.strerror})")
        return 0
    with os.fdopen(handle, "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            result.refuse(name, "not a regular file with one name")
            return 0
        if found.st_size > cap:
            result.refuse(name, f"{found.st_size} bytes, {cap} are allowed")
            return 0
        if found.st_size > left:
            return None
        result.files[name] = store(name, _chunks(file, found.st_size), into)
    return found.st_size


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(size, _CHUNK))):
        size -= len(piece)
        yield piece


def read_npy(path: Path, rows: int, columns: int = 1, *, finite: bool = True) -> numpy.ndarray:
    """The float64 array in `path`, of shape (rows,) when `columns` is 1, else (rows, columns).

    The header is parsed and the file's size compared with rows * columns * 8 before any data is
    read; pickle is never allowed. Raises BadArray with a sentence for a wrong type, shape or
    size, and (with `finite`) for NaN or infinity.
    """
    import numpy
    from numpy.lib import format as npy

    wanted = (rows,) if columns == 1 else (rows, columns)
    readers: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, numpy.dtype]]] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    with path.open("rb") as file:
        try:
            shape, fortran, dtype = readers[npy.read_magic(file)](file, max_header_size=1024)
        except (ValueError, KeyError, EOFError, OSError, MemoryError) as problem:
            raise BadArray("the file of predictions is not a NumPy array file") from problem
        if dtype != numpy.dtype("<f8") or dtype.hasobject:
            raise BadArray(f"the predictions are of type {str(dtype)[:40]!r}, not float64")
        if shape != wanted:
            raise BadArray(f"the predictions have shape {shape}, expected {wanted}")
        left = os.fstat(file.fileno()).st_size - file.tell()
        if left != rows * columns * 8:
            raise BadArray(f"the file holds {left} bytes of data, expected {rows * columns * 8}")
        values = numpy.fromfile(file, dtype="<f8", count=rows * columns)
    array = values.reshape(wanted, order="F" if fortran else "C")
    if finite and not numpy.isfinite(array).all():
        bad = int((~numpy.isfinite(array)).sum())
        raise BadArray(f"{bad} of {array.size} predictions are NaN or infinite")
    return numpy.ascontiguousarray(array)
