"""Built-ins on lists. Each takes a list or a range; none changes what it is given."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from hashlib import sha256

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.numbers import position_of
from rlmlang.builtins.operators import check_list_items, keys_of, need_int, need_list, order_keys
from rlmlang.errors import Failure
from rlmlang.limits import LIST_ITEMS
from rlmlang.values import Value, check_value, hashable

Key = Callable[[Value], Value] | None


def _amount(n: Value, what: str, least: int = 0) -> int:
    amount = need_int(n, what)
    if amount < least:
        raise Failure(f"{what} needs an amount of at least {least}, not {amount}")
    return min(amount, LIST_ITEMS)


# ---- parts ----


@builtin("first(xs: [T]) -> T", "first(xs: [T], n: int) -> [T]", help="The first item, or the first n.")
def first(xs: Value, n: int | None = None) -> Value:
    return _end(xs, "first", 0) if n is None else take(xs, n)


@builtin("last(xs: [T]) -> T", "last(xs: [T], n: int) -> [T]", help="The last item, or the last n.")
def last(xs: Value, n: int | None = None) -> Value:
    if n is None:
        return _end(xs, "last", -1)
    items = need_list(xs, "last")
    return items[max(0, len(items) - _amount(n, "last")) :]


def _end(xs: Value, what: str, position: int) -> Value:
    if not (items := need_list(xs, what)):
        raise Failure(f"an empty list has no {what} item", hint=f"write `{what}(xs) otherwise none`")
    return items[position]


@builtin("take(xs: [T], n: int) -> [T]", help="The first n items, or all there are.")
def take(xs: Value, n: int) -> Value:
    return need_list(xs, "take")[: _amount(n, "take")]


@builtin("drop(xs: [T], n: int) -> [T]", help="All but the first n items.")
def drop(xs: Value, n: int) -> Value:
    return need_list(xs, "drop")[_amount(n, "drop") :]


@builtin(
    "sample(xs: [T], n: int, seed: int = 0) -> [T]",
    help="n items at random places, all of them if there are no more; equal seeds, equal items.",
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


@builtin("reversed(xs: [T]) -> [T]", "reversed(text: text) -> text", help="Back to front.")
def reversed_(xs: Value) -> Value:
    return xs[::-1] if isinstance(xs, str) else need_list(xs, "reversed")[::-1]


@builtin(
    "sorted(xs: [O], key: none = none, reverse: bool = false) -> [O]",
    "sorted(xs: [T], key: (T) -> O = none, reverse: bool = false) -> [T]",
    help="In order, by key if there is one; equal items keep their order.",
)
def sorted_(xs: Value, key: Key = None, reverse: bool | None = None) -> list[Value]:
    items = need_list(xs, "sorted")
    keys = order_keys(keys_of(items, key, "sorted"))
    return [items[i] for i in sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse is True)]


@builtin("unique(xs: [T], key: (T) -> K = none) -> [T]", help="Without repeats, by key if there is one; the first of each is kept.")
def unique(xs: Value, key: Key = None) -> list[Value]:
    items = need_list(xs, "unique")
    kept: dict[object, Value] = {}
    for item, of in zip(items, keys_of(items, key, "unique"), strict=True):
        kept.setdefault(hashable(of), item)
    return list(kept.values())


@builtin(
    "argmax(xs: [O]) -> int", "argmax(xs: [T], key: (T) -> O) -> int", help="The position of the largest item, by its key if there is one."
)
def argmax(xs: Value, key: Key = None) -> int:
    return _position_of("largest", builtins.max, xs, key)


@builtin(
    "argmin(xs: [O]) -> int", "argmin(xs: [T], key: (T) -> O) -> int", help="The position of the smallest item, by its key if there is one."
)
def argmin(xs: Value, key: Key = None) -> int:
    return _position_of("smallest", builtins.min, xs, key)


def _position_of(what: str, choose: Callable[..., int], xs: Value, key: Key) -> int:
    name = f"arg{choose.__name__}"
    if not (items := need_list(xs, name)):
        raise Failure(f"an empty list has no {what} item")
    return position_of(choose, keys_of(items, key, name))


# ---- questions ----


@builtin("any(xs: [T]) -> bool", help="Whether one of them is true.")
def any_(xs: Value) -> bool:
    return any(need_list(xs, "any"))


@builtin("all(xs: [T]) -> bool", help="Whether all of them are true.")
def all_(xs: Value) -> bool:
    return all(need_list(xs, "all"))


# ---- made of lists ----


@builtin(
    "range(stop: int) -> [int]",
    "range(start: int, stop: int, step: int = 1) -> [int]",
    help="Whole numbers from start, or 0, up to but not including stop.",
)
def range_(start: int, stop: int | None = None, step: int | None = None) -> range:
    if stop is None:
        start, stop = 0, start
    low, high, by = need_int(start, "range"), need_int(stop, "range"), 1 if step is None else need_int(step, "step")
    if by == 0:
        raise Failure("the step of a range must not be 0")
    check_list_items(max(0, -((low - high) // by)))
    return range(low, high, by)


@builtin(
    "enumerate(xs: [T], start: int = 0) -> [[int, T]]",
    help="Each item with its position: [[0, a], [1, b], …].",
)
def enumerate_(xs: Value, start: int | None = None) -> Value:
    items = need_list(xs, "enumerate")
    return check_value([[i, item] for i, item in enumerate(items, 0 if start is None else need_int(start, "start"))])


@builtin(
    "zip(a: [T], b: [U]) -> [[T, U]]",
    "zip(a: [T], b: [U], c: [V]) -> [[T, U, V]]",
    "zip(a: [T], b: [U], c: [V], d: [W]) -> [[T, U, V, W]]",
    help="Items of equal position together, as far as the shortest list goes.",
)
def zip_(*lists: Value) -> Value:
    return check_value([list(items) for items in zip(*(need_list(xs, "zip") for xs in lists), strict=False)])


@builtin("flatten(xs: [[T]]) -> [T]", help="The items of all its lists, as one list.")
def flatten(xs: Value) -> list[Value]:
    lists = [need_list(items, "flatten") for items in need_list(xs, "flatten")]
    check_list_items(sum(map(len, lists)))
    return [item for items in lists for item in items]


@builtin(
    "group_by(xs: [T], key: (T) -> K) -> [{key: K, items: [T]}]", help="The items of equal key together, in order of first appearance."
)
def group_by(xs: Value, key: Key) -> Value:
    items = need_list(xs, "group_by")
    groups: dict[object, dict[str, Value]] = {}
    for item, of in zip(items, keys_of(items, key, "group_by"), strict=True):
        groups.setdefault(hashable(of), {"key": of, "items": []})["items"].append(item)
    return check_value(list(groups.values()))


@builtin("batch(xs: [T], n: int) -> [[T]]", help="Its items n at a time; the last batch may be smaller.")
def batch(xs: Value, n: int) -> Value:
    items, size = need_list(xs, "batch"), _amount(n, "batch", 1)
    return check_value([items[i : i + size] for i in range(0, len(items), size)])


@builtin("windows(xs: [T], n: int) -> [[T]]", help="Every n neighbours: [1, 2, 3] by 2 gives [[1, 2], [2, 3]].")
def windows(xs: Value, n: int) -> Value:
    items, size = need_list(xs, "windows"), _amount(n, "windows", 1)
    many = max(0, len(items) - size + 1)
    check_list_items(many * size)
    return check_value([items[i : i + size] for i in range(many)])


@builtin("pairs(xs: [T]) -> [[T, T]]", help="Every two items together: [1, 2, 3] gives [[1, 2], [1, 3], [2, 3]].")
def pairs(xs: Value) -> Value:
    items: Sequence[Value] = need_list(xs, "pairs")
    check_list_items(len(items) * (len(items) - 1))
    return check_value([[a, items[j]] for i, a in enumerate(items) for j in range(i + 1, len(items))])
