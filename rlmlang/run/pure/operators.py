"""Operators, and what decides between expressions: `if`, `??`, `otherwise`, `fail`."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, mul, sub
from typing import TYPE_CHECKING, Any

from rlmlang.builtins import operators
from rlmlang.errors import Failure
from rlmlang.run.flow import Env, Pure
from rlmlang.run.pure.guarded import called2, guarded1, guarded2
from rlmlang.syntax import nodes as n
from rlmlang.types import BOOL, FLOAT, INT, NONE, TEXT, Enum, ListOf, Type
from rlmlang.values import to_text

if TYPE_CHECKING:
    from rlmlang.run.pure.code import PureCode

_SMALL = 1 << 62  # sums of ints below this need no look at their bits
_FINITE = 1e300  # floats below this need no look at whether they are finite
_FLOAT_STEPS: dict[str, Callable[[float, float], float]] = {"+": add, "-": sub, "*": mul}


def unary(c: PureCode, node: n.Unary) -> Pure:
    operand = c.compile(node.operand)
    if node.op == "not":
        return lambda env: not operand(env)
    return guarded1(operators.UNARY[node.op], operand, node.span)


def binary(c: PureCode, node: n.Binary) -> Pure:
    left, right, op = c.compile(node.left), c.compile(node.right), node.op
    code, span = operators.BINARY[op], node.span
    types = c.type_of(node.left), c.type_of(node.right)
    if types == (INT, INT) and op in ("+", "-"):
        sign = 1 if op == "+" else -1

        def small(env: Env) -> Any:
            a, b = left(env), right(env)
            made = a + b if sign > 0 else a - b
            return made if -_SMALL < made < _SMALL else called2(code, a, b, span)

        return small
    if types == (FLOAT, FLOAT) and op in _FLOAT_STEPS:
        plain = _FLOAT_STEPS[op]
        if isinstance(node.right, n.Literal):
            value: Any = node.right.value

            def literal_step(env: Env) -> Any:
                a = left(env)
                if type(a) is float and -_FINITE < (made := plain(a, value)) < _FINITE:
                    return made
                return called2(code, a, value, span)

            return literal_step

        def float_step(env: Env) -> Any:
            a, b = left(env), right(env)
            if type(a) is float and type(b) is float and -_FINITE < (made := plain(a, b)) < _FINITE:
                return made
            return called2(code, a, b, span)

        return float_step
    return guarded2(code, left, right, span)


# ---- comparisons ----


def compare(c: PureCode, node: n.Compare) -> Pure:
    operands = node.operands
    span = node.span
    if len(node.ops) == 1:
        (op,) = node.ops
        left, right = c.compile(operands[0]), c.compile(operands[1])
        if _is_plain(op, c.type_of(operands[0]), c.type_of(operands[1])):
            return _plain_compare(op, left, right, operands[1])
        return guarded2(operators.COMPARE[op], left, right, span)
    first, *others = (c.compile(operand) for operand in operands)
    steps = [(operators.COMPARE[op], value) for op, value in zip(node.ops, others, strict=True)]

    def chain(env: Env) -> bool:
        a = first(env)
        for code, value in steps:
            b = value(env)
            if not called2(code, a, b, span):
                return False
            a = b
        return True

    return chain


def _is_plain(op: str, left: Type, right: Type) -> bool:
    """Whether Python's own operator means the same on these types."""
    if op in ("in", "not in"):
        return _are_texts(left) and (right == TEXT or (isinstance(right, ListOf) and _are_texts(right.item)))
    if (_are_texts(left) and _are_texts(right)) or {left, right} <= {INT, FLOAT}:
        return True
    return op in ("==", "!=") and ((left, right) == (BOOL, BOOL) or NONE in (left, right))


def _are_texts(type_: Type) -> bool:
    return type_ == TEXT or isinstance(type_, Enum)


def _plain_compare(op: str, left: Pure, right: Pure, written: n.Expr) -> Pure:
    """A comparison that Python's own operator makes; one with a literal on the right saves a call."""
    if isinstance(written, n.Literal):
        value: Any = written.value
        literal: dict[str, Pure] = {
            "==": lambda env: left(env) == value,
            "!=": lambda env: left(env) != value,
            "<": lambda env: left(env) < value,
            "<=": lambda env: left(env) <= value,
            ">": lambda env: left(env) > value,
            ">=": lambda env: left(env) >= value,
            "in": lambda env: left(env) in value,
            "not in": lambda env: left(env) not in value,
        }
        return literal[op]
    both: dict[str, Pure] = {
        "==": lambda env: left(env) == right(env),
        "!=": lambda env: left(env) != right(env),
        "<": lambda env: left(env) < right(env),
        "<=": lambda env: left(env) <= right(env),
        ">": lambda env: left(env) > right(env),
        ">=": lambda env: left(env) >= right(env),
        "in": lambda env: left(env) in right(env),
        "not in": lambda env: left(env) not in right(env),
    }
    return both[op]


# ---- choices ----


def logic(c: PureCode, node: n.Logic) -> Pure:
    left, right = c.compile(node.left), c.compile(node.right)
    if node.op == "and":
        return lambda env: left(env) and right(env)
    return lambda env: left(env) or right(env)


def default(c: PureCode, node: n.Default) -> Pure:
    left, right = c.compile(node.left), c.compile(node.right)

    def default(env: Env) -> Any:
        value = left(env)
        return right(env) if value is None else value

    return default


def choice(c: PureCode, node: n.If) -> Pure:
    condition, then, orelse = c.compile(node.condition), c.compile(node.then), c.compile(node.orelse)
    return lambda env: then(env) if condition(env) else orelse(env)


def otherwise(c: PureCode, node: n.Otherwise) -> Pure:
    value, fallback = c.compile(node.value), c.compile(node.fallback)

    def otherwise(env: Env) -> Any:
        try:
            return value(env)
        except Failure:
            return fallback(env)

    return otherwise


def fail(c: PureCode, node: n.Fail) -> Pure:
    message, span = c.compile(node.message), node.span

    def fail(env: Env) -> Any:
        raise Failure(to_text(message(env)), span=span)

    return fail
