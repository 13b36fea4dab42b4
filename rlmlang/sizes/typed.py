"""The size of what is only known by its type: a reply, an input that is not given."""

from __future__ import annotations

from rlmlang.limits import PATH_BYTES
from rlmlang.quantity import INFINITE, Quantity, ceil_div, floor_div, minimum, plus, times
from rlmlang.sizes.alike import text_bytes
from rlmlang.sizes.shapes import (
    AnySize,
    BoolSize,
    DictSize,
    DirSize,
    FileSize,
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
from rlmlang.types import BOOL, DIR, FILE, FLOAT, INT, JSON, NONE, TEXT, DictOf, Enum, ListOf, Optional, RecordOf, Tuple, Type


def of_type(type_: Type, most: Quantity = INFINITE, ours: bool = False) -> Size:
    """What a value of a type can be that was read from a JSON text of at most `most` bytes; `ours`: from one that we wrote.

    A text that others wrote may grow when we write it: `[1e15,1]` is `[1000000000000000.0, 1]`, and fields that it leaves out are none.
    """
    match type_:
        case Enum(words):
            lengths = [text_bytes(word) for word in words]
            return TextSize(Interval(min(lengths, default=0), max(lengths, default=0)))
        case ListOf(item, limit):
            # the shortest item takes a byte, and each but the last a comma
            count = floor_div(most, 3 if ours else 2)
            grown = most if ours or item == TEXT or isinstance(item, Enum) else plus(rewritten(most), times(count, _left_out(item)))
            if limit is not None:
                count = minimum(count, limit)
            return ListSize(Interval(0, count), of_type(item, most, ours), Interval(0, grown))
        case Tuple(items):
            return TupleSize(tuple(of_type(item, most, ours) for item in items))
        case RecordOf(fields):
            return RecordSize(tuple((name, of_type(field, most, ours)) for name, field in fields))
        case DictOf(value):
            # the shortest entry is `"":1,`, as we write it `"": 1, `; the first and last comma stand for the brackets
            entries = Interval(0, floor_div(most, 7 if ours else 5))
            values = of_type(ListOf(value), most, ours)
            assert isinstance(values, ListSize)
            keys = ListSize(entries, TextSize(Interval(0, most)), Interval(0, most))
            return DictSize(keys, ListSize(entries, values.item, values.total))
        case Optional(item):
            return MaybeSize(of_type(item, most, ours))
    if type_ == TEXT:
        return TextSize(Interval(0, most))
    if type_ in (INT, FLOAT):
        return NumberSize(whole=type_ == INT)
    if type_ == BOOL:
        return BoolSize()
    if type_ == NONE:
        return NoneSize()
    if type_ == FILE:
        return FileSize(path=Interval(0, PATH_BYTES))
    if type_ == DIR:
        return DirSize()
    return AnySize(Interval(1, most if ours else rewritten(most)))


def rewritten(most: Quantity) -> Quantity:
    """Bytes of JSON as we write it, from JSON of so many bytes: a number grows most, `9e15` to `9000000000000000.0`."""
    return ceil_div(times(most, 9), 2)


def _left_out(type_: Type) -> int:
    """Bytes of content at most that fields left out add to one value: it is none that stands for them."""
    match type_:
        case RecordOf(fields):
            return sum(4 if isinstance(t, Optional) or t in (NONE, JSON) else 0 for _, t in fields) + sum(_left_out(t) for _, t in fields)
        case Tuple(items):
            return sum(_left_out(item) for item in items)
        case ListOf(item) | Optional(item) | DictOf(item):
            return _left_out(item)
    return 0
