"""The errors a user can meet. Nothing else leaves the package: every foreign exception becomes one of these.

`Failure` is a value of the language (`otherwise` takes it); the rest stop a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rlmlang.run.report import Result
    from rlmlang.syntax.diagnostics import Diagnostic
    from rlmlang.syntax.source import Span


class RlmError(Exception):
    """Root of all errors of rlmlang. `message` is one or two plain sentences; `span` says where, if it is about a place.

    `result` is the report of the run that ended with it, where there was one.
    """

    exit_code = 1
    result: Result | None = None

    def __init__(self, message: str, *, span: Span | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.hint = hint


class ProgramError(RlmError):
    """The program text is wrong: syntax, names, types. `diagnostics` says all of it."""

    exit_code = 2

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        first = next((d for d in diagnostics if d.severity == "error"), None)
        super().__init__(first.message if first else "the program is wrong", span=first.span if first else None)
        self.diagnostics = diagnostics


class UsageError(RlmError):
    """A wrong option, input, configuration or file given by whoever runs the program."""

    exit_code = 2


class Failure(RlmError):
    """A failure at run time that `otherwise` can take: a call that failed for good, an index out of range, `fail`.

    `attempts` is the number of requests sent, for a call; `item` the path or position of the items it was for, outermost first;
    `round` the longest chain of calls that led to it; `cost` the tokens and nano-dollars that its requests took.
    """

    round = 0
    cost: tuple[int, int] = (0, 0)

    def __init__(
        self,
        message: str,
        *,
        span: Span | None = None,
        hint: str | None = None,
        attempts: int = 0,
        item: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, span=span, hint=hint)
        self.attempts = attempts
        self.item = item

    def anew(self, message: str, *, span: Span | None = None, attempts: int = 0, item: tuple[str, ...] = ()) -> Self:
        """The same failure and hint, with more to say of where it happened."""
        again = type(self)(message, span=span, hint=self.hint, attempts=attempts, item=item)
        again.cost = self.cost
        return again

    def bare(self) -> Self:
        """The same object without what it came through: whoever keeps a failure shall not keep the data of the frames that it left."""
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class CutOff(Failure):
    """A reply that stopped at its limit of tokens, or was stopped as it said the same over and over."""


class Refused(Failure):
    """The model, or its provider's filter, would not reply."""


class Unsolved(Failure):
    """A `solve` that ended without an answer. `names` are the types of the variables that its programs had bound, `shown` a preview of
    what the last of them showed."""

    names: Mapping[str, str] = {}
    shown: str | None = None


class Looped(Unsolved):
    """A `solve` whose root model did the same again and again."""


class LimitError(RlmError):
    """A limit of the interpreter (`rlmlang.limits`) was met. `otherwise` does not take it."""


class BudgetError(RlmError):
    """The budget is used up, or too small for the program's lower bound. `otherwise` does not take it."""

    exit_code = 3


class Interrupted(RlmError):
    """The run was cancelled from outside."""

    exit_code = 130
