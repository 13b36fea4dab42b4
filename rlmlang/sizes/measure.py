"""Sizes of values and of what holds several of them, and what a size weighs: as text, as JSON, by its content."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from rlmlang.files import DirValue, FileValue
from rlmlang.limits import VALUE_DEPTH
from rlmlang.quantity import INFINITE, Formula, Quantity, floor_div, less, maximum, minimum, plus, times
from rlmlang.sizes import alike
from rlmlang.sizes.alike import file_bytes, text_bytes
from rlmlang.sizes.shapes import (
    ANY,
    ONE,
    ZERO,
    AnySize,
    BoolSize,
    DictSize,
    DirSize,
    Exact,
    FileSize,
    FunctionSize,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    total_of,
)
from rlmlang.streamed import Streamed
from rlmlang.values import DictValue

NUMBER_BYTES: Final = 1_300  # an int of INT_BITS bits in decimal digits; a float is shorter
FLOAT_BYTES: Final = 24  # -2.2250738585072014e-308
FORMULA_DIGITS: Final = 61  # of SATURATED: what counts things comes nowhere near
ESCAPED: Final = 6  # bytes of the JSON escape of one byte of text, at most: a control character; a quote takes 2, all else stays


# ---- from values ----


def measure(value: Any) -> Size:
    """The size of a value without its content: what is left when it meets something unknown."""
    if isinstance(value, Exact):
        value = value.value
    if isinstance(value, bool):
        return BoolSize()
    if value is None:
        return NoneSize()
    if isinstance(value, (int, float)):
        return NumberSize(value, value, isinstance(value, int))
    if isinstance(value, str):
        return TextSize(Interval.exactly(text_bytes(value)))
    if isinstance(value, DictValue):
        return DictSize(measured_list(list(value)), measured_list(list(value.values())))
    if isinstance(value, dict):
        return RecordSize(tuple((name, measure(item)) for name, item in value.items()))
    if isinstance(value, FileValue):
        return FileSize(file_bytes(value.size), Interval.exactly(text_bytes(value.path)))
    if isinstance(value, DirValue):
        return DirSize()
    if isinstance(value, range):
        ends = (value[0], value[-1]) if value else (0, 0)
        return ListSize(Interval.exactly(len(value)), NumberSize(min(ends), max(ends), True))
    if callable(value):
        return AnySize()
    return measured_list(value)


def measured_list(values: Sequence[Any]) -> ListSize:
    """The size of a list of these values: `list_of` their sizes, found quickly where all are alike."""
    if isinstance(values, Streamed):
        return _streamed(values)
    kinds = set(map(type, values))
    if len(kinds) == 1:
        (kind,) = kinds
        if kind is str:
            return alike.texts(values)
        if kind is FileValue:
            return alike.files(values)
        if kind is int:
            return alike.whole_numbers(values)
        if kind is dict and values[0] and all(value.keys() == values[0].keys() for value in values):
            return _records(values)
    return list_of([measure(value) for value in values])


def _streamed(values: Streamed) -> ListSize:
    """The size of a list that is not held: read once."""
    if values.measured is None:
        values.measured = measured_parts(values.batches())
    measured: ListSize = values.measured
    return measured


def measured_parts(parts: Iterable[Sequence[Any]]) -> ListSize:
    """The size of a list that is there part by part, none of which is kept."""
    count, totals, item = 0, [], None
    for values in parts:
        if values:
            size = measured_list(values)
            count += len(values)
            totals.append(list_total(size))
            item = size.item if item is None else hull(item, size.item)
    return ListSize(Interval.exactly(count), item, total_of(totals)) if item is not None else list_of([])


def _records(values: Sequence[dict[str, Any]]) -> ListSize:
    """Records with the same fields, field by field."""
    columns = [(name, measured_list([value[name] for value in values])) for name in values[0]]
    item = RecordSize(tuple((name, column.item) for name, column in columns))
    if all(column.total is None for _, column in columns):
        return ListSize(Interval.exactly(len(values)), item)
    return ListSize(Interval.exactly(len(values)), item, total_of(list_total(column) for _, column in columns))


def list_of(items: Sequence[Size]) -> ListSize:
    """The size of a list of these."""
    if not items:
        return ListSize(ZERO, NoneSize(), ZERO)
    item = hull_all(items)
    if all(one == items[0] for one in items):
        return ListSize(Interval.exactly(len(items)), item)
    return ListSize(Interval.exactly(len(items)), item, total_of(map(content_bytes, items)))


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
            return NumberSize(minimum(a.low, b.low), maximum(a.high, b.high), a.whole and b.whole)
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
            return RecordSize(tuple((name, _field(a.get(name), b.get(name))) for name in names))
        case ((DictSize() | RecordSize()), (DictSize() | RecordSize())):
            x, y = as_dict(a), as_dict(b)
            return DictSize(_both(x.keys, y.keys), _both(x.values, y.values))
        case TupleSize(), TupleSize() if len(a.items) == len(b.items):
            return TupleSize(tuple(hull(x, y) for x, y in zip(a.items, b.items, strict=True)))
        case ((ListSize() | TupleSize()), (ListSize() | TupleSize())):
            return _both(as_list(a), as_list(b))
        case FileSize(), FileSize():
            return FileSize(a.text.hull(b.text), a.path.hull(b.path))
        case DirSize(), DirSize():
            return DirSize(a.count.hull(b.count), maximum(a.largest, b.largest), a.total.hull(b.total))
        case FunctionSize(), FunctionSize():
            return FunctionSize(hull(a.result, b.result))
    return AnySize(json_bytes(a).hull(json_bytes(b)))


def _both(x: ListSize, y: ListSize) -> ListSize:
    """What holds both lists."""
    if x.count.high == 0:
        return ListSize(y.count.from_zero(), y.item, list_total(y).from_zero())
    if y.count.high == 0:
        return ListSize(x.count.from_zero(), x.item, list_total(x).from_zero())
    return ListSize(x.count.hull(y.count), hull(x.item, y.item), list_total(x).hull(list_total(y)))


def _field(a: Size | None, b: Size | None) -> Size:
    """A field of one record or the other, perhaps of one alone."""
    if a is not None and b is not None:
        return hull(a, b)
    one = a or b or NoneSize()
    return one if isinstance(one, MaybeSize) else MaybeSize(one)


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


def one_of(size: Size, values: Sequence[Any]) -> Size:
    """A size that holds all of the values, told closer by them: how long a list is, which number, true or false."""
    if not values:
        return size
    if isinstance(size, ListSize):
        counts = list(map(len, values))
        return ListSize(Interval(min(counts), max(counts)), size.item, size.total)
    if isinstance(size, BoolSize):
        return Exact(values[0]) if len(set(values)) == 1 else size
    if isinstance(size, NumberSize):
        return NumberSize(min(values), max(values), size.whole)
    return size


def unfold(size: Size) -> Size:
    """The size without its content."""
    if not isinstance(size, Exact):
        return size
    if size.measured is None:
        size.measured = measure(size.value)
    return size.measured


def as_list(size: Size) -> ListSize:
    """A list, tuple or unknown value seen as a list; of a dict, its keys."""
    size = unfold(size)
    match size:
        case ListSize():
            return size
        case TupleSize(items):
            return list_of(items)
        case MaybeSize(item):
            return _perhaps_none(as_list(item))
        case DictSize() | RecordSize():
            return as_dict(size).keys
        case _:
            bytes_ = json_bytes(size)
            return ListSize(Interval(0, floor_div(bytes_.high, 3)), AnySize(Interval(1, bytes_.high)), bytes_.from_zero())


def listed(size: Size) -> Size:
    """What is gone through where a list is wanted: of a dict, its keys."""
    if isinstance(size, Exact):
        return Exact(list(size.value)) if isinstance(size.value, dict) else size
    return as_list(size) if isinstance(size, (DictSize, RecordSize)) else size


_ENTRY_BYTES: Final = 7  # of an entry in JSON, at least: `"": 1, `; the first and last comma stand for the brackets


def as_dict(size: Size) -> DictSize:
    """A dict, record or unknown value seen as a dict."""
    size = unfold(size)
    match size:
        case DictSize():
            return size
        case RecordSize(fields):
            counts = [ONE if not isinstance(field, MaybeSize) else Interval(0, 1) for _, field in fields]
            keys = [TextSize(Interval.exactly(text_bytes(name))) for name, _ in fields]
            return DictSize(_some(counts, keys), _some(counts, [field for _, field in fields]))
        case MaybeSize(item):
            inner = as_dict(item)
            return DictSize(_perhaps_none(inner.keys), _perhaps_none(inner.values))
        case _:
            most = json_bytes(size).high
            count = Interval(0, floor_div(most, _ENTRY_BYTES))
            return DictSize(
                ListSize(count, TextSize(Interval(0, most)), Interval(0, most)),
                ListSize(count, AnySize(Interval(1, most)), Interval(0, most)),
            )


def _some(counts: Sequence[Interval], items: Sequence[Size]) -> ListSize:
    """The list of these, of which some may be missing."""
    if not items:
        return list_of([])
    return ListSize(
        total_of(counts), hull_all(items), total_of(count * content_bytes(item) for count, item in zip(counts, items, strict=True))
    )


def _perhaps_none(xs: ListSize) -> ListSize:
    """A list that may be empty instead."""
    return ListSize(xs.count.from_zero(), xs.item, list_total(xs).from_zero())


# ---- bytes ----


def list_total(size: ListSize) -> Interval:
    """The content of all items together (`content_bytes`)."""
    each = size.count * content_bytes(size.item)
    if size.total is None:
        return each
    # what is known of all together is the lesser of the two, unless numbers say otherwise
    formulas = isinstance(each.high, Formula) and isinstance(size.total.high, Formula)
    return Interval(maximum(each.low, size.total.low), size.total.high if formulas else minimum(each.high, size.total.high))


def content_bytes(size: Size) -> Interval:
    """Bytes of the texts in a value, and of its numbers, bools and nones as JSON. Of a file, of its text."""
    size = unfold(size)
    match size:
        case TextSize(bytes_) | FileSize(bytes_, _):
            return bytes_
        case MaybeSize(item):
            return content_bytes(item).hull(Interval(4, 4))
        case RecordSize(fields):
            return total_of(_perhaps(content_bytes(field), field) for _, field in fields)
        case DictSize(_, values):
            return list_total(values)
        case TupleSize(items):
            return total_of(map(content_bytes, items))
        case ListSize():
            return list_total(size)
        case AnySize(bytes_):
            return bytes_.from_zero()
    return json_bytes(size)


def _perhaps(bytes_: Interval, field: Size) -> Interval:
    """Of a field that may be missing, perhaps nothing."""
    return bytes_.from_zero() if isinstance(field, MaybeSize) else bytes_


def data_bytes(size: Size) -> Interval:
    """Bytes of a value as a datum: a text's own, anything else's JSON."""
    size = unfold(size)
    return str_bytes(size) if isinstance(size, (TextSize, AnySize)) else json_bytes(size)


def json_bytes(size: Size, indent: int | None = None, level: int = 1) -> Interval:
    """Bytes of a value's JSON text, in one line with `, ` and `: ` or, with `indent`, a line for each item; `level` is its nesting."""
    size = unfold(size)
    between = 2 if indent is None else 2 + indent * level  # after an item, a comma and a space or new line
    around = 2 if indent is None else 4 + indent * (2 * level - 1)  # brackets, and the lines that they end
    match size:
        case TextSize(bytes_):
            return Interval(plus(bytes_.low, 2), plus(times(ESCAPED, bytes_.high), 2))
        case NumberSize():
            return Interval(*_digits(size))
        case BoolSize():
            return Interval(4, 5)
        case NoneSize():
            return Interval(4, 4)
        case MaybeSize(item):
            return json_bytes(item, indent, level).hull(Interval(4, 4))
        case RecordSize(fields):
            sure = sum(not isinstance(field, MaybeSize) for _, field in fields)
            marks = Interval(2 + max(0, sure - 1) * 2, (around if fields else 2) + max(0, len(fields) - 1) * between)
            keys = Interval(
                sum(_key_bytes(name) for name, field in fields if not isinstance(field, MaybeSize)),
                sum(_key_bytes(name) for name, _ in fields),
            )
            return total_of((marks, keys, *(_perhaps(json_bytes(field, indent, level + 1), field) for _, field in fields)))
        case TupleSize(items):
            marks = Interval(2 + max(0, len(items) - 1) * 2, (around if items else 2) + max(0, len(items) - 1) * between)
            return total_of((marks, *(json_bytes(item, indent, level + 1) for item in items)))
        case ListSize(count, item, _):
            each = count * json_bytes(item, indent, level + 1)
            content = list_total(size)
            if size.total is not None and (extra := _markup(item)) != INFINITE and indent is None:
                most = plus(times(_escaped(item), content.high), times(count.high, extra))
                # as a formula the content says more than the largest item, and is easier to read than the minimum of both
                high = most if isinstance(content.high, Formula) else minimum(each.high, most)
                each = Interval(maximum(each.low, content.low), high)
            return (
                Interval(2, 2 if count.high == 0 else around)
                + each
                + Interval(
                    times(less(count.low, 1), 2), times(count.high if isinstance(count.high, Formula) else less(count.high, 1), between)
                )
            )
        case DictSize(keys, values):
            # a key takes, beside itself and its quotes, a colon and a space: as in a list of texts a comma and a space
            both = json_bytes(keys) + json_bytes(values, indent, level)
            return Interval(2, 2) if keys.count.high == 0 else Interval(both.low if keys.surely else less(both.low, 2), both.high)
        case FileSize(_, path):
            return Interval(plus(path.low, 2), plus(times(ESCAPED, path.high), 2))
        case AnySize(bytes_):
            return bytes_ if indent is None else Interval(bytes_.low, times(bytes_.high, 2 + indent * VALUE_DEPTH))
    return ANY


