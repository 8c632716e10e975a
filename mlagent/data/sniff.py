"""What a text table is written in: encoding, delimiter, quote, header. From its first megabyte.

Guarantees: the choice is made by counting fields, never by looking at one line; a header that holds
a delimiter is never taken for a single column. Does not: read past the head (`door` reads every row
strictly and finds a ragged line wherever it is).
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlagent.contracts.errors import BadInput

HEAD_BYTES = 1 << 20
HEAD_ROWS = 1000
CHUNK = 1 << 20
DELIMITERS = ("\t", ";", "|", ",")
NAMES_OF_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first (gunzip)."),
    (b"BZh", "a bzip2 archive", "Unpack it first (bunzip2)."),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it first (unzstd)."),
    (b"%PDF", "a PDF document", "Export its table as CSV."),
    (b"\x89PNG", "a PNG image", "Images are out of scope."),
    (b"\xff\xd8\xff", "a JPEG image", "Images are out of scope."),
    (b"SQLite format 3", "an SQLite database", "Export one table as CSV."),
)
WHAT_IS_READ = "Give a CSV (comma, semicolon, tab or bar), Parquet or JSON Lines file."


class Scan(NamedTuple):
    """One pass over the bytes of a file."""

    sha256: str
    size: int
    utf8: bool
    nul: bool
    quotes: int
    head: bytes


@dataclass(frozen=True)
class Dialect:
    """How the rows are cut. `delimiter` None: a single column. `first_is_header` False: no header
    line."""

    delimiter: str | None
    quote: str | None
    names: tuple[str, ...]
    first_is_header: bool
    notes: tuple[str, ...]


def scan(path: Path) -> Scan:
    """Stream the file once: sha256, size, whether it is utf-8, holds NUL bytes, quotes."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8, nul, quotes, size, head = True, False, 0, 0, b""
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            if not head:
                head = block[:HEAD_BYTES]
            digest.update(block)
            size += len(block)
            nul = nul or b"\0" in block
            quotes += block.count(b'"')
            if utf8:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    utf8 = False
    if utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            utf8 = False
    return Scan(digest.hexdigest(), size, utf8, nul, quotes, head)


def encoding_of(seen: Scan, path: Path) -> tuple[str, str | None]:
    """The Python codec of a text file, and a sentence when it was a guess.

    Raises:
        BadInput: the bytes are not text.
    """
    head = seen.head
    for signature, what, remedy in SIGNATURES:
        if head.startswith(signature):
            raise BadInput(f"{str(path)!r} is {what}, not a table in text.", remedy=remedy)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "The file is utf-16 (it says so by its byte order mark)."
    if seen.nul:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        half = max(len(head) // 2, 1)
        if odd > 0.4 * half and even < 0.05 * half:
            return (
                "utf-16-le",
                "Guessed that the file is utf-16 (little endian) from its zero bytes.",
            )
        if even > 0.4 * half and odd < 0.05 * half:
            return "utf-16-be", "Guessed that the file is utf-16 (big endian) from its zero bytes."
        raise BadInput(f"{str(path)!r} is a binary file: it holds zero bytes.", remedy=WHAT_IS_READ)
    control = sum(head.count(bytes([code])) for code in (*range(9), *range(14, 32)))
    if control > 0.01 * len(head):
        raise BadInput(
            f"{str(path)!r} is a binary file: it is full of control characters.",
            remedy=WHAT_IS_READ,
        )
    if head.startswith(codecs.BOM_UTF8) and seen.utf8:
        return "utf-8-sig", None
    if seen.utf8:
        return "utf-8", None
    return "cp1252", "The file is not utf-8; guessed that it is cp1252 (Western European Windows)."


def _head_rows(
    text: str, delimiter: str | None, quote: str | None, whole: bool
) -> list[list[str]] | None:
    rows: list[list[str]] = []
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter or "\x1f",
        quotechar=quote or '"',
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        doublequote=True,
        strict=bool(quote),
    )
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > HEAD_ROWS:
                return rows
    except csv.Error:
        # the last row of a cut head may end inside a quote; anything earlier is a broken quote
        if whole or len(rows) < 2:
            return None
        return rows if reader.line_num >= text.count("\n") else None
    return rows if whole else rows[:-1] or rows


