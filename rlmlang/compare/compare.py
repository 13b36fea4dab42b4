"""Runs strategies on one task, one after the other, and makes a row of each, whatever becomes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import define, evolve, field

from rlmlang.compare.account import Account
from rlmlang.compare.coverage import Items, every_item
from rlmlang.compare.strategies import strategy
from rlmlang.compare.strategy import CALLS, TURNS, Asked, Attempt, Outcome, Row
from rlmlang.compare.task import Task
from rlmlang.errors import BudgetError, Interrupted, Looped, Refused, RlmError, Unsolved
from rlmlang.run.report import dollars
from rlmlang.session import Running, Settings
from rlmlang.solve.contexts import Context, given_contexts
from rlmlang.syntax.diagnostics import printable
from rlmlang.values import hashable

# how an error ends a row, the first that fits
_OUTCOMES: tuple[tuple[type[RlmError], Outcome], ...] = (
    (Refused, "refused"),
    (Looped, "looped"),
    (Unsolved, "no answer"),
    (BudgetError, "budget"),
    (Interrupted, "interrupted"),
)


@define(eq=False)
class Comparison:
    """Strategies on one task. `rows` gives a row of each, in order; `cancel`, from any thread, ends the one under way, and no other is
    begun. `attempt` and `running` may be looked at meanwhile. `contexts` are the task's data, where somebody has read them already."""

    task: Task
    names: Sequence[str]
    settings: Settings = field(factory=Settings)
    turns: int = TURNS
    calls: int = CALLS
    depth: int = 1
    contexts: tuple[Context, ...] | None = None
    allow_python: bool = False
    attempt: Attempt | None = field(default=None, init=False)
    running: Running | None = field(default=None, init=False)
    cancelled: bool = field(default=False, init=False)

    def rows(self, watch: Callable[[Running], None] | None = None) -> Iterator[Row]:
        """A row for each strategy, as it ends. `watch` is called with each run, and returns when it is over. Raises UsageError for data
        that cannot be read; whatever a strategy meets stands in its row."""
        contexts = given_contexts(self.task.data) if self.contexts is None else self.contexts
        asked = Asked(self.task.question, contexts, self.settings, self.task.type, self.turns, self.calls, self.depth, self.allow_python)
        items = Items(self.task.needed or every_item(contexts))
        for name in self.names:
            if self.cancelled:
                return
            yield self._row(name, asked, items, watch)

    def cancel(self) -> None:
        """Ends the strategy under way; what it has paid for is kept."""
        self.cancelled = True
        if self.running is not None:
            self.running.cancel()

    def _row(self, name: str, asked: Asked, items: Items, watch: Callable[[Running], None] | None) -> Row:
        try:
            self.attempt = attempt = strategy(name).attempt(asked)
        except RlmError as error:
            return self._failed(Row(name, _outcome(error), error=_told(error)))
        session = attempt.session
        session.calls.watch = account = Account(items, attempt.is_root)
        answer: Any = None
        failure: RlmError | None = None
        self.running = session.start()
        try:
            if self.cancelled:
                self.running.cancel()
            if watch is not None:
                watch(self.running)
            answer = self.running.wait()
        except RlmError as error:
            failure = error
        except Exception as error:  # of a strategy that is wrong: the others are not
            if os.environ.get("RLM_DEBUG"):
                raise
            failure = RlmError(f"internal error: {type(error).__name__}: {error}")
        finally:
            self.running = None
        self.cancelled |= isinstance(failure, Interrupted)
        report = session.report(answer, failure)
        row = Row(
            name,
            "answered" if failure is None else _outcome(failure),
            answer,
            self._score(answer) if failure is None else None,
            coverage=account.coverage(root=attempt.alone),
            seen=account.coverage(root=True),
            calls=report.used.calls,  # those that were cut short, too
            bound=attempt.bound(),
            root_calls=account.root_calls,
            root_tokens=account.root_tokens,
            tokens=account.tokens,
            dollars=None if session.calls.unpriced else dollars(account.nanodollars),
            rounds=report.used.rounds,
            seconds=report.used.seconds,
            error=None if failure is None else _told(failure),
            paid=report.to_json()["used"],
            transcript=tuple(attempt.transcript()),
            program=_program(attempt, answer),
        )
        return row if failure is None else self._failed(row)

    def _score(self, answer: Any) -> float | None:
        if self.task.gold is None:
            return None
        return self.task.score(answer, self.task.gold) if self.task.score is not None else exact(answer, self.task.gold)

    def _failed(self, row: Row) -> Row:
        """Without an answer nothing is right; of what was interrupted nobody knows."""
        return row if self.task.gold is None or row.outcome == "interrupted" else evolve(row, score=0.0)


def compare(task: Task, strategies: Sequence[str], settings: Settings | None = None, **more: Any) -> list[Row]:
    """The rows of all strategies, by name (`compare.strategies.available()`), in order. `more`: `turns`, `calls` and `depth`, what each may
    take, `allow_python`. Raises UsageError for data that cannot be read, or a strategy that there is not."""
    for name in strategies:
        strategy(name)
    return list(Comparison(task, strategies, settings or Settings(), **more).rows())


def exact(answer: Any, gold: Any) -> float:
    """1 where the answer is the gold one, 0 else. Of texts, case and what stands around them do not count."""
    if isinstance(answer, str) and isinstance(gold, str):
        return float(answer.strip().rstrip(".").casefold() == gold.strip().rstrip(".").casefold())
    return float(hashable(answer) == hashable(gold))


def _program(attempt: Attempt, answer: Any) -> str | None:
    """The strategy as a program; None where it has none, or a file that it read is no longer there."""
    try:
        return attempt.program(answer)
    except RlmError:
        return None


def _outcome(error: RlmError) -> Outcome:
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), "failed")


def _told(error: RlmError) -> str:
    return printable(error.message)
