"""What a candidate printed or raised, before a language model may read it: no cell stands in it.

A word leaves when it stands in the candidate's own code, is a name of a column, was told already or
belongs to the plain words of error messages; any other word leaves only when no text cell holds it,
or a part of it. Numbers of more than three significant digits leave only when the code holds them;
shorter ones, unless `PrintedNumbers` knows them as a row. Guarantees: no word of a text cell leaves
but plain words, also behind the escapes of `repr`, `ascii`, JSON and bytes, in another case, or
glued to letters (words of three letters: to words of the code, or where the case changes).

Does not stop code that encodes what it saw (other letters in between, reversed, base64): that is
the language model's own code, and it would have to do so on purpose. Does not know a row that is
laid out in no line, bracket or column, nor one that ten rows share.
"""

from __future__ import annotations

import builtins
import keyword
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlagent.data.engine import Engine, identifier

CELL, NUMBER = "[cell]", "[number]"
MISSING = ("nan", "null", "none")
MOST_DIGITS = 3
LARGEST = 6_000
"""Characters that are kept, half of them from the end."""
LONGEST_WORD = 64
"""A longer unknown word is hidden unseen."""
PART = 4
"""Letters from which on a part of a word counts as the word."""
SEARCHED = 1_000_000_000
"""Bytes of cells that are searched for one text; when it would be more, unknown words go."""
SHARED = 10
"""Rows that share numbers which may leave together, as in `table_text.COMMON`."""
TELLING = 0.2
"""Share of the rows up to which a number tells something of a row."""
MOST_CELLS = 10_000_000
"""Numeric cells that are remembered, 12 bytes each: rows beyond are not known as rows."""
_PLAIN = """
a s ms about above after again all already also an and any are argument arguments array arrays as at
attribute axis bad be because been before best boolean broadcast but by bytes call called calls
can cannot categorical categories category class classes code column columns container contains
convert could data dataframe date dates depth did different dimension dimensions divide does dtype
dtypes during each element elements empty encountered end ended error errors estimator exception
exit expected expects fail failed false feature features file first fit fits fitted float floating
fold for format found from funcs function get given got had has have here if import in index inf
infinite infinity inner input inside instance int integer into invalid is it item iterable its key
keys kill killed label labels last least len length less line list loop max maximum may memory
method min minimum missing mode model module more most must name named names nan negative no non
none not null number numbers numeric numpy object of on one only operands or order other out
output outside over overflow own pandas parameter parse parsing positional predict prediction
predictions probability problem python raise raised range read recent row rows runtime same sample
samples score seconds see seed sequence series set shape shapes should side since size sklearn so
some sparse split start stop stopped str string strings sum support supported table takes target
test text than that the their then there these this time timed to together too took traceback
train transform true try tuple type types unable unexpected unhashable unknown unseen unsupported
use used using valid value values variable version wait was were when where which while width will
with within without words would wrong yield yielded you zero
"""


def _class_of(*categories: str) -> str:
    """The characters of these Unicode categories, as the inside of a class of a pattern."""
    found = (c for c in range(0x20000) if unicodedata.category(chr(c)) in categories)
    runs = groupby(enumerate(found), lambda pair: pair[1] - pair[0])
    ranges = [[code for _, code in run] for _, run in runs]
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in ranges)


_MARKS = _class_of("Mn", "Mc", "Me", "Cf")
WORD = re.compile(rf"[^\W_]+(?:[{_MARKS}]+[^\W_]*)*")
_NUMBER = (
    r"\d{4}-\d\d?-\d\d?T\d\d?(?::\d\d)*(?:\.\d+)?|\d+(?:[-/:.]\d+){2,}"
    r"|\d{1,3}(?:[,_'’\u00a0\u2009\u202f]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
)
TOKEN = re.compile(
    rf"(?<![^\W_])(?P<number>{_NUMBER})(?![^\W_]|[{_MARKS}])|(?P<word>{WORD.pattern})"
)
ESCAPE = re.compile(
    r"\\+(?:(?P<bytes>x[0-9a-fA-F]{2}(?:\\+x[0-9a-fA-F]{2})*)"
    r"|(?P<units>u[0-9a-fA-F]{4}(?:\\+u[0-9a-fA-F]{4})*)|U(?P<point>[0-9a-fA-F]{8})"
    r"|N\{(?P<name>[^{}\n]{1,80})\}|(?P<octal>[0-7]{1,3})|(?P<sign>[abfnrtv\"']))"
)
_DROPPED = re.compile(rf"[{_MARKS}]+")
_HUMPS = re.compile(r"\d+|[^\W\d_](?:[^\W\d_A-Z]*)")
_JSON_NUMBER = re.compile(r'(":\s*|^[ \t]+)-?\[number\](?=[ \t]*(?:[,}\]]|$))', re.MULTILINE)

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]