def dialect_of(text: str, path: Path, *, whole: bool) -> Dialect:
    """Delimiter, quote and header of a CSV head.

    Args:
        text: decoded head, without byte order mark.
        whole: the head is the whole file.

    Raises:
        BadInput: no row at all, or the header has fewer columns than the rows below it.
    """
    found: list[tuple[float, int, int, str, str | None, list[list[str]]]] = []
    single: list[list[str]] | None = None
    for order, delimiter in enumerate(DELIMITERS):
        for quote in ('"', None):
            rows = _head_rows(text, delimiter, quote, whole)
            if not rows:
                continue
            width = len(rows[0])
            agree = sum(len(row) == width for row in rows[1:]) / max(len(rows) - 1, 1)
            if len(rows) == 1:
                agree = 1.0
            if width > 1:
                found.append((round(agree, 4), width, -order, delimiter, quote, rows))
    if found:
        # strict quoting is tried first: at equal agreement and width it wins over "no quotes"
        best = max(found, key=lambda one: (one[0], one[1], one[2], one[4] is not None))
        if best[4] is None and any(_wrapped(cell) for row in best[5] for cell in row):
            # some cells are quoted, so a stray quote is a defect: the strict reader names its line
            rows = [[cell.strip('"') for cell in row] for row in best[5]]
            return _with_header(best[3], '"', rows)
        return _with_header(best[3], best[4], best[5])
    for quote in ('"', None):
        single = _head_rows(text, None, quote, whole)
        if single:
            break
    if not single:
        raise BadInput(f"{str(path)!r} holds no rows.", remedy=WHAT_IS_READ)
    _refuse_short_header(text, path, whole)
    return _with_header(None, quote, single)


def _wrapped(cell: str) -> bool:
    return len(cell) >= 2 and cell[0] == '"' == cell[-1]


def _refuse_short_header(text: str, path: Path, whole: bool) -> None:
    for delimiter in DELIMITERS:
        rows = _head_rows(text, delimiter, '"', whole) or _head_rows(text, delimiter, None, whole)
        if not rows or len(rows) < 2:
            continue
        width, times = Counter(len(row) for row in rows[1:]).most_common(1)[0]
        if width > 1 and times >= 0.8 * (len(rows) - 1):
            raise BadInput(
                f"{str(path)!r} is ragged: line 1 has 1 column where the lines below have {width} "
                f"(cut at each {NAMES_OF_DELIMITERS[delimiter]}).",
                remedy="Make the first line the header, with one name per column.",
            )


def _with_header(delimiter: str | None, quote: str | None, rows: list[list[str]]) -> Dialect:
    notes: list[str] = []
    if delimiter is not None and delimiter != ",":
        notes.append(f"Columns are cut at each {NAMES_OF_DELIMITERS[delimiter]}.")
    if quote is None and any('"' in cell for row in rows for cell in row):
        notes.append('The character " is read as plain text: it does not quote cells here.')
    first, body = rows[0], rows[1:]
    if _is_data(first, body):
        names = [f"column_{number}" for number in range(1, len(first) + 1)]
        notes.append(
            "The first line looks like data, not like names: "
            f"the columns are called {names[0]!r} to {names[-1]!r}."
        )
        return Dialect(delimiter, quote, tuple(names), False, tuple(notes))
    names, more = clean_names(first)
    return Dialect(delimiter, quote, tuple(names), True, (*notes, *more))


def clean_names(raw: list[str]) -> tuple[list[str], list[str]]:
    """Names without surrounding blanks, never empty, never twice (case ignored); and sentences for
    the changes.

    Case is ignored because duckdb, which writes the Parquet files, ignores it in column names.
    """
    stripped = [name.strip().lstrip("\ufeff") for name in raw]
    taken = {name.casefold() for name in stripped if name}
    seen: set[str] = set()
    names, notes = [], []
    for number, name in enumerate(stripped, start=1):
        new = name or f"column_{number}"
        if not name or new.casefold() in seen:
            base, count = new, 2
            while new.casefold() in seen or (new != name and new.casefold() in taken):
                new = f"{base}_{count}"
                count += 1
            what = (
                f"Column {number} has no name" if not name else f"Column name {name!r} stands twice"
            )
            notes.append(f"{what}: column {number} is called {new!r}.")
        seen.add(new.casefold())
        names.append(new)
    return names, notes


def _number(text: str) -> float | None:
    try:
        return float(text.strip())
    except ValueError:
        return None


def _is_data(first: list[str], body: list[list[str]]) -> bool:
    """True when line 1 is a row like the others. Years as column names are names: they step
    evenly."""
    body = [row for row in body[:200] if len(row) == len(first)]
    if len(body) < 3:
        return False
    columns = list(zip(*body, strict=True))
    numeric = [
        number
        for number, cells in enumerate(columns)
        if (filled := [cell for cell in cells if cell.strip()])
        and sum(_number(cell) is not None for cell in filled) >= 0.95 * len(filled)
    ]
    if numeric:
        heads = [_number(first[number]) for number in numeric]
        if any(head is None for head in heads):
            return False
        values = [head for head in heads if head is not None]
        steps = {round(b - a, 9) for a, b in zip(values, values[1:], strict=False)}
        return not (len(values) >= 3 and len(steps) == 1 and steps != {0.0})
    return (
        len(body) >= 10
        and len(first) >= 2
        and list(first) not in [list(row) for row in body]
        and all(cell in set(cells) for cell, cells in zip(first, columns, strict=True))
    )
