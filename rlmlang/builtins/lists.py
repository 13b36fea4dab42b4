"""Built-ins on lists. Each takes a list or a range; none changes what it is given."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from hashlib import sha256

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.numbers import position_of
from rlmlang.builtins.operator_sizes import greatest_difference, greatest_sum, is_natural, joined_lists, least_difference
from rlmlang.builtins.operators import check_list_items, keys_of, need_int, need_list, order_keys
from rlmlang.builtins.rules import (
    amount_of,
    at_least_one,
    divided_up,
    given,
    is_bool,
    number_of,
    position,
    same_items,
    some_of,
    taken_of,
    total_of,
)
from rlmlang.errors import Failure
from rlmlang.limits import LIST_ITEMS
from rlmlang.quantity import (
    INFINITE,
    Formula,
    Quantity,
    difference,
    greatest,
    least,
    less,
    maximum,
    minimum,
    pairs_of,
    plus,
    times,
)
from rlmlang.sizes import (
    AnySize,
    BoolSize,
    FunctionSize,
    Interval,
    ListSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    as_list,
    content_bytes,
    json_bytes,
    list_total,
    unfold,
)
from rlmlang.values import Value, check_value, hashable

Key = Callable[[Value], Value] | None


def _amount(n: Value, what: str, least: int = 0) -> int:
    amount = need_int(n, what)
    if amount < least:
        raise Failure(f"{what} needs an amount of at least {least}, not {amount}")
    return min(amount, LIST_ITEMS)


# ---- parts ----


def _first_size(xs: Size, n: Size | None = None) -> Size:
    return _end_item(xs, 0) if n is None or given(n) is None else _take_size(xs, n)


def _last_size(xs: Size, n: Size | None = None) -> Size:
    return _end_item(xs, -1) if n is None or given(n) is None else _taken(xs, n, last=True)


def _end_item(xs: Size, at: int) -> Size:
    whole = unfold(xs)
    return whole.items[at] if isinstance(whole, TupleSize) and whole.items else as_list(whole).item


def _take_size(xs: Size, n: Size) -> Size:
    return _taken(xs, n, last=False)


def _taken(xs: Size, n: Size, last: bool) -> Size:
    amount, whole = amount_of(n), unfold(xs)
    if isinstance(whole, TupleSize) and isinstance(amount.low, int) and amount.low == amount.high:
        return TupleSize(whole.items[max(0, len(whole.items) - amount.low) :] if last else whole.items[: amount.low])
    return some_of(whole, taken_of(as_list(whole).count, amount))


def _drop_size(xs: Size, n: Size) -> Size:
    amount, whole = amount_of(n), unfold(xs)
    if isinstance(whole, TupleSize) and isinstance(amount.low, int) and amount.low == amount.high:
        return TupleSize(whole.items[amount.low :])
    count = as_list(whole).count
    return some_of(whole, Interval(difference(count.low, amount.high), difference(count.high, amount.low)))


def _sample_size(xs: Size, n: Size, seed: Size | None = None) -> Size:
    items = as_list(xs)
    return some_of(items, taken_of(items.count, amount_of(n)))


@builtin("first(xs: [T]) -> T", "first(xs: [T], n: int) -> [T]", help="The first item, or the first n.", size=_first_size)
def first(xs: Value, n: int | None = None) -> Value:
    return _end(xs, "first", 0) if n is None else take(xs, n)


@builtin("last(xs: [T]) -> T", "last(xs: [T], n: int) -> [T]", help="The last item, or the last n.", size=_last_size)
def last(xs: Value, n: int | None = None) -> Value:
    if n is None:
        return _end(xs, "last", -1)
    items = need_list(xs, "last")
    return items[max(0, len(items) - _amount(n, "last")) :]


def _end(xs: Value, what: str, position: int) -> Value:
    if not (items := need_list(xs, what)):
        raise Failure(f"an empty list has no {what} item", hint=f"write `{what}(xs) otherwise none`")
    return items[position]


@builtin("take(xs: [T], n: int) -> [T]", help="The first n items, or all there are.", size=_take_size)
def take(xs: Value, n: int) -> Value:
    return need_list(xs, "take")[: _amount(n, "take")]


@builtin("drop(xs: [T], n: int) -> [T]", help="All but the first n items.", size=_drop_size)
def drop(xs: Value, n: int) -> Value:
    return need_list(xs, "drop")[_amount(n, "drop") :]


@builtin(
    "sample(xs: [T], n: int, seed: int = 0) -> [T]",
    help="n items at random places, all of them if there are no more; equal seeds, equal items.",
    size=_sample_size,
)
def sample(xs: Value, n: int, seed: int | None = None) -> list[Value]:
    """A partial shuffle, with numbers from SHA-256 of seed and step: the same on every machine, in every version."""
    items, amount = need_list(xs, "sample"), _amount(n, "sample")
    start = f"{0 if seed is None else need_int(seed, 'seed')}:"
    moved: dict[int, int] = {}
    chosen: list[Value] = []
    for i in range(min(amount, len(items))):
        draw = int.from_bytes(sha256(f"{start}{i}".encode()).digest(), "big")
        place = i + draw % (len(items) - i)
        chosen.append(items[moved.get(place, place)])
        moved[place] = moved.get(i, i)
    return chosen


# ---- order ----


def _reversed_size(xs: Size) -> Size:
    whole = unfold(xs)
    return (
        TupleSize(whole.items[::-1])
        if isinstance(whole, TupleSize)
        else whole
        if isinstance(whole, (TextSize, AnySize))
        else as_list(whole)
    )


@builtin("reversed(xs: [T]) -> [T]", "reversed(text: text) -> text", help="Back to front.", size=_reversed_size)
def reversed_(xs: Value) -> Value:
    return xs[::-1] if isinstance(xs, str) else need_list(xs, "reversed")[::-1]


@builtin(
    "sorted(xs: [O], key: none = none, reverse: bool = false) -> [O]",
    "sorted(xs: [T], key: (T) -> O = none, reverse: bool = false) -> [T]",
    help="In order, by key if there is one; equal items keep their order.",
    size=same_items,
)
def sorted_(xs: Value, key: Key = None, reverse: bool | None = None) -> list[Value]:
    items = need_list(xs, "sorted")
    keys = order_keys(keys_of(items, key, "sorted"))
    return [items[i] for i in sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse is True)]


def _unique_size(xs: Size, key: Size | None = None) -> Size:
    items = as_list(xs)
    return some_of(items, Interval(at_least_one(items.count), items.count.high))


@builtin(
    "unique(xs: [T], key: (T) -> K = none) -> [T]",
    help="Without repeats, by key if there is one; the first of each is kept.",
    size=_unique_size,
)
def unique(xs: Value, key: Key = None) -> list[Value]:
    items = need_list(xs, "unique")
    kept: dict[object, Value] = {}
    for item, of in zip(items, keys_of(items, key, "unique"), strict=True):
        kept.setdefault(hashable(of), item)
    return list(kept.values())


@builtin("set(xs: [T]) -> [T]", help="As unique, by the name that Python has for it: a list without repeats.", size=_unique_size)
def set_(xs: Value) -> list[Value]:
    return unique(xs)


def _place_size(xs: Size, key: Size | None = None) -> Size:
    return position(less(as_list(xs).count.high, 1))


@builtin(
    "argmax(xs: [O]) -> int",
    "argmax(xs: [T], key: (T) -> O) -> int",
    help="The position of the largest item, by its key if there is one.",
    size=_place_size,
)
def argmax(xs: Value, key: Key = None) -> int:
    return _position_of("largest", builtins.max, xs, key)


@builtin(
    "argmin(xs: [O]) -> int",
    "argmin(xs: [T], key: (T) -> O) -> int",
    help="The position of the smallest item, by its key if there is one.",
    size=_place_size,
)
def argmin(xs: Value, key: Key = None) -> int:
    return _position_of("smallest", builtins.min, xs, key)


def _position_of(what: str, choose: Callable[..., int], xs: Value, key: Key) -> int:
    name = f"arg{choose.__name__}"
    if not (items := need_list(xs, name)):
        raise Failure(f"an empty list has no {what} item")
    return position_of(choose, keys_of(items, key, name))


# ---- questions ----


@builtin("any(xs: [T]) -> bool", help="Whether one of them is true.", size=is_bool)
def any_(xs: Value) -> bool:
    return any(need_list(xs, "any"))


@builtin("all(xs: [T]) -> bool", help="Whether all of them are true.", size=is_bool)
def all_(xs: Value) -> bool:
    return all(need_list(xs, "all"))


# ---- made of lists ----


def _range_size(start: Size, stop: Size | None = None, step: Size | None = None) -> Size:
    first, end = (NumberSize(0, 0, True), number_of(start)) if stop is None else (number_of(start), number_of(stop))
    by = NumberSize(1, 1, True) if step is None or given(step) is None else number_of(step)
    if least(by.low) >= 1:
        return _ascending(first, end, by)
    low, high = minimum(first.low, end.low), maximum(first.high, end.high)
    if greatest(by.high) <= -1:
        steps = _steps(end, first, NumberSize(-greatest(by.high), -least(by.low)))
        return ListSize(steps, NumberSize(low, first.high, True))
    up, down = _steps(first, end, NumberSize(1, INFINITE)), _steps(end, first, NumberSize(1, INFINITE))
    return ListSize(Interval(0, maximum(up.high, down.high)), NumberSize(low, high, True))


def _ascending(first: NumberSize, end: NumberSize, by: NumberSize) -> Size:
    last = greatest_sum(end.high, -1)
    return ListSize(_steps(first, end, by), NumberSize(first.low, maximum(first.low, last), True))


def _steps(first: NumberSize, end: NumberSize, by: NumberSize) -> Interval:
    """How many steps up of `by` there are from one number to before the other."""
    low = difference(end.low, first.high) if is_natural(first.high) else least_difference(end.low, first.high)
    high = greatest_difference(end.high, first.low)
    way = Interval(*(q if isinstance(q, Formula) else max(0, q) for q in (low, high)))
    return divided_up(way, Interval(by.low, by.high))


@builtin(
    "range(stop: int) -> [int]",
    "range(start: int, stop: int, step: int = 1) -> [int]",
    help="Whole numbers from start, or 0, up to but not including stop.",
    size=_range_size,
)
def range_(start: int, stop: int | None = None, step: int | None = None) -> range:
    if stop is None:
        start, stop = 0, start
    low, high, by = need_int(start, "range"), need_int(stop, "range"), 1 if step is None else need_int(step, "step")
    if by == 0:
        raise Failure("the step of a range must not be 0")
    check_list_items(max(0, -((low - high) // by)))
    return range(low, high, by)


def _enumerate_size(xs: Size, start: Size | None = None) -> Size:
    whole = as_list(xs)
    first = NumberSize(0, 0, True) if start is None or given(start) is None else number_of(start)
    place = NumberSize(first.low, greatest_sum(first.high, less(whole.count.high, 1)), True)
    total = None if whole.total is None else list_total(whole) + whole.count * json_bytes(place)
    return ListSize(whole.count, TupleSize((place, whole.item)), total)


@builtin(
    "enumerate(xs: [T], start: int = 0) -> [[int, T]]",
    help="Each item with its position: [[0, a], [1, b], …].",
    size=_enumerate_size,
)
def enumerate_(xs: Value, start: int | None = None) -> Value:
    items = need_list(xs, "enumerate")
    return check_value([[i, item] for i, item in enumerate(items, 0 if start is None else need_int(start, "start"))])


def _zip_size(*lists: Size | None) -> Size:
    wholes = [as_list(xs) for xs in lists if xs is not None]
    count = Interval(minimum(*(w.count.low for w in wholes)), minimum(*(w.count.high for w in wholes)))
    total: Quantity = 0
    for whole in wholes:
        all_, largest = list_total(whole).high, times(count.high, content_bytes(whole.item).high)
        # as formulas, all items together say more than as many of the largest, and are easier to read
        total = plus(total, all_ if isinstance(all_, Formula) and isinstance(largest, Formula) else minimum(all_, largest))
    known = any(w.total is not None for w in wholes)
    return ListSize(count, TupleSize(tuple(w.item for w in wholes)), Interval(0, total) if known else None)


@builtin(
    "zip(a: [T], b: [U]) -> [[T, U]]",
    "zip(a: [T], b: [U], c: [V]) -> [[T, U, V]]",
    "zip(a: [T], b: [U], c: [V], d: [W]) -> [[T, U, V, W]]",
    help="Items of equal position together, as far as the shortest list goes.",
    size=_zip_size,
)
def zip_(*lists: Value) -> Value:
    return check_value([list(items) for items in zip(*(need_list(xs, "zip") for xs in lists), strict=False)])


def _flatten_size(xs: Size) -> Size:
    whole = unfold(xs)
    if isinstance(whole, TupleSize):
        joined = ListSize(Interval(0, 0), NoneSize(), Interval(0, 0))
        for item in whole.items:
            joined = joined_lists(joined, as_list(item))
        return joined
    outer = as_list(xs)
    inner = as_list(outer.item)
    total = outer.total if outer.total is not None else None if inner.total is None else outer.count * list_total(inner)
    return ListSize(outer.count * inner.count, inner.item, total)


@builtin("flatten(xs: [[T]]) -> [T]", help="The items of all its lists, as one list.", size=_flatten_size)
def flatten(xs: Value) -> list[Value]:
    lists = [need_list(items, "flatten") for items in need_list(xs, "flatten")]
    check_list_items(sum(map(len, lists)))
    return [item for items in lists for item in items]


def _group_by_size(xs: Size, key: Size) -> Size:
    whole = as_list(xs)
    of = key.result if isinstance(key, FunctionSize) else AnySize()
    most = minimum(whole.count.high, 2) if isinstance(unfold(of), BoolSize) else whole.count.high
    count = Interval(at_least_one(whole.count), most)
    items = ListSize(Interval(minimum(1, whole.count.high), whole.count.high), whole.item, list_total(whole).from_zero())
    total = list_total(whole) + count * content_bytes(of)
    return ListSize(count, RecordSize((("key", of), ("items", items))), total)


@builtin(
    "group_by(xs: [T], key: (T) -> K) -> [{key: K, items: [T]}]",
    help="The items of equal key together, in order of first appearance.",
    size=_group_by_size,
)
def group_by(xs: Value, key: Key) -> Value:
    items = need_list(xs, "group_by")
    groups: dict[object, dict[str, Value]] = {}
    for item, of in zip(items, keys_of(items, key, "group_by"), strict=True):
        groups.setdefault(hashable(of), {"key": of, "items": []})["items"].append(item)
    return check_value(list(groups.values()))


def _batch_size(xs: Size, n: Size) -> Size:
    whole, size = as_list(xs), amount_of(n, 1)
    most = minimum(whole.count.high, size.high)
    each = ListSize(Interval(minimum(1, most), most), whole.item, total_of(whole, most))
    return ListSize(divided_up(whole.count, size), each, list_total(whole))


@builtin("batch(xs: [T], n: int) -> [[T]]", help="Its items n at a time; the last batch may be smaller.", size=_batch_size)
def batch(xs: Value, n: int) -> Value:
    items, size = need_list(xs, "batch"), _amount(n, "batch", 1)
    return check_value([items[i : i + size] for i in range(0, len(items), size)])


def _windows_size(xs: Size, n: Size) -> Size:
    whole, size = as_list(xs), amount_of(n, 1)
    count = Interval(difference(whole.count.low, less(size.high, 1)), difference(whole.count.high, less(size.low, 1)))
    width = Interval(size.low, minimum(size.high, maximum(size.low, whole.count.high)))
    total = None if whole.total is None else Interval(0, times(width.high, list_total(whole).high))
    return ListSize(count, ListSize(width, whole.item, total_of(whole, width.high)), total)


@builtin("windows(xs: [T], n: int) -> [[T]]", help="Every n neighbours: [1, 2, 3] by 2 gives [[1, 2], [2, 3]].", size=_windows_size)
def windows(xs: Value, n: int) -> Value:
    items, size = need_list(xs, "windows"), _amount(n, "windows", 1)
    many = max(0, len(items) - size + 1)
    check_list_items(many * size)
    return check_value([items[i : i + size] for i in range(many)])


def _pairs_size(xs: Size) -> Size:
    whole = as_list(xs)
    count = Interval(pairs_of(whole.count.low), pairs_of(whole.count.high))
    total = (
        None
        if whole.total is None
        else Interval(*(times(less(n, 1), t) for n, t in zip(_ends(whole.count), _ends(list_total(whole)), strict=True)))
    )
    return ListSize(count, TupleSize((whole.item, whole.item)), total)


def _ends(interval: Interval) -> tuple[Quantity, Quantity]:
    return interval.low, interval.high


@builtin("pairs(xs: [T]) -> [[T, T]]", help="Every two items together: [1, 2, 3] gives [[1, 2], [1, 3], [2, 3]].", size=_pairs_size)
def pairs(xs: Value) -> Value:
    items: Sequence[Value] = need_list(xs, "pairs")
    check_list_items(len(items) * (len(items) - 1))
    return check_value([[a, items[j]] for i, a in enumerate(items) for j in range(i + 1, len(items))])