@cache
def plain_words() -> frozenset[str]:
    """Words that say nothing of a table: of Python, its errors, and messages of libraries."""
    return frozenset(
        (*_PLAIN.split(), *(name.lower() for name in (*dir(builtins), *keyword.kwlist)))
    )


def fold(word: str) -> str:
    """One writing of a word, whatever its case, accents and composition, for cells and texts."""
    if word.isascii():
        return word.lower()
    bare = _DROPPED.sub("", unicodedata.normalize("NFKD", word)).replace("ı", "i")
    return _DROPPED.sub("", unicodedata.normalize("NFKD", bare.casefold()))


def words_of(text: str) -> list[str]:
    """Words and numbers of a text, folded."""
    return [fold(match[0]) for match in TOKEN.finditer(text)]


def digits_of(number: str) -> int:
    """Significant digits: those of 0.0123 and 123.0 are three, and an exponent counts as none."""
    mantissa = re.split(r"[eE]", number)[0]
    if re.fullmatch(r"\d+\.\d+", mantissa):
        mantissa = mantissa.rstrip("0")
    digits = [unicodedata.decimal(c) for c in mantissa if c.isdecimal()]
    first = next((place for place, digit in enumerate(digits) if digit), len(digits))
    return len(digits) - first


class Span(NamedTuple):
    """A place in a text, and what stands there instead."""

    start: int
    end: int
    mark: str


class Reading(NamedTuple):
    """A text as it is read, and the place in the printed text of each of its characters."""

    text: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int, mark: str) -> Span:
        """The place in the printed text of what is read from `start` to before `end`."""
        return Span(self.starts[start], self.ends[end - 1], mark)


def readings(text: str) -> list[Reading]:
    """The text as it stands and, where it has backslashes, without its escapes: those of bytes
    once as UTF-8 and once as Latin-1. None of them is the right one for all texts."""
    plain = Reading(text, list(range(len(text))), list(range(1, len(text) + 1)))
    if "\\" not in text:
        return [plain]
    return [plain, *(_unescaped(text, encoding) for encoding in ("utf-8", "latin-1"))]


def _unescaped(text: str, encoding: str) -> Reading:
    read = Reading("", [], [])
    parts: list[str] = []
    at = 0
    for match in (*ESCAPE.finditer(text), None):
        start, end = match.span() if match else (len(text), len(text))
        parts.append(text[at:start])
        read.starts.extend(range(at, start))
        read.ends.extend(range(at + 1, start + 1))
        if match:
            said = _said(match, encoding)
            parts.append(said)
            read.starts.extend([start] * len(said))
            read.ends.extend([end] * len(said))
        at = end
    return read._replace(text="".join(parts))


def _said(match: re.Match[str], encoding: str) -> str:
    """What an escape stands for; a blank where it stands for nothing."""
    try:
        if found := match["bytes"]:
            return bytes.fromhex(re.sub(r"\\+|x", "", found)).decode(encoding)
        if found := match["units"]:
            units = bytes.fromhex(re.sub(r"\\+|u", "", found))
            return units.decode("utf-16-be")
        if found := match["point"]:
            return chr(int(found, 16))
        if found := match["name"]:
            return unicodedata.lookup(found)
        if found := match["octal"]:
            return chr(int(found, 8))
    except (ValueError, KeyError, OverflowError):
        return " "
    sign = match["sign"]
    return "\n" if sign in "nr" else sign if sign in "'\"" else " "


class Vocabulary:
    """The words and the sequences of digits of the text cells of one table.

    Args:
        table: Parquet of the typed table.
        texts: its columns that hold text.
    """

    def __init__(self, table: Path, texts: tuple[str, ...]) -> None:
        self._known: dict[str, bool] = {}
        words: set[str] = set()
        runs: set[str] = set()
        if texts:
            with Engine([table]) as engine:
                for name in texts:
                    for chunk in _parts(engine, name, r"regexp_split_to_array({}, '\s+')"):
                        words.update(map(fold, WORD.findall(chunk)))
                    digits = r"regexp_extract_all({}, '\p{Nd}+(?:[^\p{L}\p{N}]{1,8}\p{Nd}+)+')"
                    for chunk in _parts(engine, name, digits):
                        runs.update(" ".join(window) for window in _cell_windows(chunk))
        self._joined = "\n".join(word for word in words if not word.isdecimal()).encode()
        self._words = _hashes(word for word in words if not word.isdecimal())
        self._runs = _hashes(runs)

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
    groups = _decimals(chunk)
    for start in range(len(groups)):
        yield from (groups[start:end] for end in _ends([len(g) for g in groups], start))


