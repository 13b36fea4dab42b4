"""The pure prefix of a program, computed for real: expressions whose variables are all known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlmlang.run.facts import Facts, Variable
from rlmlang.run.flow import Env, Pure
from rlmlang.run.frames import Frame, Kind
from rlmlang.run.pure.code import PureCode
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span


class _Open(Frame):
    """A frame in which every variable has a place as soon as it is looked for."""

    def find(self, variable: Variable) -> tuple[int, Kind]:
        place = self._places.get(variable)
        if place is None:
            self.place(variable, "value")
            place = self._places[variable]
        return place


class _Still:
    """What pure code asks of a run, where nothing runs: steps are counted against the same limit."""

    def __init__(self) -> None:
        self._steps = 0

    def step(self, count: int, span: Span) -> None:
        from rlmlang import limits
        from rlmlang.errors import LimitError

        self._steps += count
        if count > limits.PURE_STEPS or self._steps > limits.RUN_STEPS:
            raise LimitError(f"this would take {count:,} steps; at most {limits.PURE_STEPS:,} are allowed", span=span)

    def check_cancelled(self) -> None:
        return None

    def skipped(self, failure: Exception, items: tuple[str, ...]) -> None:
        return None


class _Here:
    items: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.run = _Still()


class Prefix:
    """Computes pure expressions of one program."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._frame = _Open()
        self._code = PureCode(facts, self._frame, {})
        self._compiled: dict[n.Node, Pure] = {}
        self._env: Env = [_Here(), 0, 0]

    def value(self, node: n.Node, values: Mapping[Variable, Any]) -> Any:
        """The value of a pure expression with its variables bound. Raises Failure, LimitError."""
        code = self._compiled.get(node)
        if code is None:
            code = self._compiled[node] = self._code.compile(node)
        slots = [self._frame.find(variable)[0] for variable in values]
        env = self._env
        env.extend([None] * (self._frame.size - len(env)))
        for slot, value in zip(slots, values.values(), strict=True):
            env[slot] = value
        return code(env)
