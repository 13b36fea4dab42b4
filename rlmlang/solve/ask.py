"""Where a solve is started: the one function behind `rlm solve` and `rlmlang.solve`.

A question is the program `answer solve question on DATA`, whose data are bound from outside. So all that holds of runs holds of it: the
bound before it starts, budgets, memo, report, cancelling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, fields, frozen

from rlmlang import limits
from rlmlang.check import Turn, check
from rlmlang.errors import ProgramError, RlmError, UsageError
from rlmlang.run.nesting import CALLS, DEPTH, TURNS, Solver
from rlmlang.run.report import Result
from rlmlang.session import Running, Session, Settings, configuration
from rlmlang.solve.contexts import Context, given_contexts
from rlmlang.solve.keep import kept_program
from rlmlang.solve.loop import Loop
from rlmlang.solve.record import Outcome, SolveRecord
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.syntax.diagnostics import printable
from rlmlang.types import TEXT, Type


@frozen
class Solution(Result):
    """The outcome of a solve. `outcome`: how it ended; `turns`: each turn as the report has it; `names`: the variables that were bound at
    its end, with their types; `program`: the whole program that gave the answer, with its inputs declared, None without an answer (and
    where it would be longer than a program may be)."""

    question: str = ""
    outcome: Outcome = "under way"
    names: Mapping[str, str] = field(factory=dict)
    turns: tuple[Mapping[str, Any], ...] = ()
    program: str | None = None


class Question:
    """One question, prepared: nothing has been spent. `loop.records` may be looked at while it runs."""

    def __init__(
        self,
        question: str,
        contexts: Sequence[Context],
        settings: Settings | None = None,
        *,
        type: str | None = None,
        turns: int = TURNS,
        calls: int = CALLS,
        depth: int = DEPTH,
    ) -> None:
        self.question = question
        self.contexts = tuple(contexts)
        self.session = question_session(question, contexts, self._solver, settings, type=type, turns=turns, calls=calls, depth=depth)
        assert isinstance(self.session.run.solver, Loop)
        self.loop: Loop = self.session.run.solver

    def _solver(self, session: Session) -> Loop:
        return Loop(session.models, session.budget, session.settings.offline, whole=True)

    @property
    def record(self) -> SolveRecord | None:
        """The solve itself; None before it has begun."""
        return self.loop.records[0] if self.loop.records else None

    def start(self) -> Running:
        """Begins in a thread of its own."""
        return self.session.start()

    def report(self, answer: Any, error: RlmError | None) -> Solution:
        """The outcome. An error of the question as a whole has no place any more: nobody has seen the program that it is."""
        result = self.session.report(answer, error)
        if error is not None and error.span is not None and error.span.source is self.session.checked.program.source:
            error.span = None
        record = self.record or SolveRecord(self.question, 0, outcome="failed" if error else "under way")
        given = {f.name: getattr(result, f.name) for f in fields(Result)}
        if record.accepted and record.outcome == "answered" and record.accepted[-1].result is not None and record.wanted is None:
            given["type"] = str(record.accepted[-1].result)
        return Solution(
            **given,
            question=self.question,
            outcome=record.outcome,
            names=dict(record.names),
            turns=tuple(turn.to_json() for turn in record.turns),
            program=self._program(record),
        )

    def _program(self, record: SolveRecord) -> str | None:
        if record.outcome != "answered":
            return None
        try:
            wanted = record.wanted if record.converted else None
            return kept_program(record.accepted, {c.name: c.type for c in self.contexts}, self.question, wanted)
        except UsageError:  # all turns together are longer than a program may be: the answer stands
            return None


def question_session(
    question: str,
    contexts: Sequence[Context],
    solver: Callable[[Session], Solver],
    settings: Settings | None = None,
    *,
    type: str | None = None,
    turns: int = TURNS,
    calls: int = CALLS,
    depth: int = DEPTH,
) -> Session:
    """The run of a program that is nothing but the question, as a `solve` that `solver` answers. Raises UsageError; BudgetError where not
    even one call is within the budget."""
    if not question.strip():
        raise UsageError("there is no question")
    for name, number, most in (("turns", turns, limits.SOLVE_TURNS), ("calls", calls, None), ("depth", depth, None)):
        if number < 1 or (most is not None and number > most):
            raise UsageError(f"{name} is a whole number from 1 up{f' to {most}' if most else ''}, not {number:,}")
    taken = {c.name for c in contexts}
    asked = next(name for name in ("question", *(f"question{at}" for at in range(2, len(taken) + 3))) if name not in taken)
    on = f" on {{{', '.join(c.name for c in contexts)}}}" if contexts else ""
    wanted = "" if type is None else f" -> {written_type(type)}"
    text = f"answer solve {asked}{on}{wanted} with {{turns: {turns}, calls: {calls}, depth: {depth}}}"
    names: dict[str, Type] = {asked: TEXT, **{c.name: c.type for c in contexts}}
    checked = check(parse(text, "<solve>"), turn=Turn(names))
    if checked.errors:  # of the type, for nothing else in it is the caller's
        wrong = checked.errors[0]
        raise UsageError(f"the type {printable(str(type))}: {wrong.message}", hint=wrong.hint)
    settings = settings or Settings()
    settings = evolve(settings, batch=settings.batch or False)  # of many turns each might take a day: only where it is asked for
    inputs = {asked: question, **{c.name: c.value for c in contexts}}
    return Session(checked, settings, inputs, configuration(settings.config), solver=solver)


def written_type(text: str) -> str:
    """A type as given, as a program writes it. Raises UsageError."""
    return str(read_type(text))


def read_type(text: str) -> Type:
    """A type as given. Raises UsageError."""
    try:
        checked = check(parse(f"type Wanted = {text}"))
        statements = checked.program.statements
        if not checked.errors and len(statements) == 1 and isinstance(statements[0], n.TypeDef):
            return checked.declared_types["Wanted"]
        problem = checked.errors[0].message if checked.errors else "it is one type, as after -> in a program"
    except ProgramError as error:
        problem = error.message
    raise UsageError(
        f"the type {printable(text, 100)}: {problem}", hint='for example: text, int, [text], "yes" | "no", {name: text, age: int}'
    )


def solve(
    question: str,
    settings: Settings | None = None,
    *,
    type: str | None = None,
    turns: int = TURNS,
    calls: int = CALLS,
    depth: int = DEPTH,
    data: Mapping[str, Any] | None = None,
    **more: Any,
) -> Solution:
    """Asks a question about data: a root model writes programs that answer it. The data are named: `solve("…", book=text)`, or by `data`,
    where a name is one of this function's own. A str is a text, a path a file's data or a folder.

    `type` is that of the answer, as after `->` in a program. At most `turns` programs, `calls` sub-invocations in all, `depth` levels of
    solves. Raises UsageError before anything is spent; Unsolved (a Failure) where no program answers, Failure, BudgetError, LimitError,
    Interrupted, each with the report so far as the attribute `result`.
    """
    asked = Question(question, given_contexts({**(data or {}), **more}), settings, type=type, turns=turns, calls=calls, depth=depth)
    running = asked.start()
    try:
        return asked.report(running.wait(), None)
    except RlmError as error:
        error.result = asked.report(None, error)
        raise


async def asolve(
    question: str,
    settings: Settings | None = None,
    *,
    type: str | None = None,
    turns: int = TURNS,
    calls: int = CALLS,
    depth: int = DEPTH,
    data: Mapping[str, Any] | None = None,
    **more: Any,
) -> Solution:
    """As `solve`, for coroutines. Cancelling it stops the run and waits until no call is left."""
    asked = Question(question, given_contexts({**(data or {}), **more}), settings, type=type, turns=turns, calls=calls, depth=depth)
    running = asked.start()
    done = asyncio.wrap_future(running.done)
    try:
        return asked.report(await asyncio.shield(done), None)
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.wait([done])
        raise
    except RlmError as error:
        error.result = asked.report(None, error)
        raise
