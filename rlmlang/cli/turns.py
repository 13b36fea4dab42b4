"""The turns of a solve on the terminal: each program as it is written, what came of it, and a line that says how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rlmlang.cli import terminal
from rlmlang.cli.progress import Line, describe
from rlmlang.syntax.diagnostics import plural, printable

if TYPE_CHECKING:
    from rlmlang.solve.ask import Question
    from rlmlang.solve.record import TurnRecord

_LINES: Final = 40  # of a program
_SHOWN: Final = 8  # of what a program showed
_WORDS: Final = {
    "no program": "no program in the reply",
    "repeated": "the same program again",
    "invalid": "has errors",
    "refused": "refused",
    "failed": "failed",
    "shown": "ran",
    "answered": "answered",
}


class View:
    """Draws the solve of `asked`; nothing where nobody would see it."""

    def __init__(self, asked: Question, *, quiet: bool) -> None:
        self._asked = asked
        self._line = Line(quiet=quiet)
        self._programs = 0  # turns whose program is shown
        self._ends = 0  # and whose end

    @property
    def shown(self) -> bool:
        return self._line.shown

    def draw(self) -> None:
        """What is new, and the line."""
        record = self._asked.record
        if not self.shown or record is None:
            return
        for at, turn in enumerate(record.turns):
            if at >= self._programs and turn.program is not None:
                self._say(f"── turn {turn.turn}\n{_cut(turn.program, _LINES)}")
                self._programs = at + 1
            if at >= self._ends and turn.outcome is not None and turn.used:
                self._say(_end(turn))
                self._programs = self._ends = at + 1
        self._line.draw(f"turn {len(record.turns)} of {record.turns_most} · {describe(self._asked.session)}")

    def end(self) -> None:
        """The rest, and an empty line."""
        self.draw()
        self._line.clear()

    def _say(self, text: str) -> None:
        self._line.clear()
        terminal.say(text)


def _end(turn: TurnRecord) -> str:
    used = plural(turn.used["calls"], "call")
    if turn.used["dollars"]:
        used += f", {terminal.money(turn.used['dollars'])}"
    lines = [f"── turn {turn.turn} {_WORDS[turn.outcome or 'failed']}: {used}"]
    if turn.error is not None:
        lines.append(printable(turn.error, 500))
    lines += [f"line {d['line']}: {d['severity']}: {d['message']}" for d in turn.diagnostics[:3]]
    if turn.shown is not None:
        lines.append(_cut(turn.shown, _SHOWN))
    return "\n".join(lines)


def _cut(text: str, most: int) -> str:
    lines = printable(text, 4_000).split("\n")
    return "\n".join(lines if len(lines) <= most else [*lines[:most], f"… {len(lines) - most} more lines"])
