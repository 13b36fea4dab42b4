"""`rlm`: the root model writes programs in rlmlang, which are checked, bounded and run here, as `rlm solve` does (docs/solve.md)."""

from __future__ import annotations

from attrs import frozen

from rlmlang.compare.account import at_the_top
from rlmlang.compare.strategy import Asked, Attempt
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
        return Attempt(question.session, at_the_top, program=lambda answer: question.report(None, None).program)


STRATEGY = Rlm()
