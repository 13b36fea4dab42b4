"""Sizes of what the operators give: interval arithmetic on numbers, and texts and lists joined and repeated.

Ends may be formulas, which are never below 0; where a result might be, its end is the number that the formula cannot pass. Floats are
computed as the operators do, which is monotone; from 2^53 on, where ints and floats round differently, the ends are widened. A formula
stands for sizes, which are below that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from rlmlang.limits import INT_BITS
from rlmlang.quantity import (
    INFINITE,
    Formula,
    Number,
    Quantity,
    at_most,
    ceil_div,
    difference,
    floor_div,
    greatest,
    is_whole,
    least,
    maximum,
    minimum,
    plus,
    times,
)
from rlmlang.sizes import (
    AnySize,
    DictSize,
    Exact,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    as_list,
    content_bytes,
    hull,
    length,
    list_total,
    unfold,
    whole_at_least_zero,
)

_EXACT: Final = 1 << 53  # ints below it are floats as well
_POWERS: Final = 8  # of formulas that are multiplied out


# ---- ends of intervals ----


def rounded(low: Quantity, high: Quantity, whole: bool) -> NumberSize:
    """The interval, widened where floats in it are rounded in another way than its ends were."""
    return NumberSize(low, high, True) if whole else NumberSize(_wide(low, -1), _wide(high, 1))


def _wide(end: Quantity, sign: int) -> Quantity:
    if isinstance(end, Formula) or abs(end) < _EXACT or abs(end) == INFINITE:
        return end
    return math.floor(end) + sign * ((math.floor(abs(end)) >> 50) + 1)


def _is_large(end: Quantity) -> bool:
    """Whether an end is a number that floats do not add to exactly: it meets no formula."""
    return not isinstance(end, Formula) and _EXACT <= abs(end) < INFINITE


def _total(x: Number, y: Number, at_worst: Number) -> Number:
    """`x + y`; `at_worst` where that is too large, or infinite both ways."""
    try:
        total = x + y
    except OverflowError:
        return at_worst
    return at_worst if total != total else total


def _product(x: Number, y: Number) -> Number:
    if not x or not y:
        return 0
    try:
        return x * y
    except OverflowError:
        return INFINITE if (x > 0) == (y > 0) else -INFINITE


def _least_product(x: Quantity, y: Quantity) -> Quantity:
    """A lower end of a product of what is at least 0: numbers do not saturate, which would be more."""
    return times(x, y) if isinstance(x, Formula) or isinstance(y, Formula) else _product(x, y)


def _quotient(x: Number, y: Number) -> Number:
    if abs(y) == INFINITE:
        return 0
    try:
        return x / y
    except OverflowError:
        return INFINITE if (x > 0) == (y > 0) else -INFINITE


def _floor(x: Quantity) -> Quantity:
    return x if isinstance(x, Formula) or abs(x) == INFINITE else math.floor(x)


def _ceil(x: Quantity) -> Quantity:
    return x if isinstance(x, Formula) or abs(x) == INFINITE else math.ceil(x)


def least_sum(x: Quantity, y: Quantity) -> Quantity:
    """A lower end of `x + y` for lower ends `x` and `y`."""
    if not isinstance(x, Formula) and not isinstance(y, Formula):
        return _total(x, y, -INFINITE)
    x, y = _floor(x), _floor(y)
    low = _total(least(x), least(y), -INFINITE)
    return plus(x, y) if 0 <= low < _EXACT else low


def greatest_sum(x: Quantity, y: Quantity) -> Quantity:
    """An upper end of `x + y` for upper ends `x` and `y`."""
    if not isinstance(x, Formula) and not isinstance(y, Formula):
        return _total(x, y, INFINITE)
    x, y = _ceil(x), _ceil(y)
    if _is_large(x) or _is_large(y):
        return _total(greatest(x), greatest(y), INFINITE)
    for one, other in ((x, y), (y, x)):
        if not isinstance(one, Formula) and one < 0:
            return difference(other, -one)
    return plus(x, y)


def least_difference(x: Quantity, y: Quantity) -> Quantity:
    """A lower end of `x - y` for a lower end `x` and an upper end `y`."""
    if not isinstance(y, Formula):
        return least_sum(x, -y)
    x = _floor(x)
    return difference(x, y) if at_most(y, x) and not _is_large(x) else _total(least(x), -greatest(y), -INFINITE)


def greatest_difference(x: Quantity, y: Quantity) -> Quantity:
    """An upper end of `x - y` for an upper end `x` and a lower end `y`."""
    if not isinstance(y, Formula):
        return greatest_sum(x, -y)
    x = _ceil(x)
    return _total(x, -least(y), INFINITE) if not isinstance(x, Formula) and (x < 0 or _is_large(x)) else difference(x, y)


def is_natural(end: Quantity) -> bool:
    """Whether an end is surely at least 0."""
    return isinstance(end, Formula) or end >= 0


def _numbers(size: NumberSize) -> tuple[Number, Number]:
    """The ends, as numbers."""
    return least(size.low), greatest(size.high)


def _symbolic(*sizes: NumberSize) -> bool:
    return any(isinstance(end, Formula) for size in sizes for end in (size.low, size.high))


# ---- numbers ----


def _added(a: NumberSize, b: NumberSize) -> NumberSize:
    return rounded(least_sum(a.low, b.low), greatest_sum(a.high, b.high), a.whole and b.whole)


def _subtracted(a: NumberSize, b: NumberSize) -> NumberSize:
    return rounded(least_difference(a.low, b.high), greatest_difference(a.high, b.low), a.whole and b.whole)


def _multiplied(a: NumberSize, b: NumberSize) -> NumberSize:
    whole = a.whole and b.whole
    if _symbolic(a, b) and is_natural(a.low) and is_natural(b.low) and not any(map(_is_large, (a.low, a.high, b.low, b.high))):
        return rounded(_least_product(_floor(a.low), _floor(b.low)), times(_ceil(a.high), _ceil(b.high)), whole)
    ends = [_product(x, y) for x in _numbers(a) for y in _numbers(b)]
    return rounded(min(ends), max(ends), whole)


def _divided(a: NumberSize, b: NumberSize) -> NumberSize:
    by = b.low
    if _symbolic(a) and is_natural(a.low) and isinstance(by, int) and by >= 1 and by == b.high:
        return NumberSize(floor_div(_floor(a.low), by), ceil_div(_ceil(a.high), by))
    parts = _without_zero(b)
    if parts is None:
        return NumberSize()
    ends = [_quotient(x, y) for x in _numbers(a) for y in parts]
    return rounded(min(ends), max(ends), False)


def _without_zero(b: NumberSize) -> list[Number] | None:
    """The ends of the parts of an interval on both sides of 0; None where it comes as near to 0 as one likes."""
    low, high = _numbers(b)
    if low > 0 or high < 0:
        return [low, high]
    if not b.whole:
        return None
    return [*([low, -1] if low < 0 else []), *([1, high] if high > 0 else [])] or None


def _floor_divided(a: NumberSize, b: NumberSize) -> NumberSize:
    whole, by = a.whole and b.whole, b.low
    if _symbolic(a) and is_natural(a.low) and isinstance(by, int) and by >= 1 and by == b.high and is_whole(a.low) and is_whole(a.high):
        return NumberSize(floor_div(_floor(a.low), by), floor_div(_ceil(a.high), by), whole)
    parts = _without_zero(b)
    if parts is None:
        return NumberSize(whole=whole)
    if whole:
        ends = [_floor_quotient(x, y) for x in _numbers(a) for y in parts]
        return NumberSize(min(ends), max(ends), True)
    ratio = _divided(NumberSize(*_numbers(a)), b)
    low = _floor(ratio.low)
    return rounded(low - 1 if not isinstance(low, Formula) else low, _ceil(ratio.high), False)  # 1.0 // 0.1 is 9.0, 1.0 / 0.1 is 10.0


def _floor_quotient(x: Number, y: Number) -> Number:
    if abs(y) == INFINITE:
        return 0 if not x or (x > 0) == (y > 0) else -1
    if abs(x) == INFINITE:
        return x if y > 0 else -x
    return x // y


def _remainder(a: NumberSize, b: NumberSize) -> NumberSize:
    whole = a.whole and b.whole
    if is_natural(a.low) and is_natural(b.low):
        if _surely_less(a.high, b.low):
            return NumberSize(a.low, a.high, whole)
        most = difference(b.high, 1) if whole else b.high
        return NumberSize(0, minimum(a.high, most), whole)
    low, high = _numbers(b)
    return NumberSize(min(0, low + 1 if whole else low), max(0, high - 1 if whole else high), whole)


def _raised(a: NumberSize, b: NumberSize) -> NumberSize:
    whole = a.whole and b.whole and is_natural(b.low)
    low, high = _numbers(a)
    least_power, power = _numbers(b)
    if low < 0 or least_power < 0:
        return NumberSize(whole=whole)
    if _symbolic(a) and least_power == power and power <= _POWERS and power == int(power):
        ends: list[Quantity] = [1, 1]
        for _ in range(int(power)):
            ends = [_least_product(ends[0], _floor(a.low)), times(ends[1], _ceil(a.high))]
        return NumberSize(ends[0], ends[1], whole)
    smallest = _power(low, least_power) if low >= 1 else 0 if power > 0 else 1
    return _loosened(smallest, max(1, _power(high, power)), whole)


def _power(x: Number, y: Number) -> Number:
    if x in (0, 1) or y in (0, 1):
        return 1 if y == 0 else x
    if INFINITE in (x, y) or y * math.log2(x) > INT_BITS + 1:
        return INFINITE if x > 1 else 1
    try:
        return x**y
    except OverflowError:
        return INFINITE


def _loosened(low: Number, high: Number, whole: bool) -> NumberSize:
    """An interval whose ends need not be rounded alike: powers of floats are not monotone to the last bit."""
    if whole:
        return NumberSize(low, high, True)
    return NumberSize(low if abs(low) == INFINITE else float_below(low), high if abs(high) == INFINITE else float_above(high))


def float_below(x: Number) -> Number:
    """A little less than `x`, by more than a few roundings."""
    return x - (abs(x) >> 50) - 1 if isinstance(x, int) else math.nextafter(x - abs(x) * 2.0**-50, -INFINITE)


def float_above(x: Number) -> Number:
    """A little more than `x`, by more than a few roundings."""
    return -float_below(-x)


# ---- texts and lists ----


def _number_of(size: Size) -> NumberSize:
    return size if isinstance(size, NumberSize) else NumberSize()


def _is_list(size: Size) -> bool:
    return isinstance(size, (ListSize, TupleSize))


def added(a: Size, b: Size) -> Size:
    """`a + b`: numbers, texts, lists."""
    a, b = unfold(a), unfold(b)
    if isinstance(a, TextSize) or isinstance(b, TextSize):
        return TextSize(content_bytes(a) + content_bytes(b))
    if isinstance(a, TupleSize) and isinstance(b, TupleSize):
        return TupleSize(a.items + b.items)
    if _is_list(a) or _is_list(b):
        return joined_lists(as_list(a), as_list(b))
    return _added(a, b) if isinstance(a, NumberSize) and isinstance(b, NumberSize) else AnySize()


def joined_lists(a: ListSize, b: ListSize) -> ListSize:
    """One list after the other."""
    if a.count.high == 0 or b.count.high == 0:
        return b if a.count.high == 0 else a
    return ListSize(a.count + b.count, hull(a.item, b.item), list_total(a) + list_total(b))


def times_number(count: Interval, size: NumberSize) -> NumberSize:
    """The sum of so many numbers."""
    return _multiplied(NumberSize(count.low, count.high, True), size)


def _repeated(a: Size, b: Size) -> Size:
    """`a * b`: numbers; a text or a list that many times over."""
    a, b = unfold(a), unfold(b)
    if isinstance(b, TextSize) or _is_list(b):
        a, b = b, a
    if isinstance(a, TextSize):
        return TextSize(a.bytes * whole_at_least_zero(b))
    if _is_list(a):
        often, whole = whole_at_least_zero(b), as_list(a)
        return ListSize(whole.count * often, whole.item, list_total(whole) * often)
    return _multiplied(_number_of(a), _number_of(b))


def _arithmetic(rule: Callable[[NumberSize, NumberSize], NumberSize]) -> Callable[[Size, Size], Size]:
    return lambda a, b: rule(_number_of(unfold(a)), _number_of(unfold(b)))


def _negated(a: Size) -> Size:
    """`-a`"""
    size = _number_of(unfold(a))
    low, high = _numbers(size)
    return NumberSize(-high, -low, size.whole)


def _unchanged(a: Size) -> Size:
    """`+a`"""
    return _number_of(unfold(a))


def clamped(x: NumberSize, low: NumberSize, high: NumberSize) -> NumberSize:
    """`max(low, min(x, high))` where `low <= high`."""
    top = minimum(high.high, maximum(low.high, minimum(x.high, high.high)))
    return NumberSize(maximum(low.low, minimum(x.low, high.low)), top, x.whole and low.whole and high.whole)


BINARY_SIZES: Final[Mapping[str, Callable[[Size, Size], Size]]] = MappingProxyType(
    {
        "+": added,
        "-": _arithmetic(_subtracted),
        "*": _repeated,
        "/": _arithmetic(_divided),
        "//": _arithmetic(_floor_divided),
        "%": _arithmetic(_remainder),
        "**": _arithmetic(_raised),
    }
)
UNARY_SIZES: Final[Mapping[str, Callable[[Size], Size]]] = MappingProxyType({"-": _negated, "+": _unchanged})


# ---- comparison ----


def compared(op: str, a: Size, b: Size) -> bool | None:
    """What `a op b` gives, where the sizes decide it."""
    if op in _OPPOSITES:
        opposite = compared(_OPPOSITES[op], a, b)
        return None if opposite is None else not opposite
    if op == ">":
        return compared("<", b, a)
    if op == "==":
        return _equal(a, b)
    return _contained(a, b) if op == "in" else _before(a, b)


_OPPOSITES: Final = {"!=": "==", "not in": "in", ">=": "<", "<=": ">"}


def _before(a: Size, b: Size) -> bool | None:
    a, b = unfold(a), unfold(b)
    if not isinstance(a, NumberSize) or not isinstance(b, NumberSize):
        return None
    return True if _surely_less(a.high, b.low) else False if at_most(b.high, a.low) else None


def _equal(a: Size, b: Size) -> bool | None:
    for x, y in ((a, b), (b, a)):
        if isinstance(unfold(x), NoneSize):
            other = unfold(y)
            return True if isinstance(other, NoneSize) else None if isinstance(other, (MaybeSize, AnySize)) else False
    a, b = unfold(a), unfold(b)
    if isinstance(a, NumberSize) and isinstance(b, NumberSize):
        if _surely_less(a.high, b.low) or _surely_less(b.high, a.low):
            return False
        return True if a.low == a.high == b.low == b.high else None
    if isinstance(a, TextSize) and isinstance(b, TextSize):
        return _equal_amounts(a.bytes, b.bytes)
    if isinstance(a, DictSize) and isinstance(b, DictSize):
        return _equal_amounts(a.keys.count, b.keys.count)
    if isinstance(a, (ListSize, TupleSize)) and isinstance(b, (ListSize, TupleSize)):
        return _equal_amounts(length(a), length(b))
    return None


def _equal_amounts(a: Interval, b: Interval) -> bool | None:
    """Whether two texts or lists of so many bytes or items are equal: those that are empty are, of different length are not."""
    if a.high == 0 and b.high == 0:
        return True
    return False if _surely_less(a.high, b.low) or _surely_less(b.high, a.low) else None


def _contained(a: Size, b: Size) -> bool | None:
    whole, part = unfold(b), unfold(a)
    if isinstance(whole, TextSize) and isinstance(part, TextSize):
        return True if part.bytes.high == 0 else False if _surely_less(whole.bytes.high, part.bytes.low) else None
    if isinstance(whole, RecordSize) and isinstance(a, Exact):
        field = whole.get(a.value) if isinstance(a.value, str) else None
        return False if field is None else None if isinstance(field, MaybeSize) else True
    if isinstance(whole, DictSize):
        whole = whole.keys
    return False if isinstance(whole, ListSize) and whole.count.high == 0 else None


def _surely_less(a: Quantity, b: Quantity) -> bool:
    if isinstance(a, Formula) or isinstance(b, Formula):
        return at_most(plus(a, 1), b)
    return a < b
