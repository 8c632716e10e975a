"""Types beyond dtypes: constants, ids, free text, numbers and dates written as text, spellings.

Guarantees: a role given by `plan` is changed only where these rows leave no doubt; evidence is
counts, never a cell. Does not convert anything: what a column becomes is the user's choice in
plan.yaml.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from reporting import finding, listed, percent, quoted, verb
from table_columns import Column, Table

ID_NAME = re.compile(
    r"(?i:(^|[_\W])(id|ids|uuid|guid|key|index|no|nr|number)$|^(rownumber|unnamed.*)$)|[a-z](I[dD]|"
    r"Number|Key)$|^[A-Z]{0,2}ID$"
)
NUMBER = re.compile(
    r"^[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?([eE][+-]?\d+)?\s*[%$€£]?$|^[$€£]\s?\d[\d,.]*$"
)
DATE = re.compile(
    r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d{1,2}:\d{2}.*)?$"
)


def settle_roles(table: Table) -> list[dict[str, Any]]:
    """Correct roles where these rows leave no doubt (constants, ids), and say what the texts look
    like.
    """
    found = []
    given = {str(name) for name in table.request.get("id_columns") or ()}
    constants, ids, free, words = [], [], [], []
    for column in table.columns:
        if column.role == "excluded":
            continue
        if column.levels <= 1 and not (column.levels == 1 and 0.02 < column.missing.mean() < 0.98):
            column.role = "constant"
            column.why = (
                "one value and nothing else in these rows"
                if column.levels
                else "no value in these rows"
            )
            constants.append(column.name)
            continue
        why = "given as an id" if column.name in given else id_reason(column)
        if why and column.role != "id":
            column.role, column.why = "id", why
        if column.role == "id":
            ids.append(column.name)
        elif column.role == "text":
            free.append(column.name)
        if column.texts is not None and column.role in ("category", "text"):
            words.append(column)
    if constants:
        found.append(
            finding(
                "type.constant",
                "low",
                constants,
                f"{listed(constants)} never {verb(constants, 'varies', 'vary')}",
                f"{len(constants)} column(s) with at most one value.",
                "Left out of the features.",
            )
        )
    if ids:
        found.append(
            finding(
                "type.id",
                "info",
                ids,
                f"{listed(ids)} {verb(ids, 'identifies', 'identify')} rows",
                "; ".join(f"{quoted(n)}: {table.column(n).levels:,} values" for n in ids[:6]) + ".",
                "Never a feature: an id says who, not why.",
            )
        )
    if free:
        found.append(
            finding(
                "type.text",
                "info",
                free,
                f"{listed(free)} {verb(free, 'holds', 'hold')} free text",
                f"{len(free)} column(s) of texts that hardly repeat.",
                "Read as bags of words, not as categories; no cell is shown anywhere.",
            )
        )
    for column in words:
        found += _looks_like_another_type(column)
    return found


def id_reason(column: Column) -> str | None:
    """Why a column is an id beyond doubt, or None."""
    n = column.present
    if n < 30 or column.role in ("datetime", "text") or column.levels < 0.98 * n:
        return None
    if column.texts is not None:
        return _code_reason(column, n)
    if column.levels != n or column.dtype == "float64" and not _whole(column.numbers):
        return None
    steps = np.diff(column.numbers[~column.missing])
    if len(steps) and (steps == steps[0]).mean() > 0.999 and steps[0] != 0:
        return "counts the rows"
    if _whole(column.numbers) and ID_NAME.search(column.name):
        return "a different whole number in each row, and the name of an id"
    return None


def _code_reason(column: Column, n: int) -> str | None:
    """Words are an id when each is another, short, without blanks, and no number or date in
    itself.
    """
    sample = [str(text) for text in column.texts[:500]]
    compact = np.mean([" " not in text and len(text) <= 40 for text in sample])
    digits = np.mean([any(letter.isdigit() for letter in text) for text in sample])
    value = np.mean([bool(NUMBER.match(text) or DATE.match(text)) for text in sample])
    code = compact > 0.98 and digits > 0.9 and value < 0.5
    if column.levels == n and (ID_NAME.search(column.name) or code):
        return "a different compact code in each row"
    return None


def _whole(numbers: np.ndarray | None) -> bool:
    return numbers is not None and bool(np.all(np.nan_to_num(numbers) % 1 == 0))


def _looks_like_another_type(column: Column) -> list[dict[str, Any]]:
    texts = [str(text) for text in column.texts[:5000]]
    if not texts:
        return []
    rows = np.bincount(column.codes[column.codes >= 0], minlength=column.levels)[: len(texts)]
    share = {
        kind: float(rows[[bool(pattern.match(t)) for t in texts]].sum() / rows.sum())
        for kind, pattern in (("number", NUMBER), ("date", DATE))
    }
    found = []
    if share["number"] >= 0.9 and column.levels > 10:
        found.append(
            finding(
                "type.number_in_text",
                "medium",
                [column.name],
                f"{quoted(column.name)} holds numbers written as text",
                f"{percent(share['number'])} of its cells read as numbers ({column.levels:,} "
                "different ones).",
                "Give it the role number in plan.yaml if the rest are slips; cells that fail "
                "become missing.",
            )
        )
    elif share["date"] >= 0.9:
        found.append(
            finding(
                "type.date_in_text",
                "medium",
                [column.name],
                f"{quoted(column.name)} holds dates written as text",
                f"{percent(share['date'])} of its cells read as dates.",
                "Give it the role datetime in plan.yaml, so that year, month and weekday become "
                "features.",
            )
        )
    if column.role == "category" and column.levels <= 2000:
        folded = len({text.casefold() for text in texts})
        if folded < len(texts):
            found.append(
                finding(
                    "category.spelling",
                    "low",
                    [column.name],
                    f"{quoted(column.name)} spells the same value in several ways",
                    f"{len(texts)} values, {folded} after ignoring upper and lower case.",
                    "Each spelling is a value of its own for the model; unify them at the source.",
                )
            )
    return found
