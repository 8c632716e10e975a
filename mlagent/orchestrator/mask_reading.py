"""How a text is read before it is masked: its words and numbers, also behind escapes.

Guarantees: a word is folded in one way for cells and for texts; what is read knows its place in the
printed text. Does not know a table.
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby, pairwise
from typing import NamedTuple

_PLAIN = """
a about above after again all allowed allows already also among an and any are argument arguments
array arrays as asked at attribute axis bad be because been before beside best beyond boolean
broadcast but by bytes call called calls can cannot categorical categories category child class
classes code column columns container contains convert could data dataframe date dates depth did
difference different dimension dimensions divide do does dtype dtypes during each element elements
empty encountered end ended error errors estimator exception exit expected expects fail failed false
feature features file first fit fits fitted float floating fold folds for forbids format found from
funcs function get given got had has have here holds if import in index inf infinite infinity inner
input inside instance int integer into invalid is it item iterable its itself job key keys kill
killed label labels largest last least leaving left len length less limit line list loop max maximum
may mb memory method min minimum missing mode model module more most ms much must name named names
nan negative no non none not npy null number numbers numeric numpy object of on one only operands or
order other out output outside over overflow own pandas parameter parse parsing point positional
predict prediction predictions probabilities probability problem process python raise raised ran
range read recent removed request row rows runs runtime s same sample samples sandbox score seconds
see seed seem sequence series set shape shapes should side signal since size sklearn so some sparse
split squared squares start stop stopped str string strings sum support supported system table takes
target test text than that the their then there these this time timed to together too took traceback
train transform true try tuple type types unable unexpected unhashable unknown unseen unsupported
use used using valid value values variable version wait was were when where which while whose width
will with within without words would wrong wrote yield yielded yielding you zero
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
_MOST_WORDS = 6
_DROPPED = re.compile(rf"[{_MARKS}]+")


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


class Compound(NamedTuple):
    """Neighbouring words of a compound, up to six: where they stand, and how they are folded."""

    start: int
    end: int
    words: tuple[str, ...]


def compounds_of(text: str) -> Iterator[Compound]:
    """Two to six words of which one sign joins each to the next, as in month-to-month."""
    words = list(WORD.finditer(text))
    folded = [fold(word[0]) for word in words]
    joined = [b.start() - a.end() == 1 and not text[a.end()].isspace() for a, b in pairwise(words)]
    for start in range(len(joined)):
        for last in range(start, min(start + _MOST_WORDS - 1, len(joined))):
            if not joined[last]:
                break
            said = tuple(folded[start : last + 2])
            if not all(map(str.isdecimal, said)):
                yield Compound(words[start].start(), words[last + 1].end(), said)


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
