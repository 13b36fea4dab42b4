"""The rules of what is applied: built-ins with their lambdas, and functions, followed into their bodies and down their recursion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Function
from rlmlang.cost.account import FREE, Cost, later
from rlmlang.cost.bindings import as_bound, read
from rlmlang.cost.loops import found_first, over
from rlmlang.cost.outcome import Bound, Env, Out
from rlmlang.quantity import at_most, maximum, minimum
from rlmlang.run.facts import Variable
from rlmlang.run.pure.loops import takes_first
from rlmlang.sizes import (
    ANY,
    AnySize,
    Exact,
    FunctionSize,
    Interval,
    ListSize,
    Size,
    as_list,
    of_type,
)
from rlmlang.syntax import nodes as n

if TYPE_CHECKING:
    from rlmlang.cost.analysis import Analysis

_DEEPEST = 60  # nested calls of functions followed


def apply(analysis: Analysis, node: n.Apply, env: Env, start: Interval) -> Out:
    callee = analysis.checked.callees[node]
    given = analysis.checked.arguments[node]
    if isinstance(callee, Builtin):
        first = _first_of_filter(analysis, node, given)
        if first is not None:
            return found_first(analysis, first[0], first[0].source, first[1], first[0].condition, env, start)
        out = _builtin(analysis, node, callee, given, env, start)
        if out.round.low == start.low or not takes_first(node, given):
            return out
        # with enough found, or none to find, it does not wait for what the condition reads
        source, count = given[:2]
        assert isinstance(source, n.Filter) and isinstance(count, n.Expr)
        _, _, early = analysis.all_of([source.source, count], env, start)
        return Out(out.size, out.cost, Interval(minimum(early.low, out.round.low), out.round.high))
    return _call_function(analysis, node, callee, given, env, start)


def _first_of_filter(analysis: Analysis, node: n.Apply, given: Sequence[n.Expr | n.Lambda | None]) -> tuple[n.Filter, n.Expr] | None:
    """`take(filter(…), n)` stops as `first n x in …` does, where the filter calls a model."""
    if not takes_first(node, given):
        return None
    source, count = given[:2]
    calls = isinstance(source, n.Filter) and source.condition in analysis.checked.effects
    return (source, count) if calls and isinstance(source, n.Filter) and isinstance(count, n.Expr) else None


def _builtin(
    analysis: Analysis, node: n.Apply, callee: Builtin, given: Sequence[n.Expr | n.Lambda | None], env: Env, start: Interval
) -> Out:
    plain = [a for a in given if a is not None and not _is_function(analysis, a)]
    sizes, cost, end = analysis.all_of(plain, env, start, plain[0] if len(plain) < len(given) and plain else None)
    if sizes is None:
        return Out(None, cost, end)
    values = dict(zip(plain, sizes, strict=True))
    whole: list[Size | None] = []
    for argument in given:
        if argument is None:
            whole.append(None)
        elif _is_function(analysis, argument):
            items = as_list(sizes[0]) if sizes else ListSize(ANY, AnySize())
            result = _function_argument(analysis, argument, items, env, end)
            cost = cost + result.cost
            # what the key reads may come later, though the key itself costs nothing; it waits for all that it might read
            end = later(end, result.round if at_most(1, items.count.low) else Interval(end.low, result.round.high))
            for variable in analysis.facts.mentions(argument):
                if (bound := env.get(variable)) is not None:
                    found = read(bound, end)
                    cost, end = cost + found.cost, Interval(end.low, maximum(end.high, found.round.high))
            whole.append(FunctionSize(result.size if result.size is not None else AnySize()))
        else:
            whole.append(values[argument])
    return Out(callee.size(whole), cost, end)


def _is_function(analysis: Analysis, argument: n.Node) -> bool:
    return isinstance(argument, n.Lambda) or (isinstance(argument, n.Name) and argument in analysis.checked.callees)


def _function_argument(analysis: Analysis, argument: n.Node, items: ListSize, env: Env, start: Interval) -> Out:
    """What a lambda costs over all items, and gives for one."""
    if isinstance(argument, n.Lambda):
        groups = over(analysis, evolve(items, known=None), analysis.facts.bound[argument], argument.body, env, start)
        return groups[0].out if groups else Out(None, FREE, start)
    assert isinstance(argument, n.Name)
    callee = analysis.checked.callees[argument]
    if isinstance(callee, Builtin):
        return Out(callee.size([items.item]), FREE, start)
    params = list(zip(analysis.facts.facts_of(callee).params, callee.node.params, strict=True))[1:]
    paid, others = _parameters(analysis, callee, [(param, declared.default) for param, declared in params], env, start)
    out = _enter(analysis, callee, [Bound(items.item, start), *others], env, start, argument)
    return out.costing((paid + out.cost).times(items.count))


def _call_function(
    analysis: Analysis, node: n.Apply, callee: Function, given: Sequence[n.Expr | n.Lambda | None], env: Env, start: Interval
) -> Out:
    params = zip(analysis.facts.facts_of(callee).params, given, callee.node.params, strict=False)
    values = [(param, argument if argument is not None else declared.default) for param, argument, declared in params]
    cost, bounds = _parameters(analysis, callee, values, env, start)
    out = _enter(analysis, callee, bounds, env, start, node)
    return out.costing(cost + out.cost)


def _parameters(
    analysis: Analysis, callee: Function, values: Sequence[tuple[Variable, n.Expr | n.Lambda | None]], env: Env, start: Interval
) -> tuple[Cost, list[Bound]]:
    """What parameters cost that are given these values, and what is known of them."""
    facts = analysis.facts.facts_of(callee)
    cost, bounds = FREE, []
    for param, value in values:
        assert value is not None
        if not param.uses:
            bounds.append(Bound(AnySize(), start))
            continue
        out = analysis.of(value, env, start)
        bound, paid = as_bound(analysis, out, param in facts.awaits, param in facts.needs, start)
        cost = cost + paid
        bounds.append(bound if analysis.is_safe(value, env) else evolve(bound, safe=False))
    return cost, bounds


def _enter(analysis: Analysis, callee: Function, bounds: Sequence[Bound], env: Env, start: Interval, node: n.Node) -> Out:
    """The body of a function with its parameters bound. Recursion is followed to the depth that it declares, or until sizes end it."""
    fn = callee.node
    facts = analysis.facts.facts_of(callee)
    depth = analysis.depths.get(fn, -1) + 1
    if fn.depth is not None and depth > fn.depth:
        return Out(None, FREE, start)
    if analysis.nesting > _DEEPEST or analysis.fuel < 0:
        return analysis.unknown(node, start) if isinstance(node, n.Apply) else Out(of_type(callee.result), FREE, start)
    inner = {variable: env[variable] for variable in facts.mentions if variable in env}
    inner |= dict(zip(facts.params, bounds, strict=False))
    key = _key(fn, depth, bounds, start, inner, facts.mentions)
    known = analysis.seen.get(key) if key is not None else None
    if known is not None:
        return known
    before = analysis.depths.get(fn)
    analysis.depths[fn] = depth
    analysis.nesting += 1
    out = analysis.of(fn.body, inner, start)
    analysis.nesting -= 1
    if before is None:
        del analysis.depths[fn]
    else:
        analysis.depths[fn] = before
    if key is not None:
        analysis.seen[key] = out
    return out


def _key(fn: n.Fn, depth: int, bounds: Sequence[Bound], start: Interval, inner: Env, mentions: frozenset[Variable]) -> Any:
    """What a call's outcome depends on, to follow equal calls once."""
    outside = tuple((id(v), _key_of(inner[v])) for v in sorted(mentions, key=id) if v in inner)
    key = (fn, depth, tuple(map(_key_of, bounds)), start, outside)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _key_of(bound: Bound) -> Any:
    size = _Same(bound.size.value) if isinstance(bound.size, Exact) else bound.size
    return size, bound.round, bound.late, bound.last, bound.safe, bound.choices


class _Same:
    """A value in a key, which is equal to itself alone. It is kept, so that no other value gets its place in memory."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value
