"""The YAML that plans are written in, read with the standard library alone.

Guarantees: what is accepted means exactly what `mlagent.documents.load_yaml` makes of it; linear
time; bounded depth, size and number of values. Accepts block and flow maps and lists, plain,
quoted, literal and folded text, comments, JSON. Refuses the rest of YAML with the line: tags,
anchors, aliases, complex keys, tabs, several documents, single-pair maps in lists, duplicate keys.
"""

from __future__ import annotations

import re

from .text_scan import QUOTE, Cursor, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Refused", "read_plan_text"]

_HEADER = re.compile(r"([|>])(?:([+-])([1-9])?|([1-9])([+-])?)?(?: +#.*| *)\Z")


def read_plan_text(text: str) -> Any:
    """The one document in `text`: dicts with text keys, lists, text, numbers, True, False, None.

    Raises:
        Refused: with the line.
    """
    return _Reader(text).document()


def _is_list_item(line: str, column: int) -> bool:
    return line.startswith("- ", column) or line[column:] == "-"


class _Reader(Cursor):
    """Block style: maps and lists by indentation."""

    def document(self) -> Any:
        for line in self.lines:
            if line.strip(" ") and not line.lstrip(" ").startswith("#"):
                if line.rstrip(" ") == "---":
                    self.lines[self.lines.index(line)] = ""
                break
        indent = self.next_content()
        if indent < 0:
            return None
        line = self.lines[self.row]
        if line[indent] == "{":
            value = self.flow_on(indent, 0)
        elif self.key_at(indent) is None and not _is_list_item(line, indent):
            raise self.refuse("a map such as 'agent_plan:' is needed here")
        else:
            value = self.block(indent, 0)
        if self.next_content() >= 0:
            raise self.refuse("this line does not belong to what is above it; check indentation")
        return value

    # --- block style ---

    def block(self, column: int, depth: int) -> Any:
        self.counted(depth)
        if _is_list_item(self.lines[self.row], column):
            return self.sequence(column, depth)
        return self.mapping(column, depth)

    def mapping(self, column: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while True:
            entry = self.key_at(column)
            if entry is None or _is_list_item(self.lines[self.row], column):
                raise self.refuse("'key: value' is needed here")
            key, after = entry
            if key in found:
                raise self.refuse(f"the key {key!r} stands twice")
            found[key] = self.entry_value(after, column, depth + 1, in_list=False)
            if not self.goes_on(column):
                return found

    def sequence(self, column: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while True:
            found.append(self.entry_value(column + 1, column, depth + 1, in_list=True))
            if not self.goes_on(column) or not _is_list_item(self.lines[self.row], column):
                return found

    def goes_on(self, column: int) -> bool:
        indent = self.next_content()
        if indent > column:
            raise self.refuse("this line is indented too far")
        return indent == column

    def entry_value(self, after: int, column: int, depth: int, in_list: bool) -> Any:
        """What follows 'key:' or '-'. `column` is the indentation of the map or list around."""
        line = self.lines[self.row]
        start = after + len(line[after:]) - len(line[after:].lstrip(" "))
        if start < len(line) and line[start] != "#":
            nested = in_list and (_is_list_item(line, start) or self.key_at(start) is not None)
            return self.block(start, depth) if nested else self.scalar(start, column, depth)
        self.row += 1
        indent = self.next_content()
        line = self.lines[self.row] if indent >= 0 else ""
        if indent > column:
            nested = _is_list_item(line, indent) or self.key_at(indent) is not None
            return self.block(indent, depth) if nested else self.scalar(indent, column, depth)
        if not in_list and indent == column and _is_list_item(line, indent):
            self.counted(depth)
            return self.sequence(column, depth)
        self.counted(depth)
        return None

    def key_at(self, column: int) -> tuple[str, int] | None:
        """(key, column after the ':') when 'key:' begins here, else None."""
        line = self.lines[self.row]
        if line[column] in "\"'":
            here = self.row
            closed = self.quoted_end(line, column)
            if closed is None:
                return None
            key = self.quoted(column, column)
            self.row = here
            after = closed + len(line[closed:]) - len(line[closed:].lstrip(" "))
            ended = line.startswith(":", after) and line[after + 1 : after + 2] in ("", " ")
            return (key, after + 1) if ended else None
        if not self.plain_may_start(line, column):
            return None
        for index in range(column, len(line)):
            if line[index] == ":" and line[index + 1 : index + 2] in ("", " "):
                return line[column:index].rstrip(" "), index + 1
            if line[index] == "#" and line[index - 1] == " ":
                return None
        return None

    @staticmethod
    def quoted_end(line: str, column: int) -> int | None:
        """The column after the closing quote when it stands on this line, else None."""
        mark, index = line[column], column + 1
        while index < len(line):
            if mark == '"' and line[index] == "\\":
                index += 2
                continue
            if line[index] == mark:
                if mark == '"' or line[index + 1 : index + 2] != "'":
                    return index + 1
                index += 1
            index += 1
        return None

    # --- scalars in block style ---

    def scalar(self, start: int, parent: int, depth: int) -> Any:
        self.counted(depth)
        line = self.lines[self.row]
        mark = line[start]
        if mark in "[{":
            return self.flow_on(start, depth)
        if mark in "\"'":
            text = self.quoted(start, parent)
            self.end_of_line()
            return text
        if mark in "|>":
            return self.block_text(start, parent)
        if not self.plain_may_start(line, start):
            raise self.refuse(f"{mark!r} cannot begin a value; {QUOTE}")
        return self.plain_text(start, parent)

    def plain_text(self, start: int, parent: int) -> Any:
        text, breaks, column = "", 0, start
        while True:
            part, comment = self.plain_part(self.lines[self.row][column:])
            text += ("\n" * breaks if breaks else " " if text else "") + part
            breaks = 0
            self.row += 1
            ahead = self.row
            while ahead < len(self.lines) and not self.lines[ahead].strip(" "):
                ahead += 1
                breaks += 1
            if comment or ahead == len(self.lines):
                break
            line = self.lines[ahead]
            column = len(line) - len(line.lstrip(" "))
            if column <= parent or line[column] == "#":
                break
            self.row = ahead
        return self.meaning(text)

    def plain_part(self, rest: str) -> tuple[str, bool]:
        comment = rest.find(" #")
        part = rest if comment < 0 else rest[:comment]
        if ": " in part or part.endswith(":"):
            raise self.refuse(f"': ' inside a value; {QUOTE}")
        return part.strip(" "), comment >= 0

    def block_text(self, start: int, parent: int) -> str:
        header = _HEADER.match(self.lines[self.row], start)
        if not header:
            raise self.refuse(f"{self.lines[self.row][start:]!r} is no header of a text block")
        style, before, digit_after, digit_before, after = header.groups()
        chomp, digit = before or after, digit_after or digit_before
        self.row += 1
        indent = parent + int(digit) if digit else self.block_indent(parent)
        folded, text, breaks, last, closed = style == ">", "", 0, "", False
        while self.row < len(self.lines):
            line = self.lines[self.row]
            content = line[indent:]
            if line[:indent].strip(" "):
                break
            ended = self.row < len(self.lines) - 1
            self.row += 1
            if not content:
                breaks += ended
                continue
            if last:
                joined = folded and last[0] != " " and content[0] != " "
                text += "\n" if not joined else "" if breaks else " "
            text += "\n" * breaks + content
            last, breaks, closed = content, 0, ended
        if not last:
            return "\n" * breaks if chomp == "+" else ""
        if chomp != "-" and closed:
            text += "\n"
        return text + ("\n" * breaks if chomp == "+" else "")

    def block_indent(self, parent: int) -> int:
        widest = 0
        for row in range(self.row, len(self.lines)):
            line = self.lines[row]
            indent = len(line) - len(line.lstrip(" "))
            if line.strip(" "):
                if widest > max(indent, parent + 1) or (widest > indent > parent):
                    raise self.refuse("an empty line is indented further than the text below it")
                return max(indent, parent + 1)
            widest = max(widest, indent)
        return max(widest, parent + 1)
