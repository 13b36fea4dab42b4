"""The rows of a comparison as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rlmlang.cli import terminal
from rlmlang.cli.costs import aligned
from rlmlang.syntax.diagnostics import printable
from rlmlang.values import to_json_text

if TYPE_CHECKING:
    from rlmlang.compare.strategy import Row

_ANSWER: Final = 40  # characters of an answer that are shown
_HEAD: Final = ("", "outcome", "answer", "score", "coverage", "calls", "root tokens", "tokens", "dollars", "rounds", "seconds")


def table(rows: Sequence[Row]) -> str:
    """A line for each strategy, below the names of the columns; a column that says nothing of any is left out."""
    lines = [list(_HEAD), *map(_line, rows)]
    kept = [at for at in range(len(_HEAD)) if any(line[at] for line in lines[1:])]
    left = [at for at, column in enumerate(kept) if column < 3]
    return "\n".join(aligned([[line[at] for at in kept] for line in lines], left))


def _line(row: Row) -> list[str]:
    answer = "" if row.outcome != "answered" else row.answer if isinstance(row.answer, str) else to_json_text(row.answer)
    answer = printable(" ".join(answer.split()))
    return [
        row.strategy,
        row.outcome,
        answer if len(answer) <= _ANSWER else answer[: _ANSWER - 1] + "…",
        "" if row.score is None else f"{row.score:.2f}",
        "" if row.coverage is None else f"{100 * row.coverage:.0f} %",
        f"{row.calls:,}",
        f"{row.root_tokens:,}",
        f"{row.tokens:,}",
        "?" if row.dollars is None else terminal.money(row.dollars),
        f"{row.rounds:,}",
        f"{row.seconds:.1f}",
    ]
