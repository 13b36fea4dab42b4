"""Built-ins on numbers. A result that is not finite is a Failure, so that no value is ever infinite or NaN."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import check_int, finite, keys_of, need_int, need_list, order_keys
from rlmlang.errors import Failure
from rlmlang.limits import INT_BITS
from rlmlang.values import Value, describe, quote

_DIGITS: Final = 400  # rounding to more decimal places changes no float
_INT_CHARS: Final = INT_BITS  # of a text to convert: reading an int is quadratic in its digits


def _number(value: Value, what: str) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Failure(f"{what} needs a number, not {describe(value)}")


@builtin(
    "int(x: int) -> int",
    "int(x: float) -> int",
    "int(x: bool) -> int",
    "int(x: text) -> int",
    "int(x: json) -> int",
    help="A whole number: of a text, or a number without its fraction.",
)
def int_(x: Value) -> int:
    if isinstance(x, str):
        try:
            return check_int(int(_short(x)))
        except ValueError:
            hint = "int(float(x)) drops a fraction" if _is_float(x) else None
            raise Failure(f"{quote(x)} is no whole number", hint=hint) from None
    return int(x) if isinstance(x, bool) else int(_number(x, "int"))


@builtin(
    "float(x: float) -> float",
    "float(x: bool) -> float",
    "float(x: text) -> float",
    "float(x: json) -> float",
    help="A number with a fraction: of a text, or of a whole number.",
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
        raise Failure(f"{quote(x)} is no number") from None
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


@builtin("abs(x: int) -> int", "abs(x: float) -> float", help="Without its sign.")
def abs_(x: Value) -> Value:
    return abs(_number(x, "abs"))


@builtin(
    "round(x: float) -> int",
    "round(x: int, digits: int) -> int",
    "round(x: float, digits: int) -> float",
    help="To the nearest whole number, or to so many decimal places; a half goes to the even neighbour.",
)
def round_(x: Value, digits: int | None = None) -> Value:
    if digits is None:
        return round(_number(x, "round"))
    places = max(-4 * _DIGITS, min(need_int(digits, "digits"), _DIGITS))
    try:
        return round(_number(x, "round"), places)
    except OverflowError:
        raise Failure(f"{describe(x)} rounded to {places} places is too large for a float") from None


@builtin("floor(x: float) -> int", help="The largest whole number that is not above.")
def floor(x: Value) -> int:
    return math.floor(_number(x, "floor"))


@builtin("ceil(x: float) -> int", help="The smallest whole number that is not below.")
def ceil(x: Value) -> int:
    return math.ceil(_number(x, "ceil"))


@builtin(
    "clamp(x: int, low: int, high: int) -> int",
    "clamp(x: float, low: float, high: float) -> float",
    help="The nearest number from low to high.",
)
def clamp(x: Value, low: Value, high: Value) -> Value:
    if _number(low, "clamp") > _number(high, "clamp"):
        raise Failure(f"clamp needs low <= high, not {low} and {high}")
    return max(low, min(_number(x, "clamp"), high))


@builtin("sum(xs: [int]) -> int", "sum(xs: [bool]) -> int", "sum(xs: [float]) -> float", help="All added up; true counts 1.")
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


@builtin("mean(xs: [float]) -> float", help="The average; fails for an empty list.")
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


@builtin(*(s.format("max") for s in _EXTREME_SIGNATURES), help="The largest item, by its key if there is one; the first of equals.")
def max_(*xs: Value) -> Value:
    return _extreme("max", builtins.max, xs)


@builtin(*(s.format("min") for s in _EXTREME_SIGNATURES), help="The smallest item, by its key if there is one; the first of equals.")
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
