"""What a candidate printed or raised, before a language model may read it: no cell stands in it.

A word leaves when it stands in the candidate's own code, is a name of a column, was told already or
belongs to the plain words of error messages; any other word leaves only when no text cell holds it,
or a part of it; and words that one sign joins, such as month-to-month, leave as the code joins
them. Numbers of more than three significant digits leave only when the code holds them;
shorter ones, unless `NumericCells` knows them as a row. Guarantees: no word of a text cell leaves
but plain words, also behind the escapes of `repr`, `ascii`, JSON and bytes, in another case, or
glued to letters (words of three letters: to words of the code, or where the case changes).

Does not stop code that encodes what it saw (other letters in between, reversed, base64): that is
the language model's own code, and it would have to do so on purpose. Does not know a row that is
laid out in no line, bracket or column, nor one that ten rows share.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from .mask_moments import Moments
from .mask_numbers import NumericCells, Printed, groups_of
from .mask_reading import (
    TOKEN,
    Reading,
    Span,
    compounds_of,
    digits_of,
    fold,
    plain_words,
    readings,
    words_of,
)
from .mask_vocabulary import MOST_DIGITS, Vocabulary, decimals_of, ends_of

CELL, NUMBER = "[cell]", "[number]"
MISSING = ("nan", "null", "none")
LARGEST, LONGEST_EXPONENT = 6_000, 7
"""Characters that are kept, half of them from the end."""
_HUMPS = re.compile(r"\d+|[^\W\d_](?:[^\W\d_A-Z]*)")
_JSON_NUMBER = re.compile(r'(":\s*|^[ \t]+)-?\[number\](?=[ \t]*(?:[,}\]]|$))', re.MULTILINE)


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

    @cached_property
    def _dates(self) -> Moments:
        return Moments(self._table)

    def clean(self, text: str, code: str) -> str:
        """The text without cells, cut in its middle.

        Args:
            code: the candidate's own source; what stands in it may stand here.
        """
        text = _cut(text)
        known = plain_words() | self._names
        allowed = known | frozenset(words_of(code))
        coded = {one.words for one in compounds_of(code)}
        spans: list[Span] = []
        for read in readings(text):
            spans += self._words(read, allowed)
            spans += self._compounds(read, known, coded)
            spans += self._digits(read, allowed)
            spans += self._rows(read, allowed)
            spans += self._moments(read, code)
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

    def _compounds(
        self, read: Reading, known: frozenset[str], coded: set[tuple[str, ...]]
    ) -> Iterator[Span]:
        """Compounds of a text cell whose words the code holds, but not joined like this."""
        found = [
            one
            for one in compounds_of(read.text)
            if one.words not in coded and not known.issuperset(one.words)
        ]
        held = self._vocabulary.compounds(one.words for one in found)
        for one in found:
            if " ".join(one.words) in held:
                yield read.span(one.start, one.end, CELL)

    def _digits(self, read: Reading, allowed: frozenset[str]) -> Iterator[Span]:
        """Groups of digits that stand in a text cell together, such as those of a phone number."""
        groups = list(re.finditer(r"\d+", read.text))
        names = [decimals_of(match[0])[0] for match in groups]
        together = [
            b.start() - a.end() <= 8 and not any(map(str.isalnum, read.text[a.end() : b.start()]))
            for a, b in pairwise(groups)
        ]
        windows: dict[tuple[int, int], str] = {}
        for start in range(len(groups)):
            for end in ends_of([len(name) for name in names[start : start + 6]], 0):
                if not all(together[start : start + end - 1]):
                    break
                windows[start, start + end] = " ".join(names[start : start + end])
        held = self._vocabulary.runs(windows.values())
        for (start, end), window in windows.items():
            if window in held and not allowed.issuperset(names[start:end]):
                yield from (read.span(*match.span(), NUMBER) for match in groups[start:end])

    def _moments(self, read: Reading, code: str) -> Iterator[Span]:
        """Days by the names of their months, and times, where a column holds such."""
        for match in self._dates.written(read.text):
            if match[0] not in code:
                yield read.span(*match.span(), NUMBER)

    def _rows(self, read: Reading, allowed: frozenset[str]) -> Iterator[Span]:
        numbers = [
            number
            for match in TOKEN.finditer(read.text)
            if match[0].lower() in MISSING or (match["number"] and match[0] not in allowed)
            if (number := _printed(read.text, match)) is not None
        ]
        groups = list(groups_of(read.text, numbers))
        for number in self._numeric.hidden(groups) | self._dates.hidden(groups):
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
    power = int(exponent or 0) if len(exponent) < LONGEST_EXPONENT else 0
    decimals = len(mantissa.partition(".")[2]) - power
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
