"""The one door for tables: a file becomes rows of text, whatever its format.

Guarantees: all cells are text exactly as in the file (None where the cell is empty); every row is
checked to have as many cells as the header; row order is the file's; encoding, delimiter, quote and
header are found here, not by duckdb's sniffer, and each guess is a sentence in `Table.ref.notes`;
memory stays bounded. Does not: type anything (`profile`), or keep the table after `close`.
"""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mlagent.contracts.errors import BadInput
from mlagent.contracts.task import DataRef

from .closing import Closing
from .csvrows import csv_relation, engine_error, first_line, reread, transcode
from .engine import Engine, identifier, literal
from .records import json_lines_to_csv
from .sniff import (
    WHAT_IS_READ,
    Scan,
    clean_names,
    dialect_of,
    encoding_of,
    scan,
)

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_PRIME = 1_000_003
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


class Table(Closing):
    """An open table. Columns are reached by position: `c0`, `c1`, ... are the SQL names of text
    columns.

    Attributes:
        ref: what was read, exactly.
        engine: the locked connection.
        relation: SQL text of the relation with columns c0.. (VARCHAR) in file order.
    """

    def __init__(self, ref: DataRef, engine: Engine, relation: str) -> None:
        self.ref = ref
        self.engine = engine
        self.relation = relation

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return self.ref.columns

    def sql_name(self, column: str) -> str:
        """The SQL name of a column. Raises KeyError when it is absent."""
        try:
            return f"c{self.names.index(column)}"
        except ValueError:
            raise KeyError(column) from None

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """At most `n` rows in file order, all cells str or None; every row when the table has no
        more.

        The same seed gives the same rows. Rows are chosen by their number, so the choice does not
        look at values.
        """
        import numpy as np
        import pandas as pd

        fields = [f"c{number}" for number in range(len(self.names))]
        rows = self.ref.rows
        if rows <= n:
            sql = f"SELECT {', '.join(fields)} FROM {self.relation}"
        else:
            # a fixed permutation of row numbers modulo a prime, cut at the wanted share
            cut = min(SAMPLE_PRIME, int(SAMPLE_PRIME * n / rows) + 1)
            sql = (
                f"SELECT {', '.join(fields)} FROM "
                f"(SELECT *, row_number() OVER () AS r FROM {self.relation}) "
                f"WHERE (r * 618033 + {int(seed) % SAMPLE_PRIME} * 7919) % {SAMPLE_PRIME} < {cut} "
                f"LIMIT {int(n)}"
            )
        arrays = self.engine.connection.execute(sql).fetchnumpy()
        data = {}
        for number, field in enumerate(fields):
            cells = arrays[field]
            values = np.asarray(cells, dtype=object)
            values[np.ma.getmaskarray(cells)] = None
            data[number] = pd.Series(values, dtype=object)
        frame = pd.DataFrame(data)
        frame.columns = pd.Index(list(self.names), dtype=object)
        return frame

    def counts(self, column: str) -> dict[str | None, int]:
        """How often each text stands in a column, over the whole table, most common first."""
        name = self.sql_name(column)
        return dict(
            self.engine.rows(
                f"SELECT {name}, count(*) FROM {self.relation} GROUP BY 1 ORDER BY 2 DESC, 1"
            )
        )

    def close(self) -> None:
        """Free the connection and its temporary folder. Idempotent."""
        self.engine.close()


def open_table(path: Path, *, minimum_rows: int = 2) -> Table:
    """Open a CSV, Parquet or JSON Lines file.

    Args:
        path: the file.
        minimum_rows: fewer rows than this are an error (1 for tables to predict on).

    Raises:
        BadInput: missing, a folder, unreadable, empty, binary, ragged, header-only, or too few
            rows.
    """
    seen = _scan(path)
    engine: Engine | None = None
    try:
        if seen.head.startswith(b"PAR1"):
            engine = Engine([path])
            table = _open_parquet(path, seen, engine)
        else:
            encoding, note = encoding_of(seen, path)
            head = _decode_head(seen, encoding, path)
            if not head.strip():
                raise BadInput(f"{str(path)!r} is empty.", remedy=WHAT_IS_READ)
            if re.match(r"\s*\[\s*[{\]]", head):
                raise BadInput(
                    f"{str(path)!r} is one JSON array, not JSON Lines.",
                    remedy="Write one object on each line, without the brackets around them.",
                )
            engine = Engine([path])
            notes = [note] if note else []
            if _is_json_lines(head, path):
                table = _open_json_lines(path, seen, engine, encoding, notes)
            else:
                table = _open_csv(path, seen, engine, encoding, head, notes)
    except BaseException:
        if engine is not None:
            engine.close()
        raise
    if table.ref.rows < minimum_rows:
        table.close()
        found = (
            "a header and no rows" if table.ref.rows == 0 else f"only {table.ref.rows} row of data"
        )
        raise BadInput(
            f"{str(path)!r} has {found}.",
            remedy="A table to learn from needs many rows; give the complete file."
            if minimum_rows > 1
            else "Give a file with at least one row below the header.",
        )
    return table


