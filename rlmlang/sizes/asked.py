"""What a size says of its value: how long it is, which number it is, whether it is true."""

from __future__ import annotations

import math

from rlmlang.quantity import INFINITE, Formula, Quantity, at_most, ceil_div
from rlmlang.sizes.measure import (
    json_bytes,
)
from rlmlang.sizes.shapes import (
    ANY,
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
)
from rlmlang.values import SEQUENCES


def length(size: Size) -> Interval:
    """`len`: items of a list, fields of a record, code points of a text."""
    if isinstance(size, Exact):
        return Interval.exactly(len(size.value)) if isinstance(size.value, (str, dict, *SEQUENCES)) else ANY
    match size:
        case ListSize(count, _, _):
            return count
        case TupleSize(items):
            return Interval.exactly(len(items))
        case RecordSize(fields):
            return Interval(sum(not isinstance(field, MaybeSize) for _, field in fields), len(fields))
        case DictSize(keys):
            return keys.count
        case TextSize(bytes_):
            return points(bytes_)
        case MaybeSize(item):
            return length(item).from_zero()
        case _:
            return Interval(0, json_bytes(size).high)


def points(bytes_: Interval) -> Interval:
    """Code points of a text of so many bytes."""
    return Interval(ceil_div(bytes_.low, 4), bytes_.high)


def number(size: Size) -> tuple[Quantity, Quantity]:
    """The interval of a number; (-infinite, infinite) for what is no number that is known."""
    if isinstance(size, Exact) and isinstance(size.value, (int, float)) and not isinstance(size.value, bool):
        return size.value, size.value
    if isinstance(size, NumberSize):
        return size.low, size.high
    return -INFINITE, INFINITE


def whole_at_least_zero(size: Size) -> Interval:
    """A number as a count: below 0 is 0."""
    low, high = number(size)
    return Interval(_floor0(low), _floor0(high))


def _floor0(q: Quantity) -> Quantity:
    if isinstance(q, Formula):
        return q
    return q if q == INFINITE else math.floor(max(0, q))


def truth(size: Size) -> bool | None:
    """What a condition on the value decides, None where that is not known."""
    if isinstance(size, Exact):
        return bool(size.value)
    match size:
        case NoneSize():
            return False
        case ListSize(count) | DictSize(ListSize(count)):
            return True if at_most(1, count.low) else False if count.high == 0 else None
        case TupleSize(items):
            return bool(items)
        case TextSize(bytes_):
            return True if at_most(1, bytes_.low) else False if bytes_.high == 0 else None
        case _:
            return None
