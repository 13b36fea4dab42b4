"""Errors and warnings about a program, as data; rendered to text in one place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Literal

from attrs import frozen

from rlmlang.limits import MESSAGE_CHARS
from rlmlang.syntax.source import Span

Severity = Literal["error", "warning"]


@frozen
class Fix:
    """A change that puts a program right: what to write at `span` instead of what is there. It is `sure` where one thing alone can have
    been meant; else it is a guess, which is shown and never made by itself."""

    span: Span
    text: str
    sure: bool = True


@frozen
class Diagnostic:
    """What is wrong at `span`, in the program's words (`message`), and what to write instead (`hint`).

    `code` is a stable kebab-case name such as `unknown-name`.
    """

    code: str
    message: str
    span: Span
    severity: Severity = "error"
    hint: str | None = None
    fix: Fix | None = None

    def to_json(self) -> dict[str, Any]:
        """The contract of `rlm check --json`: file, positions from 1, severity, code, message, hint."""
        span = self.span
        return {
            "file": span.source.name,
            "line": span.line,
            "column": span.column,
            "end_line": span.end_line,
            "end_column": span.end_column,
            "severity": self.severity,
            "code": self.code,
            "message": printable(self.message),
            "hint": None if self.hint is None else printable(self.hint),
        }


def plural(count: int, noun: str) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(text: str, limit: int = MESSAGE_CHARS) -> str:
    """`text` with control, bidirectional, line-ending and unassigned characters escaped (`\\n` kept), cut to `limit` characters."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == "\n" or not _hidden(c) else c.encode("unicode_escape").decode() for c in text)


def _hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")


def render(diagnostic: Diagnostic, *, width: int = 160) -> str:
    """The diagnostic as text: place and message, the source line with a caret under the exact span, the hint."""
    span = diagnostic.span
    line, column = span.line, span.column
    raw = span.source.line_text(line)
    shift = max(0, column - 1 - width // 2) if len(raw) > width else 0
    shown = raw[shift : shift + width]
    before = printable(shown[: column - 1 - shift].replace("\t", " "))
    last = len(raw) if span.end_line > line else span.end_column - 1
    under = printable(shown[column - 1 - shift : max(last, column) - shift].replace("\t", " "))
    gutter = " " * len(str(line))
    text = [
        f"{printable(span.source.name, 300)}:{line}:{column}: {diagnostic.severity}: {printable(diagnostic.message)} [{diagnostic.code}]",
        f"{gutter} |",
        f"{line} | {'…' if shift else ''}{printable(shown.replace(chr(9), ' '))}",
        f"{gutter} | {' ' if shift else ''}{' ' * _cells(before)}{'^' * max(1, _cells(under))}",
    ]
    if diagnostic.hint:
        text.append(f"{gutter} = hint: {printable(diagnostic.hint)}")
    return "\n".join(text)


def _cells(text: str) -> int:
    """Terminal cells that a text takes: wide characters two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """All of them, a blank line between."""
    return "\n\n".join(render(d) for d in diagnostics)
