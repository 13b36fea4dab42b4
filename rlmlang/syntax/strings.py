"""Texts as written and as meant: escapes, and the dedenting of triple-quoted ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


class BadEscape(ValueError):
    """An escape that stands for no character; `offset` into the text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def unescape(text: str) -> str:
    """The text that is meant. As in Python, a backslash before any other character stands for itself (so `"\\d+"` is a regular expression)."""
    if "\\" not in text:
        return text

    def meant(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            number = int(code[1:], 16)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise BadEscape(f"\\{code} is no character", match.start())
            return chr(number)
        if code == "\n":
            return ""
        return _SIMPLE.get(code, match[0])

    return _ESCAPE.sub(meant, text)


def dedent(parts: Sequence[str | None]) -> list[str | None]:
    """Removes the common indentation of a triple-quoted text, the newline after the opening quotes and the one before the closing quotes.

    `parts` are the pieces of text as written, None where something is interpolated.
    """
    whole = "".join("\0" if part is None else part for part in parts)
    first = whole.startswith("\n")
    lines = whole.split("\n")
    last = len(lines) > 1 and not lines[-1].strip(" \t")
    inner = lines[1:] if len(lines) > 1 else []
    margins = [len(line) - len(line.lstrip(" \t")) for line in inner if line.strip(" \t")]
    margin = min(margins, default=0)
    kept = [lines[0]] + [line[margin:] if line.strip(" \t") else "" for line in inner]
    if last:
        kept.pop()
    if first and kept:
        kept.pop(0)
    pieces = "\n".join(kept).split("\0")
    result: list[str | None] = []
    at = 0
    for part in parts:
        if part is None:
            result.append(pieces[at])
            result.append(None)
            at += 1
    result.append(pieces[at])
    return [piece for piece in result if piece != ""]


def quote(text: str) -> str:
    """`text` as a program writes it, in double quotes on one line."""
    written = []
    for c in text:
        if c in '"\\':
            written.append("\\" + c)
        elif c == "\n":
            written.append("\\n")
        elif c == "\t":
            written.append("\\t")
        elif c == "\r":
            written.append("\\r")
        elif c.isprintable():
            written.append(c)
        else:
            number = ord(c)
            written.append(f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")
    return '"' + "".join(written) + '"'