def _decimals(text: str) -> list[str]:
    return ["".join(str(unicodedata.decimal(c)) for c in run) for run in re.findall(r"\d+", text)]


def _ends(sizes: list[int], start: int) -> Iterator[int]:
    """Where windows of groups end that are long enough to tell something: two groups or more, of
    more than three digits; the first one with five digits is the last."""
    total = 0
    for end in range(start, len(sizes)):
        total += sizes[end]
        if end > start and total > MOST_DIGITS:
            yield end + 1
        if end > start and total > MOST_DIGITS + 1:
            return


class Printed(NamedTuple):
    """A number in a text.

    Attributes:
        start, end: in the reading.
        value: NaN for a missing cell, which keeps its place among the others.
        half: half a unit of its last digit.
    """

    start: int
    end: int
    value: float
    half: float


class Column(NamedTuple):
    """A numeric column: its cells in their order, and the row of each."""

    values: Floats
    rows: Rows

    def places(self, value: float, half: float) -> slice:
        """Where the cells stand that are this number, to half a unit of its last digit."""
        slack = half + 1e-12 * abs(value)
        low, high = np.searchsorted(self.values, (value - slack, value + slack))
        return slice(int(low), int(high))


class NumericCells:
    """The numeric cells of a table, and text cells of columns that hold nothing but numbers, to
    know a row when it is printed.

    Args:
        table: Parquet of the typed table.
    """

    def __init__(self, table: Path) -> None:
        self.columns: list[Column] = []
        self._known: dict[tuple[float, float], Rows] = {}
        with Engine([table]) as engine:
            source = f"read_parquet({engine.linked()})"
            described = engine.rows(f"DESCRIBE SELECT * FROM {source}")
            numeric = [name for name, kind, *_ in described if _numeric(engine, name, str(kind))]
            self.count = int(engine.rows(f"SELECT count(*) FROM {source}")[0][0])
            kept = MOST_CELLS // max(1, len(numeric))
            for name in numeric:
                cell = f"TRY_CAST({identifier(name)} AS DOUBLE)"
                sql = f"SELECT {cell} AS v FROM {source} LIMIT {kept}"
                found = engine.connection.execute(sql).fetchnumpy()["v"]
                cells = np.ma.filled(np.ma.asarray(found, dtype=np.float64), np.nan)
                order = np.argsort(cells, kind="stable")[: np.count_nonzero(~np.isnan(cells))]
                self.columns.append(Column(cells[order], order.astype(np.int32)))

    def hidden(self, groups: Iterable[list[list[Printed]]]) -> set[Printed]:
        """The numbers that are a row, or cells of one column.

        Args:
            groups: neighbours, such as lines, with the numbers of each.
        """
        found: set[Printed] = set()
        self._known.clear()
        width = len(self.columns)
        for group in groups if self.columns else ():
            chances = [min(self._row(unit), self._row(unit[1:])) for unit in group]
            matched = [chance for chance in chances if chance < 1]
            if 1 < len(group) <= len(matched) / 0.75 and np.prod(matched) < 0.01:
                found.update(*group)
                continue
            for unit, chance in zip(group, chances, strict=True):
                if chance < (0.05 if len(unit) < 4 else 0.4) or self._cells(unit):
                    found.update(unit)
                    continue
                for start in range(len(unit) - width + 1 if width > 2 else 0):
                    if self._whole(window := unit[start : start + width]):
                        found.update(window)
        return found

    def _row(self, unit: list[Printed]) -> float:
        """How likely it is by chance that a row holds nearly all numbers of the unit, in whatever
        order; 1 where none does, or ten do."""
        values = {(one.value, one.half) for one in unit if not math.isnan(one.value)}
        if len(values) < 2:
            return 1.0
        rows_of = [self._holders(value) for value in values]
        telling = [rows for rows in rows_of if rows.size <= self.count * TELLING]
        rows, times = np.unique(np.concatenate([*telling, _NOBODY]), return_counts=True)
        if not rows.size or (best := int(times.max())) < 0.75 * len(telling):
            return 1.0
        holders = rows[times == best]
        shares = sorted(one.size / self.count for one in telling if one.size)[-best:]
        for common in (one for one in rows_of if one.size > self.count * TELLING):
            holders = holders[np.isin(holders, common, assume_unique=True)]
            shares.append(common.size / self.count)
        if len(shares) < 2 or not 0 < holders.size < SHARED:
            return 1.0
        holding = sum(
            any(np.isin(holders, column.rows[column.places(*value)]).any() for value in values)
            for column in self.columns
        )
        if holding < len(shares):  # 0.48 and 0.5 are the same cell
            return 1.0
        return 1.0 - math.exp(-self.count * math.prod(shares))

    def _holders(self, value: tuple[float, float]) -> Rows:
        """The rows that hold a number in any column."""
        if value not in self._known:
            between = [column.rows[column.places(*value)] for column in self.columns]
            self._known[value] = np.unique(np.concatenate(between))
        return self._known[value]

    def _whole(self, window: list[Printed]) -> bool:
        """Whether one row, and at most nine, are these numbers, column by column."""
        found: Rows | None = None
        for column, one in zip(self.columns, window, strict=True):
            if math.isnan(one.value):
                continue
            rows = column.rows[column.places(one.value, one.half)]
            found = rows if found is None else found[np.isin(found, rows, assume_unique=True)]
            if not found.size:
                return False
        return found is not None and bool(found.size < SHARED)

    def _cells(self, unit: list[Printed]) -> bool:
        """Whether four numbers or more are cells of one column that less than ten rows share, in
        a column that has far from all numbers between them."""
        values = sorted({(one.value, one.half) for one in unit if not math.isnan(one.value)})
        if len(values) < 4:
            return False
        least, greatest = values[0][0], values[-1][0]
        step = 2 * min(half for _, half in values)
        for column in self.columns:
            sizes = [column.rows[column.places(*value)].size for value in values]
            rare = sum(0 < size < SHARED for size in sizes)
            if rare < 0.9 * len(values):
                continue
            between = column.places((least + greatest) / 2, (greatest - least + step) / 2)
            taken = np.unique(np.round(column.values[between] / step)).size
            if (taken / (1 + (greatest - least) / step)) ** rare < 0.05:
                return True
        return False


