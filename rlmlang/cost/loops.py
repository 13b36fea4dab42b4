"""The rules of loops over lists: each item of a known list for itself, groups of like size of a long one, the hull of an unknown one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from rlmlang.cost.account import FREE, Cost, later
from rlmlang.cost.bindings import bind_items
from rlmlang.cost.growth import accumulator, with_items
from rlmlang.cost.outcome import Bound, Choices, Env, Out, decided
from rlmlang.cost.spread import Spread, spread
from rlmlang.files import FileValue
from rlmlang.quantity import INFINITE, Formula, difference, less, log2_ceil, maximum, minimum, plus, times
from rlmlang.run.facts import Variable
from rlmlang.sizes import (
    ONE,
    PERHAPS,
    ZERO,
    Exact,
    FileSize,
    Interval,
    Known,
    ListSize,
    NoneSize,
    NumberSize,
    Size,
    TextSize,
    as_list,
    content_bytes,
    hull,
    hull_all,
    list_total,
    listed,
    measure,
    measured_list,
    of_type,
    total_of,
    unfold,
    whole_at_least_zero,
)
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.values import SEQUENCES

if TYPE_CHECKING:
    from rlmlang.cost.analysis import Analysis

_ITEMS_ONE_BY_ONE = 64  # of a known list; more are taken together in groups of like size
_GROUPS = 16
_ITEMS_A_LOOP = 256  # of a known list, at most, that count as work: data is not what makes a bound slow, but loops in loops are
_PARTS = 16  # of a group
_CHOSEN = 4_096  # items of a list, at most, for each of which pure expressions are computed, and that are remembered
_UNROLLED = 64  # steps of a fold
_LEVELS = 12  # of a reduce, until its size must have come to rest


@frozen(eq=False)
class Group:
    """Items of a list that were taken together: how many, what the body gives for each (its cost: for all of them), and the content of
    all that it gives. `members`: their positions among known items."""

    count: Interval
    out: Out
    content: Interval
    members: Sequence[int] = ()

    @property
    def surely(self) -> bool:
        """Whether there is an item."""
        return isinstance(self.count.low, (int, float)) and self.count.low >= 1


def over(
    analysis: Analysis,
    source: Size,
    variables: Sequence[Variable],
    body: n.Expr,
    env: Env,
    start: Interval,
    position: Variable | None = None,
    keeps: bool = False,
) -> list[Group]:
    """The body for the items of a list. A known list is taken item by item, a long one in groups of like size; one that is not known by
    what holds all its items. `keeps`: the body says which items are kept."""

    def at(item: Size, index: Size, choices: Choices | None = None) -> Out:
        inner = {**env, **bind_items(variables, item, start, choices)}
        if position is not None:
            inner[position] = Bound(index, start)
        return analysis.of(body, inner, start)

    def all_of(items: ListSize, index: Size, members: Sequence[int] = (), choices: Choices | None = None) -> Group:
        if analysis.policy.expected:
            out = at(_average(items), index)
            return Group(items.count, out.costing(out.cost.times(items.count)), items.count * _content(out.size), members)
        alike = spread(items, analysis.loops)
        analysis.loops += 1
        out = at(alike.item, index, choices)
        analysis.loops -= 1
        if keeps:
            analysis.differ(out, bool)
        content = ZERO if out.size is None else alike.content(out.size)
        size = None if out.size is None else alike.size(out.size)
        return Group(items.count, Out(size, alike.cost(out.cost), alike.one(out.round), out.choices), content, members)

    def together(members: Sequence[int], xs: Sequence[Any], sure: Sequence[bool] | None, most: int) -> list[Group]:
        """A group; in `most` parts at most where its items differ in what decides how often something is called."""
        values = _at(xs, members)
        items = measured_list(values)
        if sure is not None and not all(sure[i] for i in members):
            items = ListSize(Interval(sum(sure[i] for i in members), len(values)), items.item, list_total(items).from_zero())
        choices = Choices(object(), values) if len(xs) <= _CHOSEN and not any(map(_has_files, values)) else None
        group = all_of(items, NumberSize(0, max(0, len(xs) - 1), whole=True), members if len(xs) <= _CHOSEN else (), choices)
        signs = analysis.parted.pop(choices.group, None) if choices is not None else None
        if signs is None or most < 2 or analysis.fuel < 0:
            return [group]
        different = sorted(set(signs))
        width = -(-len(different) // most)
        parts = [set(different[at : at + width]) for at in range(0, len(different), width)]
        split = [[i for i, sign in zip(members, signs, strict=True) if sign in part] for part in parts]
        return [g for part in split for g in together(part, xs, sure, most // len(parts))]

    def several(members: Sequence[int], xs: Sequence[Any], sure: Sequence[bool] | None, most: int) -> list[Group]:
        if not analysis.policy.expected:
            return together(members, xs, sure, most)
        usual = ListSize(Interval.exactly(len(members)), _typical(_at(xs, members)))
        return [all_of(usual, NumberSize(0, max(0, len(xs) - 1), whole=True), members)]

    source = listed(source)
    if isinstance(source, Exact) and isinstance(source.value, Streamed):
        source = measure(source.value)  # what is not held is not looked at one by one
    if isinstance(source, Exact) and isinstance(source.value, SEQUENCES):
        known: Known | None = None
        xs: Sequence[Any] = source.value
    else:
        known = source.known if isinstance(source, ListSize) else None
        xs = () if known is None else known.items
    if known is not None or isinstance(source, Exact):
        sure = None if known is None else known.sure
        analysis.fuel -= min(len(xs), _ITEMS_A_LOOP) // 4
        allowed = analysis.items if analysis.fuel > analysis.reserved else 1
        one_by_one = len(xs) <= min(_ITEMS_ONE_BY_ONE, allowed)
        pieces = [[i] for i in range(len(xs))] if one_by_one else _groups(xs, max(1, min(_GROUPS, allowed)))
        index = NumberSize(0, max(0, len(xs) - 1), whole=True)
        analysis.items = allowed // max(1, len(pieces))
        found: list[Group] = []
        before = analysis.fuel
        for done, members in enumerate(pieces, 1):
            if one_by_one:
                (i,) = members
                out = at(Exact(xs[i]), Exact(i) if known is None else index)
                found.append(_one(out, i, sure is None or sure[i]))
            else:
                found += several(members, xs, sure, max(1, min(_PARTS, allowed // len(pieces))))
            left = len(pieces) - done
            if left > 1 and analysis.fuel - left * (before - analysis.fuel) / done < analysis.reserved:
                found += several([i for rest in pieces[done:] for i in rest], xs, sure, 1)  # there is no time for each
                break
        analysis.items = allowed
        return found
    whole = as_list(source)
    if whole.count.high == 0:
        return []
    return [all_of(whole, NumberSize(0, less(whole.count.high, 1), whole=True))]


def _one(out: Out, member: int, sure: bool) -> Group:
    """One item, or perhaps one."""
    if sure:
        return Group(ONE, out, _content(out.size), (member,))
    return Group(PERHAPS, out.costing(out.cost.optional()), _content(out.size).from_zero(), (member,))


def _has_files(value: Any) -> bool:
    """Whether a value has files in it, which are not read to bound what they cost."""
    if isinstance(value, dict):
        return any(map(_has_files, value.values()))
    return isinstance(value, FileValue) or (isinstance(value, SEQUENCES) and not isinstance(value, range) and any(map(_has_files, value)))


def _content(size: Size | None) -> Interval:
    return ZERO if size is None else content_bytes(size)


def _average(items: ListSize) -> Size:
    """The item of usual size, of texts and files."""
    item, count, total = unfold(items.item), items.count.high, list_total(items).high
    if isinstance(count, Formula) or isinstance(total, Formula) or INFINITE in (count, total) or not count:
        return items.item
    usual = Interval.exactly(total / count)
    if isinstance(item, TextSize):
        return TextSize(usual)
    return FileSize(usual, item.path) if isinstance(item, FileSize) else items.item


def map_(analysis: Analysis, node: n.Map, env: Env, start: Interval) -> Out:
    source = analysis.of(node.source, env, start)
    if source.size is None:
        return analysis.stopped(node, source, env, start)
    variables = analysis.facts.bound[node]
    position = variables[-1] if node.position is not None else None
    targets = variables[:-1] if node.position is not None else variables
    analysis.differ(source, len)
    groups = over(analysis, source.size, targets, node.body, env, source.round, position)
    cost, end = source.cost, source.round
    for group in groups:
        cost, end = _then(cost, end, group, node.skip)
    size = _joined(groups, node.skip, isinstance(source.size, Exact))
    if size is not None and node.skip:
        whole = as_list(size)
        size = ListSize(whole.count.from_zero(), whole.item, list_total(whole).from_zero())
    if size is not None and node.flatten:
        whole = as_list(size)
        inner = as_list(whole.item)
        size = ListSize(whole.count * inner.count, inner.item, list_total(whole))
    return Out(size, cost, end)


def _then(cost: Cost, end: Interval, group: Group, skip: bool) -> tuple[Cost, Interval]:
    """What is paid and when all is there, with one more group. `skip`: an item that fails is left out."""
    out = group.out
    surely = group.surely and not skip
    return cost + (out.cost.optional() if skip else out.cost), later(end, out.round if surely else Interval(end.low, out.round.high))


def filter_(analysis: Analysis, node: n.Filter, env: Env, start: Interval) -> Out:
    source = analysis.of(node.source, env, start)
    if source.size is None:
        return analysis.stopped(node, source, env, start)
    analysis.differ(source, len)
    groups = over(analysis, source.size, analysis.facts.bound[node], node.condition, env, source.round, keeps=True)
    cost, end = source.cost, source.round
    sure, possible = ZERO, ZERO
    members: list[tuple[int, bool]] = []
    for group in groups:
        cost, end = _then(cost, end, group, node.skip)
        known = decided(group.out)
        if known is False:
            continue
        possible = possible + group.count
        sure = sure + (group.count if known and not node.skip else ZERO)
        members += [(at, bool(known) and not node.skip) for at in group.members]
    xs = listed(source.size)
    whole = as_list(xs)
    total = list_total(whole).from_zero()
    kept = _kept(xs, sorted(members)) if all(group.members for group in groups) else None
    if isinstance(xs, Exact) and kept is not None and all(kept.sure):
        return Out(Exact(list(kept.items)), cost, end)
    item = hull_all(map(Exact, kept.items)) if kept is not None and 0 < len(kept.items) <= _ITEMS_ONE_BY_ONE else whole.item
    count = Interval(sure.low, possible.high)
    if analysis.policy.expected and sure != possible:
        count = analysis.policy.kept(node, possible)
        if isinstance(xs, Exact):
            item = _typical(kept.items if kept is not None and kept.items else xs.value)
        total = total * Interval.exactly(analysis.policy.chance(node))
        kept = None
    return Out(ListSize(count, item, total, kept), cost, end)


def _kept(source: Size, members: Sequence[tuple[int, bool]]) -> Known | None:
    """What a filter may keep of known items: their positions, and whether it keeps each if it is there."""
    if isinstance(source, Exact) and isinstance(source.value, SEQUENCES):
        return Known(tuple(source.value[at] for at, _ in members), tuple(sure for _, sure in members))
    if isinstance(source, ListSize) and (known := source.known) is not None:
        return Known(tuple(known.items[at] for at, _ in members), tuple(sure and known.sure[at] for at, sure in members))
    return None


def first(analysis: Analysis, node: n.First, env: Env, start: Interval) -> Out:
    return found_first(analysis, node, node.source, node.count, node.condition, env, start)


def found_first(analysis: Analysis, node: n.Node, source: n.Expr, count: n.Expr, condition: n.Expr, env: Env, start: Interval) -> Out:
    """At least as many items are looked at as are wanted, at most all."""
    sizes, cost, end = analysis.all_of([source, count], env, start, source)
    if sizes is None:
        return Out(None, cost, end)
    whole, wanted = as_list(sizes[0]), whole_at_least_zero(sizes[1])
    looked = Interval(minimum(wanted.low, whole.count.low), whole.count.high if wanted.high != 0 else 0)
    if analysis.policy.expected:
        chance = analysis.policy.chance(node)
        looked = Interval.exactly(minimum(whole.count.high, times(wanted.high, 1 / chance)) if chance else looked.high)
    groups = over(analysis, evolve(whole, count=looked, known=None), analysis.facts.bound[node], condition, env, end)
    last, body = end.high, FREE
    for group in groups:
        chain = difference(group.out.round.high, end.high)
        # waves of growing width, each after the one before it
        last = plus(end.high, times(whole.count.high, chain)) if chain != 0 else end.high
        body = group.out.cost
    paid = evolve(body, rounds=Interval(body.rounds.low, maximum(body.rounds.high, last))) if body else FREE
    found = Interval(0, minimum(whole.count.high, wanted.high))
    return Out(ListSize(found, whole.item, list_total(whole).from_zero()), cost + paid, Interval(end.low, last))


def reduce_(analysis: Analysis, node: n.Reduce, env: Env, start: Interval) -> Out:
    source = analysis.of(node.source, env, start)
    if source.size is None:
        return analysis.stopped(node, source, env, start)
    analysis.differ(source, len)
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
    cost = source.cost + _chained(out.cost.times(merges), out.cost.rounds, levels, source.round)
    still = {**env, **{v: evolve(env[v], round=ZERO) for v in analysis.facts.mentions(node.body) if v in env}}
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


def _chained(cost: Cost, once: Interval, steps: Interval, start: Interval) -> Cost:
    """A cost whose parts follow one another: the last round is as many bodies later, if one alone is there at `once`."""
    if not cost:
        return cost
    chain = difference(once.high, start.high)
    return evolve(cost, rounds=Interval(cost.rounds.low, plus(start.high, times(steps.high, chain))))


def fold(analysis: Analysis, node: n.Fold, env: Env, start: Interval) -> Out:
    sizes, cost, begin = analysis.all_of([node.source, node.initial], env, start, node.source)
    if sizes is None:
        return Out(None, cost, begin)
    source, size = sizes
    whole = as_list(source)
    steps = whole.count.high
    if isinstance(steps, int) and steps <= _UNROLLED and whole.count.low == steps and analysis.fuel > 0:
        return _unrolled(analysis, node, source, size, int(steps), env, cost, begin)
    alike = Spread(whole.count, whole.item) if analysis.policy.expected else spread(whole, analysis.loops)
    analysis.loops += 1
    made = _grown(analysis, node, size, alike, env, begin)
    out = _step(analysis, node, made, alike.item, env, begin)
    analysis.loops -= 1
    chain = difference(alike.one(out.round).high, begin.high)
    paid = _chained(alike.cost(out.cost), alike.one(out.cost.rounds), whole.count, begin)
    end = Interval(begin.low, plus(begin.high, times(steps, chain)))
    return Out(made, cost + paid, end)


def _grown(analysis: Analysis, node: n.Fold, size: Size, items: Spread, env: Env, start: Interval) -> Size:
    """What the accumulator is at most: at the start, after all steps, and in between. Where it never comes to rest and does not grow by
    the same amount in each step, anything of its type."""

    def after(accumulated: Size) -> Size | None:
        return _step(analysis, node, accumulated, items.item, env, start).size

    made = size
    for _ in range(3):
        step = after(made)
        grown = made if step is None else hull(made, items.size(step))
        if grown == made:
            return made
        made = grown
    growing = with_items(accumulator(size, analysis.loops), made)  # what an empty one holds is known from its first steps
    for _ in range(3):
        step = after(growing.size)
        if step is None:
            break
        found = growing.after(step, items)
        if found is not None:
            return hull(size, found)
        growing = with_items(growing, items.size(step))
    made = hull(made, of_type(analysis.checked.types[node.body]))
    step = after(made)
    return made if step is None else hull(made, items.size(step))


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


def _joined(groups: Sequence[Group], skip: bool, ordered: bool) -> Size | None:
    """The list of what bodies give. `skip`: an item that fails is left out; `ordered`: the groups are in the order of the items."""
    if not groups:
        return Exact([])
    if not skip and any(group.out.size is None and group.surely for group in groups):
        return None
    given = [(group, group.out.size) for group in groups if group.out.size is not None]
    values = [size.value for _, size in given if isinstance(size, Exact)]
    one_by_one = len(values) == len(given) and all(group.count in (ONE, PERHAPS) for group, _ in given)
    if one_by_one and ordered and all(group.count == ONE for group, _ in given):
        return Exact(values)
    count, total = total_of(group.count for group, _ in given), total_of(group.content for group, _ in given)
    known = Known(tuple(values), tuple(group.count == ONE and not skip for group, _ in given)) if one_by_one else None
    return ListSize(count, hull_all(size for _, size in given), total, known)


def _groups(xs: Sequence[Any], most: int) -> list[Sequence[int]]:
    """The positions of a long list's items in at most so many groups of like size."""
    if isinstance(xs, range):
        order: Sequence[int] = range(len(xs))
    else:
        weights = list(map(_weight, xs))
        order = sorted(range(len(xs)), key=weights.__getitem__)
    width = -(-len(order) // most)
    return [order[at : at + width] for at in range(0, len(order), width)]


def _at(xs: Sequence[Any], members: Sequence[int]) -> Sequence[Any]:
    """The items at some positions."""
    if isinstance(xs, range) and isinstance(members, range):
        return xs[members.start : members.stop]
    return [xs[i] for i in members]


def _typical(items: Sequence[Any]) -> Size:
    """The size of the item that comes closest to the mean of all."""
    if not items:
        return NoneSize()
    if isinstance(items, (range, Streamed)):
        return measure(items[0])
    weights = list(map(_weight, items))
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
