"""How large a value can be: the abstract values of the bound. Bytes are of UTF-8; every amount is an interval of quantities.

    Exact        the value itself, where nothing that is unknown decides it
    TextSize     bytes
    NumberSize   the number
    ListSize     how many items, and what each is at most and at least; the bytes of all items together where they are unequal
    RecordSize   field by field
    MaybeSize    none, or this
    FileSize     a file's text and path;  DirSize: how many files, their bytes, the largest
    AnySize      something else, by the bytes of its JSON text

A size says what may be, never what is: `[lower, upper]` holds the real one. Where nothing is known, the upper end is infinite and the lower 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Union

from attrs import evolve, frozen

from rlmlang.quantity import INFINITE, Number, Quantity, at_most, ceil_div, maximum, minimum, plus, times
from rlmlang.files import DirValue, FileValue
from rlmlang.types import BOOL, DIR, FILE, FLOAT, INT, NONE, TEXT, Enum, ListOf, Optional, RecordOf, Tuple, Type

NUMBER_BYTES = 1_300  # an int of INT_BITS bits in decimal digits; a float is shorter
ESCAPED = 6  # bytes of the JSON escape of one byte of text, at most


@frozen
class Interval:
    """`[low, high]`, both quantities of at least 0."""

    low: Quantity = 0
    high: Quantity = INFINITE

    @staticmethod
    def exactly(amount: Quantity) -> Interval:
        return Interval(amount, amount)

    def __add__(self, other: Interval) -> Interval:
        return Interval(plus(self.low, other.low), plus(self.high, other.high))

    def __mul__(self, other: Interval) -> Interval:
        return Interval(times(self.low, other.low), times(self.high, other.high))

    def hull(self, other: Interval) -> Interval:
        """What holds both."""
        return Interval(minimum(self.low, other.low), maximum(self.high, other.high))

    def at_most(self, other: Interval) -> Interval:
        """Cut to at most `other`."""
        return Interval(minimum(self.low, other.low), minimum(self.high, other.high))

    def from_zero(self) -> Interval:
        return evolve(self, low=0)


ZERO = Interval(0, 0)
ONE = Interval(1, 1)
ANY = Interval(0, INFINITE)


@frozen(eq=False)
class Exact:
    """The value itself."""

    value: Any


@frozen
class TextSize:
    bytes: Interval = ANY


@frozen
class NumberSize:
    """A number between `low` and `high`; where these are formulas it is an int of at least 0."""

    low: Quantity = -INFINITE
    high: Quantity = INFINITE


@frozen
class BoolSize:
    """A bool that is not known."""


@frozen
class NoneSize:
    """none"""


@frozen
class ListSize:
    """`total`: the bytes of all items together, as texts or as JSON, without what stands between; None: count x item."""

    count: Interval
    item: Size
    total: Interval | None = None


@frozen
class TupleSize:
    """A list of fixed length."""

    items: tuple[Size, ...]


@frozen
class RecordSize:
    fields: tuple[tuple[str, Size], ...]

    def get(self, name: str) -> Size | None:
        return next((size for n, size in self.fields if n == name), None)


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
    """`count` files; `largest` bytes each at most, `total` together."""

    count: Interval = ANY
    largest: Quantity = INFINITE
    total: Interval = ANY


@frozen
class AnySize:
    """Any data, by the bytes of its JSON text."""

    bytes: Interval = ANY


@frozen
class FunctionSize:
    """A lambda or the name of a function, as an argument: what it gives for an item."""

    result: Size


Size = Union[Exact, TextSize, NumberSize, BoolSize, NoneSize, ListSize, TupleSize, RecordSize, MaybeSize, FileSize, DirSize, AnySize, FunctionSize]


# ---- from values and types ----


def measure(value: Any) -> Size:
    """The size of a value without its content: what is left when it meets something unknown."""
    if isinstance(value, Exact):
        value = value.value
    if isinstance(value, bool):
        return BoolSize()
    if value is None:
        return NoneSize()
    if isinstance(value, (int, float)):
        return NumberSize(value, value)
    if isinstance(value, str):
        return TextSize(Interval.exactly(text_bytes(value)))
    if isinstance(value, dict):
        return RecordSize(tuple((name, measure(item)) for name, item in value.items()))
    if isinstance(value, FileValue):
        return FileSize(file_bytes(value.size), Interval.exactly(text_bytes(value.path)))
    if isinstance(value, DirValue):
        return DirSize()
    if isinstance(value, range):
        ends = (value[0], value[-1]) if value else (0, 0)
        return ListSize(Interval.exactly(len(value)), NumberSize(min(ends), max(ends)))
    items = list(value)
    return list_of([measure(item) for item in items])


def file_bytes(size: int) -> Interval:
    """Bytes of a file's text from the bytes of the file: a byte-order mark goes, and CR LF becomes one character."""
    return Interval(max(0, (size - 3) // 2), size)


def list_of(items: Sequence[Size]) -> Size:
    """The size of a list of these."""
    if not items:
        return ListSize(ZERO, NoneSize(), ZERO)
    item = hull_all(items)
    if all(one == items[0] for one in items):
        return ListSize(Interval.exactly(len(items)), item)
    total = ZERO
    for one in items:
        total = total + data_bytes(one)
    return ListSize(Interval.exactly(len(items)), item, total)


def text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def of_type(type_: Type, most: Quantity = INFINITE) -> Size:
    """What a value of a type can be, if its JSON text has at most `most` bytes."""
    bytes_ = Interval(0, most)
    match type_:
        case Enum(words):
            lengths = [text_bytes(word) for word in words]
            return TextSize(Interval(min(lengths, default=0), max(lengths, default=0)))
        case ListOf(item, limit):
            # the shortest item takes a byte and each but the last a comma
            count = most if most == INFINITE else ceil_div(most, 2)
            if limit is not None:
                count = minimum(count, limit)
            return ListSize(Interval(0, count), of_type(item, most), Interval(0, most))
        case Tuple(items):
            return TupleSize(tuple(of_type(item, most) for item in items))
        case RecordOf(fields):
            return RecordSize(tuple((name, of_type(field, most)) for name, field in fields))
        case Optional(item):
            return MaybeSize(of_type(item, most))
    if type_ == TEXT:
        return TextSize(bytes_)
    if type_ in (INT, FLOAT):
        return NumberSize()
    if type_ == BOOL:
        return BoolSize()
    if type_ == NONE:
        return NoneSize()
    if type_ == FILE:
        return FileSize()
    if type_ == DIR:
        return DirSize()
    return AnySize(bytes_)


# ---- hulls ----


def hull(a: Size, b: Size) -> Size:
    """What holds both."""
    if a is b or a == b:
        return a
    if isinstance(a, Exact) or isinstance(b, Exact):
        return hull(unfold(a), unfold(b))
    match a, b:
        case TextSize(), TextSize():
            return TextSize(a.bytes.hull(b.bytes))
        case NumberSize(), NumberSize():
            return NumberSize(_least(a.low, b.low), _greatest(a.high, b.high))
        case NoneSize(), _:
            return b if isinstance(b, MaybeSize) else MaybeSize(b)
        case _, NoneSize():
            return a if isinstance(a, MaybeSize) else MaybeSize(a)
        case MaybeSize(), MaybeSize():
            return MaybeSize(hull(a.item, b.item))
        case MaybeSize(), _:
            return MaybeSize(hull(a.item, b))
        case _, MaybeSize():
            return MaybeSize(hull(a, b.item))
        case RecordSize(), RecordSize():
            names = [name for name, _ in a.fields] + [name for name, _ in b.fields if a.get(name) is None]
            return RecordSize(tuple((name, hull(a.get(name) or NoneSize(), b.get(name) or NoneSize())) for name in names))
        case TupleSize(), TupleSize() if len(a.items) == len(b.items):
            return TupleSize(tuple(hull(x, y) for x, y in zip(a.items, b.items, strict=True)))
        case (ListSize() | TupleSize()), (ListSize() | TupleSize()):
            x, y = as_list(a), as_list(b)
            if x.count.high == 0:
                return ListSize(y.count.from_zero(), y.item, list_total(y).from_zero())
            if y.count.high == 0:
                return ListSize(x.count.from_zero(), x.item, list_total(x).from_zero())
            return ListSize(x.count.hull(y.count), hull(x.item, y.item), list_total(x).hull(list_total(y)))
        case FileSize(), FileSize():
            return FileSize(a.text.hull(b.text), a.path.hull(b.path))
        case FunctionSize(), FunctionSize():
            return FunctionSize(hull(a.result, b.result))
    return AnySize(json_bytes(a).hull(json_bytes(b)))


def hull_all(sizes: Iterable[Size]) -> Size:
    """What holds all of them."""
    result: Size | None = None
    seen: set[Size] = set()
    for size in sizes:
        plain = unfold(size)
        if plain in seen:
            continue
        seen.add(plain)
        result = plain if result is None else hull(result, plain)
    return NoneSize() if result is None else result


def unfold(size: Size) -> Size:
    """The size without its content."""
    return measure(size.value) if isinstance(size, Exact) else size


def _least(a: Quantity, b: Quantity) -> Quantity:
    if at_most(a, b):
        return a
    if at_most(b, a):
        return b
    return 0 if _natural(a) and _natural(b) else -INFINITE


def _greatest(a: Quantity, b: Quantity) -> Quantity:
    if at_most(a, b):
        return b
    if at_most(b, a):
        return a
    return maximum(a, b)


def _natural(q: Quantity) -> bool:
    return not isinstance(q, (int, float)) or q >= 0


def as_list(size: Size) -> ListSize:
    """A list, tuple or unknown value seen as a list."""
    size = unfold(size)
    match size:
        case ListSize():
            return size
        case TupleSize(items):
            made = list_of(items)
            assert isinstance(made, ListSize)
            return made
        case MaybeSize(item):
            inner = as_list(item)
            return ListSize(inner.count.from_zero(), inner.item, list_total(inner).from_zero())
        case _:
            bytes_ = json_bytes(size)
            return ListSize(Interval(0, ceil_div(bytes_.high, 2)), AnySize(Interval(0, bytes_.high)), bytes_.from_zero())


# ---- bytes ----


def list_total(size: ListSize) -> Interval:
    """Bytes of all items together, as data (see `data_bytes`)."""
    each = size.count * data_bytes(size.item)
    if size.total is None:
        return each
    return Interval(maximum(each.low, size.total.low), minimum(each.high, size.total.high))


def data_bytes(size: Size) -> Interval:
    """Bytes of a value as part of data: a text's own, anything else's JSON."""
    size = unfold(size)
    return size.bytes if isinstance(size, TextSize) else json_bytes(size)


def json_bytes(size: Size) -> Interval:
    """Bytes of a value's JSON text, `json.dumps` style with `, ` and `: `."""
    size = unfold(size)
    match size:
        case TextSize(bytes_):
            return Interval(plus(bytes_.low, 2), plus(times(ESCAPED, bytes_.high), 2))
        case NumberSize(low, high):
            return Interval(1, _digits(low, high))
        case BoolSize():
            return Interval(4, 5)
        case NoneSize():
            return Interval(4, 4)
        case MaybeSize(item):
            return json_bytes(item).hull(Interval(4, 4))
        case RecordSize(fields):
            total = Interval(2, 2)
            for name, field in fields:
                key = text_bytes(name)
                total = total + json_bytes(field) + Interval(key + 4, ESCAPED * key + 6)
            return total
        case TupleSize(items):
            total = Interval(2, 2)
            for item in items:
                total = total + json_bytes(item) + Interval(0, 2)
            return total
        case ListSize(count, item, _):
            between = Interval(0, times(2, count.high))
            each = count * json_bytes(item)
            if isinstance(unfold(item), TextSize):
                total = list_total(size)
                each = Interval(each.low, minimum(each.high, plus(times(ESCAPED, total.high), times(2, count.high))))
            else:
                each = Interval(each.low, minimum(each.high, list_total(size).high))
            return Interval(2, 2) + each + between
        case FileSize(_, path):
            return Interval(plus(path.low, 2), plus(times(ESCAPED, path.high), 2))
        case AnySize(bytes_):
            return bytes_
    return ANY


def _digits(low: Quantity, high: Quantity) -> Quantity:
    if isinstance(low, int) and isinstance(high, int):
        return max(len(str(low)), len(str(high)))
    return NUMBER_BYTES


def str_bytes(size: Size) -> Interval:
    """Bytes of what `str` and f-strings write."""
    size = unfold(size)
    if isinstance(size, TextSize):
        return size.bytes
    if isinstance(size, MaybeSize):
        return str_bytes(size.item).hull(Interval(4, 4))
    if isinstance(size, FileSize):
        return size.path
    return json_bytes(size)


def length(size: Size) -> Interval:
    """`len`: items of a list, fields of a record, code points of a text."""
    if isinstance(size, Exact):
        return Interval.exactly(len(size.value))
    match size:
        case ListSize(count, _, _):
            return count
        case TupleSize(items):
            return Interval.exactly(len(items))
        case RecordSize(fields):
            return Interval(0, len(fields))
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
    if isinstance(q, (int, float)):
        if q == INFINITE:
            return INFINITE
        return max(0, int(q))
    return maximum(0, q)


def truth(size: Size) -> bool | None:
    """What a condition on the value decides, None where that is not known."""
    if isinstance(size, Exact):
        return bool(size.value)
    match size:
        case NoneSize():
            return False
        case ListSize(count, _, _):
            return True if at_most(1, count.low) else False if count.high == 0 else None
        case TupleSize(items):
            return bool(items)
        case TextSize(bytes_):
            return True if at_most(1, bytes_.low) else False if bytes_.high == 0 else None
        case _:
            return None


def numeric(low: Number, high: Number) -> NumberSize:
    return NumberSize(low, high)
