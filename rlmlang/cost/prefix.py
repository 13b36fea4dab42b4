"""The pure prefix of a program, computed for real: expressions whose variables are all known.

Work is counted, and there is little of it to spend: a bound takes milliseconds whatever a program says. What is read of an input, a folder
or a file buys more, so that large data is looked at like small data. Where the work is spent, sizes say what they can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlmlang import limits
from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Function
from rlmlang.errors import Failure, LimitError
from rlmlang.run.facts import Facts, Variable
from rlmlang.run.flow import Env, Pure
from rlmlang.run.frames import Frame, Kind
from rlmlang.run.pure.code import PureCode
from rlmlang.run.pure.loops import rows_kept
from rlmlang.sizes import Exact, NoneSize, Size, measured_parts
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span
from rlmlang.types import BOOL, FILE, FLOAT, INT, NONE, Enum
from rlmlang.values import SEQUENCES

_ITEM_STEPS = 100  # bought by an item of an input's list, or a file of a folder
_ITEMS_A_STEP = 4  # items of a list that are copied or looked at in the time of a step
_CHARS_A_STEP = 32  # likewise of a text


class _Open(Frame):
    """A frame in which every variable has a place as soon as it is looked for."""

    def find(self, variable: Variable) -> tuple[int, Kind]:
        place = self._places.get(variable)
        if place is None:
            self.place(variable, "value")
            place = self._places[variable]
        return place


class _Work:
    """What pure code asks of a run, where nothing runs, and the steps that are left."""

    def __init__(self, left: int, prepared: dict[n.Node, list[Any]]) -> None:
        self.left = left
        self.prepared = prepared

    def step(self, count: int, span: Span) -> None:
        if count > self.left:
            raise LimitError("this takes too many steps to be known before the run", span=span)
        self.left -= count

    def look(self, value: Any) -> None:
        """Counts a value that was made or is read whole."""
        if isinstance(value, str):
            steps = len(value) // _CHARS_A_STEP
        elif isinstance(value, (dict, *SEQUENCES)):
            steps = len(value) // _ITEMS_A_STEP
        else:
            return
        self.left -= steps
        if self.left < 0:
            raise LimitError("this takes too long to be known before the run")

    def buy(self, value: Any) -> None:
        """Steps for what the user gave, by how much that is."""
        if isinstance(value, str):
            self.left += len(value)
        elif isinstance(value, SEQUENCES):
            self.left += _ITEM_STEPS * len(value)
        elif isinstance(value, dict):
            for item in value.values():
                self.buy(item)

    def may_hold(self, xs: Streamed) -> int:
        return rows_kept(xs)

    def check_cancelled(self) -> None:
        return None

    def skipped(self, failure: Exception, items: tuple[str, ...]) -> None:
        return None


class _Here:
    items: tuple[str, ...] = ()

    def __init__(self, work: _Work) -> None:
        self.run = work


_SMALL = (INT, FLOAT, BOOL, NONE, FILE)


class _Counted(PureCode):
    """Pure code in which every text and list that an expression makes or reads is counted."""

    def __init__(self, work: _Work, facts: Facts, frame: Frame, functions: dict[n.Fn, Any], own: n.Fn | None = None) -> None:
        super().__init__(facts, frame, functions, own)
        self._work = work
        self._free: set[n.Node] = set()  # read without being looked at whole

    def inside(self, frame: Frame, own: n.Fn) -> PureCode:
        return _Counted(self._work, self.facts, frame, self.functions, own)

    def compile(self, node: n.Node) -> Pure:
        if isinstance(node, n.Index):
            self._free.add(node.base)
        elif isinstance(node, n.Apply) and node.name == "len" and node.args:
            self._free.add(node.args[0].value)
        code = super().compile(node)
        if node in self._free or isinstance(node, n.Literal):
            return code
        bought = self._is_read(node)
        type_ = self.checked.types.get(node)
        if not bought and (type_ in _SMALL or isinstance(type_, Enum)):
            return code
        work = self._work

        def counted(env: Env) -> Any:
            value = code(env)
            if bought:
                work.buy(value)
            work.look(value)
            return value

        return counted

    def _is_read(self, node: n.Node) -> bool:
        """Whether an expression reads a folder or a file."""
        if isinstance(node, n.FieldAccess):
            return node.name == "text" and self.checked.types.get(node.base) == FILE
        callee: Builtin | Function | None = self.checked.callees.get(node) if isinstance(node, n.Apply) else None
        return isinstance(callee, Builtin) and callee.name == "files"


class Prefix:
    """Computes pure expressions of one program, each once for the same values, in about so many `steps` and those that inputs buy.

    What loops over large inputs give is put into `prepared`, where it is small, and taken from there."""

    def __init__(self, facts: Facts, steps: int = limits.PREFIX_STEPS, prepared: dict[n.Node, list[Any]] | None = None) -> None:
        self._work = _Work(steps, {} if prepared is None else prepared)
        self._frame = _Open()
        self._code = _Counted(self._work, facts, self._frame, {})
        self._compiled: dict[n.Node, Pure] = {}
        self._known: dict[tuple[n.Node, tuple[int, ...]], tuple[Mapping[Variable, Any], tuple[Size, bool] | None]] = {}
        self._env: Env = [_Here(self._work), 0, 0]

    def given(self, value: Any) -> None:
        """A value that the user gave."""
        self._work.buy(value)

    def size(self, node: n.Node, values: Mapping[Variable, Any]) -> tuple[Size, bool] | None:
        """The value of a pure expression with its variables bound, and whether it fails; of a loop over a list that is not held its size,
        where that is too much to be kept. None where it takes too much work, or is refused by a limit: the run may not come there, and if
        it does, it is refused then."""
        key = node, tuple(map(id, values.values()))
        known = self._known.get(key)
        if known is not None:
            return known[1]
        found: tuple[Size, bool] | None
        try:
            found = Exact(self.value(node, values)), False
        except Failure:
            found = NoneSize(), True
        except LimitError:
            found = self._measured(node)
        self._known[key] = values, found  # with the values, whose addresses would be those of others
        return found

    def _measured(self, node: n.Node) -> tuple[Size, bool] | None:
        """The size of what a loop over a list that is not held gives, whose variables are bound; None of anything else."""
        stream = self._code.streams.get(node)
        try:
            if stream is not None and isinstance(xs := stream.root(self._env), Streamed):
                return measured_parts(stream.batches(self._env, xs)), False
        except Failure:
            return NoneSize(), True
        except LimitError:
            pass
        return None

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
