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


def quote(text: str, mark: str = '"') -> str:
    """`text` as a program writes it, on one line between two of `mark`."""
    return mark + escape(text, mark) + mark


def escape(text: str, mark: str = '"') -> str:
    """What `quote` puts between the marks."""
    written = []
    for c in text:
        if c in ("\\", mark):
            written.append("\\" + c)
        elif c in _NAMED:
            written.append(_NAMED[c])
        elif c.isprintable():
            written.append(c)
        else:
            number = ord(c)
            written.append(f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")
    return "".join(written)


_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WRITTEN = re.compile(r"(?P<prefix>[fFrR]?)(?P<mark>\"\"\"|'''|\"|')")


def respell(written: str, mark: str = '"') -> str:
    """A text literal as written (without interpolations) in its usual spelling: a lower-case prefix, `mark` for quotes if that needs no more escapes."""
    opening = _WRITTEN.match(written)
    assert opening is not None
    prefix, old = opening["prefix"].lower(), opening["mark"]
    body = written[opening.end() : -len(old)]
    new = remark(prefix, old, mark, [body])
    return prefix + new + with_mark(prefix, body, old, new) + new


def remark(prefix: str, old: str, wanted: str, bodies: Sequence[str]) -> str:
    """The quotes for the texts `bodies`, now between two of `old`: `wanted` where none of them holds it."""
    return old if len(old) == 3 or any(wanted in body for body in bodies) else wanted


def with_mark(prefix: str, body: str, old: str, new: str) -> str:
    """`body` without the escapes that only the quotes `old` needed."""
    if old == new or prefix == "r":
        return body
    return re.sub(r"\\(.)", lambda m: old if m[1] == old else m[0], body, flags=re.DOTALL)