def _markup(size: Size) -> Quantity:
    """Bytes of a value's JSON, at most, beside its content and the escapes in it."""
    size = unfold(size)
    match size:
        case TextSize():
            return 2
        case NumberSize() | BoolSize() | NoneSize():
            return 0
        case MaybeSize(item):
            return _markup(item)
        case RecordSize(fields):
            return plus(2, *(plus(_key_bytes(name) + 2, _markup(field)) for name, field in fields))
        case TupleSize(items):
            return plus(2, *(plus(2, _markup(item)) for item in items))
        case ListSize(count, item, _):
            return plus(2, times(count.high, plus(2, _markup(item))))
        case DictSize(keys, values):
            return plus(json_bytes(keys).high, _markup(values))
    return INFINITE


def _escaped(size: Size) -> int:
    """How often a byte of content is written at most."""
    size = unfold(size)
    match size:
        case NumberSize() | BoolSize() | NoneSize():
            return 1
        case MaybeSize(item) | ListSize(_, item) | DictSize(_, ListSize(_, item)):
            return _escaped(item)
        case RecordSize(fields):
            return max((_escaped(field) for _, field in fields), default=1)
        case TupleSize(items):
            return max((_escaped(item) for item in items), default=1)
    return ESCAPED


@lru_cache(4096)
def _key_bytes(name: str) -> int:
    """Bytes of `"name": `."""
    return text_bytes(json.dumps(name, ensure_ascii=False)) + 2