def _scan(path: Path) -> Scan:
    if not path.exists():
        raise BadInput(f"The table {str(path)!r} does not exist.", remedy="Check the path.")
    if path.is_dir():
        raise BadInput(f"The table {str(path)!r} is a folder.", remedy="Name the file in it.")
    if not path.is_file():
        raise BadInput(f"The table {str(path)!r} is not a regular file.", remedy=WHAT_IS_READ)
    if not os.access(path, os.R_OK):
        raise BadInput(f"The table {str(path)!r} may not be read.", remedy="Check its permissions.")
    try:
        seen = scan(path)
    except OSError as problem:
        raise BadInput(
            f"The table {str(path)!r} cannot be read: "
            f"{problem.strerror or type(problem).__name__}.",
            remedy="Check the file and its permissions.",
        ) from None
    if seen.size == 0:
        raise BadInput(f"{str(path)!r} is empty: it has 0 bytes.", remedy=WHAT_IS_READ)
    return seen


def _decode_head(seen: Scan, encoding: str, path: Path) -> str:
    cut = 0 if seen.size == len(seen.head) else len(seen.head) % 2
    head = seen.head[: len(seen.head) - cut]
    try:
        text = io.TextIOWrapper(
            io.BytesIO(head),
            encoding=encoding,
            errors="strict" if len(head) == seen.size else "ignore",
            newline="",
        ).read()
    except UnicodeDecodeError:
        raise BadInput(
            f"{str(path)!r} is not text in utf-8, utf-16 or cp1252.",
            remedy="Save it as utf-8. " + WHAT_IS_READ,
        ) from None
    return text.lstrip("\ufeff")


def _is_json_lines(head: str, path: Path) -> bool:
    """Whether the first line is a JSON object, or what looks like a broken one. A CSV's first
    column may be called {a}."""
    line = next((line.strip() for line in head.split("\n") if line.strip()), "")
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        broken = line == "{" or line.startswith(('{"', '{ "'))
        return broken or path.suffix.lower() in JSON_SUFFIXES


def _open_parquet(path: Path, seen: Scan, engine: Engine) -> Table:
    source = f"read_parquet({engine.linked()})"
    try:
        described = engine.rows(f"DESCRIBE SELECT * FROM {source}")
        rows = engine.rows(f"SELECT count(*) FROM {source}")[0][0]
    except engine_error() as problem:
        raise BadInput(
            f"{str(path)!r} is not a readable Parquet file: {first_line(problem)}.",
            remedy=WHAT_IS_READ,
        ) from None
    names, notes = clean_names([str(row[0]) for row in described])
    fields = ", ".join(
        f"{_parquet_text(str(row[0]), str(row[1]))} AS c{number}"
        for number, row in enumerate(described)
    )
    ref = DataRef(
        path=str(path),
        format="parquet",
        sha256=seen.sha256,
        bytes=seen.size,
        rows=rows,
        columns=tuple(names),
        notes=tuple(notes),
    )
    return Table(ref, engine, f"(SELECT {fields} FROM {source})")


def _parquet_text(name: str, kind: str) -> str:
    if kind == "TIMESTAMP WITH TIME ZONE":
        # without the ICU extension the text is in UTC and ends in +00
        return f"left(CAST({identifier(name)} AS VARCHAR), -3)"
    return f"NULLIF(CAST({identifier(name)} AS VARCHAR), '')"


def _open_json_lines(
    path: Path, seen: Scan, engine: Engine, encoding: str, notes: list[str]
) -> Table:
    copy = engine.folder / "records.csv"
    raw = json_lines_to_csv(path, encoding, copy)
    names, more = clean_names(raw)
    relation = csv_relation(literal(str(copy)), len(names), ",", '"', header=False, clean=True)
    ref = DataRef(
        path=str(path),
        format="jsonl",
        sha256=seen.sha256,
        bytes=seen.size,
        rows=engine.rows(f"SELECT count(*) FROM {relation}")[0][0],
        columns=tuple(names),
        encoding=encoding,
        notes=(*notes, *more),
    )
    return Table(ref, engine, relation)


def _open_csv(
    path: Path, seen: Scan, engine: Engine, encoding: str, head: str, notes: list[str]
) -> Table:
    dialect = dialect_of(head, path, whole=seen.size == len(seen.head))
    notes = [*notes, *dialect.notes]
    if len(dialect.names) > 5000:
        raise BadInput(
            f"{str(path)!r} has {len(dialect.names)} columns in its first line; "
            "at most 5000 are read.",
            remedy=WHAT_IS_READ,
        )
    source = engine.linked()
    if encoding not in ("utf-8", "utf-8-sig"):
        source = literal(str(transcode(path, encoding, engine.folder / "utf8.csv")))
    relation = csv_relation(
        source,
        len(dialect.names),
        dialect.delimiter or "\x1f",
        dialect.quote,
        header=dialect.first_is_header,
        parallel=dialect.quote is None or not seen.quotes,
    )
    rows, why = 0, ""
    if dialect.quote is not None and seen.quotes % 2:
        # duckdb drops a last row whose quote never closes; an odd number of quotes is looked into
        why = "a quote is never closed"
    else:
        try:
            rows = engine.rows(f"SELECT count(*) FROM {relation}")[0][0]
        except engine_error() as problem:
            why = first_line(problem)
        if not rows and not why and dialect.quote is not None and seen.quotes:
            # duckdb 2.0 skips the whole file when a line break in a quoted name is not its line end
            why = "no row is found below the header"
    if why:
        relation, rows = reread(path, encoding, dialect, engine, why)
        notes.append("Line ends or quotes are irregular; the file was read row by row.")
    ref = DataRef(
        path=str(path),
        format="csv",
        sha256=seen.sha256,
        bytes=seen.size,
        rows=rows,
        columns=dialect.names,
        encoding=encoding,
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        notes=tuple(notes),
    )
    return Table(ref, engine, relation)