def _numeric(engine: Engine, name: str, kind: str) -> bool:
    if kind != "VARCHAR":
        return kind not in ("BOOLEAN", "DATE") and not kind.startswith("TIME")
    cell = identifier(name)
    asked = f"SELECT count(*) FROM read_parquet({engine.linked()}) WHERE {cell} IS NOT NULL"
    return not int(engine.rows(f"{asked} AND TRY_CAST({cell} AS DOUBLE) IS NULL")[0][0])


_NOBODY = np.zeros(0, dtype=np.int32)


def groups_of(text: str, numbers: list[Printed]) -> Iterator[list[list[Printed]]]:
    """Numbers that stand together: those of each line or innermost bracket, neighbours with as
    many numbers in a group; and of such a group the first ones, the second ones ..."""
    starts = [one.start for one in numbers]
    ends = [match.start() for match in re.finditer(r"\n|\Z", text)]
    cuts = [0, *(int(cut) for cut in np.searchsorted(starts, ends))]
    lines = [numbers[low:high] for low, high in pairwise(cuts) if high > low]
    for units in (lines, _brackets(text, numbers)):
        for _, run in groupby(units, len):
            group = list(run)
            yield group
            yield [list(column) for column in zip(*group, strict=True)]


def _brackets(text: str, numbers: list[Printed]) -> list[list[Printed]]:
    """The numbers of each bracket; one of a single number, as in float64(0.5), is none."""
    closed: list[list[Printed]] = []
    open_: list[list[Printed]] = [[]]
    left = iter([*numbers, None])
    number = next(left)
    for match in re.finditer(r"[][(){}]", text):
        while number is not None and number.start < match.start():
            open_[-1].append(number)
            number = next(left)
        if match[0] in "[({":
            open_.append([])
        elif len(open_) > 1:
            inside = open_.pop()
            if len(inside) > 1:
                closed.append(inside)
            else:
                open_[-1].extend(inside)
    return closed


