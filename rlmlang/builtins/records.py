"""Built-ins on records and on JSON data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import need_int, need_text
from rlmlang.builtins.rules import plain, text_of
from rlmlang.errors import Failure
from rlmlang.quantity import Quantity, at_most, floor_div
from rlmlang.sizes import (
    AnySize,
    Exact,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    as_list,
    hull,
    hull_all,
    json_bytes,
    rewritten,
    text_bytes,
    unfold,
)
from rlmlang.values import SEQUENCES, Mismatch, Value, check_value, describe, parse_json_text


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


def _keys_size(record: Size) -> Size:
    return _fields(record, lambda name, _: TextSize(Interval.exactly(text_bytes(name))), lambda most: TextSize(Interval(0, most)))


def _values_size(record: Size) -> Size:
    whole = unfold(record)
    if isinstance(whole, AnySize):
        return as_list(whole)
    return _fields(whole, lambda _, field: field, _any_data) if isinstance(whole, RecordSize) else whole


def _items_size(record: Size) -> Size:
    return _fields(
        record,
        lambda name, field: TupleSize((TextSize(Interval.exactly(text_bytes(name))), field)),
        lambda most: TupleSize((TextSize(Interval(0, most)), _any_data(most))),
    )


def _any_data(most: Quantity) -> Size:
    return AnySize(Interval(1, most))


@builtin("keys(record: json) -> [text]", help="The names of its fields.", size=_keys_size)
def keys(record: Value) -> list[str]:
    return list(_record(record, "keys"))


@builtin("values(record: json) -> [json]", help="What its fields hold; the items, if it is a list.", size=_values_size)
def values(record: Value) -> Any:
    return record if isinstance(record, SEQUENCES) else list(_record(record, "values").values())


@builtin("items(record: json) -> [[text, json]]", help="Each field as its name and what it holds.", size=_items_size)
def items(record: Value) -> Value:
    return check_value([[name, value] for name, value in _record(record, "items").items()])


def _get_size(whole: Size, at: Size, default: Size | None = None) -> Size:
    base, other = unfold(whole), plain(default)
    key = at.value if isinstance(at, Exact) else None
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
    "get(xs: [T], at: int) -> T?",
    "get(xs: [T], at: int, default: T) -> T",
    "get(record: json, at: json, default: json = none) -> json",
    help="The item at a position or the field of a name, or the default where there is none.",
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
