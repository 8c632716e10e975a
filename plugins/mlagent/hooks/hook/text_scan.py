"""A cursor over YAML text: values in quotes, values in brackets, and what plain text means.

Guarantees and limits: as `plan_text`, which builds block style on top.
"""

from __future__ import annotations

import math
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_CHARACTERS = 200_000
MAX_DEPTH = 30
MAX_VALUES = 20_000
MAX_DIGITS = 19

_FORBIDDEN = re.compile(
    "[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII
)
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS.update({"true": True, "True": True, "TRUE": True})
_WORDS.update({"false": False, "False": False, "FALSE": False})
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0",
    "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_HEX = {"x": 2, "u": 4, "U": 8}
QUOTE = "put the text in quotes"


class Refused(ValueError):
    """The text is not YAML of this kind; the message names the line."""


class Cursor:
    """A place in the text. Block methods leave it on the first line that they did not use."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise Refused(f"the plan is longer than {MAX_CHARACTERS:,} characters")
        text = text[1:] if text.startswith("\ufeff") else text
        text = text.replace("\r\n", "\n")
        self.lines = text.split("\n")
        self.row = 0
        self.column = 0
        self.count = 0
        found = _FORBIDDEN.search(text)
        if found:
            self.row = text.count("\n", 0, found.start())
            name = "a tab" if found.group() == "\t" else f"the character {found.group()!r}"
            raise self.refuse(f"{name} is refused; use spaces")

    def refuse(self, what: str) -> Refused:
        return Refused(f"line {self.row + 1}: {what}")

    def counted(self, depth: int) -> None:
        self.count += 1
        if self.count > MAX_VALUES:
            raise self.refuse(f"more than {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise self.refuse(f"nested deeper than {MAX_DEPTH} levels")

    def next_content(self) -> int:
        """Move to the next line with content; its indentation, or -1 at the end."""
        while self.row < len(self.lines):
            line = self.lines[self.row]
            content = line.lstrip(" ")
            if content and not content.startswith("#"):
                if line.startswith(("---", "...")):
                    raise self.refuse("a document marker; one document is read")
                return len(line) - len(content)
            self.row += 1
        return -1

    @staticmethod
    def plain_may_start(line: str, column: int) -> bool:
        if line[column] == "-":
            return line[column + 1 : column + 2] not in ("", " ", ",", "[", "]", "{", "}")
        return line[column] not in "?:,[]{}#&*!|>'\"%@` "

    def end_of_line(self) -> None:
        """After a value that closes itself: only a comment may follow on its line."""
        rest = self.lines[self.row][self.column :]
        if rest.strip(" ") and not rest.lstrip(" ").startswith("#"):
            raise self.refuse(f"{rest.strip(' ')[:20]!r} stands after a closed value")
        if rest.startswith("#"):
            raise self.refuse("a comment needs a space before its '#'")
        self.row += 1

    def meaning(self, text: str) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text):
            if len(text) > MAX_DIGITS + 1:
                raise self.refuse(f"the number {text[:20]!r} is too large")
            return int(text)
        if _FLOAT.match(text):
            value = float(text)
            if math.isinf(value):
                raise self.refuse(f"the number {text[:20]!r} is too large")
            return value
        return text

    # --- quoted text, in block and flow style ---

    def quoted(self, start: int, parent: int) -> str:
        """The text; afterwards row and `column` stand behind the closing quote."""
        mark = self.lines[self.row][start]
        out: list[str] = []
        spaces, index = "", start + 1
        while True:
            line = self.lines[self.row]
            if index >= len(line):
                breaks = self.to_next_line(parent)
                out.append("\n" * breaks if breaks else " ")
                spaces, index = "", self.column
                continue
            char = line[index]
            index += 1
            if char == " ":
                spaces += char
                continue
            out.append(spaces)
            spaces = ""
            if char == mark:
                if mark == '"' or line[index : index + 1] != "'":
                    self.column = index
                    return "".join(out)
                out.append("'")
                index += 1
            elif char == "\\" and mark == '"':
                if index == len(line):
                    out.append("\n" * self.to_next_line(parent))
                    index = self.column
                else:
                    text, index = self.escape(line, index)
                    out.append(text)
            else:
                out.append(char)

    def to_next_line(self, parent: int) -> int:
        """Move to the next line with text inside quotes; how many empty lines were between."""
        opened, breaks = self.row, 0
        while True:
            self.row += 1
            if self.row >= len(self.lines):
                self.row = opened
                raise self.refuse("a quote is not closed")
            line = self.lines[self.row]
            if line.strip(" "):
                break
            breaks += 1
        self.column = len(line) - len(line.lstrip(" "))
        if self.column <= parent or line.startswith(("---", "...")):
            raise self.refuse("quoted text that goes on must be indented")
        return breaks

    def escape(self, line: str, index: int) -> tuple[str, int]:
        char = line[index]
        if char in _ESCAPES:
            return _ESCAPES[char], index + 1
        if char not in _HEX:
            raise self.refuse(f"the escape '\\{char}' is not known")
        digits = line[index + 1 : index + 1 + _HEX[char]]
        if len(digits) != _HEX[char] or not re.match(r"[0-9a-fA-F]+\Z", digits):
            raise self.refuse(f"the escape '\\{char}' needs {_HEX[char]} hex digits")
        number = int(digits, 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise self.refuse(f"the escape '\\{char}{digits}' is no character")
        return chr(number), index + 1 + len(digits)

    # --- flow style ---

    def flow_on(self, start: int, depth: int) -> Any:
        self.column = start
        value = self.flow(depth)
        self.end_of_line()
        return value

    def skip(self) -> str:
        """Spaces, comments and line ends inside brackets; the next character."""
        while self.row < len(self.lines):
            line = self.lines[self.row]
            while self.column < len(line) and line[self.column] == " ":
                self.column += 1
            comment = line.startswith("#", self.column) and line[self.column - 1 : self.column] in (
                "",
                " ",
            )
            if self.column < len(line) and not comment:
                return line[self.column]
            self.row += 1
            self.column = 0
            if self.row < len(self.lines) and self.lines[self.row].startswith(("---", "...")):
                raise self.refuse("a document marker inside brackets")
        self.row = len(self.lines) - 1
        raise self.refuse("a bracket is not closed")

    def flow(self, depth: int) -> Any:
        self.counted(depth)
        char = self.skip()
        if char in "\"'":
            return self.quoted(self.column, -1)
        if char == "[":
            return self.flow_list(depth)
        if char == "{":
            return self.flow_map(depth)
        return self.meaning(self.flow_plain())

    def flow_list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.column += 1
        while self.skip() != "]":
            found.append(self.flow(depth + 1))
            if self.skip() == ",":
                self.column += 1
            elif self.skip() != "]":
                raise self.refuse(f"',' or ']' is needed here; {QUOTE}")
        self.column += 1
        return found

    def flow_map(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.column += 1
        while self.skip() != "}":
            row, start = self.row, self.column
            quoted = self.skip() in "\"'"
            key = self.quoted(self.column, -1) if quoted else self.flow_plain(key=True)
            if self.skip() != ":" or self.row != row or self.column - start > 1000:
                raise self.refuse("'key: value' is needed inside braces")
            self.column += 1
            if not quoted and self.lines[self.row][self.column : self.column + 1] not in ("", " "):
                raise self.refuse("a space is needed after ':'")
            if key in found:
                raise self.refuse(f"the key {key!r} stands twice")
            empty = self.skip() in ",}"
            if empty:
                self.counted(depth + 1)
            found[key] = None if empty else self.flow(depth + 1)
            if self.skip() == ",":
                self.column += 1
            elif self.skip() != "}":
                raise self.refuse(f"',' or '}}' is needed here; {QUOTE}")
        self.column += 1
        return found

    def flow_plain(self, key: bool = False) -> str:
        """Plain text up to a bracket, a comma, a comment, or (for a key) a colon."""
        line = self.lines[self.row]
        if not self.plain_may_start(line, self.column):
            raise self.refuse(f"{line[self.column]!r} cannot begin a value; {QUOTE}")
        text = ""
        while True:
            line, start = self.lines[self.row], self.column
            while self.column < len(line) and line[self.column] not in ",[]{}:?":
                if line[self.column] == "#" and line[self.column - 1] == " ":
                    break
                self.column += 1
            text += line[start : self.column].strip(" ")
            if self.column < len(line):
                if line[self.column] == "?" or (line[self.column] == ":" and not key):
                    raise self.refuse(f"{line[self.column]!r} in a list or map; {QUOTE}")
                return text
            if key:
                raise self.refuse("a key and its ':' must stand on one line")
            breaks = 0
            while self.row + 1 < len(self.lines) and not self.lines[self.row + 1].strip(" "):
                self.row += 1
                breaks += 1
            self.row, self.column = self.row + 1, 0
            if self.row < len(self.lines) and self.lines[self.row].startswith(("---", "...")):
                raise self.refuse("a document marker inside brackets")
            char = self.skip()
            if self.lines[self.row][: self.column].strip(" "):
                raise self.refuse(f"a comment inside a value; {QUOTE}")
            if char in ",[]{}":
                return text
            text += "\n" * breaks if breaks else " "
