"""Built-ins on dicts, on records and on JSON data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import need_int, need_list, need_text
from rlmlang.builtins.rules import at_least_one, plain, text_of
from rlmlang.errors import Failure
from rlmlang.quantity import Quantity, at_most, floor_div
from rlmlang.sizes import (
    AnySize,
    DictSize,
    Exact,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    as_dict,
    as_list,
    hull,
    hull_all,
    json_bytes,
    list_of,
    list_total,
    rewritten,
    text_bytes,
    unfold,
)
from rlmlang.values import SEQUENCES, DictValue, Mismatch, Value, check_value, describe, parse_json_text


def _record(value: Value, what: str) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    raise Failure(f"{what} needs a record, not {describe(value)}")


_FIELD_BYTES: Final = 7  # of a field in JSON, at least: `"": 1, `; the first and last comma stand for the brackets


def _fields(record: Size, of: Callable[[str, Size], Size], unknown: Callable[[Quantity], Size]) -> Size:
    """A list of what `of` gives for each field, `unknown` for one of a record of so many bytes."""
    whole = unfold(record)
    if not isinstance(whole, RecordSize):
        bytes_ = json_bytes(whole).high
        return ListSize(Interval(0, floor_div(bytes_, _FIELD_BYTES)), unknown(bytes_), Interval(0, bytes_))
    items = [of(name, field.item if isinstance(field, MaybeSize) else field) for name, field in whole.fields]
    sure = sum(not isinstance(field, MaybeSize) for _, field in whole.fields)
    if sure == len(items):
        return TupleSize(tuple(items))
    items += [of(name, NoneSize()) for name, field in whole.fields if isinstance(field, MaybeSize)]
    return ListSize(Interval(sure, len(whole.fields)), hull_all(items))


def _dict_size(pairs: Size | None = None) -> Size:
    if pairs is None:
        return DictSize(list_of([]), list_of([]))
    whole = unfold(pairs)
    if isinstance(whole, (DictSize, RecordSize)):
        return as_dict(whole)
    entries = as_list(whole)
    count = Interval(at_least_one(entries.count), entries.count.high)
    key, value = _both_of(entries.item)
    total = list_total(entries).from_zero()
    return DictSize(ListSize(count, key, total), ListSize(count, value, total))


def _both_of(pair: Size) -> tuple[Size, Size]:
    """The key and the value of an entry."""
    whole = unfold(pair)
    if isinstance(whole, TupleSize) and len(whole.items) == 2:
        return whole.items
    item = as_list(whole).item
    return item if isinstance(unfold(item), TextSize) else TextSize(Interval(0, json_bytes(item).high)), item


@builtin(
    "dict(pairs: [[text, T]]) -> dict[text, T]",
    "dict(d: dict[text, T]) -> dict[text, T]",
    "dict() -> dict[text, never]",
    help="Values by keys, of pairs; of equal keys the last one's value. {k: v for …} is dict([[k, v] for …]).",
    size=_dict_size,
)
def dict_(pairs: Value = ()) -> DictValue:
    if isinstance(pairs, dict):
        return DictValue(pairs)
    made = DictValue()
    for pair in need_list(pairs, "dict") if pairs != () else ():
        if not isinstance(pair, SEQUENCES) or len(pair) != 2:
            raise Failure(f"dict needs pairs of a key and a value, not {describe(pair)}")
        made[need_text(pair[0], "a key")] = pair[1]
    return made


def _entry_lists(whole: DictSize) -> ListSize:
    """The pairs of a dict."""
    keys, values = whole.keys, whole.values
    total = None if keys.total is None and values.total is None else list_total(keys) + list_total(values)
    return ListSize(keys.count, TupleSize((keys.item, values.item)), total)


def _keys_size(record: Size) -> Size:
    whole = unfold(record)
    return (
        whole.keys
        if isinstance(whole, DictSize)
        else _fields(record, lambda name, _: TextSize(Interval.exactly(text_bytes(name))), lambda most: TextSize(Interval(0, most)))
    )


def _values_size(record: Size) -> Size:
    whole = unfold(record)
    if isinstance(whole, DictSize):
        return whole.values
    if isinstance(whole, AnySize):
        return as_list(whole)
    return _fields(whole, lambda _, field: field, _any_data) if isinstance(whole, RecordSize) else whole


def _items_size(record: Size) -> Size:
    whole = unfold(record)
    if isinstance(whole, DictSize):
        return _entry_lists(whole)
    return _fields(
        record,
        lambda name, field: TupleSize((TextSize(Interval.exactly(text_bytes(name))), field)),
        lambda most: TupleSize((TextSize(Interval(0, most)), _any_data(most))),
    )


def _any_data(most: Quantity) -> Size:
    return AnySize(Interval(1, most))


@builtin(
    "keys(d: dict[text, T]) -> [text]",
    "keys(record: json) -> [text]",
    help="The keys of a dict, the names of a record's fields.",
    size=_keys_size,
)
def keys(record: Value) -> list[str]:
    return list(_record(record, "keys"))


@builtin(
    "values(d: dict[text, T]) -> [T]",
    "values(record: json) -> [json]",
    help="What a dict or a record holds; the items, if it is a list.",
    size=_values_size,
)
def values(record: Value) -> Any:
    return record if isinstance(record, SEQUENCES) else list(_record(record, "values").values())


@builtin(
    "items(d: dict[text, T]) -> [[text, T]]",
    "items(record: json) -> [[text, json]]",
    help="Each key or field with what it holds, as pairs.",
    size=_items_size,
)
def items(record: Value) -> Value:
    return check_value([[name, value] for name, value in _record(record, "items").items()])


def _get_size(whole: Size, at: Size, default: Size | None = None) -> Size:
    base, other = unfold(whole), plain(default)
    key = at.value if isinstance(at, Exact) else None
    if isinstance(base, DictSize):
        return other if base.keys.count.high == 0 else hull(base.values.item, other)
    if isinstance(base, RecordSize):
        field = base.get(key) if isinstance(key, str) else hull_all(field for _, field in base.fields) if base.fields else None
        sure = isinstance(key, str) and field is not None and not isinstance(field, MaybeSize)
        return other if field is None else field if sure else hull(field, other)
    if not isinstance(base, (ListSize, TupleSize)):
        return hull(_any_data(json_bytes(base).high), other)
    items = as_list(base)
    if isinstance(key, int) and at_most(key + 1 if key >= 0 else -key, items.count.low):
        return base.items[key] if isinstance(base, TupleSize) else items.item
    return other if items.count.high == 0 else hull(items.item, other)


@builtin(
    "get(d: dict[text, T], at: text) -> T?",
    "get(d: dict[text, T], at: text, default: T) -> T",
    "get(xs: [T], at: int) -> T?",
    "get(xs: [T], at: int, default: T) -> T",
    "get(record: json, at: json, default: json = none) -> json",
    help="The value of a key, the item at a position or the field of a name, or the default where there is none.",
    size=_get_size,
)
def get(whole: Value, at: Value, default: Value = None) -> Value:
    if isinstance(whole, SEQUENCES):
        position = need_int(at, "get")
        return whole[position] if -len(whole) <= position < len(whole) else default
    return _record(whole, "get").get(need_text(at, "get"), default)


def _parse_json_size(text: Size) -> Size:
    return _any_data(rewritten(text_of(text).high))


@builtin("parse_json(text: text) -> json", help="The data that a JSON text writes; fails if it is none.", size=_parse_json_size)
def parse_json(text: str) -> Value:
    try:
        return parse_json_text(need_text(text, "parse_json"))
    except Mismatch as mismatch:
        raise Failure(mismatch.message) from None