class Mask:
    """Masks texts for one table.

    Args:
        table: Parquet of the typed table.
        texts: its columns that hold text.
        columns: names of all columns.
        told: texts that the model was given already, such as the classes in the facts.
    """

    def __init__(
        self, table: Path, texts: Iterable[str], columns: Iterable[str], told: Iterable[str] = ()
    ) -> None:
        self._table, self._texts = table, tuple(texts)
        self._names = frozenset(word for name in (*columns, *told) for word in words_of(name))

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._table, self._texts)

    @cached_property
    def _numeric(self) -> NumericCells:
        return NumericCells(self._table)

    def clean(self, text: str, code: str) -> str:
        """The text without cells, cut in its middle.

        Args:
            code: the candidate's own source; what stands in it may stand here.
        """
        text = _cut(text)
        allowed = plain_words() | self._names | frozenset(words_of(code))
        spans: list[Span] = []
        for read in readings(text):
            spans += self._words(read, allowed)
            spans += self._digits(read, allowed)
            spans += self._rows(read, allowed)
        return _JSON_NUMBER.sub(rf'\1"{NUMBER}"', _marked(text, spans))

    def _words(self, read: Reading, allowed: frozenset[str]) -> Iterator[Span]:
        found = [m for m in TOKEN.finditer(read.text) if fold(m[0]) not in allowed]
        words = [(match, fold(match[0])) for match in found if match["word"]]
        humps = {word: _humps(match[0]) - allowed for match, word in words}
        asked = {word for _, word in words} | set().union(*humps.values())
        held = self._vocabulary.held(asked, allowed)
        for match, word in words:
            if word in held or humps[word] & held:
                yield read.span(*match.span(), CELL)
                continue
            for run in re.finditer(r"\d+", match[0]):
                if digits_of(run[0]) > MOST_DIGITS:
                    start = match.start()
                    yield read.span(start + run.start(), start + run.end(), NUMBER)
        for match in found:
            if match["number"] and digits_of(match[0]) > MOST_DIGITS:
                yield read.span(*match.span(), NUMBER)

    def _digits(self, read: Reading, allowed: frozenset[str]) -> Iterator[Span]:
        """Groups of digits that stand in a text cell together, such as those of a phone number."""
        groups = list(re.finditer(r"\d+", read.text))
        names = [_decimals(match[0])[0] for match in groups]
        together = [
            b.start() - a.end() <= 8 and not any(map(str.isalnum, read.text[a.end() : b.start()]))
            for a, b in pairwise(groups)
        ]
        windows: dict[tuple[int, int], str] = {}
        for start in range(len(groups)):
            for end in _ends([len(name) for name in names[start : start + 6]], 0):
                if not all(together[start : start + end - 1]):
                    break
                windows[start, start + end] = " ".join(names[start : start + end])
        held = self._vocabulary.runs(windows.values())
        for (start, end), window in windows.items():
            if window in held and not allowed.issuperset(names[start:end]):
                yield from (read.span(*match.span(), NUMBER) for match in groups[start:end])

    def _rows(self, read: Reading, allowed: frozenset[str]) -> Iterator[Span]:
        numbers = [
            number
            for match in TOKEN.finditer(read.text)
            if match[0].lower() in MISSING or (match["number"] and match[0] not in allowed)
            if (number := _printed(read.text, match)) is not None
        ]
        for number in self._numeric.hidden(groups_of(read.text, numbers)):
            if not math.isnan(number.value):
                yield read.span(number.start, number.end, NUMBER)


def _humps(word: str) -> set[str]:
    """The parts of a word like thisOne; single letters are none."""
    parts = {fold(part) for part in _HUMPS.findall(word) if len(part) > 1 and not part.isdecimal()}
    return parts if len(parts) > 1 or fold(word) not in parts else set()


def _printed(text: str, match: re.Match[str]) -> Printed | None:
    """The number; None for a key, a date and the like."""
    said = re.sub(r"[,_'’\u00a0\u2009\u202f]", "", match[0])
    if text[match.end() : match.end() + 1] in (":", "=", '"'):
        return None
    try:
        value = math.nan if said.lower() in MISSING else float(said)
    except ValueError:
        return None
    mantissa, _, exponent = (said if match["number"] else "").lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    before = text[max(0, match.start() - 2) : match.start()]
    if before.endswith("-") and not before[:-1].isalnum():
        value = -value
    return Printed(*match.span(), value, 0.5 * 10.0 ** max(-300, min(300, -decimals)))


def _cut(text: str) -> str:
    """Both ends of a long text, without the words that the cut goes through."""
    if len(text) <= LARGEST:
        return text
    begin = re.sub(r"\S{1,99}\Z", "", text[: LARGEST // 2])
    end = re.sub(r"\A\S{1,99}", "", text[-LARGEST // 2 :])
    return f"{begin}\n[...]\n{end}"


def _marked(text: str, spans: Iterable[Span]) -> str:
    """The text with the marks in the place of the spans; those that overlap become one."""
    parts: list[str] = []
    at = 0
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            mark = CELL if CELL in (last.mark, span.mark) else NUMBER
            joined[-1] = Span(last.start, max(last.end, span.end), mark)
        else:
            joined.append(span)
    for span in joined:
        parts += [text[at : span.start], span.mark]
        at = span.end
    return "".join((*parts, text[at:]))
