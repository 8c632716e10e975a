"""What must not leave: words and compounds of a table's text cells, and digits of one cell.

Guarantees: each cell's words are known, in one writing. Does not keep the cells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlagent.data.engine import Engine, identifier

from .mask_reading import WORD, compounds_of, fold

MOST_DIGITS = 3
LONGEST_WORD = 64
"""A longer unknown word is hidden unseen."""
PART = 4
"""Letters from which on a part of a word counts as the word."""
SEARCHED = 1_000_000_000
"""Bytes of cells that are searched for one text; when it would be more, unknown words go."""


class Vocabulary:
    """The words, the compounds and the sequences of digits of the text cells of one table.

    Args:
        table: Parquet of the typed table.
        texts: its columns that hold text.
    """

    def __init__(self, table: Path, texts: tuple[str, ...]) -> None:
        self._known: dict[str, bool] = {}
        words: set[str] = set()
        runs: set[str] = set()
        compounds: set[str] = set()
        if texts:
            with Engine([table]) as engine:
                for name in texts:
                    for chunk in _parts(engine, name, r"regexp_split_to_array({}, '\s+')"):
                        words.update(map(fold, WORD.findall(chunk)))
                        compounds.update(" ".join(one.words) for one in compounds_of(chunk))
                    digits = r"regexp_extract_all({}, '\p{Nd}+(?:[^\p{L}\p{N}]{1,8}\p{Nd}+)+')"
                    for chunk in _parts(engine, name, digits):
                        runs.update(" ".join(window) for window in _cell_windows(chunk))
        self._joined = "\n".join(word for word in words if not word.isdecimal()).encode()
        self._words = _hashes(word for word in words if not word.isdecimal())
        self._runs = _hashes(runs)
        self._compounds = _hashes(compounds)

    def held(self, words: set[str], allowed: frozenset[str]) -> set[str]:
        """Which of these words a cell holds: whole, from four letters on in part, or glued to
        something. Those that there are too many of, all.

        Args:
            allowed: words that may stand in the text, also glued to something.
        """
        if not self._words.size:
            return set()
        asked = [word for word in words if word not in self._known]
        if len(asked) * len(self._joined) > SEARCHED:
            return words
        whole = _among(asked, self._words)
        for word in asked:
            long = len(word) >= PART and word.encode() in self._joined
            self._known[word] = word in whole or len(word) > LONGEST_WORD or long
        held = {word for word in words if self._known[word]}
        inside = {word: set(_inside(word, allowed)) - allowed for word in words - held}
        found = _among(set().union(*inside.values()), self._words)
        return held | {word for word, parts in inside.items() if parts & found}

    def compounds(self, asked: Iterable[tuple[str, ...]]) -> set[str]:
        """Which of these compounds a text cell holds, their words joined by blanks."""
        return _among({" ".join(words) for words in asked}, self._compounds)

    def runs(self, windows: Iterable[str]) -> set[str]:
        """Which of these groups of digits stand in a text cell together."""
        return _among(set(windows), self._runs)


def _parts(engine: Engine, name: str, pieces: str) -> Iterator[str]:
    """The distinct pieces of the cells of a column."""
    cell = f"CAST({identifier(name)} AS VARCHAR)"
    found = engine.connection.execute(
        f"SELECT DISTINCT unnest({pieces.replace('{}', cell, 1)}) "
        f"FROM read_parquet({engine.linked()})"
    )
    while some := found.fetchmany(10_000):
        yield from (piece for (piece,) in some if piece)


def _hashes(words: Iterable[str]) -> npt.NDArray[np.int64]:
    return np.unique(np.fromiter((hash(word) for word in words), dtype=np.int64))


def _among(words: Iterable[str], hashes: npt.NDArray[np.int64]) -> set[str]:
    asked = list(words)
    known = np.isin(np.fromiter((hash(word) for word in asked), dtype=np.int64), hashes)
    return {asked[place] for place in np.flatnonzero(known)}


def _inside(word: str, allowed: frozenset[str]) -> Iterator[str]:
    """Parts of an unknown word that could be a word of a cell: those of four letters or more, and
    shorter ones beside a word that is allowed."""
    size = len(word)
    for start in range(size):
        for end in range(start + 2, size + 1):
            around = (word[:start], word[end:])
            if end - start >= PART or all(not part or part in allowed for part in around):
                yield word[start:end]


def _cell_windows(chunk: str) -> Iterator[list[str]]:
    groups = decimals_of(chunk)
    for start in range(len(groups)):
        yield from (groups[start:end] for end in ends_of([len(g) for g in groups], start))


def decimals_of(text: str) -> list[str]:
    return ["".join(str(unicodedata.decimal(c)) for c in run) for run in re.findall(r"\d+", text)]


def ends_of(sizes: list[int], start: int) -> Iterator[int]:
    """Where windows of groups end that are long enough to tell something: two groups or more, of
    more than three digits; the first one with five digits is the last."""
    total = 0
    for end in range(start, len(sizes)):
        total += sizes[end]
        if end > start and total > MOST_DIGITS:
            yield end + 1
        if end > start and total > MOST_DIGITS + 1:
            return
