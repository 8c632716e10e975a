"""Under which name Claude Code registers a subagent file of a plugin, a broken one too.

Guarantees: what the command line 2.1.329 lists for the files of
`tests/doors/claude_code/plugin_names.jsonl`. A name counts there as it stands, also with a colon, a
leading hyphen, or as a number; a file without one, or whose frontmatter is not read, gets its file
name; folders below `agents` stand before it. Does not know of files that a plugin's `agents` key
leaves out.
"""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from .lenient_yaml import Number
from .loading import MAX_FILE_BYTES, MAX_NAME, Loaded
from .sources import Source


class Registered(NamedTuple):
    """The whole name, `plugin:folder:name`, and whether the last part is the file's."""

    name: str
    by_file: bool


def registered_as(plugin: str, source: Source, seen: Loaded) -> Registered | None:
    """How this file of a plugin is listed; None when it is not.

    Args:
        plugin: the plugin's name.
        source: of the folder `agents`, or named by the manifest, which './' begins.
        seen: the file, read and judged.
    """
    path = PurePosixPath(source.name)
    if path.suffix.lower() != ".md" or len(source.data) > MAX_FILE_BYTES:
        return None
    folders = () if source.name.startswith("./") else path.parts[:-1]
    own = script_text(seen.keys.get("name"))
    if len(own) > MAX_NAME:
        own = ""
    name = own or path.name.removesuffix(".md")
    return Registered(":".join((plugin, *folders, name)), not own)


def script_text(value: Any) -> str:
    """The value as JavaScript writes it as text; nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(script_text(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, bool):
        return str(value).lower()
    return _number(value) if isinstance(value, Number) else str(value)


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(float(value))), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    digits, _, exponent = repr(float(value)).partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"