def _digits(size: NumberSize) -> tuple[int, int]:
    """Bytes that write a number, at least and at most."""
    longest = longest_number(size)
    if not size.whole:
        return 1, max(FLOAT_BYTES, longest)
    if isinstance(size.low, int) and size.low > 0:
        return _end_digits(size.low), longest
    if isinstance(size.high, int) and size.high < 0:
        return _end_digits(size.high), longest
    return 1, longest


def longest_number(size: NumberSize) -> int:
    """Digits before the point, with the sign, of a number at most."""
    return max(_end_digits(size.low), _end_digits(size.high))


def _end_digits(end: Quantity) -> int:
    if isinstance(end, Formula):
        return FORMULA_DIGITS
    return NUMBER_BYTES if abs(end) == INFINITE else len(str(math.floor(end)))


def str_total(size: ListSize) -> Interval:
    """Bytes of what `str` writes of all items together."""
    each = size.count * str_bytes(size.item)
    if size.total is None or not isinstance(unfold(size.item), TextSize):
        return each
    return list_total(size)


def str_bytes(size: Size) -> Interval:
    """Bytes of what `str` and f-strings write."""
    size = unfold(size)
    if isinstance(size, TextSize):
        return size.bytes
    if isinstance(size, MaybeSize):
        return str_bytes(size.item).hull(Interval(4, 4))
    if isinstance(size, FileSize):
        return size.path
    return json_bytes(size).from_zero() if isinstance(size, AnySize) else json_bytes(size)  # it may be a text
