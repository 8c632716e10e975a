"""What a candidate printed or raised, before a language model may read it: no cell stands in it.

A word leaves when it stands in the candidate's own code, is a name of a column, or belongs to the
plain words of error messages; any other word leaves only when no text cell of the table holds it.
Numbers of more than three significant digits leave only when the code holds them. Guarantees: no
word of a text cell leaves, but plain words. Does not stop a candidate that encodes what it saw: it
is the language model's own code that would have to do that.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mlagent.data.engine import Engine, identifier

WORD = re.compile(r"[^\W\d_][^\W_]*(?:['-][^\W_]+)*|\d[\d.,eE+-]*\d|\d")
CELL, NUMBER = "[cell]", "[number]"
MOST_WORDS = 2_000
MOST_DIGITS = 3
LARGEST = 6_000
"""Characters that are kept, half of them from the end."""
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


@cache
def plain_words() -> frozenset[str]:
    """Words that say nothing of a table: of Python, its errors, and messages of libraries."""
    return frozenset(
        (*_PLAIN.split(), *(name.lower() for name in (*dir(builtins), *keyword.kwlist)))
    )


class Mask:
    """Masks texts for one table.

    Args:
        table: Parquet of the typed table.
        texts: its columns that hold text.
        columns: names of all columns.
    """

    def __init__(self, table: Path, texts: Iterable[str], columns: Iterable[str]) -> None:
        self._table, self._texts = table, tuple(texts)
        self._names = frozenset(word for name in columns for word in words_of(name))
        self._known: dict[str, bool] = {}

    def clean(self, text: str, code: str) -> str:
        """The text without cells, cut in its middle.

        Args:
            code: the candidate's own source; what stands in it may stand here.
        """
        if len(text) > LARGEST:
            text = f"{text[: LARGEST // 2]}\n[...]\n{text[-LARGEST // 2 :]}"
        own = frozenset(words_of(code))
        found = {word for word in words_of(text) if not self._allowed(word, own)}
        hidden = self._in_cells({word for word in found if not word[0].isdigit()})

        def shown(match: re.Match[str]) -> str:
            word = match[0].lower()
            if word not in found:
                return match[0]
            if word[0].isdigit():
                return NUMBER if digits_of(word) > MOST_DIGITS else match[0]
            return CELL if word in hidden else match[0]

        return WORD.sub(shown, text)

    def _allowed(self, word: str, own: frozenset[str]) -> bool:
        return word in own or word in self._names or word in plain_words()

    def _in_cells(self, words: set[str]) -> set[str]:
        """Which of these words stand in a text cell; those that there are too many of, all."""
        asked = [word for word in sorted(words) if word not in self._known]
        if len(asked) > MOST_WORDS:
            return words
        if asked and self._texts:
            with Engine([self._table]) as engine:
                cells = " OR ".join(_holds(name) for name in self._texts)
                rows = engine.rows(
                    f"SELECT w FROM (SELECT unnest(?) AS w) AS asked WHERE EXISTS (SELECT 1 FROM "
                    f"read_parquet({engine.linked()}) WHERE {cells})",
                    [asked],
                )
            held = {str(word) for (word,) in rows}
            self._known |= {word: word in held for word in asked}
        return {word for word in words if self._known.get(word, False)}


def _holds(name: str) -> str:
    """SQL: whether a cell holds the word `w`: a short one as a word, a long one anywhere."""
    cell = f"lower(CAST({identifier(name)} AS VARCHAR))"
    words = f"' ' || regexp_replace({cell}, '[^\\p{{L}}\\p{{N}}]+', ' ', 'g') || ' '"
    return f"(length(w) > 3 AND contains({cell}, w)) OR contains({words}, ' ' || w || ' ')"


def digits_of(number: str) -> int:
    """Significant digits: those of 0.0123 are three, and an exponent counts as none."""
    mantissa = re.split(r"[eE]", number)[0]
    return len(re.sub(r"[^0-9]", "", mantissa).lstrip("0"))


def words_of(text: str) -> list[str]:
    """Words and numbers of a text, lower case."""
    return [match[0].lower() for match in WORD.finditer(text)]
