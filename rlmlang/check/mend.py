"""Puts right in a program's text what can only have been meant in one way: the fixes of its diagnostics, until there is none left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from rlmlang.syntax.diagnostics import Diagnostic
from rlmlang.syntax.source import universal

_ROUNDS: Final = 8  # a fix may show the next mistake


@frozen
class Mended:
    """`text` is the program with its fixes (as it was, where there is none), `fixed` the errors that those were for; `left` is what is
    still said of it."""

    text: str
    fixed: tuple[Diagnostic, ...]
    left: tuple[Diagnostic, ...]


def mend(text: str, diagnose: Callable[[str], Sequence[Diagnostic]]) -> Mended:
    """`text` with the fixes of its errors. `diagnose` says what is wrong with a program's text."""
    fixed: list[Diagnostic] = []
    for _ in range(_ROUNDS):
        found = tuple(diagnose(text))
        whole = universal(text)
        now = _apart([d for d in found if d.severity == "error" and d.fix is not None and d.fix.span.source.text == whole])
        if not now:
            return Mended(text, tuple(fixed), found)
        text = whole
        for diagnostic in reversed(now):
            assert diagnostic.fix is not None
            span = diagnostic.fix.span
            text = text[: span.start] + diagnostic.fix.text + text[span.end :]
        fixed += now
    return Mended(text, tuple(fixed), tuple(diagnose(text)))


def _apart(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Those whose fixes do not overlap, by place; of several that do, the first."""
    kept: list[Diagnostic] = []
    end = 0
    for diagnostic in sorted(diagnostics, key=_place):
        start, stop = _place(diagnostic)
        if start >= end:
            kept.append(diagnostic)
            end = max(stop, start + 1)
    return kept


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.fix is not None
    return diagnostic.fix.span.start, diagnostic.fix.span.end
