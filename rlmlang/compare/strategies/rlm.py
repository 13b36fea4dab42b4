"""`rlm`: the root model writes programs in rlmlang, which are checked, bounded and run here, as `rlm solve` does (docs/solve.md)."""

from __future__ import annotations

from attrs import frozen

from rlmlang.compare.account import at_the_top
from rlmlang.compare.strategy import Asked, Attempt, Step
from rlmlang.solve.ask import Question


@frozen
class Rlm:
    """`rlm solve`, as it is."""

    name: str = "rlm"
    help: str = "the root model writes a program that calls models (rlm solve)"

    def attempt(self, asked: Asked) -> Attempt:
        question = Question(
            asked.question, asked.contexts, asked.settings, type=asked.type, turns=asked.turns, calls=asked.calls, depth=asked.depth
        )
        return Attempt(
            question.session,
            at_the_top,
            transcript=lambda: _steps(question),
            program=lambda answer: question.report(None, None).program,
            bound=lambda: _bound(question),
        )


def _bound(question: Question) -> int | None:
    """The root model's replies, and what its programs could call at most: each was known before it ran."""
    turns = question.record.turns if question.record is not None else []
    bounds = [turn.bound["calls"]["max"] for turn in turns if turn.bound is not None and turn.outcome != "refused"]
    return None if None in bounds else len(turns) + sum(bounds)


def _steps(question: Question) -> list[Step]:
    """The turns: each program, and what came of it."""
    turns = question.record.turns if question.record is not None else []
    steps = []
    for turn in turns:
        wrong = [f"line {d['line']}: {d['message']}" for d in turn.diagnostics if d["severity"] == "error"]
        told = turn.shown or "\n".join([*([turn.error] if turn.error else []), *wrong])
        steps.append(Step("root", text=turn.program or ""))
        steps.append(Step("tool", name="program", result=f"{turn.outcome}{f': {told}' if told else ''}"))
    return steps


STRATEGY = Rlm()
