"""Calls of functions with pure bodies and of built-ins, and the functions that built-ins are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rlmlang import limits
from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Function
from rlmlang.errors import Failure, LimitError, RlmError
from rlmlang.run.facts import weight_of
from rlmlang.run.flow import Env, Pure, Thunk, located
from rlmlang.run.frames import Frame
from rlmlang.run.pure.guarded import guarded1, guarded2
from rlmlang.run.pure.loops import first_of_filter, takes_first
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span

if TYPE_CHECKING:
    from rlmlang.run.pure.code import PureCode


class FunctionCode:
    """A function with a pure body, or with one where nothing that may need a model is left to wait for."""

    __slots__ = ("body", "depth", "frame", "name", "slots", "steps", "strict")

    def __init__(self, name: str, frame: Frame, depth: int | None, slots: list[int], strict: list[bool]) -> None:
        self.name = name
        self.frame = frame
        self.depth = depth
        self.slots = slots
        self.strict = strict
        self.steps = 1  # of one call of it, without those of the loops in it
        self.body: Pure = _unset


def _unset(env: Env) -> Any:
    raise AssertionError("a function was called before it was compiled")


def enter(code: Any, env: Env, same_function: bool) -> Env:
    """The environment of a call of `code` made from `env`. Raises Failure where it has called itself too often, LimitError where all is
    too deep."""
    nested = env[1] + 1 if same_function else 0
    if code.depth is not None and nested > code.depth:
        raise Failure(f"{code.name} has called itself {code.depth} times, which is the depth it declares")
    total = env[2] + 1
    if total > limits.CALL_DEPTH:
        raise LimitError(f"calls of functions are nested more than {limits.CALL_DEPTH} deep")
    frame: Env = [None] * code.frame.size
    frame[0] = env[0]
    frame[1] = nested
    frame[2] = total
    return frame


def compiled(c: PureCode, function: Function) -> FunctionCode:
    """The compiled function, compiling it first where nobody has."""
    code = c.functions.get(function.node)
    if code is None:
        facts = c.facts.facts_of(function)
        top = c.frame if c.frame.outer is None else c.frame.outer
        frame = Frame(top)
        strict = [param in facts.awaits for param in facts.params]
        slots = [frame.place(p, "value" if needed else "thunk") for p, needed in zip(facts.params, strict, strict=True)]
        code = c.functions[function.node] = FunctionCode(function.node.name, frame, function.node.depth, slots, strict)
        code.steps = weight_of(function.node.body)
        code.body = c.inside(frame, function.node).compile(function.node.body)
    return code


def copies_for(c: PureCode, inner: Frame) -> list[tuple[int, int]]:
    """What a call from this frame copies into the callee's: (its slot, ours)."""
    if inner is c.frame:
        return inner.recaptures
    return [(slot, c.frame.find(variable)[0]) for variable, slot in inner.captures]


# ---- calls ----


def apply(c: PureCode, node: n.Apply) -> Pure:
    callee = c.checked.callees[node]
    given = c.checked.arguments[node]
    if isinstance(callee, Builtin):
        if takes_first(node, given) and given[0] not in c.hoisted:
            return first_of_filter(c, callee, given, node.span)
        return _builtin(callee, [None if a is None else builtin_argument(c, a) for a in given], node.span)
    code = compiled(c, callee)
    arguments = [
        _parameter(c, argument if argument is not None else declared.default, strict)
        for argument, declared, strict in zip(given, callee.node.params, code.strict, strict=False)
    ]
    return _calling(c, code, arguments, callee.node is c.own, node.span)


def _parameter(c: PureCode, argument: n.Expr | n.Lambda | None, strict: bool) -> Pure:
    assert argument is not None
    value = c.compile(argument)
    return value if strict else lambda env: Thunk(value, env)


def _calling(c: PureCode, code: FunctionCode, arguments: list[Pure], same_function: bool, span: Span) -> Pure:
    pairs = list(zip(code.slots, arguments, strict=True))
    copies = copies_for(c, code.frame)

    def call(env: Env) -> Any:
        try:
            frame = enter(code, env, same_function)
        except RlmError as error:
            raise located(error, span) from None
        frame[0].run.step(code.steps, span)
        for there, here in copies:
            frame[there] = env[here]
        for slot, argument in pairs:
            frame[slot] = argument(env)
        return code.body(frame)

    return call


def _builtin(builtin: Builtin, given: Sequence[Pure | None], span: Span) -> Pure:
    code = builtin.code
    while given and given[-1] is None:
        given = given[:-1]
    arguments = [argument for argument in given if argument is not None]
    if len(arguments) < len(given):  # one in the middle is left to its default: name those after it
        names = builtin_parameters(builtin)
        pairs = [(names[at], argument) for at, argument in enumerate(given) if argument is not None]

        def call_named(env: Env) -> Any:
            values = {name: argument(env) for name, argument in pairs}
            try:
                return code(**values)
            except RlmError as error:
                raise located(error, span) from None

        return call_named
    if len(arguments) == 1:
        return guarded1(code, arguments[0], span)
    if len(arguments) == 2:
        return guarded2(code, arguments[0], arguments[1], span)

    def call(env: Env) -> Any:
        values = [argument(env) for argument in arguments]
        try:
            return code(*values)
        except RlmError as error:
            raise located(error, span) from None

    return call


def builtin_parameters(builtin: Builtin) -> list[str]:
    """The names of its parameters, of the longest signature."""
    longest = max(builtin.signatures, key=lambda s: len(s.params))
    return [p.name for p in longest.params]


# ---- functions as arguments ----


def builtin_argument(c: PureCode, node: n.Expr | n.Lambda) -> Pure:
    """An argument of a built-in: a value, or a Python callable for a lambda or the name of a function."""
    if isinstance(node, n.Lambda):
        return _lambda(c, node)
    if isinstance(node, n.Name) and node in c.checked.callees:
        return _named_function(c, node)
    return c.compile(node)


def _named_function(c: PureCode, node: n.Name) -> Pure:
    callee = c.checked.callees[node]
    if isinstance(callee, Builtin):
        builtin = callee.code
        return lambda env: builtin
    code = compiled(c, callee)
    slot = c.frame.slot()  # built-ins give one argument
    arguments = [itemgetter(slot) if code.strict[0] else _done_thunk(slot)]
    arguments += [_parameter(c, p.default, strict) for p, strict in zip(callee.node.params[1:], code.strict[1:], strict=True)]
    return _callable([slot], _calling(c, code, arguments, callee.node is c.own, node.span))


def _done_thunk(slot: int) -> Pure:
    return lambda env: Thunk(itemgetter(slot), env)


def _lambda(c: PureCode, node: n.Lambda) -> Pure:
    slots = [c.frame.place(variable, "value") for variable in c.facts.bound[node]]
    return _callable(slots, c.compile(node.body))


def _callable(slots: Sequence[int], body: Pure) -> Pure:
    """A Python callable that puts its arguments into `slots` and evaluates `body`."""
    if len(slots) == 1:
        (slot,) = slots

        def one(env: Env) -> Callable[[Any], Any]:
            def apply(value: Any) -> Any:
                env[slot] = value
                return body(env)

            return apply

        return one

    def several(env: Env) -> Callable[..., Any]:
        def apply(*values: Any) -> Any:
            for slot, value in zip(slots, values, strict=True):
                env[slot] = value
            return body(env)

        return apply

    return several
