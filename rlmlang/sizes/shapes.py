"""The abstract values themselves: intervals, and a class for each kind of value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define, field, frozen

from rlmlang.quantity import INFINITE, SATURATED, Quantity, at_most, coarse, coarse_below, maximum, minimum, plus, times


@frozen
class Interval:
    """`[low, high]`, both quantities of at least 0."""

    low: Quantity = 0
    high: Quantity = INFINITE

    @staticmethod
    def exactly(amount: Quantity) -> Interval:
        return Interval(amount, amount)

    def __add__(self, other: Interval) -> Interval:
        low, high = self.low, self.high
        if low.__class__ is high.__class__ is other.low.__class__ is other.high.__class__ is int:  # by far the most frequent
            high += other.high
            if high <= SATURATED:
                return Interval(low + other.low, high)
        return Interval(coarse_below(plus(self.low, other.low)), coarse(plus(self.high, other.high)))

    def __mul__(self, other: Interval) -> Interval:
        low, high = self.low, self.high
        if low.__class__ is high.__class__ is other.low.__class__ is other.high.__class__ is int:
            high *= other.high
            if -SATURATED <= high <= SATURATED:
                return Interval(low * other.low, high)
        return Interval(coarse_below(times(self.low, other.low)), coarse(times(self.high, other.high)))

    def hull(self, other: Interval) -> Interval:
        """What holds both."""
        if self is other or self == other:
            return self
        return Interval(coarse_below(minimum(self.low, other.low)), coarse(maximum(self.high, other.high)))

    def at_most(self, other: Interval) -> Interval:
        """Cut to at most `other`."""
        return Interval(minimum(self.low, other.low), minimum(self.high, other.high))

    def from_zero(self) -> Interval:
        return Interval(0, self.high)


def total_of(intervals: Iterable[Interval]) -> Interval:
    """Their sum, the ends each added up in one go."""
    lows, highs = [], []
    for interval in intervals:
        lows.append(interval.low)
        highs.append(interval.high)
    return Interval(coarse_below(plus(*lows)), coarse(plus(*highs)))


ZERO = Interval(0, 0)
ONE = Interval(1, 1)
PERHAPS = Interval(0, 1)
ANY = Interval(0, INFINITE)


@define(eq=False)
class Exact:
    """The value itself. `measured`: its size without its content, once somebody has asked."""

    value: Any
    measured: Size | None = field(default=None, init=False, repr=False)


@frozen
class Lines:
    """A text is at most `count` parts, one after the other, each of at most `longest` bytes and all but the last ended by a newline."""

    count: Quantity
    longest: int


@frozen
class TextSize:
    bytes: Interval = ANY
    lines: Lines | None = None


@frozen
class NumberSize:
    """A number between `low` and `high`; `whole`: an int. An end that is a formula is at least 0."""

    low: Quantity = -INFINITE
    high: Quantity = INFINITE
    whole: bool = False


@frozen
class BoolSize:
    """A bool that is not known."""


@frozen
class NoneSize:
    """none"""


@frozen(eq=False)
class Known:
    """The items of which a list has some, each once at most, in whatever order. `sure`: whether it has that one in any case."""

    items: tuple[Any, ...]
    sure: tuple[bool, ...]


@frozen
class ListSize:
    """`total`: the content of all items together (`content_bytes`; of files the bytes of their texts); None: count x item. `known`: what
    was kept of known items, where a reply decides which."""

    count: Interval
    item: Size
    total: Interval | None = None
    known: Known | None = None

    @property
    def surely(self) -> bool:
        """Whether there is an item."""
        return at_most(1, self.count.low)


@frozen
class TupleSize:
    """A list of fixed length."""

    items: tuple[Size, ...]


@frozen
class RecordSize:
    """A field that is a `MaybeSize` may be missing."""

    fields: tuple[tuple[str, Size], ...]

    def get(self, name: str) -> Size | None:
        return next((size for n, size in self.fields if n == name), None)


@frozen
class DictSize:
    """A dict by the lists of its keys and of its values, which have one length. Its content is that of its values."""

    keys: ListSize
    values: ListSize


@frozen
class MaybeSize:
    """none, or `item`"""

    item: Size


@frozen
class FileSize:
    text: Interval = ANY
    path: Interval = ANY


@frozen
class DirSize:
    """`count` files, at least so many by the pattern `**/*`; the text of each has at most `largest` bytes, all together `total`."""

    count: Interval = ANY
    largest: Quantity = INFINITE
    total: Interval = ANY


@frozen
class AnySize:
    """Any data, by the bytes of its JSON text as we write it."""

    bytes: Interval = ANY


@frozen
class FunctionSize:
    """A lambda or the name of a function, as an argument: what it gives for an item."""

    result: Size


Size = (
    Exact
    | TextSize
    | NumberSize
    | BoolSize
    | NoneSize
    | ListSize
    | TupleSize
    | RecordSize
    | DictSize
    | MaybeSize
    | FileSize
    | DirSize
    | AnySize
    | FunctionSize
)
