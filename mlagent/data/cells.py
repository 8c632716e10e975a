"""What a cell's text means: missing, a number, a date. The same rules in Python (probes) and in SQL
(the wire).

Guarantees: a word that may be a real category ('none', 'unknown', 'other') is missing only in a
column of numbers or dates. Does not: look at column names.
"""

from __future__ import annotations

from collections.abc import Sequence

from .engine import literal

MISSING = frozenset(
    {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "?", "-", "--", "---", "n.a.", "#na", "(null)"}
)
"""Lower case, stripped: missing in any column."""
MISSING_IN_NUMBERS = MISSING | {
    "none", "unknown", "missing", "nil", ".", "..", "not available", "undefined", "#div/0!",
    "#value!", "#ref!", "unk", "-nan", "1.#qnan", "1.#ind",
}  # fmt: skip
"""Missing where the other cells are numbers or dates."""
TRUE_FALSE = frozenset({"true", "false"})
DATE_FORMATS: tuple[str, ...] = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y-%m",
)
COMPACT_DATE = "%Y%m%d"
AMBIGUOUS = {"%m/%d": "%d/%m", "%d-%m": "%m-%d"}
_CURRENCY = r"^\s*([+-]?)\s*[$€£¥]?\s*([+-]?[0-9.][0-9.eE+-]*)\s*[%$€£¥]?\s*$"


def is_missing(text: str | None, *, numbers: bool = False) -> bool:
    """Whether a cell counts as missing (in a column of numbers or dates, when `numbers`)."""
    if text is None:
        return True
    return text.strip().lower() in (MISSING_IN_NUMBERS if numbers else MISSING)


def text_sql(field: str, tokens: Sequence[str]) -> str:
    """SQL of a str cell: the text as in the file, NULL for blanks and the given tokens."""
    listed = ", ".join(literal(token) for token in sorted({"", *(t.strip() for t in tokens)}))
    return f"CASE WHEN trim({field}) IN ({listed}) THEN NULL ELSE {field} END"


def missing_sql(field: str, tokens: Sequence[str], *, numbers: bool) -> str:
    """SQL of a boolean: the cell is empty or a missing token."""
    known = (*MISSING_IN_NUMBERS, *(t.strip().lower() for t in tokens)) if numbers else tokens
    words = sorted({"", *(word.strip() for word in known)})
    listed = ", ".join(literal(word) for word in words)
    cell = f"trim({field})"
    return f"({field} IS NULL OR {f'lower({cell})' if numbers else cell} IN ({listed}))"


def number_sql(
    field: str, *, thousands: bool = False, decimal_comma: bool = False, signs: bool = True
) -> str:
    """SQL of a DOUBLE: NULL when the text is no number; infinities stay (the caller decides).

    `signs`: currency and percent signs are stripped; False saves time where there are none, and
        leaves NaN.
    """
    cell = field
    if decimal_comma:
        cell = f"replace(replace({cell}, '.', ''), ',', '.')"
    elif thousands:
        cell = f"replace({cell}, ',', '')"
    if not signs:
        return f"TRY_CAST({cell} AS DOUBLE)"
    # the second form strips a currency or percent sign; COALESCE evaluates it for failed cells only
    plain = f"TRY_CAST({cell} AS DOUBLE)"
    stripped = f"TRY_CAST(regexp_replace({cell}, {literal(_CURRENCY)}, '\\1\\2') AS DOUBLE)"
    return f"nullif(COALESCE({plain}, {stripped}), 'nan'::DOUBLE)"


def strip_signs(text: str) -> str:
    """The Python twin of the currency rule in `number_sql`."""
    import re

    return re.sub(_CURRENCY, r"\1\2", text)


def integer_sql(field: str) -> str:
    """SQL of a BIGINT: NULL when the text is no whole number."""
    whole = f"TRY_CAST({field} AS BIGINT)"
    return f"CASE WHEN TRY_CAST({field} AS DOUBLE) = {whole} THEN {whole} END"


def bool_sql(field: str) -> str:
    """SQL of a BOOLEAN for cells 'true' and 'false' in any case."""
    word = f"lower(trim({field}))"
    return f"CASE {word} WHEN 'true' THEN true WHEN 'false' THEN false END"


def date_sql(field: str, form: str) -> str:
    """SQL of a TIMESTAMP."""
    return f"CAST(try_strptime(trim({field}), {literal(form)}) AS TIMESTAMP)"
