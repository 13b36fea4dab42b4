"""One line on the terminal that says how far a run is, redrawn ten times a second. Where standard error is no terminal nothing is drawn.

Plain text and carriage returns, no library: it costs nothing to start, and works on the dumbest of terminals.
"""

from __future__ import annotations

import shutil
import time
import unicodedata
from typing import TYPE_CHECKING

from rlmlang.cli import terminal
from rlmlang.syntax.diagnostics import plural

if TYPE_CHECKING:
    from rlmlang.session import Session

INTERVAL = 0.1  # seconds
_SOON = 2.0  # seconds of a run before its end is guessed


class Line:
    """A line that is drawn over. `shown` is False where nobody would see it."""

    def __init__(self, *, quiet: bool) -> None:
        self.shown = not quiet and terminal.on_terminal()
        self._last = ""

    def draw(self, text: str) -> None:
        """Replaces what stands there, cut to the terminal's width."""
        if not self.shown:
            return
        # the last column stays free: some terminals go to the next line with it
        text = _cut(text, shutil.get_terminal_size().columns - 1)
        if text != self._last:
            terminal.draw("\r" + text + " " * max(0, _cells(self._last) - _cells(text)))
            self._last = text

    def clear(self) -> None:
        """Leaves an empty line, for whatever comes next."""
        if self._last:
            terminal.draw("\r" + " " * _cells(self._last) + "\r")
            self._last = ""


def describe(session: Session) -> str:
    """`37/120 items · 52 calls · 12 from memo · 16 under way · $0.0123 · 0:12, about 0:28 left`"""
    used, run = session.used, session.run
    parts = []
    if run.expected_items:
        parts.append(f"{run.done_items:,}/{run.expected_items:,} items")
    parts.append(plural(used.calls, "call"))
    if used.from_memo:
        parts.append(f"{used.from_memo:,} from memo")
    if under_way := session.budget.reserved["calls"]:
        parts.append(f"{under_way:,} under way")
    if jobs := session.client.jobs():
        counts = (sum(job.state.done if job.state else 0 for job in jobs), sum(job.record.count for job in jobs))
        parts.append(f"{plural(len(jobs), 'job')} ({counts[0]:,} of {counts[1]:,} done)")
    if used.failed:
        parts.append(f"{used.failed:,} failed")
    if used.dollars:
        parts.append(terminal.money(used.dollars))
    elif used.input_tokens:
        parts.append(f"{used.input_tokens + used.output_tokens:,} tokens")
    left = _left(used.seconds, run.done_items, run.expected_items)
    parts.append(_clock(used.seconds) + (f", about {_clock(left)} left" if left is not None else ""))
    return " · ".join(parts)


def _left(seconds: float, done: int, expected: int) -> float | None:
    """Seconds to the end, if it goes on as it went; None where that would be a guess."""
    if seconds < _SOON or not 0 < done < expected:
        return None
    return seconds * (expected - done) / done


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Download:
    """The progress of one download; without a terminal a single line says that there is one."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        self._what = what
        self._quiet = quiet
        self._line = Line(quiet=quiet)
        self._said = False
        self._drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        """So many bytes of so many are there."""
        now = time.monotonic()
        size = f"{total / 1e6:,.0f} MB"
        if self._line.shown:
            if now - self._drawn >= INTERVAL or done == total:
                self._drawn = now
                self._line.draw(f"fetching {self._what}, once: {done / 1e6:,.0f} of {size}")
        elif not (self._said or self._quiet):
            self._said = True
            terminal.say(f"fetching {self._what}, once ({size})")

    def end(self) -> None:
        self._line.clear()


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _cut(text: str, cells: int) -> str:
    return text if _cells(text) <= cells else text[: max(0, cells - 1)] + "…"
