"""The compiler of pure expressions: the environment of a frame, and which kind of expression is compiled where."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from rlmlang.run.facts import Facts, Variable
from rlmlang.run.flow import Pure
from rlmlang.run.frames import Frame
from rlmlang.run.pure import bindings, calls, loops, operators, values
from rlmlang.syntax import nodes as n
from rlmlang.types import DictOf, RecordOf, Type


class PureCode:
    """Compiles the expressions of one frame; `own` is the function whose body they are, None for the program.

    `compile(node)` gives a function of the environment. It reads variables of kind "pending" as done: whoever runs the closure has waited
    for those that the expression needs (rlmlang/run/effects.py), which is also how calls within an expression reach it: their values are
    put into slots first (`hoisted`).
    """

    def __init__(self, facts: Facts, frame: Frame, functions: dict[n.Fn, calls.FunctionCode], own: n.Fn | None = None) -> None:
        self.facts = facts
        self.checked = facts.checked
        self.frame = frame
        self.functions = functions
        self.own = own
        self.hoisted: dict[n.Node, int] = {}
        self.streams: dict[n.Node, loops.LoopStream] = {}  # of the maps and filters compiled so far

    def inside(self, frame: Frame, own: n.Fn) -> PureCode:
        """What compiles the body of a function, for its frame."""
        return PureCode(self.facts, frame, self.functions, own)

    def compile(self, node: n.Node) -> Pure:
        """The closure for an expression."""
        slot = self.hoisted.get(node)
        if slot is not None:
            return itemgetter(slot)
        return _COMPILERS[type(node)](self, node)

    def listed(self, node: n.Expr) -> Pure:
        """The closure for what is gone through as a list: of a dict, its keys."""
        code = self.compile(node)
        if not isinstance(self.type_of(node), (DictOf, RecordOf)):
            return code
        return lambda env: list(code(env))

    def read(self, variable: Variable) -> Pure:
        """Reads a variable."""
        slot, kind = self.frame.find(variable)
        if kind == "value":
            return itemgetter(slot)
        if kind == "thunk":
            return lambda env: env[slot].force()
        return lambda env: env[slot].value

    def type_of(self, node: n.Node) -> Type:
        return self.checked.types[node]


_COMPILERS: dict[type[n.Node], Callable[[PureCode, Any], Pure]] = {
    n.Literal: values.literal,
    n.Name: values.name,
    n.FString: values.fstring,
    n.ListExpr: values.list_of,
    n.Record: values.record,
    n.Index: values.index,
    n.Slice: values.part,
    n.FieldAccess: values.field,
    n.Unary: operators.unary,
    n.Binary: operators.binary,
    n.Compare: operators.compare,
    n.Logic: operators.logic,
    n.Default: operators.default,
    n.If: operators.choice,
    n.Otherwise: operators.otherwise,
    n.Fail: operators.fail,
    n.Apply: calls.apply,
    n.Block: bindings.block,
    n.Map: loops.mapped,
    n.Filter: loops.filtered,
    n.First: loops.first,
    n.Reduce: loops.reduce,
    n.Fold: loops.fold,
}
