"""What a column is, from a sample of its texts: number, category, text, datetime, id or constant.

Guarantees: pure (a Series of texts in, a `Kind` out); each decision carries its reason with the
numbers it rests on. Does not: see more than the sample, or know which column is the target.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlagent.contracts.base import ColumnRole, Dtype

from .cells import (
    AMBIGUOUS,
    COMPACT_DATE,
    DATE_FORMATS,
    TRUE_FALSE,
    is_missing,
    strip_signs,
)
from .words import name_tokens

if TYPE_CHECKING:
    import pandas as pd

PARSED_ENOUGH = 0.95
SHOWN_NAMES = 5
ID_WORDS = frozenset(
    {"id", "ids", "uuid", "guid", "pk", "idx", "index", "rowid", "rownum", "row", "key", "number",
     "no", "nr", "num", "identifier", "serial", "record", "hash", "email", "ssn", "iban", "order"}
)  # fmt: skip
STRICT_ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "identifier"})
DATE_WORDS = frozenset({"date", "day", "dt", "time", "timestamp", "dob", "birth", "ymd", "dteday"})
UNNAMED = re.compile(r"^(unnamed:? ?\d*|column_1|index|level_0|_c0|v1)$", re.IGNORECASE)
_THOUSANDS = re.compile(r"^[+-]?[$€£¥]?\d{1,3}(,\d{3})+(\.\d+)?%?$")
_GERMAN = re.compile(r"^[+-]?[€$£]?(\d{1,3}(\.\d{3})+(,\d+)?|\d+,\d+)\s?[€%]?$")
_GROUPED_DOTS = re.compile(r"^[+-]?\d{1,3}(\.\d{3}){2,}$")
_LEADING_ZERO = re.compile(r"^0\d+$")


@dataclass(frozen=True)
class Kind:
    """How a column is read. `values` are the parsed numbers of the sample (float64, NaN where
    missing)."""

    role: ColumnRole
    dtype: Dtype
    why: str
    missing_tokens: tuple[str, ...] = ()
    missing: int = 0
    failed: int = 0
    infinite: int = 0
    distinct: int = 0
    datetime_format: str | None = None
    thousands: bool = False
    decimal_comma: bool = False
    signs: bool = False
    values: Any = None


def kind_of(name: str, cells: pd.Series, total: int) -> Kind:
    """Type one column.

    Args:
        name: the column's name, used for ids and dates only.
        cells: object Series of str or None.
        total: rows of the whole table, of which `cells` may be a sample in file order.
    """
    import numpy as np

    counts = cells.value_counts(dropna=True)
    rows = len(cells)
    texts: dict[str, int] = dict(zip(counts.index.tolist(), counts.tolist(), strict=True))
    empty = rows - sum(texts.values())
    parsed = _cast(list(texts))
    suspects = [
        text for text, number in zip(texts, parsed.tolist(), strict=True) if number != number
    ]
    blank = {text: texts[text] for text in suspects if is_missing(text)}
    if "NA" in blank and _country_codes(set(texts) - set(blank)):
        del blank["NA"]
    if blank:
        kept = np.fromiter((text not in blank for text in texts), dtype=bool, count=len(texts))
        parsed = parsed[kept]
        texts = {text: count for text, count in texts.items() if text not in blank}
    if empty:
        blank[""] = blank.get("", 0) + empty
    missing, tokens = sum(blank.values()), tuple(sorted(blank))
    if not texts:
        return Kind("constant", "str", "every cell is missing", tokens, missing)
    number = _as_number(texts, parsed, blank, cells)
    base = Kind("category", "str", "", tokens, missing, distinct=len(texts))
    if number is not None:
        found = number
    else:
        found = _as_date(name, texts, blank, base) or _as_text_or_category(texts, base)
    if found.distinct <= 1 and not found.failed:
        constant = next(iter(texts))
        shown = "one value" if len(constant) > 20 else f"the value {constant!r}"
        share = "every row" if not found.missing else "every row that is not missing"
        return replace(found, role="constant", why=f"{share} has {shown}")
    return _as_id(name, cells, texts, found, total)


def comma_notes(kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    """What commas inside numbers were taken for, in sentences: a guess that changes values."""
    notes = []
    for names, taken_for in (
        ([n for n, kind in kinds.items() if kind.thousands], "between thousands: 1,234 is 1234"),
        ([n for n, kind in kinds.items() if kind.decimal_comma], "before decimals: 1,5 is 1.5"),
    ):
        shown = ", ".join(map(repr, names[:SHOWN_NAMES]))
        if len(names) > SHOWN_NAMES:
            shown += f" and {len(names) - SHOWN_NAMES} more"
        if names:
            notes.append(
                f"Commas in {shown} are read as standing {taken_for}. If they do not, change "
                "`thousands` and `decimal_comma` of the column in plan.yaml."
            )
    return tuple(notes)


def infinite_notes(infinite: Mapping[str, int]) -> tuple[str, ...]:
    """Which columns hold infinite cells and how many, in a sentence: they become missing."""
    found = {name: count for name, count in infinite.items() if count}
    if not found:
        return ()
    shown = ", ".join(f"{name!r} ({count:,})" for name, count in list(found.items())[:SHOWN_NAMES])
    if len(found) > SHOWN_NAMES:
        shown += f" and {len(found) - SHOWN_NAMES} more"
    return (f"Infinite values are read as missing; cells that hold one: {shown}.",)


def _country_codes(texts: set[str]) -> bool:
    """'NA' is Namibia (or North America) among twenty other codes of two capitals."""
    return len(texts) >= 20 and all(len(text) == 2 and text.isupper() for text in texts)


def _as_number(
    texts: dict[str, int], parsed: Any, blank: dict[str, int], cells: pd.Series
) -> Kind | None:
    import numpy as np
    import pandas as pd

    words, more_blank = texts, {}
    odd = [text for text, number in zip(texts, parsed.tolist(), strict=True) if number != number]
    if odd:
        more_blank = {text: texts[text] for text in odd if is_missing(text, numbers=True)}
        words = {text: count for text, count in texts.items() if text not in more_blank}
        parsed = parsed[[text not in more_blank for text in texts]]
    if not words:
        return None
    unique = list(words)
    if any(_LEADING_ZERO.match(text) for text in unique[:2000]):
        return None
    parsed, thousands, decimal_comma = _parse(unique, parsed)
    good = ~np.isnan(parsed)
    weight = np.fromiter(words.values(), dtype=np.int64, count=len(words))
    total, parsed_rows = int(weight.sum()), int(weight[good].sum())
    if parsed_rows < PARSED_ENOUGH * total or not good.any():
        return None
    bad = [text for text, fine in zip(unique, good, strict=True) if not fine]
    if bad and len(set(parsed[good])) <= 30 and len(bad) <= 3:
        return None  # a few codes among few numbers: '2', '3', '4', '5more'
    infinite = np.isinf(parsed)
    finite = parsed[good & ~infinite]
    whole = bool(finite.size) and bool(np.all(finite == np.round(finite)))
    small = bool(finite.size) and float(np.abs(finite).max()) < 2**62
    written_whole = not any("." in text or "," in text for text in unique[:5000])
    all_blank = blank | more_blank
    missing = sum(all_blank.values())
    failed = total - parsed_rows
    integer = (
        whole and small and not missing and not failed and not infinite.any()
        and not thousands and not decimal_comma and written_whole
    )  # fmt: skip
    lookup = pd.Series(np.where(infinite, np.nan, parsed), index=pd.Index(unique, dtype=object))
    values = cells.map(lookup).to_numpy(dtype=np.float64)
    why = f"{parsed_rows} of {total} filled cells of the sample are numbers"
    if more_blank:
        listed = ", ".join(repr(text.strip()) for text in sorted(more_blank)[:3])
        why += f"; {listed} read as missing"
    if thousands or decimal_comma:
        why += ", written like " + ("1.234,5" if decimal_comma else "1,234")
    return Kind(
        "number",
        "int64" if integer else "float64",
        why,
        tuple(sorted(all_blank)),
        missing,
        failed,
        int(weight[infinite].sum()),
        int(np.unique(finite).size),
        thousands=thousands,
        decimal_comma=decimal_comma,
        signs=any(character in text for text in odd for character in "$€£¥%"),
        values=values,
    )


def _cast(texts: list[str]) -> Any:
    """float64 for each text, NaN where it is no number. 'True' is none, whatever pandas thinks."""
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
    parsed = numbers.to_numpy(dtype=np.float64, copy=True)
    if len(texts) <= 10:
        parsed[[text.strip().lower() in TRUE_FALSE for text in texts]] = np.nan
    return parsed


def _parse(unique: list[str], parsed: Any) -> tuple[Any, bool, bool]:
    """float64 for each text (NaN: not a number), and whether 1,234 or 1.234,5 was meant."""
    import numpy as np

    left = np.flatnonzero(np.isnan(parsed))
    if not left.size:
        return parsed, False, False
    stripped = [text.strip() for text in unique]
    rest = [stripped[n] for n in left]
    english = sum(bool(_THOUSANDS.match(text)) for text in rest)
    german = sum(bool(_GERMAN.match(text) or _GROUPED_DOTS.match(text)) for text in rest)
    # '1,234' alone is a thousand; a comma with other than three digits after it is a decimal comma
    if german > english and german >= 0.5 * len(rest):
        texts = [text.replace(".", "").replace(",", ".") for text in stripped]
        return _cast([strip_signs(text) for text in texts]), False, True
    if english:
        texts = [text.replace(",", "") for text in stripped]
        return _cast([strip_signs(text) for text in texts]), True, False
    parsed[left] = _cast([strip_signs(text) for text in rest])
    return parsed, False, False


def _as_date(name: str, texts: dict[str, int], blank: dict[str, int], base: Kind) -> Kind | None:
    import pandas as pd

    words = {text: count for text, count in texts.items() if not is_missing(text, numbers=True)}
    if not words or not any(character.isdigit() for character in next(iter(words))):
        return None
    unique = pd.Series([text.strip() for text in words], dtype=object)
    if unique.str.len().median() > 35:
        return None
    weight = list(words.values())
    total = sum(weight)
    probe = unique.iloc[:200]
    best: tuple[float, str] | None = None
    for form in DATE_FORMATS:
        if pd.to_datetime(probe, format=form, errors="coerce").notna().mean() < 0.8:
            continue
        fine = pd.to_datetime(unique, format=form, errors="coerce").notna()
        share = sum(w for w, ok in zip(weight, fine, strict=True) if ok) / total
        if share >= PARSED_ENOUGH and (best is None or share > best[0]):
            best = (share, form)
    if best is None:
        return None
    share, form = best
    more_blank = {text: count for text, count in texts.items() if text not in words}
    why = f"{share:.0%} of the filled cells of the sample are dates like {form}"
    swapped = next(
        (form.replace(a, b, 1) for a, b in AMBIGUOUS.items() if form.startswith(a)), None
    )
    if swapped and pd.to_datetime(unique, format=swapped, errors="coerce").notna().all():
        why += f" (or {swapped}: the days never exceed 12)"
    return replace(
        base,
        role="datetime",
        dtype="datetime64",
        why=why,
        datetime_format=form,
        missing=base.missing + sum(more_blank.values()),
        missing_tokens=tuple(sorted(blank | more_blank)),
        failed=round((1 - share) * total),
        distinct=len(words),
    )


def _as_text_or_category(texts: dict[str, int], base: Kind) -> Kind:
    filled = sum(texts.values())
    if {text.strip().lower() for text in texts} == TRUE_FALSE:
        return replace(base, dtype="bool", why="the filled cells are true or false")
    distinct = len(texts)
    words = sum(len(text.split()) * count for text, count in texts.items()) / filled
    length = sum(len(text) * count for text, count in texts.items()) / filled
    if distinct > 50 and distinct >= 0.3 * filled and words >= 2.5 and length >= 15:
        why = f"{distinct} distinct texts in {filled} cells, {words:.1f} words on average"
        return replace(base, role="text", why=why)
    if distinct > 20 and words >= 8 and length >= 40:
        return replace(base, role="text", why=f"{words:.1f} words on average")
    return replace(base, why=f"{distinct} distinct values in {filled} cells of the sample")


def _as_id(name: str, cells: pd.Series, texts: dict[str, int], found: Kind, total: int) -> Kind:
    import numpy as np

    rows = len(cells)
    filled = sum(texts.values())
    tokens = name_tokens(name)
    unnamed = bool(UNNAMED.match(name.strip())) or not tokens
    named = unnamed or bool(ID_WORDS & set(tokens)) or name.strip().lower().endswith("id")
    unique = len(texts) == filled and filled >= 0.99 * rows
    near = len(texts) >= 0.95 * filled and filled >= 0.95 * rows
    if found.role == "number" and found.dtype == "int64":
        values = found.values
        steps = np.diff(values)
        if rows == total:
            counting = steps.size >= 2 and bool(np.all(steps == steps[0])) and abs(steps[0]) == 1
        else:  # a sample in file order: rising, and as wide as the table is long
            width = float(values[-1] - values[0])
            counting = bool(np.all(steps > 0)) and 0.98 * total <= width < total
        if unique and counting and (rows >= 20 or named):
            return replace(found, role="id", why="it counts the rows: one more in each row")
        if near and named and rows >= 3:
            why = f"{len(texts)} distinct whole numbers in {filled} cells, and its name says id"
            return replace(found, role="id", why=why)
        compact = _compact_date(tokens, values)
        if compact:
            return replace(
                found,
                role="datetime",
                dtype="datetime64",
                datetime_format=COMPACT_DATE,
                why="whole numbers that are dates like 20200131",
            )
        if STRICT_ID_WORDS & set(tokens) and len(texts) > 2:
            why = f"its name says id, and its {len(texts)} codes repeat: codes, not amounts"
            return replace(found, role="category", dtype="str", why=why)
        return found
    if found.role not in ("category", "text") or found.dtype == "bool":
        return found
    words = sum(len(text.split()) for text in texts) / len(texts)
    coded = sum(any(c.isdigit() for c in text) for text in texts) >= 0.9 * len(texts)
    if near and words <= 1.5 and (named or (unique and coded and rows >= 50)):
        why = f"{len(texts)} distinct codes in {filled} cells"
        return replace(found, role="id", why=why)
    return found


def _compact_date(tokens: list[str], values: Any) -> bool:
    """Whole numbers such as 20200131 in a column whose name speaks of a date."""
    import numpy as np

    if not DATE_WORDS & set(tokens):
        return False
    years, rest = np.divmod(values, 10_000)
    months, days = np.divmod(rest, 100)
    return bool(
        np.all((years >= 1900) & (years <= 2100))
        and np.all((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31))
    )
