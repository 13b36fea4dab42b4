"""Blocks: bindings that are computed at once, when first read, or never; and a list taken apart into names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rlmlang.errors import Failure
from rlmlang.run.facts import Facts, Variable
from rlmlang.run.flow import Env, Pure, Thunk
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span
from rlmlang.values import SEQUENCES, describe

if TYPE_CHECKING:
    from rlmlang.run.pure.code import PureCode

Step = Callable[[Env], None]  # what makes a binding


def block(c: PureCode, node: n.Block) -> Pure:
    awaits = c.facts.awaits
    needed = needed_bindings(c.facts, node.bindings, awaits(node.value), awaits)
    steps = [step for b in node.bindings if (step := binding_step(c, b, b in needed)) is not None]
    value = c.compile(node.value)

    def block(env: Env) -> Any:
        for step in steps:
            step(env)
        return value(env)

    return block


def needed_bindings(
    facts: Facts, bindings: Sequence[n.Bind | n.Unpack], wanted: frozenset[Variable], needs: Callable[[n.Node], frozenset[Variable]]
) -> set[n.Node]:
    """Those that every way to a value which needs `wanted` uses; `needs` says what their own values need."""
    needed: set[n.Node] = set()
    found = set(wanted)
    for binding in reversed(bindings):
        if not found.isdisjoint(facts.bound[binding]):
            needed.add(binding)
            found |= needs(binding.value)
    return needed


def binding_step(c: PureCode, binding: n.Bind | n.Unpack, needed: bool) -> Step | None:
    """The step that makes a pure binding: a `needed` one is computed, another made ready. None where nothing uses it."""
    variables = c.facts.bound[binding]
    if not any(v.uses for v in variables):
        return None
    code = c.compile(binding.value)
    if isinstance(binding, n.Bind):
        slot = c.frame.place(variables[0], "value" if needed else "thunk")
        return _storing(slot, code) if needed else _postponing(slot, code)
    taking = _taking_apart(code, len(variables), binding.value.span)
    if needed:
        return _storing_all([c.frame.place(v, "value") for v in variables], taking)
    thunks = [c.frame.place(v, "thunk") for v in variables]

    def postpone(env: Env) -> None:
        whole = Thunk(taking, env)
        for at, slot in enumerate(thunks):
            env[slot] = Thunk(_part_of(whole, at), env)

    return postpone


def _storing(slot: int, code: Pure) -> Step:
    def store(env: Env) -> None:
        env[slot] = code(env)

    return store


def _postponing(slot: int, code: Pure) -> Step:
    def postpone(env: Env) -> None:
        env[slot] = Thunk(code, env)

    return postpone


def _storing_all(slots: Sequence[int], taking: Pure) -> Step:
    def store(env: Env) -> None:
        for slot, value in zip(slots, taking(env), strict=True):
            env[slot] = value

    return store


def _taking_apart(code: Pure, count: int, span: Span) -> Pure:
    return lambda env: apart(code(env), count, span)


def _part_of(whole: Thunk, at: int) -> Pure:
    return lambda env: whole.force()[at]


def apart(value: Any, count: int, span: Span) -> Any:
    """A list of exactly `count` items. Raises Failure for anything else."""
    if not isinstance(value, SEQUENCES) or len(value) != count:
        got = f"a list of {len(value)}" if isinstance(value, SEQUENCES) else describe(value)
        raise Failure(f"{count} names want a list of exactly {count}, not {got}", span=span)
    return value


def take_apart(env: Env, slots: Sequence[int], value: Any, count: int, span: Span) -> None:
    """Puts the items of `value` into `slots`."""
    for slot, item in zip(slots, apart(value, count, span), strict=True):
        env[slot] = item
