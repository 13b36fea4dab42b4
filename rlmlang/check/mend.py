"""Puts right in a program's text what can only have been meant in one way: the fixes of its diagnostics, until there is none left. What may
have been meant, among other things, is guessed only where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from rlmlang.check.checked import Checked
from rlmlang.errors import ProgramError
from rlmlang.syntax.diagnostics import Diagnostic
from rlmlang.syntax.source import universal

_ROUNDS: Final = 8  # a fix may show the next mistake


@frozen
class Mended:
    """`text` is the program with its fixes (as it was, where there is none), `fixed` the errors that those were for; `left` is what is
    still said of it, and `checked` what the checker made of it, None where it does not parse."""

    text: str
    fixed: tuple[Diagnostic, ...]
    left: tuple[Diagnostic, ...]
    checked: Checked | None


def mend(text: str, check: Callable[[str], Checked], *, guess: bool = False) -> Mended:
    """`text` with the fixes of its errors, with `guess` those of its warnings too, and those that are not sure. `check` parses and checks a
    program's text, and raises ProgramError for syntax."""
    fixed: list[Diagnostic] = []
    checked, found = _examined(text, check)
    for _ in range(_ROUNDS):
        whole = universal(text)
        now = _apart([d for d in found if _is_meant(d, guess) and d.fix is not None and d.fix.span.source.text == whole])
        if not now:
            break
        text = whole
        for diagnostic in reversed(now):
            assert diagnostic.fix is not None
            span = diagnostic.fix.span
            text = text[: span.start] + diagnostic.fix.text + text[span.end :]
        fixed += now
        checked, found = _examined(text, check)
    return Mended(text, tuple(fixed), found, checked)


def _examined(text: str, check: Callable[[str], Checked]) -> tuple[Checked | None, tuple[Diagnostic, ...]]:
    try:
        checked = check(text)
    except ProgramError as error:
        return None, error.diagnostics
    return checked, checked.diagnostics


def _is_meant(diagnostic: Diagnostic, guess: bool) -> bool:
    return diagnostic.fix is not None and (guess or (diagnostic.fix.sure and diagnostic.severity == "error"))


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
