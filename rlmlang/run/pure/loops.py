"""Maps, filters, `first`, reduces and folds with pure bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from rlmlang import limits
from rlmlang.builtins.declare import Builtin
from rlmlang.errors import Failure, LimitError, RlmError
from rlmlang.run.facts import weight_of
from rlmlang.run.flow import Env, Pure, label, located
from rlmlang.run.pure.bindings import take_apart
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span
from rlmlang.types import JSON, DictOf, ListOf, Type
from rlmlang.values import check_value

if TYPE_CHECKING:
    from rlmlang.run.pure.code import PureCode

_Each = Callable[[Env, Sequence[Any], int], list[Any]]  # the loop itself, over a slice of the list that starts at a position
_SLICE = 1 << 16  # items between two looks at whether the run was cancelled


def _targets(c: PureCode, node: n.Map | n.Filter) -> list[int]:
    """The slots of a map's or filter's item (and position, last)."""
    return [c.frame.place(variable, "value") for variable in c.facts.bound[node]]


def mapped(c: PureCode, node: n.Map) -> Pure:
    source = c.listed(node.source)
    slots = _targets(c, node)
    body = c.compile(node.body)
    weight = weight_of(node.body)
    each: _Each
    current = slots[0]
    if node.position is not None:
        slot, position = slots

        def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
            made = []
            for env[position], env[slot] in enumerate(xs, start):
                made.append(body(env))
            return made

    elif len(slots) > 1:
        count, span = len(slots), node.span
        current = c.frame.slot()

        def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
            made = []
            for env[current] in xs:
                take_apart(env, slots, env[current], count, span)
                made.append(body(env))
            return made

    else:
        (slot,) = slots

        def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
            return [body(env) for env[slot] in xs]

    return _looping(c, node, source, _skipping(each) if node.skip else each, current, weight, flatten=node.flatten)


def filtered(c: PureCode, node: n.Filter) -> Pure:
    source = c.listed(node.source)
    slots = _targets(c, node)
    condition = c.compile(node.condition)
    each: _Each
    current = slots[0]
    if len(slots) > 1:
        count, span = len(slots), node.span
        current = c.frame.slot()

        def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
            kept = []
            for x in xs:
                env[current] = x
                take_apart(env, slots, x, count, span)
                if condition(env):
                    kept.append(x)
            return kept

    else:
        (slot,) = slots

        def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
            return [env[slot] for env[slot] in xs if condition(env)]

    return _looping(c, node, source, _skipping(each) if node.skip else each, current, weight_of(node.condition))


def _looping(c: PureCode, node: n.Map | n.Filter, source: Pure, each: _Each, current: int, weight: int, *, flatten: bool = False) -> Pure:
    """Runs a loop over a list. Steps are counted before; a long one looks now and then whether the run was cancelled.

    The item that it is at lies in the slot `current`: a failure is told where it happened. Loops over a list that is not held pass their
    items on batch by batch, and what the last of them gives is kept where that is little: it need not be read again.
    """
    span = node.span
    inner = c.streams.get(node.source)
    root = inner.root if inner is not None else source if _is_root(node.source) else None
    lasting = not c.facts.skips and all(variable.top for variable in c.facts.mentions(node))

    def loop(env: Env) -> list[Any]:
        if inner is not None and isinstance(large := inner.root(env), Streamed):
            return whole(env, large)
        xs = source(env)
        if isinstance(xs, Streamed):
            return whole(env, xs)
        env[0].run.step(len(xs) * weight, span)
        try:
            return slices(env, xs)
        except Failure as failure:
            raise _at_item(failure, env, env[current], _position(xs, env[current])) from None

    def slices(env: Env, xs: Sequence[Any]) -> list[Any]:
        count = len(xs)
        run = env[0].run
        made: list[Any] = []
        if flatten:  # as it goes, or what is too large would be built before it is refused
            for at in range(count):
                (part,) = each(env, xs[at : at + 1], at) or ((),)
                if len(made) + len(part) > limits.LIST_ITEMS:
                    raise too_many(span)
                made += part
        elif count <= _SLICE:
            made = each(env, xs, 0)
        else:
            for at in range(0, count, _SLICE):
                run.check_cancelled()
                made += each(env, xs[at : at + _SLICE], at)
        return made

    def batches(env: Env, xs: Streamed) -> Iterator[list[Any]]:
        run = env[0].run
        if inner is None:
            run.step(len(xs) * weight, span)
        start = 0
        for part in xs.batches() if inner is None else inner.batches(env, xs):
            if inner is not None:
                run.step(len(part) * weight, span)
            run.check_cancelled()
            try:
                if flatten:  # one by one, or what is too large would be built before it is refused
                    for at in range(len(part)):
                        yield from each(env, part[at : at + 1], start + at)
                else:
                    yield each(env, part, start)
            except Failure as failure:
                raise _at_item(failure, env, env[current], start + _position(part, env[current])) from None
            start += len(part)

    def whole(env: Env, xs: Streamed) -> list[Any]:
        run = env[0].run
        known: list[Any] | None = run.prepared.get(node)
        if known is not None:
            return known
        most = run.may_hold(xs)
        found: list[Any] = []
        for made in batches(env, xs):
            found += made
            if len(found) > most:
                raise too_many(span, most)
        if lasting and len(found) <= rows_kept(xs):
            run.prepared[node] = found
        return found

    if root is not None:
        c.streams[node] = LoopStream(root, batches, lambda env: env[0].run.prepared.get(node))
    return loop


def _is_root(source: n.Expr) -> bool:
    """Whether asking for a list once more takes no time: a variable, or files of a folder, which are listed once."""
    return isinstance(source, n.Name) or (isinstance(source, n.Apply) and source.name == "files")


@frozen(eq=False)
class LoopStream:
    """A loop over what may be a list that is not held. `root` is that list, `batches` gives what the loop makes of it, some items at a
    time, `known` all of that, where somebody has kept it."""

    root: Pure
    batches: Callable[[Env, Streamed], Iterator[list[Any]]]
    known: Callable[[Env], list[Any] | None]


def rows_kept(xs: Streamed) -> int:
    """How many items, of those that a loop makes of a list that is not held, are so few that they are kept."""
    return min(limits.HELD_ROWS, limits.HELD_BYTES * len(xs) // max(1, xs.weight))


def _skipping(each: _Each) -> _Each:
    """Item by item; one that fails is dropped and reported."""

    def one_by_one(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
        made = []
        for at, x in enumerate(xs, start):
            try:
                made += each(env, (x,), at)
            except Failure as failure:
                dropped = _at_item(failure, env, x, at)
                env[0].run.skipped(dropped, dropped.item)
        return made

    return one_by_one


def _position(xs: Sequence[Any], item: Any) -> int:
    """Where in a list its loop failed: the first place where this very value stands, as there it would have failed, too."""
    return xs.index(item) if isinstance(xs, range) else next((at for at, x in enumerate(xs) if x is item), 0)


def _at_item(failure: Failure, env: Env, item: Any, position: int) -> Failure:
    """The failure of a loop's body, with the item it was for put before those of the loops inside. One of its own: a value that is read
    again fails with the same failure, for another item."""
    around = env[0].items
    where = (*around, label(item, position), *failure.item[len(around) :])
    return Failure(failure.message, span=failure.span, hint=failure.hint, attempts=failure.attempts, item=where)


def too_many(span: Span, most: int | None = None) -> LimitError:
    return LimitError(f"a list would have more than {most or limits.LIST_ITEMS:,} items", span=span)


# ---- first ----


def first(c: PureCode, node: n.First) -> Pure:
    return first_found(c, node, node.source, c.compile(node.count), node.condition)


def takes_first(node: n.Apply, given: Sequence[n.Expr | n.Lambda | None]) -> bool:
    """Whether the call of a built-in is `take(filter(…), n)` or `first([x for … if …], n)`."""
    if node.name not in ("take", "first") or len(given) < 2 or given[1] is None:
        return False
    return isinstance(given[0], n.Filter) and not given[0].skip


def first_of_filter(c: PureCode, builtin: Builtin, given: Sequence[n.Expr | n.Lambda | None], span: Span) -> Pure:
    """`take(filter(…), n)` stops when n are found."""
    source, count = given[:2]
    assert isinstance(source, n.Filter) and isinstance(count, n.Expr)
    return first_found(c, source, source.source, amount(c, builtin, count, span), source.condition)


def amount(c: PureCode, builtin: Builtin, count: n.Expr, span: Span) -> Pure:
    """How many `take` or `first` is to give: what it does not take fails as it does elsewhere."""
    wanted, check = c.compile(count), builtin.code

    def amount(env: Env) -> Any:
        value = wanted(env)
        try:
            check([], value)
        except RlmError as error:
            raise located(error, span) from None
        return value

    return amount


def first_found(c: PureCode, node: n.First | n.Filter, items: n.Expr, count: Pure, test: n.Expr) -> Pure:
    """The first `count` of `items` for which `test` holds; `node` binds the item."""
    source = c.listed(items)
    slots = [c.frame.place(variable, "value") for variable in c.facts.bound[node]]
    condition, span = c.compile(test), node.span

    def first(env: Env) -> list[Any]:
        found: list[Any] = []
        xs, wanted = source(env), count(env)
        for at, x in enumerate(xs):
            if len(found) >= wanted:
                break
            try:
                if len(slots) == 1:
                    env[slots[0]] = x
                else:
                    take_apart(env, slots, x, len(slots), span)
                if condition(env):
                    found.append(x)
            except Failure as failure:
                raise _at_item(failure, env, x, at) from None
        return found

    return first


# ---- reduce and fold ----


def reduce(c: PureCode, node: n.Reduce) -> Pure:
    source = c.listed(node.source)
    initial = None if node.initial is None else c.compile(node.initial)
    left, right = (c.frame.place(variable, "value") for variable in c.facts.bound[node])
    body, span, weight = c.compile(node.body), node.span, weight_of(node.body)

    def reduce(env: Env) -> Any:
        level = source(env)
        if isinstance(level, Streamed):
            level = list(level)
        if not level:
            return empty_reduce(env, initial, span)
        env[0].run.step(len(level) * weight, span)
        while len(level) > 1:
            merged = []
            for at in range(0, len(level) - 1, 2):
                env[left], env[right] = level[at], level[at + 1]
                merged.append(body(env))
            level = merged + list(level[len(level) & ~1 :])
        return level[0]

    return reduce


def empty_reduce(env: Env, initial: Pure | None, span: Span) -> Any:
    """The value of a reduce over an empty list."""
    if initial is None:
        raise Failure("reduce of an empty list", span=span, hint="give a value for it: reduce(…, xs, initial), or otherwise")
    return initial(env)


def fold(c: PureCode, node: n.Fold) -> Pure:
    source, initial = c.listed(node.source), c.compile(node.initial)
    accumulator, item = (c.frame.place(variable, "value") for variable in c.facts.bound[node])
    body, span, weight = c.compile(node.body), node.span, weight_of(node.body)
    deep = may_nest(c.type_of(node.body))

    def fold(env: Env) -> Any:
        xs = source(env)
        value = initial(env)
        env[0].run.step(len(xs) * weight, span)
        for x in xs:
            env[accumulator], env[item] = value, x
            value = body(env)
            if deep:
                check_value(value)
        return value

    return fold


def may_nest(type_: Type) -> bool:
    """Whether values of a type can be nested without limit."""
    if isinstance(type_, DictOf):
        return may_nest(type_.value)
    return type_ == JSON or (isinstance(type_, ListOf) and may_nest(type_.item))
