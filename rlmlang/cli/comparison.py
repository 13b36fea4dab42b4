"""The rows of a comparison as a table, and as JSON data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rlmlang.cli import terminal
from rlmlang.cli.costs import aligned
from rlmlang.syntax.diagnostics import printable
from rlmlang.values import to_json_text

if TYPE_CHECKING:
    from rlmlang.compare.strategy import Row
    from rlmlang.compare.task import Task

_ANSWER: Final = 40  # characters of an answer that are shown
_HEAD: Final = (
    "",
    "outcome",
    "answer",
    "score",
    "coverage",
    "calls",
    "calls ≤",
    "sent",
    "root tokens",
    "tokens",
    "dollars",
    "rounds",
    "seconds",
)
_SENT: Final = _HEAD.index("sent")


def table(rows: Sequence[Row], question: str | None = None) -> str:
    """A line for each strategy, below the names of the columns (and the question); a column that says nothing of any is left out. `sent`:
    the requests that the memo did not answer, where it answered any."""
    lines = [list(_HEAD), *map(_line, rows)]
    kept = [at for at in range(len(_HEAD)) if any(line[at] for line in lines[1:])]
    if not any(row.paid.get("from_memo") for row in rows):
        kept.remove(_SENT)
    left = [at for at, column in enumerate(kept) if column < 3]
    text = "\n".join(aligned([[line[at] for at in kept] for line in lines], left))
    return text if question is None else f"{printable(' '.join(question.split()), 300)}\n{text}\n"


def report(done: Sequence[tuple[Task, Sequence[Row]]], workload: str | None) -> dict[str, Any]:
    """The rows as JSON data: of one question with it, of several by question."""
    parts = [{"question": task.question, "rows": [row.to_json() for row in rows]} for task, rows in done]
    about = {} if workload is None else {"workload": workload}
    return {**about, **parts[0]} if len(parts) == 1 else {**about, "questions": parts}


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
        "" if row.bound is None else f"{row.bound:,}",
        f"{row.paid.get('requests', 0):,}",
        f"{row.root_tokens:,}",
        f"{row.tokens:,}",
        "?" if row.dollars is None else terminal.money(row.dollars),
        f"{row.rounds:,}",
        f"{row.seconds:.1f}",
    ]
