r"""Would Claude Code load this subagent file, and why not?

Guarantees: the verdict that the command line 2.1.329 gives for a file in a project's
`.claude/agents`, measured on the files of `tests/doors/claude_code/golden.jsonl` and on eleven
public collections (docs/howto-claude-code-import.md has the numbers). The rules:

- one BOM is dropped; invalid UTF-8 is replaced; files over 1 MiB are skipped, as is every suffix
  but `.md`;
- the block is what `^---\s*\n(.*?)---\s*\n?` finds at the first byte: it ends at the *first* three
  hyphens, wherever they stand;
- when the block is no YAML, it is tried once more with the value of every line `key: value` in
  double quotes that holds `: ` or one of ``{}[]*&#!|>%@` `` and is not quoted already, nor a whole
  list in brackets. `.` meets no carriage return, so lines that end in CRLF are never mended;
- `name` is text, without `:` and a leading hyphen, of at most 256 characters; `description` is
  text; `hooks` of PreToolUse and PermissionRequest are well formed.

Does not say how well the agent works, nor what a later version does. In a plugin every file
registers, what fails here too (`plugin_names` says under which name).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from mlagent.contracts.agent_files import LoadReason, LoadVerdict

from .frontmatter import (
    COLORS,
    DOCUMENTED_KEYS,
    EFFORTS,
    FULL_MODEL,
    ISOLATIONS,
    MEMORIES,
    MODELS,
    PERMISSION_MODES,
    RESERVED_NAMES,
)
from .hook_shapes import hooks_problem
from .lenient_yaml import FrontmatterError, Number, read_block

MEASURED_ON = "2.1.329"
MAX_FILE_BYTES = 1_048_576
MAX_NAME = 256
MAX_BLOCK = 131_072
"""Characters of frontmatter that are judged. Claude Code has no such limit below 1 MiB."""

_JS_SPACE = "[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
_BLOCK = re.compile(rf"---(?>{_JS_SPACE}*\n)(.*?)---{_JS_SPACE}*\n?", re.DOTALL)
"""Atomic, so that a megabyte of blank lines takes linear time; it matches the same."""
_PAIR = re.compile(rf"([a-zA-Z_-]+):(?>{_JS_SPACE}+)([^\n\r\u2028\u2029]+)\Z")
_SPECIAL = re.compile(r"[{}\[\]*&#!|>%@`]|: ")
_LATE_BLOCK = re.compile(r"\s+---[^\S\n]*\n.*?\n---", re.DOTALL)
_COLUMN_0 = re.compile(r"(?![A-Za-z_][\w. -]*:)(?!- )[^\s#\"']")


@dataclass(frozen=True)
class Loaded:
    """A file as Claude Code sees it.

    `keys`: the frontmatter, empty when there is none or it is no YAML. `body`: the text below it
    (all of it when there is no block). `body_line`: line of the body's first character. `mended`:
    the second try, with quotes, was needed.
    """

    verdict: LoadVerdict
    keys: dict[str, Any] = field(default_factory=dict)
    body: str = ""
    body_line: int = 1
    mended: bool = False


def load(data: bytes, path: str) -> Loaded:
    """The file `path` with the content `data`, read and judged."""
    found = _load(data, path)
    if said := _encoding_notes(data):
        notes = (*said, *found.verdict.notes)
        return replace(found, verdict=found.verdict.model_copy(update={"notes": notes}))
    return found


def _load(data: bytes, path: str) -> Loaded:
    if PurePosixPath(path).suffix != ".md":
        inner = _load(data, "as.md")
        other = "as .md it would load" if inner.verdict.loads else f"and {inner.verdict.why}"
        why = f"Claude Code reads only files whose name ends in .md; {other.rstrip('.')}."
        return replace(inner, verdict=_refuse("suffix", why, inner.verdict.line))
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        why = "the file is UTF-16; Claude Code reads UTF-8, so save it as that."
        return Loaded(_refuse("no-frontmatter", why, 1), body=text)
    if len(data) > MAX_FILE_BYTES:
        why = f"the file has {len(data):,} bytes; the limit is 1 MiB."
        return Loaded(_refuse("size", why), body=text)
    match = _BLOCK.match(text)
    if match is None:
        return Loaded(_no_block(text), body=text)
    block = match[1]
    if len(block) > MAX_BLOCK:
        why = f"the frontmatter has {len(block):,} characters, too many to judge."
        return Loaded(_refuse("size", why), body=text[match.end() :])
    first = text.count("\n", 0, match.start(1)) + 1
    body, body_line = text[match.end() :], text.count("\n", 0, match.end()) + 1
    mended = False
    try:
        value = read_block(block)
    except FrontmatterError:
        mended = True
        try:
            value = read_block(with_quotes(block))
        except FrontmatterError as error:
            refused = _no_yaml(block, error, first)
            refused = refused.model_copy(update={"notes": tuple(_cut_short(text, match))})
            return Loaded(refused, body=body, body_line=body_line)
    keys = value if isinstance(value, dict) else {}
    verdict = _judge(keys, tuple(_notes(keys, text, match, mended)))
    if not verdict.loads:
        verdict = verdict.model_copy(update={"notes": tuple(_cut_short(text, match))})
    return Loaded(verdict, keys, body, body_line, mended)


def with_quotes(block: str) -> str:
    """The second try: values that may be what YAML stumbled over, put into double quotes."""
    lines = []
    for line in block.split("\n"):
        pair = _PAIR.match(line)
        if pair and _SPECIAL.search(pair[2]) and not _left_alone(pair[2]):
            escaped = pair[2].replace("\\", "\\\\").replace('"', '\\"')
            line = f'{pair[1]}: "{escaped}"'
        lines.append(line)
    return "\n".join(lines)


def _left_alone(value: str) -> bool:
    """Quoted already, or a whole list in brackets."""
    if value.startswith("[") and value.endswith("]"):
        try:
            return isinstance(read_block(value), list)
        except FrontmatterError:
            return False
    return any(value.startswith(mark) and value.endswith(mark) for mark in "\"'")


def _refuse(reason: LoadReason, why: str, line: int | None = None) -> LoadVerdict:
    return LoadVerdict(loads=False, reason=reason, why=why, line=line)


def _no_block(text: str) -> LoadVerdict:
    if re.match(rf"---{_JS_SPACE}*\n", text):
        return _refuse("unterminated", "the frontmatter is never closed by `---`.", 1)
    if _LATE_BLOCK.match(text):
        return _refuse("not-at-start", "something stands before `---`; it must come first.", 1)
    if text.startswith("\ufeff"):
        return _refuse("no-frontmatter", "two byte-order marks stand before `---`.", 1)
    if text.startswith("---\r"):
        return _refuse("no-frontmatter", "the lines end in a lone carriage return.", 1)
    return _refuse("no-frontmatter", "there is no frontmatter between two lines of `---`.")


def _no_yaml(block: str, error: FrontmatterError, first: int) -> LoadVerdict:
    """Name the cause where one of the measured ones fits."""
    lines = block.split("\n")
    if "\r\n" in block:
        unix = block.replace("\r\n", "\n")
        try:
            read_block(with_quotes(unix))
        except FrontmatterError:
            pass
        else:
            return _refuse(
                "crlf-and-yaml",
                "lines end in CRLF and a value needs quotes (such as one with `: `); each alone "
                "would load.",
                _first_unquoted(lines, first),
            )
    for number, text in enumerate(lines):
        if number and _COLUMN_0.match(text):
            what = f"{text.strip()[:40]!r} stands at the start of a line and is no `key: value`"
            return _refuse(
                "column-0-text", f"{what}; indent it or quote the value.", first + number
            )
    where = first + error.line - 1
    return _refuse("yaml", f"the frontmatter is no YAML: {error.problem}.", where)


def _first_unquoted(lines: list[str], first: int) -> int | None:
    for number, line in enumerate(lines):
        pair = _PAIR.match(line.rstrip("\r"))
        if pair and _SPECIAL.search(pair[2]) and not _left_alone(pair[2]):
            return first + number
    return None


def _judge(keys: dict[str, Any], notes: tuple[str, ...]) -> LoadVerdict:
    name, description = keys.get("name"), keys.get("description")
    if not isinstance(name, str) or not name:
        shown = "is missing" if name is None or name == "" else f"is {_kind(name)}, not text"
        return _refuse("no-name", f"`name` {shown}.")
    if name.startswith("-"):
        return _refuse("bad-name", f"the name {name[:40]!r} starts with a hyphen.")
    if ":" in name:
        return _refuse("bad-name", f"the name {name[:40]!r} holds a colon.")
    if len(name) > MAX_NAME:
        return _refuse("bad-name", f"the name has {len(name)} characters; {MAX_NAME} are allowed.")
    if not isinstance(description, str) or not description:
        empty = description is None or description == ""
        shown = "is missing" if empty else f"is {_kind(description)}, not text"
        return _refuse("no-description", f"`description` {shown}.")
    if problem := hooks_problem(keys.get("hooks")):
        return _refuse("bad-hooks", f"`hooks`: {problem}.")
    return LoadVerdict(loads=True, name=name, reason="loads", why="it loads.", notes=notes)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Number):
        return "a number"
    return "a list" if isinstance(value, list) else "a map"


def _encoding_notes(data: bytes) -> list[str]:
    """It is read all the same, with a replacement character for each byte that is no UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return []  # the verdict says it
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        byte = data[problem.start]
        return [
            f"not UTF-8: the byte 0x{byte:02x} in line {line} is read as \ufffd; save it as UTF-8"
        ]
    return []


