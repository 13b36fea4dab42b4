"""Collects diagnostics: each once, in order of position, capped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rlmlang import limits
from rlmlang.syntax.diagnostics import Diagnostic, Fix, Severity
from rlmlang.syntax.source import Source, Span

_CANDIDATES = 500  # names that a misspelt one is compared with
_LONGEST = 60  # characters of a name that is worth comparing


class Report:
    """The diagnostics so far. `mark` and `rollback` undo those of an attempt."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def error(
        self, code: str, span: Span, message: str, hint: str | None = None, fix: Fix | str | None = None, guess: str | None = None
    ) -> None:
        """`fix` is a text where it replaces what stands at `span`; so does `guess`, which may be meant where there is no fix."""
        if guess is not None and fix is None:
            fix = Fix(span, guess, sure=False)
        self._found.append(Diagnostic(code, message, span, hint=hint, fix=Fix(span, fix) if isinstance(fix, str) else fix))

    def warn(self, code: str, span: Span, message: str, hint: str | None = None, guess: str | None = None) -> None:
        fix = None if guess is None else Fix(span, guess, sure=False)
        self._found.append(Diagnostic(code, message, span, "warning", hint, fix))

    def add(self, diagnostics: Iterable[Diagnostic]) -> None:
        self._found += diagnostics

    def mark(self) -> int:
        return len(self._found)

    def rollback(self, mark: int) -> None:
        del self._found[mark:]

    def since(self, mark: int) -> list[Diagnostic]:
        return self._found[mark:]

    def errors(self) -> list[Diagnostic]:
        return [d for d in self._found if d.severity == "error"]

    def finish(self, main: Source) -> tuple[Diagnostic, ...]:
        """All of them, `main`'s first, by position; at most `limits.ERRORS` errors and as many warnings, then a note of how many more."""
        once = {(id(d.span.source), d.span.start, d.span.end, d.code): d for d in reversed(self._found)}
        ordered = sorted(once.values(), key=lambda d: (d.span.source is not main, d.span.source.name, d.span.start, d.span.end, d.code))
        kept: list[Diagnostic] = []
        more: dict[Severity, int] = {"error": 0, "warning": 0}
        seen: dict[Severity, int] = {"error": 0, "warning": 0}
        for d in ordered:
            seen[d.severity] += 1
            if seen[d.severity] <= limits.ERRORS:
                kept.append(d)
            else:
                more[d.severity] += 1
        if any(more.values()):
            counts = " and ".join(f"{n} more {kind}{'s' if n > 1 else ''}" for kind, n in more.items() if n)
            kept.append(Diagnostic("more", f"{counts} not shown", kept[-1].span, "warning"))
        return tuple(kept)


def similar(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely meant to be."""
    if len(name) > _LONGEST:
        return None
    candidates = [k for k in sorted(set(known))[:_CANDIDATES] if len(k) <= _LONGEST]
    lowered = {k.lower(): k for k in reversed(candidates)}
    if name.lower() in lowered:
        return lowered[name.lower()]
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.7 if len(name) > 3 else 0.6)
    return close[0] if close else None


def listing(names: Iterable[str], most: int = 12) -> str:
    """Names for a message: the first few, and how many more."""
    all_names = list(names)
    shown = ", ".join(all_names[:most])
    return f"{shown}, and {len(all_names) - most} more" if len(all_names) > most else shown
