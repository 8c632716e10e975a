"""CSV rows through duckdb: strictly, with our own dialect, and what to do when it refuses a row.

Guarantees: a row with another number of cells than the header is an error with its line number;
files in other encodings are copied once to utf-8 in the engine's folder. Does not: guess (`sniff`
does).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NoReturn

from mlagent.contracts.errors import BadInput
from mlagent.contracts.words import counted

from .engine import Engine, literal
from .sniff import WHAT_IS_READ, Dialect

BUFFER_BYTES = 8_000_000


def csv_relation(
    source: str,
    columns: int,
    delimiter: str,
    quote: str | None,
    *,
    header: bool,
    parallel: bool = False,
    clean: bool = False,
) -> str:
    """SQL of the rows. `parallel` only for files without quotes: duckdb cuts a file into blocks and
    may take a line break inside a quoted cell for the end of a row (seen with 2.0 on 30 MB of such
    cells). `clean`: a copy made here, whose rows end in a line feed whatever its cells hold."""
    fields = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(columns))
    mark = literal(quote or "")
    return (
        f"read_csv({source}, delim={literal(delimiter)}, quote={mark}, escape={mark}, "
        f"header={str(header).lower()}, columns={{{fields}}}, auto_detect=false, "
        "null_padding=false, strict_mode=true, "
        + ("new_line='\\n', " if clean else "")
        + (f"buffer_size={BUFFER_BYTES})" if parallel else "parallel=false)")
    )


def transcode(path: Path, encoding: str, into: Path) -> Path:
    try:
        with (
            path.open(encoding=encoding, newline="") as source,
            into.open("w", encoding="utf-8", newline="") as copy,
        ):
            while block := source.read(1 << 20):
                copy.write(block)
    except UnicodeError:
        raise BadInput(
            f"{str(path)!r} is not text in utf-8, utf-16 or cp1252.",
            remedy="Save it as utf-8. " + WHAT_IS_READ,
        ) from None
    return into


def reread(
    path: Path, encoding: str, dialect: Dialect, engine: Engine, why: str
) -> tuple[str, int]:
    """duckdb refused a row. Find out which one; or, when only its line ends or quotes are odd, copy
    it cleanly."""
    copy = engine.folder / "clean.csv"
    width, rows = len(dialect.names), 0
    old = csv.field_size_limit(1 << 27)
    try:
        with (
            path.open(encoding=encoding, newline="") as file,
            copy.open("w", encoding="utf-8", newline="") as out,
        ):
            reader = csv.reader(
                file,
                delimiter=dialect.delimiter or "\x1f",
                quotechar=dialect.quote or '"',
                quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
                strict=bool(dialect.quote),
            )
            writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
            line = 0
            for row in reader:
                start, line = line + 1, reader.line_num
                if not row:
                    continue
                if len(row) != width:
                    _ragged(path, start, len(row), width)
                if rows or not dialect.first_is_header:
                    writer.writerow(row)
                rows += 1
    except csv.Error as problem:
        raise BadInput(
            f"{str(path)!r}, line {reader.line_num}, cannot be cut into cells: {problem}.",
            remedy="Look at the quotes in that line: "
            "inside a quoted cell a quote is written twice.",
        ) from None
    finally:
        csv.field_size_limit(old)
    relation = csv_relation(literal(str(copy)), width, ",", '"', header=False, clean=True)
    try:
        rows = engine.rows(f"SELECT count(*) FROM {relation}")[0][0]
    except engine_error():
        raise BadInput(
            f"{str(path)!r} cannot be read as CSV: {why}.", remedy=WHAT_IS_READ
        ) from None
    return relation, rows


def _ragged(path: Path, line: int, found: int, width: int) -> NoReturn:
    raise BadInput(
        f"{str(path)!r} is ragged: line {line} has {counted(found, 'cell')} where the "
        f"header has {counted(width, 'column')}.",
        remedy="Mend that line, or quote cells that hold the delimiter.",
    )


def engine_error() -> type[Exception]:
    """duckdb's base error, imported late."""
    import duckdb

    kind: type[Exception] = duckdb.Error
    return kind


def first_line(problem: Exception) -> str:
    """What duckdb said, without its advice and without our temporary paths."""
    text = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
    text = re.sub(r"'[^']*mlagent-data-[^']*'", "the file", text)
    return text.split(" in file ")[0].rstrip(".: ")[:200]
