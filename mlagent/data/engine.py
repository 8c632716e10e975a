"""A locked duckdb connection: it sees the files it was given and its own temporary folder, no more.

Guarantees: no extension is installed or loaded, no other file is opened, the configuration is
locked, memory is limited, spilled data and links vanish on close. Files are reached through links
with plain names, so that a `*` or a quote in a path is never a glob and never part of an SQL text.
Does not: protect against a hostile SQL text; only this room writes SQL, and only from literals that
    it quotes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .closing import Closing

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT_MB = 512


class Engine(Closing):
    """Owns one in-memory duckdb and one temporary folder.

    Args:
        reads: files that may be read; the n-th is reached as `linked(n)`.
        writes: files that may be written (existing folders).
        memory_mb: duckdb's own limit; it spills to the temporary folder above it.
    """

    def __init__(
        self,
        reads: Sequence[Path] = (),
        writes: Sequence[Path] = (),
        *,
        memory_mb: int = MEMORY_LIMIT_MB,
    ) -> None:
        import duckdb

        self._folder = tempfile.TemporaryDirectory(prefix="mlagent-data-")
        self.folder = Path(self._folder.name).resolve()
        self._links: list[Path] = []
        allowed = [str(path.resolve()) for path in (*reads, *writes)]
        for number, path in enumerate(reads):
            link = self.folder / f"source{number}"
            link.symlink_to(path.resolve())
            self._links.append(link)
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "memory_limit": f"{memory_mb}MB",
                "preserve_insertion_order": "true",
            },
        )
        for setting in (
            f"SET temp_directory={literal(str(self.folder))}",
            f"SET allowed_directories=[{literal(str(self.folder))}]",
            f"SET allowed_paths=[{', '.join(literal(path) for path in allowed)}]",
            "SET enable_progress_bar=false",
            # https://github.com/duckdb/duckdb/issues/23818: TRY_CAST pushed into the CSV reader
            # raises
            f"SET disabled_optimizers={literal(self._without())}",
            "SET enable_external_access=false",
            "SET lock_configuration=true",
        ):
            self.connection.execute(setting)

    def _without(self) -> str:
        known = {row[0] for row in self.rows("SELECT name FROM duckdb_optimizers()")}
        return ",".join({"type_pushdown", "in_clause"} & known)

    def linked(self, number: int = 0) -> str:
        """SQL literal of the n-th readable file."""
        return literal(str(self._links[number]))

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        found: list[tuple[Any, ...]] = self.connection.execute(sql, list(values)).fetchall()
        return found

    def close(self) -> None:
        """Close the connection and remove the temporary folder. Idempotent."""
        self.connection.close()
        self._folder.cleanup()


def literal(text: str) -> str:
    """`text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
