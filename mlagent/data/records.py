"""JSON Lines to CSV: one streaming pass that keeps each value as its text.

Guarantees: numbers keep their digits, keys keep the order of first appearance, a broken line is
named by number. Does not: flatten nested values (they stay JSON text) or read a JSON array.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from mlagent.contracts.errors import BadInput


def json_lines_to_csv(source: Path, encoding: str, into: Path) -> list[str]:
    """Write `source` as an all-quoted CSV without header; returns the names in order.

    Raises:
        BadInput: a line is not a JSON object.
    """
    names: dict[str, None] = {}
    for record in _records(source, encoding):
        names.update(dict.fromkeys(record))
    with into.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for record in _records(source, encoding):
            writer.writerow([_text(record.get(name)) for name in names])
    return list(names)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _records(source: Path, encoding: str) -> Any:
    with source.open(encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
            except (ValueError, RecursionError) as problem:
                raise BadInput(
                    f"{str(source)!r}, line {number}, is not JSON: {_short(problem)}.",
                    remedy="JSON Lines has one JSON object per line.",
                ) from None
            if not isinstance(record, dict):
                raise BadInput(
                    f"{str(source)!r}, line {number}, is a JSON {type(record).__name__}, "
                    "not an object.",
                    remedy="JSON Lines has one object per line: {'column': value, ...}.",
                )
            yield record


def _short(problem: BaseException) -> str:
    return str(problem).split(": line")[0] or type(problem).__name__