_ENUMS: dict[str, tuple[str, ...]] = {
    "color": COLORS,
    "permissionMode": PERMISSION_MODES,
    "memory": MEMORIES,
    "isolation": ISOLATIONS,
}


def _notes(keys: dict[str, Any], text: str, match: re.Match[str], mended: bool) -> list[str]:
    """What loads, but not as its author meant."""
    notes = []
    if mended:
        notes.append("not strict YAML: it loads only because values are quoted on a second try")
        lists = [k for k, v in keys.items() if isinstance(v, str) and v[:1] + v[-1:] == "[]"]
        notes += [f"on that second try the list of `{key}` is read as text" for key in lists]
    notes += _cut_short(text, match)
    unknown = [key for key in keys if key not in DOCUMENTED_KEYS]
    if unknown:
        notes.append(f"keys that Claude Code ignores: {', '.join(unknown)}"[:300])
    notes += dropped_values(keys)
    if str(keys.get("name")) in RESERVED_NAMES:
        notes.append(f"it takes the place of the built-in agent {keys['name']!r}")
    if not text[match.end() :].strip():
        notes.append("the body is empty: the agent has no instructions")
    return notes


def _cut_short(text: str, match: re.Match[str]) -> list[str]:
    """That the block ends at three hyphens which are no line of their own."""
    end = match.end(1)
    line = text.count("\n", 0, end) + 1
    if text[end - 1 : end] not in ("\n", ""):
        return [f"the block ends at the `---` inside line {line}; the rest is body"]
    if tail := text[end + 3 :].split("\n", 1)[0].strip():
        begins = f"the block ends at the `---` that line {line} begins with"
        return [f"{begins}; {tail[:40]!r} and the rest is body"]
    return []


