"""Calls of functions and built-ins whose arguments, or bodies, may reach a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Function
from rlmlang.errors import Failure, LimitError
from rlmlang.run.feeds import ListFeed, Position, collect
from rlmlang.run.flow import Effect, Env, Here, Lazy, resolve_all
from rlmlang.run.frames import Frame
from rlmlang.run.loops import first_of_filter, storing
from rlmlang.run.pure.calls import builtin_argument, builtin_parameters, copies_for, enter
from rlmlang.run.samples import sampled
from rlmlang.run.stages import StageCode, start_stage
from rlmlang.syntax import nodes as n

if TYPE_CHECKING:
    from rlmlang.run.effects import EffectCode


class EffectFunction:
    """A function whose arguments may still be on their way: each is a Lazy."""

    __slots__ = ("body", "depth", "frame", "name", "slots")

    def __init__(self, name: str, frame: Frame, depth: int | None, slots: list[int]) -> None:
        self.name = name
        self.frame = frame
        self.depth = depth
        self.slots = slots
        self.body: Effect = _unset


async def _unset(env: Env) -> Any:
    raise AssertionError("a function was called before it was compiled")


def apply(c: EffectCode, node: n.Apply) -> Effect:
    callee = c.checked.callees[node]
    if isinstance(callee, Builtin):
        if c.takes_first(node):
            return first_of_filter(c, node)
        given = c.checked.arguments[node]
        keyed = any(isinstance(a, n.Lambda) and c.has_effect(a) for a in given) or c.named_effect(given)
        return _keyed(c, node, callee) if keyed else _applied(c, node)
    code = compiled(c, callee)
    same_function = callee.node is c.own
    copies = copies_for(c.pure, code.frame)
    makers: list[Callable[[Env], Lazy]] = []
    facts = c.facts.facts_of(callee)
    for argument, declared, param in zip(c.checked.arguments[node], callee.node.params, facts.params, strict=False):
        argument = argument if argument is not None else declared.default
        assert argument is not None
        makers.append(_lazy_argument(c, argument, param in facts.needs, param in facts.awaits))
    pairs = list(zip(code.slots, makers, strict=True))
    span = node.span

    async def call(env: Env) -> Any:
        try:
            frame = enter(code, env, same_function)
        except (Failure, LimitError) as error:
            error.span = error.span or span
            raise
        for there, here in copies:
            frame[there] = env[here]
        for slot, make in pairs:
            frame[slot] = make(env)
        return await code.body(frame)

    return call


def _lazy_argument(c: EffectCode, argument: n.Expr | n.Lambda, needed: bool, at_once: bool) -> Callable[[Env], Lazy]:
    if at_once and c.is_ready(argument):
        pure = c.pure.compile(argument)
        return lambda env: Lazy.of(pure(env), env[0].round)
    code = c.compile(argument)

    def make(env: Env) -> Lazy:
        lazy = Lazy(code, env)
        if needed:
            lazy.start()
        return lazy

    return make


def compiled(c: EffectCode, function: Function) -> EffectFunction:
    """The compiled function, compiling it first where nobody has."""
    code = c.effect_functions.get(function.node)
    if code is None:
        facts = c.facts.facts_of(function)
        top = c.frame if c.frame.outer is None else c.frame.outer
        frame = Frame(top)
        slots = [frame.place(p, "pending") for p in facts.params]
        code = c.effect_functions[function.node] = EffectFunction(function.node.name, frame, function.node.depth, slots)
        code.body = c.inside(frame, function.node).compile(function.node.body)
    return code


def _applied(c: EffectCode, node: n.Apply) -> Effect:
    """A built-in whose pure lambda mentions what may still be on its way: awaited once the list is there and not empty."""
    given = [a for a in c.checked.arguments[node] if a is not None]
    functions = [a for a in given if c.waits_for_items(a)]
    awaiting = c.awaiting([a for a in given if a not in functions])
    waits = sorted({c.frame.find(v)[0] for a in functions for v in c.pending(a)})
    items = c.pure.compile(given[0])
    slot = c.pure.hoisted[given[0]] = c.frame.slot()
    pure = c.pure.compile(node)

    async def applied(env: Env) -> Any:
        if awaiting is not None:
            await awaiting(env)
        xs = env[slot] = items(env)
        if xs:
            await resolve_all(env, waits)
        return pure(env)

    return applied


def _keyed(c: EffectCode, node: n.Apply, builtin: Builtin) -> Effect:
    """A built-in whose lambda may reach a model: its values for all items first, in parallel, then the built-in, which replays them."""
    given = list(c.checked.arguments[node])
    while given and given[-1] is None:
        given.pop()
    at = next(i for i, a in enumerate(given) if a is not None and ((isinstance(a, n.Lambda) and c.has_effect(a)) or c.named_effect([a])))
    function = given[at]
    others = [a for i, a in enumerate(given) if a is not None and i != at]
    awaiting = c.awaiting(others)
    names = builtin_parameters(builtin)
    pure = {names[i]: builtin_argument(c.pure, a) for i, a in enumerate(given) if a is not None and i != at}
    stage = StageCode(*_lambda(c, function))
    code, key_name, list_name, span = builtin.code, names[at], names[0], node.span

    by_position = all(a is not None for a in given)  # as built-ins that take any number of values want it

    async def keyed(env: Env) -> Any:
        if awaiting is not None:
            await awaiting(env)
        values = {name: argument(env) for name, argument in pure.items()}
        here: Here = env[0]
        items = sampled(here, ListFeed(values[list_name], here.round))
        keys = await collect(start_stage(env, items, stage), here)
        replay: Iterator[Any] = iter(keys)
        values[key_name] = lambda _: next(replay)
        try:
            return code(*(values[name] for name in names[: len(given)])) if by_position else code(**values)
        except (Failure, LimitError) as error:
            error.span = error.span or span
            raise

    return keyed


def _lambda(c: EffectCode, function: n.Expr | n.Lambda | None) -> tuple[Effect, Callable[[Env, Any, Position], None]]:
    """The work on one item, and where the item is put for it."""
    if isinstance(function, n.Lambda):
        slots = [c.frame.place(v, "value") for v in c.facts.bound[function]]
        return c.compile(function.body), storing(slots, function)
    assert isinstance(function, n.Name)
    callee = c.checked.callees[function]
    assert isinstance(callee, Function)
    code = compiled(c, callee)
    copies = copies_for(c.pure, code.frame)
    item = c.frame.slot()
    facts = c.facts.facts_of(callee)
    others: list[tuple[int, Callable[[Env], Lazy]]] = []
    for slot, declared, param in zip(code.slots[1:], callee.node.params[1:], facts.params[1:], strict=True):
        assert declared.default is not None
        others.append((slot, _lazy_argument(c, declared.default, param in facts.needs, param in facts.awaits)))

    async def work(env: Env) -> Any:
        frame = enter(code, env, callee.node is c.own)
        for there, here in copies:
            frame[there] = env[here]
        frame[code.slots[0]] = Lazy.of(env[item], env[0].round)
        for slot, make in others:
            frame[slot] = make(env)
        return await code.body(frame)

    return work, storing([item], function)
