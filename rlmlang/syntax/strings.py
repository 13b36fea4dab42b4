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
    """The text that is meant. As in Python, a backslash before any other character stands for itself (`"\\d+"` is a regular expression)."""
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
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPENING = re.compile(r"([fFrR]?)(\"\"\"|'''|\"|')")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def is_name(text: str) -> bool:
    """Whether a field may be called so without quotes."""
    return _NAME.fullmatch(text) is not None


def opening(written: str) -> tuple[str, str, int]:
    """A text literal's prefix in lower case, its quotes, and where its inside starts."""
    found = _OPENING.match(written)
    assert found is not None
    return found[1].lower(), found[2], found.end()


def usual_mark(mark: str, wanted: str, inside: Sequence[str]) -> str:
    """The quotes to write: those wanted, unless there are three now or the text holds the wanted ones."""
    return mark if len(mark) == 3 or any(wanted in piece for piece in inside) else wanted


def requoted(piece: str, mark: str, new: str) -> str:
    """A piece of a text as written, without the escapes that only the quotes `mark` needed."""
    if mark == new or "\\" not in piece:
        return piece
    return _ESCAPED.sub(lambda found: mark if found[1] == mark else found[0], piece)


def respell(written: str, wanted: str = '"') -> str:
    """A text literal (no f-string) in its usual spelling: small prefix, quotes as wanted where that needs no more escapes."""
    prefix, mark, start = opening(written)
    inside = written[start : -len(mark)]
    new = usual_mark(mark, wanted, [inside])
    return prefix + new + (inside if prefix == "r" else requoted(inside, mark, new)) + new