def dropped_values(keys: dict[str, Any]) -> list[str]:
    """Values outside their documented ones: Claude Code drops them and loads the file."""
    said = []
    for key, allowed in _ENUMS.items():
        if keys.get(key) is not None and keys[key] not in allowed:
            said.append(f"`{key}` is {_short(keys[key])}; documented: {', '.join(allowed)}")
    model = keys.get("model")
    if model is not None and not (
        isinstance(model, str) and (model in MODELS or FULL_MODEL.match(model))
    ):
        said.append(f"`model` is {_short(model)}; documented: {', '.join(MODELS)} or a full id")
    effort = keys.get("effort")
    if effort is not None and effort not in EFFORTS and not _whole(effort):
        said.append(f"`effort` is {_short(effort)}; documented: {', '.join(EFFORTS)}")
    turns = keys.get("maxTurns")
    if turns is not None and not (_whole(turns) and float(turns) >= 1):
        said.append(f"`maxTurns` is {_short(turns)}; documented: a whole number above 0")
    background = keys.get("background")
    if background is not None and not isinstance(background, bool):
        said.append(f"`background` is {_short(background)}; documented: true or false")
    return said


def _whole(value: Any) -> bool:
    return isinstance(value, Number) and float(value).is_integer()


def _short(value: Any) -> str:
    return _kind(value) if isinstance(value, list | dict | bool) else repr(value)[:40]
