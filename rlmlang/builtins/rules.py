"""What the size rules of several built-ins share. A rule takes the sizes of the arguments, as its function takes the arguments."""

from __future__ import annotations

from collections.abc import Callable

from rlmlang.quantity import INFINITE, Formula, Quantity, at_most, ceil_div, floor_div, greatest, least, maximum, minimum, times
from rlmlang.sizes import (
    BoolSize,
    Exact,
    Interval,
    ListSize,
    NoneSize,
    NumberSize,
    Size,
    TextSize,
    as_list,
    content_bytes,
    list_total,
    unfold,
    whole_at_least_zero,
)


def given(size: Size | None) -> Size | None:
    """An optional argument, None where it is left out or none."""
    return None if size is None or isinstance(size, NoneSize) or (isinstance(size, Exact) and size.value is None) else size


def text_of(size: Size) -> Interval:
    """Bytes of an argument that is a text."""
    return content_bytes(size)


def number_of(size: Size) -> NumberSize:
    """An argument that is a number; a bool counts as 0 or 1."""
    size = unfold(size)
    if isinstance(size, BoolSize):
        return NumberSize(0, 1, True)
    return size if isinstance(size, NumberSize) else NumberSize()


def amount_of(size: Size, floor: int = 0) -> Interval:
    """An argument that is an int of at least `floor`, where a smaller one fails."""
    amount = whole_at_least_zero(unfold(size))
    return Interval(maximum(floor, amount.low), maximum(floor, amount.high))


def is_bool(*_: Size | None) -> Size:
    return BoolSize()


def position(most: Quantity, low: int = 0) -> NumberSize:
    """A position from `low` to `most`."""
    return NumberSize(low, most, True)


def grows(by: tuple[int, int], shrinks: int) -> Callable[[Size], Size]:
    """The rule of a function that makes a text at most `by[0] / by[1]` times as long in bytes, at least `1 / shrinks`."""

    def rule(text: Size) -> Size:
        bytes_ = text_of(text)
        return TextSize(Interval(ceil_div(bytes_.low, shrinks), floor_div(times(by[0], bytes_.high), by[1])))

    return rule


def part_of_text(text: Size, *_: Size | None) -> Size:
    """A part of the text."""
    return TextSize(text_of(text).from_zero())


def parts_of_text(text: Size, count: Interval, least_item: int) -> ListSize:
    """Parts of a text that do not overlap, each of at least so many bytes."""
    bytes_ = text_of(text)
    low = least_item if isinstance(bytes_.high, Formula) else min(least_item, bytes_.high)  # where there is none, nothing is said of it
    return ListSize(count, TextSize(Interval(low, bytes_.high)), bytes_.from_zero())


def some_of(xs: Size, count: Interval) -> ListSize:
    """So many of the items of a list, each at most once."""
    whole = as_list(xs)
    if count == whole.count and count.low == count.high:
        return whole
    return ListSize(count, whole.item, total_of(whole, count.high))


def total_of(whole: ListSize, most: Quantity) -> Interval | None:
    """The content of at most `most` of the items."""
    if whole.total is None:
        return None
    return Interval(0, minimum(list_total(whole).high, times(most, content_bytes(whole.item).high)))


def same_items(xs: Size, *_: Size | None) -> Size:
    """The items of a list, in whatever order."""
    return as_list(xs)


def taken_of(count: Interval, n: Interval) -> Interval:
    """How many of `count` there are if at most `n` are taken."""
    return Interval(minimum(count.low, n.low), minimum(count.high, n.high))


def at_least_one(count: Interval) -> Quantity:
    """1 where there surely is something, else 0."""
    return 1 if at_most(1, count.low) else 0


def divided_up(amount: Interval, n: Interval) -> Interval:
    """`amount / n`, rounded up, for an `n` of at least 1."""
    low, high = greatest(n.high), max(1, least(n.low))
    return Interval(at_least_one(amount) if low == INFINITE else ceil_div(amount.low, int(low)), ceil_div(amount.high, int(high)))


def plain(size: Size | None) -> Size:
    """The size of what a default of none stands for."""
    return NoneSize() if size is None else size
