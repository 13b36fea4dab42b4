"""Built-ins on numbers. A result that is not finite is a Failure, so that no value is ever infinite or NaN."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operator_sizes import added, clamped, float_above, float_below, times_number
from rlmlang.builtins.operators import check_int, finite, keys_of, need_int, need_list, order_keys
from rlmlang.builtins.rules import given, number_of
from rlmlang.errors import Failure
from rlmlang.limits import INT_BITS
from rlmlang.quantity import INFINITE, Formula, Quantity, ceil_div, greatest, is_whole, least, less, maximum, minimum, times
from rlmlang.sizes import Exact, FunctionSize, NoneSize, NumberSize, Size, TupleSize, as_list, hull_all, unfold
from rlmlang.values import Value, describe, quote

_DIGITS: Final = 400  # rounding to more decimal places changes no float
_INT_CHARS: Final = INT_BITS  # of a text to convert: reading an int is quadratic in its digits


def _number(value: Value, what: str) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Failure(f"{what} needs a number, not {describe(value)}")


def _at_ends(compute: Callable[[Any], Any], whole: bool) -> Callable[..., Size]:
    """The rule of a function that keeps the order of numbers, and leaves ints as they are."""

    def at(end: Quantity, up: bool) -> Quantity:
        if isinstance(end, Formula):
            return end if not whole or is_whole(end) else ceil_div(end, 1) if up else less(end, 1)
        if abs(end) == INFINITE:
            return end
        try:
            number: int | float = compute(end)
        except OverflowError:
            return INFINITE if end > 0 else -INFINITE
        return number

    def rule(x: Size) -> Size:
        size = number_of(x)
        return NumberSize(at(size.low, up=False), at(size.high, up=True), whole)

    return rule


_ASK: Final = 'a model reads a number out of a text, or gives a mark: call "How many?" on x -> {}'


@builtin(
    "int(x: int) -> int",
    "int(x: float) -> int",
    "int(x: bool) -> int",
    "int(x: text) -> int",
    "int(x: json) -> int",
    help="A whole number: of a text, or a number without its fraction.",
    size=_at_ends(int, whole=True),
)
def int_(x: Value) -> int:
    if isinstance(x, str):
        try:
            return check_int(int(_short(x)))
        except ValueError:
            hint = "int(float(x)) drops a fraction" if _is_float(x) else _ASK.format("int")
            raise Failure(f"{quote(x)} is no whole number", hint=hint) from None
    return int(x) if isinstance(x, bool) else int(_number(x, "int"))


@builtin(
    "float(x: float) -> float",
    "float(x: bool) -> float",
    "float(x: text) -> float",
    "float(x: json) -> float",
    help="A number with a fraction: of a text, or of a whole number.",
    size=_at_ends(float, whole=False),
)
def float_(x: Value) -> float:
    try:
        if isinstance(x, str):
            number = float(_short(x))
            if math.isnan(number):
                raise ValueError
        else:
            number = float(x if isinstance(x, bool) else _number(x, "float"))
    except ValueError:
        raise Failure(f"{quote(x)} is no number", hint=_ASK.format("float") if isinstance(x, str) else None) from None
    except OverflowError:
        number = math.inf
    return finite(number, lambda: describe(x))


def _short(text: str) -> str:
    if len(text) > _INT_CHARS:
        raise Failure(f"a text of {len(text):,} characters is no number")
    return text


def _is_float(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _abs_size(x: Size) -> Size:
    size = number_of(x)
    low, high = least(size.low), greatest(size.high)
    if low >= 0:
        return size
    return NumberSize(0 if high > 0 else -high, max(-low, high), size.whole)


@builtin("abs(x: int) -> int", "abs(x: float) -> float", help="Without its sign.", size=_abs_size)
def abs_(x: Value) -> Value:
    return abs(_number(x, "abs"))


_nearest_size = _at_ends(round, whole=True)


def _round_size(x: Size, digits: Size | None = None) -> Size:
    """Rounding to a place at most doubles a number."""
    if digits is None or given(digits) is None:
        return _nearest_size(x)
    size = number_of(x)
    if isinstance(digits, Exact) and type(digits.value) is int and digits.value >= 0 and size.whole:
        return size
    low, high = least(size.low), greatest(size.high)
    top = size.high if isinstance(size.high, Formula) else max(0, high)
    return NumberSize(min(0, low * 2), times(2, top), size.whole)


@builtin(
    "round(x: float) -> int",
    "round(x: int, digits: int) -> int",
    "round(x: float, digits: int) -> float",
    help="To the nearest whole number, or to so many decimal places; a half goes to the even neighbour.",
    size=_round_size,
)
def round_(x: Value, digits: int | None = None) -> Value:
    if digits is None:
        return round(_number(x, "round"))
    places = max(-4 * _DIGITS, min(need_int(digits, "digits"), _DIGITS))
    try:
        return round(_number(x, "round"), places)
    except OverflowError:
        raise Failure(f"{describe(x)} rounded to {places} places is too large for a float") from None


@builtin("floor(x: float) -> int", help="The largest whole number that is not above.", size=_at_ends(math.floor, whole=True))
def floor(x: Value) -> int:
    return math.floor(_number(x, "floor"))


@builtin("ceil(x: float) -> int", help="The smallest whole number that is not below.", size=_at_ends(math.ceil, whole=True))
def ceil(x: Value) -> int:
    return math.ceil(_number(x, "ceil"))


def _clamp_size(x: Size, low: Size, high: Size) -> Size:
    return clamped(number_of(x), number_of(low), number_of(high))


@builtin(
    "clamp(x: int, low: int, high: int) -> int",
    "clamp(x: float, low: float, high: float) -> float",
    help="The nearest number from low to high.",
    size=_clamp_size,
)
def clamp(x: Value, low: Value, high: Value) -> Value:
    if _number(low, "clamp") > _number(high, "clamp"):
        raise Failure(f"clamp needs low <= high, not {low} and {high}")
    return max(low, min(_number(x, "clamp"), high))


def _sum_size(xs: Size) -> Size:
    items = as_list(xs)
    if items.count.high == 0:
        return NumberSize(0, 0, True)
    whole = unfold(xs)
    if isinstance(whole, TupleSize) and all(number_of(item).whole for item in whole.items):
        made: Size = NumberSize(0, 0, True)
        for item in whole.items:
            made = added(made, number_of(item))
        return made
    return times_number(items.count, number_of(items.item))


@builtin(
    "sum(xs: [int]) -> int", "sum(xs: [bool]) -> int", "sum(xs: [float]) -> float", help="All added up; true counts 1.", size=_sum_size
)
def sum_(xs: Value) -> Value:
    items = need_list(xs, "sum")
    kinds = set(map(type, items))
    if not kinds <= {int, float, bool}:
        odd = next(x for x in items if type(x) not in (int, float, bool))
        raise Failure(f"sum needs numbers, not {describe(odd)}", hint="texts are joined: join(xs)" if isinstance(odd, str) else None)
    return _float_sum(items) if float in kinds else check_int(sum(items))


def _float_sum(items: Sequence[Value]) -> float:
    """Correctly rounded, so that it depends on neither order nor Python version."""
    try:
        return math.fsum(items)
    except OverflowError:
        return finite(math.inf, lambda: "the sum")


def _mean_size(xs: Size) -> Size:
    size = number_of(as_list(xs).item)
    low, high = least(size.low), size.high
    return NumberSize(
        low if abs(low) == INFINITE else float_below(low), high if isinstance(high, Formula) or abs(high) == INFINITE else float_above(high)
    )


@builtin("mean(xs: [float]) -> float", help="The average; fails for an empty list.", size=_mean_size)
def mean(xs: Value) -> float:
    items = need_list(xs, "mean")
    if not items:
        raise Failure("an empty list has no mean")
    total = sum_(items)
    try:
        return float(total / len(items))
    except OverflowError:
        return finite(math.inf, lambda: "the mean")


_EXTREME_SIGNATURES: Final = ("{}(xs: [O]) -> O", "{}(xs: [T], key: (T) -> O) -> T", "{}(*xs: O) -> O")


def _extreme_size(bound: Callable[..., Quantity]) -> Callable[..., Size]:
    """Of a list, one of its items; of numbers each with its own size, what `bound` gives for their ends."""

    def rule(*xs: Size | None) -> Size:
        sizes = [NoneSize() if x is None else x for x in xs]
        if len(sizes) == 1 or isinstance(sizes[1], FunctionSize):
            whole = unfold(sizes[0])
            if len(sizes) > 1 or not isinstance(whole, TupleSize):
                return as_list(sizes[0]).item
            sizes = list(whole.items)
        numbers = [size for size in map(unfold, sizes) if isinstance(size, NumberSize)]
        if len(numbers) < len(sizes):
            return hull_all(sizes)
        return NumberSize(bound(*(n.low for n in numbers)), bound(*(n.high for n in numbers)), all(n.whole for n in numbers))

    return rule


@builtin(
    *(s.format("max") for s in _EXTREME_SIGNATURES),
    help="The largest item, by its key if there is one; the first of equals.",
    size=_extreme_size(maximum),
)
def max_(*xs: Value) -> Value:
    return _extreme("max", builtins.max, xs)


@builtin(
    *(s.format("min") for s in _EXTREME_SIGNATURES),
    help="The smallest item, by its key if there is one; the first of equals.",
    size=_extreme_size(minimum),
)
def min_(*xs: Value) -> Value:
    return _extreme("min", builtins.min, xs)


def _extreme(name: str, choose: Callable[..., Any], xs: tuple[Value, ...]) -> Value:
    key = xs[1] if len(xs) == 2 and callable(xs[1]) else None
    items = need_list(xs[0], name) if key or len(xs) == 1 else xs
    if not items:
        raise Failure(f"an empty list has no {name}", hint=f"write `{name}(xs) otherwise 0`")
    return items[position_of(choose, keys_of(items, key, name))]


def position_of(choose: Callable[..., Any], values: Sequence[Value]) -> int:
    """The position of the first value that `choose` (Python's max or min) takes."""
    keys = order_keys(values)
    position: int = choose(range(len(keys)), key=keys.__getitem__)
    return position
