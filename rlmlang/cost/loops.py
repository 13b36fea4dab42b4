"""The rules of loops over lists: each item of a known list for itself, groups of like size of a long one, the hull of an unknown one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from rlmlang.cost.account import FREE, Cost, later
from rlmlang.cost.bindings import bind_items
from rlmlang.cost.outcome import Bound, Env, Out
from rlmlang.files import FileValue
from rlmlang.quantity import difference, less, log2_ceil, maximum, minimum, plus, times
from rlmlang.run.resolve import Variable
from rlmlang.sizes import (
    ONE,
    ZERO,
    Exact,
    Interval,
    ListSize,
    NoneSize,
    NumberSize,
    Size,
    as_list,
    content_bytes,
    hull,
    hull_all,
    list_total,
    measure,
    of_type,
    truth,
    whole_at_least_zero,
)
from rlmlang.syntax import nodes as n
from rlmlang.values import SEQUENCES

if TYPE_CHECKING:
    from rlmlang.cost.analysis import Analysis

_ITEMS_ONE_BY_ONE = 64  # of a known list; more are taken together in groups of like size
_GROUPS = 16
_UNROLLED = 64  # steps of a fold
_LEVELS = 12  # of a reduce, until its size must have come to rest


def _each(
    analysis: Analysis,
    source: Size,
    variables: Sequence[Variable],
    body: n.Expr,
    env: Env,
    start: Interval,
    position: Variable | None = None,
) -> list[tuple[Interval, Out]]:
    """The body for the items of a list: how many items, and what it gives for one of them. A known list is taken item by item, a long
    one
    in groups of like size; one that is not known by the hull of its items."""

    def at(item: Size, index: Size) -> Out:
        inner = {**env, **bind_items(variables, item, start)}
        if position is not None:
            inner[position] = Bound(index, start)
        return analysis.of(body, inner, start)

    if isinstance(source, Exact) and isinstance(source.value, SEQUENCES):
        xs = source.value
        if len(xs) <= _ITEMS_ONE_BY_ONE and analysis.fuel > 0:
            return [(ONE, at(Exact(x), Exact(i))) for i, x in enumerate(xs)]
        index = NumberSize(0, max(0, len(xs) - 1), whole=True)
        together = _typical if analysis.policy.expected else hull_all
        return [(Interval.exactly(len(group)), at(together(group), index)) for group in _groups(xs)]
    whole = as_list(source)
    if whole.count.high == 0:
        return []
    return [(whole.count, at(whole.item, NumberSize(0, less(whole.count.high, 1), whole=True)))]


def map_(analysis: Analysis, node: n.Map, env: Env, start: Interval) -> Out:
    source = analysis.of(node.source, env, start)
    if source.size is None:
        return source
    variables = analysis.facts.bound[node]
    position = variables[-1] if node.position is not None else None
    targets = variables[:-1] if node.position is not None else variables
    groups = _each(analysis, source.size, targets, node.body, env, source.round, position)
    cost, end = source.cost, source.round
    for count, out in groups:
        if node.skip:
            out = evolve(out, cost=out.cost.optional())
        cost = cost + out.cost.times(count)
        end = later(
            end, out.round if isinstance(count.low, int) and count.low >= 1 and not node.skip else Interval(end.low, out.round.high)
        )
    size = _joined(groups)
    if size is not None and node.skip:
        whole = as_list(size)
        size = ListSize(whole.count.from_zero(), whole.item, list_total(whole).from_zero())
    if size is not None and node.flatten:
        whole = as_list(size)
        inner = as_list(whole.item)
        size = ListSize(whole.count * inner.count, inner.item, list_total(whole))
    return Out(size, cost, end)


def filter_(analysis: Analysis, node: n.Filter, env: Env, start: Interval) -> Out:
    source = analysis.of(node.source, env, start)
    if source.size is None:
        return source
    groups = _each(analysis, source.size, analysis.facts.bound[node], node.condition, env, source.round)
    cost, end = source.cost, source.round
    sure, possible, kept = ZERO, ZERO, []
    one_by_one = isinstance(source.size, Exact) and len(groups) == len(source.size.value)
    for at, (count, out) in enumerate(groups):
        if node.skip:
            out = evolve(out, cost=out.cost.optional())
        cost = cost + out.cost.times(count)
        end = later(
            end, out.round if isinstance(count.low, int) and count.low >= 1 and not node.skip else Interval(end.low, out.round.high)
        )
        known = None if out.size is None else truth(out.size)
        if known is False:
            continue
        possible = possible + count
        sure = sure + (count if known and not node.skip else ZERO)
        if one_by_one and isinstance(source.size, Exact):
            kept.append(source.size.value[at])
    whole = as_list(source.size)
    total = list_total(whole).from_zero()
    if isinstance(source.size, Exact) and one_by_one and sure == possible:
        return Out(Exact(kept), cost, end)
    item = hull_all(Exact(k) for k in kept) if kept else whole.item
    count = Interval(sure.low, possible.high)
    if analysis.policy.expected and sure != possible:
        count = analysis.policy.kept(node, possible)
        if isinstance(source.size, Exact):
            item = _typical([Exact(x) for x in (kept or source.size.value)])
        total = total * Interval.exactly(analysis.policy.chance(node))
    return Out(ListSize(count, item, total), cost, end)


def first(analysis: Analysis, node: n.First, env: Env, start: Interval) -> Out:
    return found_first(analysis, node, node.source, node.count, node.condition, env, start)


def found_first(analysis: Analysis, node: n.Node, source: n.Expr, count: n.Expr, condition: n.Expr, env: Env, start: Interval) -> Out:
    """At least as many items are looked at as are wanted, at most all."""
    sizes, cost, end = analysis.all_of([source, count], env, start)
    if sizes is None:
        return Out(None, cost, end)
    whole, wanted = as_list(sizes[0]), whole_at_least_zero(sizes[1])
    inner = {**env, **bind_items(analysis.facts.bound[node], whole.item, end)}
    out = analysis.of(condition, inner, end)
    looked = Interval(minimum(wanted.low, whole.count.low), whole.count.high if wanted.high != 0 else 0)
    if analysis.policy.expected:
        chance = analysis.policy.chance(node)
        looked = Interval.exactly(minimum(whole.count.high, times(wanted.high, 1 / chance)) if chance else looked.high)
    chain = difference(out.round.high, end.high)
    # waves of growing width, each after the one before it
    last = plus(end.high, times(whole.count.high, chain)) if chain != 0 else end.high
    body = out.cost.times(looked)
    paid = evolve(body, rounds=Interval(body.rounds.low, maximum(body.rounds.high, last))) if body else FREE
    found = Interval(0, minimum(whole.count.high, wanted.high))
    return Out(ListSize(found, whole.item, list_total(whole).from_zero()), cost + paid, Interval(end.low, last))


def reduce_(analysis: Analysis, node: n.Reduce, env: Env, start: Interval) -> Out:
    source = analysis.of(node.source, env, start)
    if source.size is None:
        return source
    whole = as_list(source.size)
    left, right = analysis.facts.bound[node]
    count = whole.count
    merges = Interval(less(count.low, 1), less(count.high, 1))
    levels = Interval(log2_ceil(count.low), log2_ceil(count.high))
    size: Size = whole.item
    body_type = analysis.checked.types[node.body]
    out = _merged(analysis, node, (left, right), size, env, source.round)
    for level in range(_LEVELS):
        made = size if out.size is None else hull(size, out.size)
        if made == size or (isinstance(levels.high, int) and level >= levels.high):
            break
        size = made
        out = _merged(analysis, node, (left, right), size, env, source.round)
    else:
        size = hull(size, of_type(body_type))
        out = _merged(analysis, node, (left, right), size, env, source.round)
    cost = source.cost + _chained(out.cost.times(merges), out, levels, source.round)
    still = {variable: evolve(bound, round=ZERO) for variable, bound in env.items()}
    alone = _merged(analysis, node, (left, right), size, still, ZERO) if out.cost else out
    # at least as much a level as its body takes by itself, at most what it takes with all that it waits for
    chain = Interval(alone.round.low if out.cost else 0, difference(out.round.high, source.round.high))
    end = Interval(plus(source.round.low, times(levels.low, chain.low)), plus(source.round.high, times(levels.high, chain.high)))
    result: Size | None = size
    if node.initial is not None and not (isinstance(count.low, int) and count.low >= 1):
        empty = analysis.of(node.initial, env, source.round)
        cost = cost + (empty.cost if count.high == 0 else empty.cost.optional())
        end = end.hull(empty.round)
        result = size if empty.size is None else hull(size, empty.size)
    elif count.high == 0:
        result = None
    return Out(result, cost, end)


def _merged(analysis: Analysis, node: n.Reduce, names: tuple[Variable, Variable], size: Size, env: Env, start: Interval) -> Out:
    return analysis.of(node.body, {**env, **{name: Bound(size, start) for name in names}}, start)


def _chained(cost: Cost, out: Out, steps: Interval, start: Interval) -> Cost:
    """A cost whose parts follow one another: the last round is as many bodies later."""
    if not cost:
        return cost
    chain = difference(out.cost.rounds.high, start.high)
    return evolve(cost, rounds=Interval(cost.rounds.low, plus(start.high, times(steps.high, chain))))


def fold(analysis: Analysis, node: n.Fold, env: Env, start: Interval) -> Out:
    sizes, cost, begin = analysis.all_of([node.source, node.initial], env, start)
    if sizes is None:
        return Out(None, cost, begin)
    source, size = sizes
    whole = as_list(source)
    steps = whole.count.high
    if isinstance(steps, int) and steps <= _UNROLLED and whole.count.low == steps and analysis.fuel > 0:
        return _unrolled(analysis, node, source, size, int(steps), env, cost, begin)
    made: Size | None = size
    for _ in range(4):
        out = _step(analysis, node, made, whole.item, env, begin)
        grown = made if out.size is None else hull(made, out.size) if made is not None else out.size
        if grown == made:
            break
        made = grown
    else:
        made = hull(made, of_type(analysis.checked.types[node.body])) if made is not None else None
        out = _step(analysis, node, made, whole.item, env, begin)
        made = made if out.size is None or made is None else hull(made, out.size)
    chain = difference(out.round.high, begin.high)
    paid = _chained(out.cost.times(whole.count), out, whole.count, begin)
    end = Interval(begin.low, plus(begin.high, times(steps, chain)))
    return Out(made, cost + paid, end)


def _step(
    analysis: Analysis, node: n.Fold, accumulator: Size | None, item: Size, env: Env, start: Interval, round: Interval | None = None
) -> Out:
    names = analysis.facts.bound[node]
    inner = {**env, names[0]: Bound(accumulator, round or start), names[1]: Bound(item, start)}
    return analysis.of(node.body, inner, start)


def _unrolled(analysis: Analysis, node: n.Fold, source: Size, size: Size, steps: int, env: Env, cost: Cost, begin: Interval) -> Out:
    """Step by step, where there are few."""
    xs = [Exact(x) for x in source.value] if isinstance(source, Exact) else [as_list(source).item] * steps
    made: Size | None = size
    end = begin
    for x in xs:
        out = _step(analysis, node, made, x, env, begin, end)
        cost = cost + out.cost
        made, end = out.size, out.round
        if made is None:
            break
    return Out(made, cost, end)


def _joined(groups: Sequence[tuple[Interval, Out]]) -> Size | None:
    """The list of what bodies give."""
    if not groups:
        return Exact([])
    if any(out.size is None and isinstance(count.low, int) and count.low >= 1 for count, out in groups):
        return None
    sizes = [(count, out.size) for count, out in groups if out.size is not None]
    if all(isinstance(size, Exact) and count == ONE for count, size in sizes):
        return Exact([size.value for _, size in sizes if isinstance(size, Exact)])
    count, total = ZERO, ZERO
    for many, size in sizes:
        count = count + many
        total = total + many * content_bytes(size)
    item = hull_all(size for _, size in sizes)
    return ListSize(count, item, total if len(sizes) > 1 else None)


def _groups(xs: Sequence[Any]) -> list[list[Exact]]:
    """A long list's items in groups of like size."""
    sized = [Exact(x) for x in xs]
    order = sorted(sized, key=lambda s: _weight(s.value))
    width = -(-len(order) // _GROUPS)
    return [list(order[at : at + width]) for at in range(0, len(order), width)]


def _typical(items: Sequence[Exact]) -> Size:
    """The size of the item that comes closest to the mean of all."""
    if not items:
        return NoneSize()
    weights = [_weight(item.value) for item in items]
    mean = sum(weights) / len(weights)
    at = min(range(len(items)), key=lambda i: abs(weights[i] - mean))
    return measure(items[at])


def _weight(value: Any) -> int:
    """A quick measure of how large a value is."""
    if isinstance(value, (str, *SEQUENCES)):
        return len(value)
    if isinstance(value, FileValue):
        return value.size
    if isinstance(value, dict):
        return sum(_weight(v) for v in value.values())
    return 0
